package fuse

import (
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// volume is everything that the kernel asks of a filesystem, as fs.FS answers it.
// It is an interface so that the device loop can be tested with one that answers
// what a test wants; *fs.FS is the only one that is ever mounted. Its comments are
// there.
type volume interface {
	Lookup(r *fs.Request, parent signet.Ino, name string) (fs.Entry, error)
	GetAttr(r *fs.Request, ino signet.Ino) (signet.Attr, time.Duration, error)
	SetAttr(r *fs.Request, ino signet.Ino, c fs.AttrChange) (signet.Attr, time.Duration, error)
	Access(r *fs.Request, ino signet.Ino, mask uint32) error
	Readlink(r *fs.Request, ino signet.Ino) ([]byte, error)

	Mknod(r *fs.Request, parent signet.Ino, name string, mode, rdev uint32) (fs.Entry, error)
	Mkdir(r *fs.Request, parent signet.Ino, name string, mode uint32) (fs.Entry, error)
	Symlink(r *fs.Request, parent signet.Ino, name, target string) (fs.Entry, error)
	Link(r *fs.Request, ino, parent signet.Ino, name string) (fs.Entry, error)
	Unlink(r *fs.Request, parent signet.Ino, name string) error
	Rmdir(r *fs.Request, parent signet.Ino, name string) error
	Rename(r *fs.Request, parent signet.Ino, name string, newParent signet.Ino, newName string, flags uint32) error

	Create(r *fs.Request, parent signet.Ino, name string, mode, flags uint32) (fs.Entry, fs.Handle, fs.OpenFlags, error)
	Tmpfile(r *fs.Request, parent signet.Ino, mode, flags uint32) (fs.Entry, fs.Handle, fs.OpenFlags, error)
	Open(r *fs.Request, ino signet.Ino, flags uint32) (fs.Handle, fs.OpenFlags, error)
	Read(r *fs.Request, h fs.Handle, off int64, dst []byte, flags uint32) (int, error)
	Write(r *fs.Request, h fs.Handle, off int64, data []byte, flags uint32) (int, error)
	Flush(r *fs.Request, h fs.Handle, owner uint64) error
	Fsync(r *fs.Request, h fs.Handle) error
	Release(r *fs.Request, h fs.Handle)
	Fallocate(r *fs.Request, h fs.Handle, off, n uint64, mode uint32) error
	Lseek(r *fs.Request, h fs.Handle, off uint64, whence uint32) (uint64, error)
	CopyFileRange(r *fs.Request, in fs.Handle, inOff uint64, out fs.Handle, outOff, n uint64, flags uint64) (uint64, error)

	GetLock(r *fs.Request, h fs.Handle, l fs.Lock) (signet.FileLock, error)
	SetLock(r *fs.Request, h fs.Handle, l fs.Lock, wait bool) error

	OpenDir(r *fs.Request, ino signet.Ino) (fs.Handle, error)
	ReadDir(r *fs.Request, h fs.Handle, cookie uint64, limit int, emit func(fs.DirEntry) bool) error
	FsyncDir(r *fs.Request, h fs.Handle) error
	ReleaseDir(r *fs.Request, h fs.Handle)

	StatFs(r *fs.Request) (fs.Space, error)
	GetXattr(r *fs.Request, ino signet.Ino, name string) ([]byte, error)
	ListXattr(r *fs.Request, ino signet.Ino) ([]string, error)
	SetXattr(r *fs.Request, ino signet.Ino, name string, value []byte, flags uint32) error
	RemoveXattr(r *fs.Request, ino signet.Ino, name string) error
}

var _ volume = (*fs.FS)(nil)
