package fuse

import (
	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// Names: finding, making, removing, moving. Modes come without the umask applied
// (DONT_MASK): whether it applies depends on the directory's ACL.

func (f *raw) entry(h *gofuse.InHeader, out *gofuse.EntryOut, e fs.Entry, err error) gofuse.Status {
	if err == nil {
		setEntry(out, &e)
	}
	return f.done(h, err)
}

func (f *raw) Lookup(_ <-chan struct{}, h *gofuse.InHeader, name string, out *gofuse.EntryOut) gofuse.Status {
	e, err := f.fs.Lookup(f.req(h), signet.Ino(h.NodeId), name)
	return f.entry(h, out, e, err)
}

func (f *raw) Mknod(_ <-chan struct{}, in *gofuse.MknodIn, name string, out *gofuse.EntryOut) gofuse.Status {
	e, err := f.fs.Mknod(f.masked(&in.InHeader, in.Umask), signet.Ino(in.NodeId), name, in.Mode, in.Rdev)
	return f.entry(&in.InHeader, out, e, err)
}

func (f *raw) Mkdir(_ <-chan struct{}, in *gofuse.MkdirIn, name string, out *gofuse.EntryOut) gofuse.Status {
	e, err := f.fs.Mkdir(f.masked(&in.InHeader, in.Umask), signet.Ino(in.NodeId), name, in.Mode)
	return f.entry(&in.InHeader, out, e, err)
}

func (f *raw) Symlink(_ <-chan struct{}, h *gofuse.InHeader, target, name string, out *gofuse.EntryOut) gofuse.Status {
	e, err := f.fs.Symlink(f.req(h), signet.Ino(h.NodeId), name, target)
	return f.entry(h, out, e, err)
}

func (f *raw) Link(_ <-chan struct{}, in *gofuse.LinkIn, name string, out *gofuse.EntryOut) gofuse.Status {
	e, err := f.fs.Link(f.req(&in.InHeader), signet.Ino(in.Oldnodeid), signet.Ino(in.NodeId), name)
	return f.entry(&in.InHeader, out, e, err)
}

func (f *raw) Readlink(_ <-chan struct{}, h *gofuse.InHeader) ([]byte, gofuse.Status) {
	target, err := f.fs.Readlink(f.req(h), signet.Ino(h.NodeId))
	return target, f.done(h, err)
}

func (f *raw) Unlink(_ <-chan struct{}, h *gofuse.InHeader, name string) gofuse.Status {
	return f.done(h, f.fs.Unlink(f.req(h), signet.Ino(h.NodeId), name))
}

func (f *raw) Rmdir(_ <-chan struct{}, h *gofuse.InHeader, name string) gofuse.Status {
	return f.done(h, f.fs.Rmdir(f.req(h), signet.Ino(h.NodeId), name))
}

func (f *raw) Rename(_ <-chan struct{}, in *gofuse.RenameIn, name, newName string) gofuse.Status {
	return f.done(&in.InHeader, f.fs.Rename(f.req(&in.InHeader), signet.Ino(in.NodeId), name, signet.Ino(in.Newdir), newName, in.Flags))
}
