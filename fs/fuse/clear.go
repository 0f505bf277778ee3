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

// Usable says whether this user can mount with FUSE here at all.
func Usable() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	switch {
	case err == nil:
		f.Close()
	case errors.Is(err, fs.ErrNotExist):
		return signet.Errorf(signet.NotSupported, "mount", "", "there is no /dev/fuse: load the kernel's module with 'modprobe fuse', or pass the device into this container")
	case errors.Is(err, fs.ErrPermission):
		return signet.Errorf(signet.Permission, "mount", "", "no permission to open /dev/fuse: ask whoever runs this machine for it, or use sudo")
	default:
		return signet.Errorf(signet.NotSupported, "mount", "", "/dev/fuse cannot be used: %w", err)
	}
	if os.Geteuid() != 0 {
		_, err = findFusermount()
		return err
	}
	return nil
}
