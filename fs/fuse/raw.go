package fuse

import (
	"time"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// raw is what go-fuse calls for each request. Its methods, one file per family,
// translate the kernel's types into those of fs and back and decide nothing. It
// embeds no default, so that a method that is missing breaks the build.
//
// go-fuse's cancel channels are not used: INTERRUPT never reaches it, the loop ends
// the request's context by itself.
type raw struct {
	fs     volume
	calls  *calls
	kernel *negotiated                    // set by INIT
	failed func(opcode uint32, err error) // is told of errors of which programs see only EIO
}

var _ gofuse.RawFileSystem = (*raw)(nil)

func (f *raw) String() string { return "signet" }

// req returns the request that h belongs to. The loop has put it there before it
// called go-fuse, and takes it away after the answer.
func (f *raw) req(h *gofuse.InHeader) *fs.Request { return &f.calls.get(h.Unique).req }

// masked is req for what makes an inode.
func (f *raw) masked(h *gofuse.InHeader, umask uint32) *fs.Request {
	r := f.req(h)
	r.Umask = umask
	return r
}

// done returns the status for err.
func (f *raw) done(h *gofuse.InHeader, err error) gofuse.Status {
	st := statusOf(err)
	if st == gofuse.EIO {
		f.failed(h.Opcode, err)
	}
	return st
}

func setAttr(out *gofuse.Attr, a *signet.Attr) {
	*out = gofuse.Attr{
		Ino:       uint64(a.Ino),
		Size:      a.Size,
		Blocks:    (a.Bytes + 511) / 512,
		Atime:     uint64(a.Atime.Sec),
		Mtime:     uint64(a.Mtime.Sec),
		Ctime:     uint64(a.Ctime.Sec),
		Atimensec: a.Atime.Nsec,
		Mtimensec: a.Mtime.Nsec,
		Ctimensec: a.Ctime.Nsec,
		Mode:      a.Mode,
		Nlink:     a.Nlink,
		Owner:     gofuse.Owner{Uid: a.UID, Gid: a.GID},
		Rdev:      a.Rdev,
		Blksize:   blockSize,
	}
}

// blockSize is st_blksize, which stdio takes for its buffers: without a writeback
// cache every write is a request, so a larger one saves requests.
const blockSize = 64 << 10

func setEntry(out *gofuse.EntryOut, e *fs.Entry) {
	out.NodeId = uint64(e.Attr.Ino)
	out.Generation = 1 // inode numbers are never reused
	out.SetEntryTimeout(lifetime(e.EntryTTL))
	out.SetAttrTimeout(lifetime(e.AttrTTL))
	setAttr(&out.Attr, &e.Attr)
}

func lifetime(d time.Duration) time.Duration { return max(d, 0) }

func openFlags(o fs.OpenFlags) uint32 {
	var f uint32
	if o.KeepCache {
		f |= gofuse.FOPEN_KEEP_CACHE
	}
	if o.DirectIO {
		f |= gofuse.FOPEN_DIRECT_IO
	}
	return f
}
