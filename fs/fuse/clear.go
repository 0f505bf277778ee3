package fuse

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// Clear takes a dead mount of ours off path, an absolute path without symlinks, and
// says whether there was one. What lives, or is not ours, stays.
func Clear(ctx context.Context, clk clock.Clock, path string) (bool, error) {
	cleared := false
	for range maxDead {
		m, err := mountAt(path)
		if err != nil || m == nil || m.fstype != FSType {
			return cleared, signet.Wrap("clear mount", path, err)
		}
		if err := probe(ctx, clk, path); !errors.Is(err, signet.Closed) {
			return cleared, nil
		}
		if err := detach(ctx, path, Lazy); err != nil {
			return cleared, signet.Wrap("clear mount", path, err)
		}
		cleared = true
	}
	return cleared, nil
}

// At returns the path and the source of the filesystem of ours that path lies in, ""
// if it lies in another one. It asks nothing of the filesystem itself. path is absolute
// and without symlinks.
func At(path string) (mountpoint, source string, err error) {
	for p := path; ; p = filepath.Dir(p) {
		m, err := mountAt(p)
		if err != nil {
			return "", "", err
		}
		if m != nil {
			if m.fstype != FSType {
				return "", "", nil
			}
			return m.path, m.source, nil
		}
		if p == "/" {
			return "", "", nil
		}
	}
}

// Usable says whether this user can mount with FUSE here at all, as far as that can be
// told without mounting.
func Usable() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	switch {
	case err == nil:
		f.Close()
	case errors.Is(err, fs.ErrNotExist):
		return signet.Errorf(signet.NotSupported, "mount", "", "there is no /dev/fuse: load the kernel's module with 'modprobe fuse', or pass the device into this container")
	case errors.Is(err, fs.ErrPermission):
		return signet.Errorf(signet.Permission, "mount", "", "this user may not open /dev/fuse: udev gives it mode 0666, here somebody has to (chmod 666 /dev/fuse)")
	default:
		return signet.Errorf(signet.NotSupported, "mount", "", "/dev/fuse cannot be used: %w", err)
	}
	if os.Geteuid() != 0 {
		_, err = findFusermount()
		return err
	}
	return nil
}

// Check refuses a mountpoint that New would refuse. It changes nothing; a dead mount of
// ours, which New takes away, is fine.
func Check(ctx context.Context, clk clock.Clock, path string) error {
	real, err := resolve(path)
	if err != nil {
		return err
	}
	m, err := mountAt(real)
	switch {
	case err != nil:
		return signet.Wrap("mount", path, err)
	case m == nil:
		return checkDir(real)
	case m.isFUSE() && errors.Is(probe(ctx, clk, real), signet.Closed):
		return nil
	}
	return busy(path, m, "unmount it first, or choose another directory")
}
