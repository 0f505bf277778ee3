package daemon

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
)

const lockFile = "lock"

// lockPatience is how long a daemon waits for one that was killed a moment ago: the
// kernel frees its memory before its files.
const lockPatience = 3 * time.Second

// lockSoon is lock with patience.
func lockSoon(ctx context.Context, dir string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		unlock, err = lock(dir)
		if signet.KindOf(err) != signet.Busy || sleep(ctx, pollState) != nil {
			return unlock, err
		}
	}
}

// lock makes this process the only one that works on the state directory, until unlock
// is called or the process ends.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, dirError(dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		b, _ := io.ReadAll(io.LimitReader(f, 32))
		f.Close()
		who := "another signet"
		if pid := strings.TrimSpace(string(b)); pid != "" {
			who += " (process " + pid + ")"
		}
		return nil, signet.Errorf(signet.Busy, "use state directory", dir, "%s is working on it: is its daemon running already? See 'signet status'", who)
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintln(f, os.Getpid())
	}
	return func() { f.Close() }, nil
}

// makeDir makes a state directory. It returns what is in it, if it was there before.
func makeDir(dir string) (had map[string]bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, dirError(dir, err)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, dirError(dir, err)
	}
	had = map[string]bool{}
	for _, n := range names {
		had[n.Name()] = true
	}
	return had, nil
}

func dirError(dir string, err error) error {
	kind, hint := signet.Other, ""
	switch {
	case os.IsPermission(err):
		kind, hint = signet.Permission, ": choose a directory of yours with --state, or use sudo"
	case os.IsNotExist(err):
		kind = signet.NotFound
	}
	return signet.Errorf(kind, "use state directory", dir, "%w%s", err, hint)
}
