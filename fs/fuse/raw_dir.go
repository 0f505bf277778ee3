package fuse

import (
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// Directories: listings.

// minDirent is what the shortest entry of a listing takes in an answer.
const minDirent = 32

func (f *raw) OpenDir(_ <-chan struct{}, in *gofuse.OpenIn, out *gofuse.OpenOut) gofuse.Status {
	fh, err := f.fs.OpenDir(f.req(&in.InHeader), signet.Ino(in.NodeId))
	out.Fh = uint64(fh)
	return f.done(&in.InHeader, err)
}

func (f *raw) ReadDir(_ <-chan struct{}, in *gofuse.ReadIn, out *gofuse.DirEntryList) gofuse.Status {
	limit := int(in.Size)/minDirent + 1
	r := f.req(&in.InHeader)
	r.NoAtime = in.Flags&syscall.O_NOATIME != 0
	return f.done(&in.InHeader, f.fs.ReadDir(r, fs.Handle(in.Fh), in.Offset, limit, func(e fs.DirEntry) bool {
		return out.AddDirEntry(gofuse.DirEntry{Name: e.Name, Ino: uint64(e.Ino), Mode: e.Mode, Off: e.Cookie})
	}))
}

func (f *raw) ReleaseDir(in *gofuse.ReleaseIn) {
	f.fs.ReleaseDir(f.req(&in.InHeader), fs.Handle(in.Fh))
}

func (f *raw) FsyncDir(_ <-chan struct{}, in *gofuse.FsyncIn) gofuse.Status {
	return f.done(&in.InHeader, f.fs.FsyncDir(f.req(&in.InHeader), fs.Handle(in.Fh)))
}
