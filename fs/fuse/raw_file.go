package fuse

import (
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// Files: open handles and what is in them.

func (f *raw) created(h *gofuse.InHeader, out *gofuse.CreateOut, e fs.Entry, fh fs.Handle, o fs.OpenFlags, err error) gofuse.Status {
	if err == nil {
		setEntry(&out.EntryOut, &e)
		out.OpenOut = gofuse.OpenOut{Fh: uint64(fh), OpenFlags: openFlags(o)}
	}
	return f.done(h, err)
}

func (f *raw) Create(_ <-chan struct{}, in *gofuse.CreateIn, name string, out *gofuse.CreateOut) gofuse.Status {
	r := f.masked(&in.InHeader, in.Umask)
	r.KillPriv = in.OpenFlags&gofuse.OPEN_KILL_SUIDGID != 0
	e, fh, o, err := f.fs.Create(r, signet.Ino(in.NodeId), name, in.Mode, in.Flags)
	return f.created(&in.InHeader, out, e, fh, o, err)
}

func (f *raw) Tmpfile(_ <-chan struct{}, in *gofuse.CreateIn, out *gofuse.CreateOut) gofuse.Status {
	e, fh, o, err := f.fs.Tmpfile(f.masked(&in.InHeader, in.Umask), signet.Ino(in.NodeId), in.Mode, in.Flags)
	return f.created(&in.InHeader, out, e, fh, o, err)
}

func (f *raw) Open(_ <-chan struct{}, in *gofuse.OpenIn, out *gofuse.OpenOut) gofuse.Status {
	r := f.req(&in.InHeader)
	r.KillPriv = in.Mode&gofuse.OPEN_KILL_SUIDGID != 0
	fh, o, err := f.fs.Open(r, signet.Ino(in.NodeId), in.Flags)
	if err == nil {
		*out = gofuse.OpenOut{Fh: uint64(fh), OpenFlags: openFlags(o)}
	}
	return f.done(&in.InHeader, err)
}

func (f *raw) Read(_ <-chan struct{}, in *gofuse.ReadIn, buf []byte) (gofuse.ReadResult, gofuse.Status) {
	n, err := f.fs.Read(f.req(&in.InHeader), fs.Handle(in.Fh), int64(in.Offset), buf, in.Flags)
	if err != nil {
		return nil, f.done(&in.InHeader, err)
	}
	return inPlace{buf[:n]}, gofuse.OK
}

// inPlace is a READ's answer that lies where it has to be already: buf is part of
// the message that the loop writes.
type inPlace struct{ b []byte }

func (r inPlace) Bytes([]byte) ([]byte, gofuse.Status) { return r.b, gofuse.OK }
func (r inPlace) Readv([][]byte) (int, gofuse.Status)  { return len(r.b), gofuse.OK }
func (r inPlace) Size() int                            { return len(r.b) }
func (r inPlace) Done()                                {}

func (f *raw) Write(_ <-chan struct{}, in *gofuse.WriteIn, data []byte) (uint32, gofuse.Status) {
	n, err := f.fs.Write(f.req(&in.InHeader), fs.Handle(in.Fh), int64(in.Offset), data, writeFlags(in))
	return uint32(n), f.done(&in.InHeader, err)
}

func writeFlags(in *gofuse.WriteIn) uint32 {
	var f uint32
	k := in.WriteFlags
	if in.Flags&syscall.O_APPEND != 0 {
		f |= fs.WriteAppend
	}
	if k&gofuse.WRITE_CACHE != 0 {
		f |= fs.WriteFromCache
	}
	if k&gofuse.WRITE_KILL_SUIDGID != 0 {
		f |= fs.WriteKillPriv
	}
	return f
}

func (f *raw) Flush(_ <-chan struct{}, in *gofuse.FlushIn) gofuse.Status {
	return f.done(&in.InHeader, f.fs.Flush(f.req(&in.InHeader), fs.Handle(in.Fh), in.LockOwner))
}

func (f *raw) Fsync(_ <-chan struct{}, in *gofuse.FsyncIn) gofuse.Status {
	return f.done(&in.InHeader, f.fs.Fsync(f.req(&in.InHeader), fs.Handle(in.Fh)))
}

func (f *raw) Release(_ <-chan struct{}, in *gofuse.ReleaseIn) {
	f.fs.Release(f.req(&in.InHeader), fs.Handle(in.Fh))
}

func (f *raw) Fallocate(_ <-chan struct{}, in *gofuse.FallocateIn) gofuse.Status {
	return f.done(&in.InHeader, f.fs.Fallocate(f.req(&in.InHeader), fs.Handle(in.Fh), in.Offset, in.Length, in.Mode))
}

func (f *raw) Lseek(_ <-chan struct{}, in *gofuse.LseekIn, out *gofuse.LseekOut) gofuse.Status {
	off, err := f.fs.Lseek(f.req(&in.InHeader), fs.Handle(in.Fh), in.Offset, in.Whence)
	out.Offset = off
	return f.done(&in.InHeader, err)
}

func (f *raw) CopyFileRange(_ <-chan struct{}, in *gofuse.CopyFileRangeIn) (uint32, gofuse.Status) {
	// The answer has 32 bits for the count; whoever wants more asks again.
	n := min(in.Len, 1<<31)
	n, err := f.fs.CopyFileRange(f.req(&in.InHeader), fs.Handle(in.FhIn), in.OffIn, fs.Handle(in.FhOut), in.OffOut, n, in.Flags)
	return uint32(n), f.done(&in.InHeader, err)
}

// Ioctl says that there are none; the default would say it for every opcode.
func (f *raw) Ioctl(<-chan struct{}, *gofuse.IoctlIn, []byte, *gofuse.IoctlOut, []byte) gofuse.Status {
	return gofuse.Status(syscall.ENOTTY)
}
