package fuse

import (
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// Locks. Those of flock(2) come as SETLK and SETLKW with a flag. The kernel sends no
// request for what a close unlocks: FLUSH and RELEASE say who closes what.

// lockOf translates a lock. The second is false if the kernel asks for what there is not.
func lockOf(in *gofuse.LkIn) (fs.Lock, bool) {
	l := fs.Lock{Kind: signet.LockPOSIX, Start: in.Lk.Start, End: min(in.Lk.End, signet.LockEnd), PID: in.Lk.Pid, Owner: in.Owner}
	if in.LkFlags&gofuse.LK_FLOCK != 0 {
		l.Kind, l.Start, l.End = signet.LockFlock, 0, signet.LockEnd
	}
	switch in.Lk.Typ {
	case syscall.F_RDLCK:
		l.Type = signet.LockRead
	case syscall.F_WRLCK:
		l.Type = signet.LockWrite
	case syscall.F_UNLCK:
	default:
		return l, false
	}
	return l, true
}

func (f *raw) GetLk(_ <-chan struct{}, in *gofuse.LkIn, out *gofuse.LkOut) gofuse.Status {
	l, ok := lockOf(in)
	if !ok {
		return gofuse.EINVAL
	}
	found, err := f.fs.GetLock(f.req(&in.InHeader), fs.Handle(in.Fh), l)
	if err == nil {
		out.Lk = gofuse.FileLock{Typ: syscall.F_UNLCK}
		if found.Type != signet.LockNone {
			out.Lk = gofuse.FileLock{Start: found.Start, End: found.End, Typ: syscall.F_RDLCK, Pid: found.PID}
		}
		if found.Type == signet.LockWrite {
			out.Lk.Typ = syscall.F_WRLCK
		}
	}
	return f.done(&in.InHeader, err)
}

func (f *raw) SetLk(_ <-chan struct{}, in *gofuse.LkIn) gofuse.Status { return f.setLock(in, false) }

func (f *raw) SetLkw(_ <-chan struct{}, in *gofuse.LkIn) gofuse.Status { return f.setLock(in, true) }

func (f *raw) setLock(in *gofuse.LkIn, wait bool) gofuse.Status {
	l, ok := lockOf(in)
	if !ok {
		return gofuse.EINVAL
	}
	return f.done(&in.InHeader, f.fs.SetLock(f.req(&in.InHeader), fs.Handle(in.Fh), l, wait))
}
