package fuse

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// How says how an unmount deals with programs that still use the mount.
type How int

// The ways to unmount.
const (
	Clean How = iota // fail with Busy
	Lazy             // take the mount off its directory; it ends when the last program lets go
	Force            // take it off and fail whatever is still open or waiting
)

// busyTries is how often a clean unmount tries again: programs that just ended, and
// those that look at every new mount, keep it busy for an instant.
const (
	busyTries = 5
	busyPause = 50 * time.Millisecond
)

// Unmount ends the mount and waits until nothing of it runs any more. After Lazy
// that may take as long as some program likes; ctx ends the wait. It is no error if
// the mount has ended already.
func (m *Mount) Unmount(ctx context.Context, how How) error {
	for try := 0; ; try++ {
		err := m.takeOff(ctx, how)
		if err == nil {
			break
		}
		if signet.KindOf(err) != signet.Busy {
			return err
		}
		if try == busyTries {
			return m.busyError()
		}
		if err := clock.Sleep(ctx, m.opts.Clock, busyPause); err != nil {
			return signet.Wrap("unmount", m.path, err)
		}
	}
	select {
	case <-m.server.done:
		return nil
	case <-ctx.Done():
		return signet.Errorf(signet.KindOf(ctx.Err()), "unmount", m.path, "%s is off its directory, but programs still have files open in it%s", m.opts.Source, m.users())
	}
}

// takeOff takes the mount off its directory, if it is still there.
func (m *Mount) takeOff(ctx context.Context, how How) error {
	at, err := mountAt(m.path)
	if err != nil {
		return signet.Wrap("unmount", m.path, err)
	}
	if at == nil || at.dev != m.dev {
		return nil // somebody else did, or mounted something over it
	}
	return signet.Wrap("unmount", m.path, detach(ctx, m.path, how))
}

// detach unmounts whatever is mounted at path. The system call runs in a goroutine
// of its own: it may wait for pages that we have to write.
func detach(ctx context.Context, path string, how How) error {
	result := make(chan error, 1)
	go func() {
		if how == Force {
			abort(path)
		}
		if os.Geteuid() == 0 {
			result <- umount(path, how)
		} else {
			result <- fusermount(path, how)
		}
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func umount(path string, how How) error {
	flags := unix.UMOUNT_NOFOLLOW
	if how != Clean {
		flags |= unix.MNT_DETACH
	}
	err := unix.Unmount(path, flags)
	if err == nil || err == syscall.EINVAL { // EINVAL: nothing is mounted there
		return nil
	}
	return signet.Errorf(kindOf(err), "umount", "", "%w", err)
}

func fusermount(path string, how How) error {
	bin, err := findFusermount()
	if err != nil {
		return err
	}
	args := []string{"-u"}
	if how != Clean {
		args = append(args, "-z")
	}
	var said bytes.Buffer
	cmd := exec.Command(bin, append(args, "--", path)...)
	cmd.Dir, cmd.Env, cmd.Stderr = "/", []string{"LC_ALL=C"}, &said
	if err := cmd.Run(); err != nil {
		// It says why only in words. Nothing else that can happen here is worth a retry.
		kind := signet.Other
		if strings.Contains(said.String(), "busy") {
			kind = signet.Busy
		}
		return signet.Errorf(kind, "fusermount3", "", "%w: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
}

func (m *Mount) busyError() error {
	return signet.Errorf(signet.Busy, "unmount", m.path, "programs still use it%s", m.users())
}

// users names some of the programs that use the mount, as far as /proc shows them.
func (m *Mount) users() string {
	const most = 10
	var found []string
	pids, _ := os.ReadDir("/proc")
	for _, p := range pids {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		if how := usesOf(filepath.Join("/proc", p.Name()), m.path); how != "" {
			name, _ := os.ReadFile(filepath.Join("/proc", p.Name(), "comm"))
			found = append(found, fmt.Sprintf("%s (process %s, %s)", strings.TrimSpace(string(name)), p.Name(), how))
		}
	}
	if len(found) == 0 {
		return ""
	}
	rest := ""
	if len(found) > most {
		rest = fmt.Sprintf(" and %d more", len(found)-most)
		found = found[:most]
	}
	return ": " + strings.Join(found, ", ") + rest
}

// usesOf says how the process in the /proc directory proc uses the mount at path. It
// reads links as text: following one would ask the mount.
func usesOf(proc, path string) string {
	for _, l := range []string{"cwd", "root", "exe"} {
		if to, err := os.Readlink(filepath.Join(proc, l)); err == nil && within(to, path) {
			return l
		}
	}
	fds, _ := os.ReadDir(filepath.Join(proc, "fd"))
	if slices.ContainsFunc(fds, func(d os.DirEntry) bool {
		to, err := os.Readlink(filepath.Join(proc, "fd", d.Name()))
		return err == nil && within(to, path)
	}) {
		return "open file"
	}
	maps, _ := os.ReadFile(filepath.Join(proc, "maps"))
	for line := range strings.Lines(string(maps)) {
		if i := strings.IndexByte(line, '/'); i >= 0 && within(strings.TrimSpace(line[i:]), path) {
			return "mapped file"
		}
	}
	return ""
}

// within says whether p is path or lies below it.
func within(p, path string) bool {
	return p == path || strings.HasPrefix(p, strings.TrimSuffix(path, "/")+"/")
}
