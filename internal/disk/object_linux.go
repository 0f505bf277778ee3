package disk

import (
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

func (b *dirBackend) files() vfs.FS { return vfs.Default }

func (b *dirBackend) unnamed(dir string) (tempFile, error) {
	if b.noUnnamed.Load() {
		return nil, unix.EOPNOTSUPP
	}
	path := b.abs(dir)
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Open(path, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	})
	// Kernels and file systems that do not know the flag see an attempt to write to a
	// directory.
	if err == unix.EOPNOTSUPP || err == unix.EISDIR {
		b.noUnnamed.Store(true)
		return nil, unix.EOPNOTSUPP
	}
	if err != nil {
		return nil, &os.PathError{Op: "open unnamed file in", Path: path, Err: err}
	}
	return &osTemp{File: os.NewFile(uintptr(fd), path), b: b}, nil
}

// osTemp is a file being written. The file has no deadline and is a regular one, so
// its descriptor can be used directly.
type osTemp struct {
	*os.File
	b *dirBackend
}

func (t *osTemp) SyncData() error {
	_, err := ignoringEINTR(func() (int, error) { return 0, unix.Fdatasync(int(t.Fd())) })
	return os.NewSyscallError("fdatasync", err)
}

func (t *osTemp) linkTo(name string) error {
	fd, to := int(t.Fd()), t.b.abs(name)
	err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW)
	if errors.Is(err, unix.ENOENT) {
		// No /proc here, or the directory is gone: the other way tells, where the
		// process may use it.
		err = unix.Linkat(fd, "", unix.AT_FDCWD, to, unix.AT_EMPTY_PATH)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: "unnamed file", New: to, Err: err}
	}
	return nil
}

func (b *dirBackend) punch(name string, off, n int64) error {
	f, err := os.OpenFile(b.abs(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("fallocate",
		unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n))
}

func (b *dirBackend) space() (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(b.root, &st); err != nil {
		return Space{}, os.NewSyscallError("statfs", err)
	}
	unit := uint64(st.Frsize)
	return Space{Total: unit * st.Blocks, Free: unit * st.Bavail}, nil
}

// ignoringEINTR repeats a call that a signal cut short: Go sends itself signals.
func ignoringEINTR(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != unix.EINTR {
			return n, err
		}
	}
}
