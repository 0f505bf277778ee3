package daemon

import (
	"context"
	"os"
	"path/filepath"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/fs/fuse"
	"github.com/signetfs/signet/internal/clock"
)

// Place is where a path lies.
type Place struct {
	Path       string // absolute, without symlinks in its directory
	Mountpoint string // of the mount of ours that it lies in
	State      string // state directory of the daemon that serves that; "": none found
}

// Locate finds the mount that a path lies in and the daemon that serves it. A symlink at
// the end of path is not followed. dirs are state directories to look at first.
func Locate(ctx context.Context, path string, dirs ...string) (*Place, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	real := abs
	if mp, _, err := fuse.At(abs); err != nil || mp != abs { // else it may be dead: ask nothing of it
		dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
		if err != nil {
			return nil, signet.Errorf(signet.NotFound, "find", path, "%w", err)
		}
		real = filepath.Join(dir, filepath.Base(abs))
	}
	p := &Place{Path: real}
	if p.Mountpoint, _, err = fuse.At(real); err != nil {
		return nil, signet.Wrap("find", path, err)
	}
	if p.Mountpoint == "" {
		if _, err := os.Lstat(real); err != nil {
			return nil, signet.Errorf(signet.NotFound, "find", path, "it does not exist")
		}
		return nil, signet.Errorf(signet.Invalid, "find", path, "it does not lie in a signet mount: 'signet status' lists those of a host")
	}
	p.State = control.FindByMount(ctx, p.Mountpoint, dirs...)
	return p, nil
}

// ClearDead takes away a mount of ours whose daemon was killed, and says whether there
// was one.
func ClearDead(ctx context.Context, mountpoint string) (bool, error) {
	return fuse.Clear(ctx, clock.Real(), mountpoint)
}

// CheckMountpoint refuses early what the daemon would refuse too, before one is started
// for it.
func CheckMountpoint(ctx context.Context, path string) error {
	if err := fuse.Usable(); err != nil {
		return err
	}
	return fuse.Check(ctx, clock.Real(), path)
}

// CheckKey refuses early to mount on a host that is to hold no key.
func CheckKey(dir, path string) error {
	if _, err := os.Stat(filepath.Join(dir, sealFile)); os.IsNotExist(err) {
		return signet.Wrap("mount", path, errNoKey())
	}
	return nil
}

// errNoKey is what a host says that is to hold no key.
func errNoKey() error {
	return signet.Errorf(signet.NoKey, "open volume", "", "this host joined with --no-key or --witness: it is to have no key, and cannot open the volume. Mount on a host that holds the key, or give --passphrase-file or --recovery-key-file to mount here for as long as the daemon runs")
}
