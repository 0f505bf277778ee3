package fuse

import (
	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
)

// Extended attributes. A program asks with an empty buffer for the size it needs,
// then with a buffer for the value; for both go-fuse wants the size, and ERANGE
// where the buffer is too small.

func (f *raw) GetXAttr(_ <-chan struct{}, h *gofuse.InHeader, name string, dst []byte) (uint32, gofuse.Status) {
	v, err := f.fs.GetXattr(f.req(h), signet.Ino(h.NodeId), name)
	if err != nil {
		return 0, f.done(h, err)
	}
	return fill(dst, v)
}

func (f *raw) ListXAttr(_ <-chan struct{}, h *gofuse.InHeader, dst []byte) (uint32, gofuse.Status) {
	names, err := f.fs.ListXattr(f.req(h), signet.Ino(h.NodeId))
	if err != nil {
		return 0, f.done(h, err)
	}
	var list []byte
	for _, n := range names {
		list = append(append(list, n...), 0)
	}
	return fill(dst, list)
}

func fill(dst, v []byte) (uint32, gofuse.Status) {
	if len(v) > len(dst) {
		return uint32(len(v)), gofuse.ERANGE
	}
	return uint32(copy(dst, v)), gofuse.OK
}

func (f *raw) SetXAttr(_ <-chan struct{}, in *gofuse.SetXAttrIn, name string, value []byte) gofuse.Status {
	r := f.req(&in.InHeader)
	r.KillPriv = f.kernel.has(gofuse.CAP_SETXATTR_EXT) && in.SetXAttrFlags&gofuse.SETXATTR_ACL_KILL_SGID != 0
	return f.done(&in.InHeader, f.fs.SetXattr(r, signet.Ino(in.NodeId), name, value, in.Flags))
}

func (f *raw) RemoveXAttr(_ <-chan struct{}, h *gofuse.InHeader, name string) gofuse.Status {
	return f.done(h, f.fs.RemoveXattr(f.req(h), signet.Ino(h.NodeId), name))
}
