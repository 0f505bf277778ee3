package fuse

import (
	"time"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// Attributes: of inodes and of the whole volume.

func (f *raw) attr(h *gofuse.InHeader, out *gofuse.AttrOut, a signet.Attr, ttl time.Duration, err error) gofuse.Status {
	if err == nil {
		out.SetTimeout(lifetime(ttl))
		setAttr(&out.Attr, &a)
	}
	return f.done(h, err)
}

func (f *raw) GetAttr(_ <-chan struct{}, in *gofuse.GetAttrIn, out *gofuse.AttrOut) gofuse.Status {
	a, ttl, err := f.fs.GetAttr(f.req(&in.InHeader), signet.Ino(in.NodeId))
	return f.attr(&in.InHeader, out, a, ttl, err)
}

func (f *raw) SetAttr(_ <-chan struct{}, in *gofuse.SetAttrIn, out *gofuse.AttrOut) gofuse.Status {
	a, ttl, err := f.fs.SetAttr(f.req(&in.InHeader), signet.Ino(in.NodeId), attrChange(in))
	return f.attr(&in.InHeader, out, a, ttl, err)
}

// attrChange translates what a SETATTR sets.
func attrChange(in *gofuse.SetAttrIn) fs.AttrChange {
	c := fs.AttrChange{
		Mode:     in.Mode & 0o7777,
		UID:      in.Uid,
		GID:      in.Gid,
		Size:     in.Size,
		Atime:    signet.Time{Sec: int64(in.Atime), Nsec: in.Atimensec},
		Mtime:    signet.Time{Sec: int64(in.Mtime), Nsec: in.Mtimensec},
		Ctime:    signet.Time{Sec: int64(in.Ctime), Nsec: in.Ctimensec},
		AtimeNow: in.Valid&gofuse.FATTR_ATIME_NOW != 0,
		MtimeNow: in.Valid&gofuse.FATTR_MTIME_NOW != 0,
		KillPriv: in.Valid&gofuse.FATTR_KILL_SUIDGID != 0,
	}
	for _, b := range attrBits {
		if in.Valid&b.kernel != 0 {
			c.Set |= b.ours
		}
	}
	return c
}

var attrBits = []struct{ kernel, ours uint32 }{
	{gofuse.FATTR_MODE, signet.SetMode},
	{gofuse.FATTR_UID, signet.SetUID},
	{gofuse.FATTR_GID, signet.SetGID},
	{gofuse.FATTR_SIZE, signet.SetSize},
	{gofuse.FATTR_ATIME, signet.SetAtime},
	{gofuse.FATTR_ATIME_NOW, signet.SetAtime},
	{gofuse.FATTR_MTIME, signet.SetMtime},
	{gofuse.FATTR_MTIME_NOW, signet.SetMtime},
	{gofuse.FATTR_CTIME, signet.SetCtime},
}

// Statx is GETATTR with the time of creation. The kernel asks with it only when a
// program wants that.
func (f *raw) Statx(_ <-chan struct{}, in *gofuse.StatxIn, out *gofuse.StatxOut) gofuse.Status {
	a, ttl, err := f.fs.GetAttr(f.req(&in.InHeader), signet.Ino(in.NodeId))
	if err == nil {
		out.SetTimeout(lifetime(ttl))
		setStatx(&out.Statx, &a)
	}
	return f.done(&in.InHeader, err)
}

func setStatx(out *gofuse.Statx, a *signet.Attr) {
	*out = gofuse.Statx{
		Mask:      unix.STATX_BASIC_STATS | unix.STATX_BTIME,
		Blksize:   blockSize,
		Nlink:     a.Nlink,
		Uid:       a.UID,
		Gid:       a.GID,
		Mode:      uint16(a.Mode),
		Ino:       uint64(a.Ino),
		Size:      a.Size,
		Blocks:    (a.Bytes + 511) / 512,
		Atime:     sxTime(a.Atime),
		Btime:     sxTime(a.Btime),
		Ctime:     sxTime(a.Ctime),
		Mtime:     sxTime(a.Mtime),
		RdevMajor: a.Rdev & 0xfff00 >> 8, // as new_encode_dev packs them
		RdevMinor: a.Rdev&0xff | a.Rdev>>12&0xfff00,
	}
}

func sxTime(t signet.Time) gofuse.SxTime { return gofuse.SxTime{Sec: uint64(t.Sec), Nsec: t.Nsec} }

func (f *raw) Access(_ <-chan struct{}, in *gofuse.AccessIn) gofuse.Status {
	return f.done(&in.InHeader, f.fs.Access(f.req(&in.InHeader), signet.Ino(in.NodeId), in.Mask))
}

func (f *raw) StatFs(_ <-chan struct{}, h *gofuse.InHeader, out *gofuse.StatfsOut) gofuse.Status {
	sp, err := f.fs.StatFs(f.req(h))
	if err == nil {
		setStatfs(out, &sp)
	}
	return f.done(h, err)
}

// freeInodes is what df -i shows as free: nothing here runs out before the bytes do.
const freeInodes = 1 << 32

func setStatfs(out *gofuse.StatfsOut, sp *fs.Space) {
	const block = 4096
	*out = gofuse.StatfsOut{
		Blocks:  sp.Total / block,
		Bfree:   sp.Free / block,
		Bavail:  sp.Fits / block,
		Files:   sp.Inodes + freeInodes,
		Ffree:   freeInodes,
		Bsize:   block,
		Frsize:  block,
		NameLen: signet.MaxName,
	}
}
