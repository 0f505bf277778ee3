package fuse

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// probeTime is how long a filesystem that is mounted already may take to say that it
// lives.
const probeTime = 5 * time.Second

// maxDead is how many dead mounts are cleared away from under one mountpoint.
const maxDead = 16

// prepare makes sure that something can be mounted at path and returns it absolute
// and without symlinks. What a crashed daemon left there is detached.
func prepare(ctx context.Context, clk clock.Clock, path string, detach func(path string) error) (string, error) {
	for range maxDead {
		real, err := resolve(path)
		if err != nil {
			return "", err
		}
		m, err := mountAt(real)
		if err != nil {
			return "", signet.Wrap("mount", path, err)
		}
		if m == nil {
			return real, checkDir(real)
		}
		if !m.isFUSE() {
			return "", busy(path, m, "choose another directory")
		}
		if err := probe(ctx, clk, real); !errors.Is(err, signet.Closed) {
			hint := "unmount it first"
			if err != nil {
				hint = "and it does not answer: " + err.Error()
			}
			return "", busy(path, m, hint)
		}
		if err := detach(real); err != nil {
			return "", signet.Errorf(kindOf(err), "mount", path, "a crashed daemon left a dead mount there, and it cannot be cleared away: %w", err)
		}
	}
	return "", signet.Errorf(signet.Busy, "mount", path, "more than %d dead mounts lie there on top of each other", maxDead)
}

func busy(path string, m *mounted, hint string) error {
	return signet.Errorf(signet.Busy, "mount", path, "%s (%s) is mounted there already: %s", m.source, m.fstype, hint)
}

// resolve makes path absolute and follows symlinks, without asking anything of a
// filesystem that is mounted at path itself: it may be dead or hang.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", pathError(path, err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", pathError(path, err)
	}
	real := filepath.Join(dir, filepath.Base(abs))
	if m, err := mountAt(real); err == nil && m != nil {
		return real, nil
	}
	real, err = filepath.EvalSymlinks(real)
	if err != nil {
		// A symlink may lead to a dead mount: its target is what counts.
		if t, lerr := os.Readlink(abs); lerr == nil && errors.Is(err, syscall.ENOTCONN) {
			if !filepath.IsAbs(t) {
				t = filepath.Join(dir, t)
			}
			return filepath.Clean(t), nil
		}
		return "", pathError(path, err)
	}
	return real, nil
}

func checkDir(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return pathError(path, err)
	}
	if !fi.IsDir() {
		return signet.Errorf(signet.NotDir, "mount", path, "the mountpoint is not a directory")
	}
	return nil
}

func pathError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return signet.Errorf(signet.NotFound, "mount", path, "the mountpoint does not exist: create it with mkdir")
	case errors.Is(err, syscall.ENOTDIR):
		return signet.Errorf(signet.NotDir, "mount", path, "the mountpoint is not a directory")
	case errors.Is(err, fs.ErrPermission):
		return signet.Errorf(signet.Permission, "mount", path, "no permission to reach the mountpoint")
	}
	return signet.Errorf(signet.Other, "mount", path, "%w", err)
}

// probe asks the filesystem mounted at path for a sign of life. Closed means that
// its daemon is gone. A daemon that hangs costs us a goroutine, and nothing else.
func probe(ctx context.Context, clk clock.Clock, path string) error {
	answer := make(chan error, 1)
	go func() {
		var st unix.Statfs_t
		answer <- unix.Statfs(path, &st) // never answered from a cache
	}()
	ctx, cancel := clock.WithTimeout(ctx, clk, probeTime)
	defer cancel()
	select {
	case err := <-answer:
		if err != nil {
			return signet.Errorf(kindOf(err), "probe", path, "%w", err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
