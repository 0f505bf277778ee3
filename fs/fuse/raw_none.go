package fuse

import (
	gofuse "github.com/hanwen/go-fuse/v2/fuse"
)

// What is not served. To a request, ENOSYS has the kernel do it by itself, or do
// without, for the life of the mount.

// Writev is for requests in pieces, and ours come in one: go-fuse then calls Write.
func (f *raw) Writev(<-chan struct{}, *gofuse.WriteIn, [][]byte) (uint32, gofuse.Status) {
	return 0, gofuse.ENOSYS
}

// ReadDirPlus is not offered (unwanted in init.go says why).
func (f *raw) ReadDirPlus(<-chan struct{}, *gofuse.ReadIn, *gofuse.DirEntryList) gofuse.Status {
	return gofuse.ENOSYS
}

// Forget is dealt with by the loop.
func (f *raw) Forget(nodeid, nlookup uint64) {}

// Init and OnUnmount belong to go-fuse's own loop, which we do not use.
func (f *raw) Init(*gofuse.Server) {}

// OnUnmount: see Init.
func (f *raw) OnUnmount() {}

// SetDebug is not ours to give: its output has names in it.
func (f *raw) SetDebug(bool) {}
