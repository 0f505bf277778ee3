package fs

import (
	"context"
	"time"

	"github.com/signetfs/signet"
)

var errLater = signet.NotSupported

// Attach gives the FS the kernel of its mount. It must be called before the first
// request.
func (f *FS) Attach(k Kernel) {}

// Changed carries a batch to the kernel and to what fs remembers: when it returns
// nil, nothing here answers from before the batch any more, and the host may
// acknowledge it. Batches come one at a time, in order, after they were published.
func (f *FS) Changed(ctx context.Context, b signet.Batch) error { return errLater }

// Forget makes the kernel and fs forget everything, after the state moved in a way
// that the change feed cannot tell (a snapshot), or the lease was lost.
func (f *FS) Forget(ctx context.Context) error { return errLater }

// Orphans returns the inodes without a name that are open here.
func (f *FS) Orphans() []signet.Ino { return nil }

// Sync publishes all that is dirty and waits for it.
func (f *FS) Sync(ctx context.Context) error { return errLater }

// Close publishes what is dirty, as far as ctx allows, and ends the background work.
func (f *FS) Close(ctx context.Context) error { return errLater }

// Lookup finds a name in a directory.
func (f *FS) Lookup(r *Request, parent signet.Ino, name string) (Entry, error) {
	return Entry{}, errLater
}

// GetAttr returns an inode's attributes and for how long they may be believed.
func (f *FS) GetAttr(r *Request, ino signet.Ino) (signet.Attr, time.Duration, error) {
	return signet.Attr{}, 0, errLater
}

// SetAttr changes attributes: chmod, chown, utimens, truncate.
func (f *FS) SetAttr(r *Request, ino signet.Ino, c AttrChange) (signet.Attr, time.Duration, error) {
	return signet.Attr{}, 0, errLater
}

// Access is never asked of a mount with default_permissions; the kernel decides.
func (f *FS) Access(r *Request, ino signet.Ino, mask uint32) error { return errLater }

// Readlink returns a symlink's target.
func (f *FS) Readlink(r *Request, ino signet.Ino) ([]byte, error) { return nil, errLater }

// Mknod makes a file, device, FIFO or socket, by the type bits of mode.
func (f *FS) Mknod(r *Request, parent signet.Ino, name string, mode, rdev uint32) (Entry, error) {
	return Entry{}, errLater
}

// Mkdir makes a directory.
func (f *FS) Mkdir(r *Request, parent signet.Ino, name string, mode uint32) (Entry, error) {
	return Entry{}, errLater
}

// Symlink makes a symlink to target.
func (f *FS) Symlink(r *Request, parent signet.Ino, name, target string) (Entry, error) {
	return Entry{}, errLater
}

// Link gives ino another name.
func (f *FS) Link(r *Request, ino, parent signet.Ino, name string) (Entry, error) {
	return Entry{}, errLater
}

// Unlink takes away a name of anything but a directory.
func (f *FS) Unlink(r *Request, parent signet.Ino, name string) error { return errLater }

// Rmdir removes an empty directory.
func (f *FS) Rmdir(r *Request, parent signet.Ino, name string) error { return errLater }

// Rename moves a name; flags are those of signet.Rename.
func (f *FS) Rename(r *Request, parent signet.Ino, name string, newParent signet.Ino, newName string, flags uint32) error {
	return errLater
}

// Create makes a regular file and opens it; without O_EXCL in flags it opens one that
// is there already. flags are those of open(2).
func (f *FS) Create(r *Request, parent signet.Ino, name string, mode, flags uint32) (Entry, Handle, OpenFlags, error) {
	return Entry{}, 0, OpenFlags{}, errLater
}

// Tmpfile makes a regular file without a name and opens it (O_TMPFILE).
func (f *FS) Tmpfile(r *Request, parent signet.Ino, mode, flags uint32) (Entry, Handle, OpenFlags, error) {
	return Entry{}, 0, OpenFlags{}, errLater
}

// Open opens a regular file; flags are those of open(2).
func (f *FS) Open(r *Request, ino signet.Ino, flags uint32) (Handle, OpenFlags, error) {
	return 0, OpenFlags{}, errLater
}

// Read fills dst from off on and returns how much there was: less than len(dst) only
// at the end of the file. flags are the file's flags as the READ request has them (0
// if it has none); with O_DIRECT no page is waiting for the bytes.
func (f *FS) Read(r *Request, h Handle, off int64, dst []byte, flags uint32) (int, error) {
	return 0, errLater
}

// Write takes data, which it does not keep, and returns how much of it. flags are
// WriteFromCache and WriteKillPriv.
func (f *FS) Write(r *Request, h Handle, off int64, data []byte, flags uint32) (int, error) {
	return 0, errLater
}

// Flush is a close(2) of one of the descriptors of h: it publishes what is dirty.
func (f *FS) Flush(r *Request, h Handle) error { return errLater }

// Fsync publishes what is dirty and waits until nothing can take it away.
func (f *FS) Fsync(r *Request, h Handle) error { return errLater }

// Release ends a handle. It never fails and never waits for other hosts.
func (f *FS) Release(r *Request, h Handle) {}

// Fallocate reserves (which only sets the size), punches or zeroes a range.
func (f *FS) Fallocate(r *Request, h Handle, off, n uint64, mode uint32) error { return errLater }

// Lseek finds the next data or hole from off on. PastEnd if there is none.
func (f *FS) Lseek(r *Request, h Handle, off uint64, whence uint32) (uint64, error) {
	return 0, errLater
}

// CopyFileRange makes [outOff, outOff+n) of out the same as [inOff, inOff+n) of in by
// sharing extents and returns how much it did.
func (f *FS) CopyFileRange(r *Request, in Handle, inOff uint64, out Handle, outOff, n uint64, flags uint64) (uint64, error) {
	return 0, errLater
}

// OpenDir opens a directory.
func (f *FS) OpenDir(r *Request, ino signet.Ino) (Handle, error) { return 0, errLater }

// ReadDir lists a directory from after the entry with the given cookie (0: from the
// start): it hands at most limit entries to emit, until emit returns false, which
// means that the entry did not fit. With plus each has its attributes. emit is called
// when the answer stands, just before it is due at the kernel; an entry whose
// Entry.Attr.Ino is not 0 and that emit took has been looked up.
func (f *FS) ReadDir(r *Request, h Handle, cookie uint64, plus bool, limit int, emit func(DirEntry) bool) error {
	return errLater
}

// FsyncDir has nothing to do: a change of a directory is durable when its call returns.
func (f *FS) FsyncDir(r *Request, h Handle) error { return errLater }

// ReleaseDir ends a directory's handle.
func (f *FS) ReleaseDir(r *Request, h Handle) {}

// StatFs tells how large and how full the volume is, from local state.
func (f *FS) StatFs(r *Request) (Space, error) { return Space{}, errLater }

// GetXattr returns the value of an extended attribute.
func (f *FS) GetXattr(r *Request, ino signet.Ino, name string) ([]byte, error) { return nil, errLater }

// ListXattr returns the names of an inode's extended attributes.
func (f *FS) ListXattr(r *Request, ino signet.Ino) ([]string, error) { return nil, errLater }

// SetXattr sets an extended attribute; flags are those of setxattr(2).
func (f *FS) SetXattr(r *Request, ino signet.Ino, name string, value []byte, flags uint32) error {
	return errLater
}

// RemoveXattr removes an extended attribute.
func (f *FS) RemoveXattr(r *Request, ino signet.Ino, name string) error { return errLater }
