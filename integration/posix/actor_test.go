package posix

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// The ordinary user of the tests, and a group that he is in besides his own.
const (
	user       = 1000
	otherGroup = 2000
)

// actor is a thread with one filesystem as its root directory.
type actor struct {
	t    testing.TB
	name string
	work chan func()
}

// newActor makes an actor in the mount namespace of process pid, with root (a path
// there) as its root directory, and uid as its user.
func newActor(t testing.TB, name string, pid int, root string, uid int) *actor {
	t.Helper()
	a := &actor{t: t, name: name, work: make(chan func())}
	ready := make(chan error)
	go a.live(ready, pid, root, uid)
	if err := <-ready; err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() { close(a.work) })
	return a
}

// live is the actor's goroutine. Its thread ends with it, and stands for the whole
// process nowhere.
func (a *actor) live(ready chan error, pid int, root string, uid int) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		done := make(chan struct{})
		go func() { a.live(ready, pid, root, uid); close(done) }() // cannot get this thread
		<-done
		runtime.UnlockOSThread()
		return
	}
	debug.SetPanicOnFault(true)
	err := settle(pid, root, uid)
	ready <- err
	if err != nil {
		return
	}
	for f := range a.work {
		f()
	}
}

// settle moves the current thread to where an actor lives.
func settle(pid int, root string, uid int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	top, err := os.Open("/proc/" + strconv.Itoa(pid) + "/root")
	if err != nil {
		return err
	}
	defer top.Close()
	ns, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/mnt")
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the host's mounts: %w", err)
	}
	if err := unix.Fchdir(int(top.Fd())); err != nil {
		return err
	}
	if err := unix.Chroot("." + root); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	unix.Umask(0o022)
	if uid == 0 {
		return nil
	}
	// Raw calls: those of package syscall change every thread of the process.
	groups := []uint32{uint32(uid), otherGroup}
	for _, c := range [][4]uintptr{
		{unix.SYS_SETGROUPS, uintptr(len(groups)), addr(&groups[0]), 0},
		{unix.SYS_SETRESGID, uintptr(uid), uintptr(uid), uintptr(uid)},
		{unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
	} {
		if _, _, e := unix.RawSyscall(c[0], c[1], c[2], c[3]); e != 0 {
			return fmt.Errorf("become user %d: %w", uid, e)
		}
	}
	runtime.KeepAlive(groups)
	return nil
}

// bound is the longest that one call or case of an actor may take.
const bound = 2 * time.Minute

// do has the actor do f, and waits for it.
func (a *actor) do(f func()) {
	done := make(chan any, 1)
	a.work <- func() {
		defer func() { done <- recover() }()
		f()
	}
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case v := <-done:
		if v != nil {
			panic(v)
		}
	case <-timer.C:
		panic(fmt.Sprintf("%s: no answer after %v", a.name, bound))
	}
}

// guarded runs f, in which touching mapped memory that is not there is EFAULT.
func guarded(f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(interface{ Addr() uintptr }); !ok {
				panic(v)
			}
			err = syscall.EFAULT
		}
	}()
	f()
	return nil
}

// stage is a ring, and an ext4 beside its first host's mount.
type stage struct {
	t    testing.TB
	ring *ring.Ring
	ext4 string // where it is mounted on host 0
	proc int    // a descriptor of /proc, for actors that cannot see it
	runs int
}

// newStage starts a ring of n hosts and mounts an ext4.
func newStage(t testing.TB, n int) *stage {
	t.Helper()
	need.Root(t)
	need.Program(t, "mkfs.ext4")
	s := &stage{t: t, ring: ring.Start(t, n)}
	h := s.ring.Host(0).Lab()
	image := filepath.Join(h.Dir(), "ext4.img")
	s.ext4 = filepath.Join(h.Dir(), "ext4")
	// Blocks and inodes as on a disk of today, whatever the size of this one.
	h.Run("sh", "-euc", `truncate -s 4G "$1"; mkfs.ext4 -q -b 4096 -I 256 -m 0 -N 200000 -O ^has_journal "$1"; mkdir "$2"; mount -o loop "$1" "$2"; rmdir "$2/lost+found"; chmod 755 "$2"`,
		"sh", image, s.ext4)
	t.Cleanup(func() {
		if h.Alive() {
			h.Run("umount", "-l", s.ext4)
		}
	})
	proc, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.proc = proc
	t.Cleanup(func() { unix.Close(proc) })
	return s
}

// onExt4 makes an actor on the ext4.
func (s *stage) onExt4(uid int) *actor {
	s.t.Helper()
	return newActor(s.t, "ext4", s.ring.Host(0).Daemon().Pid(), s.ext4, uid)
}

// onMount makes an actor on the mount of a host.
func (s *stage) onMount(host, uid int) *actor {
	s.t.Helper()
	h := s.ring.Host(host)
	return newActor(s.t, h.Name(), h.Daemon().Pid(), h.Mountpoint(), uid)
}

// dir names a directory that was not used yet.
func (s *stage) dir() string {
	s.runs++
	return fmt.Sprintf("/run%d", s.runs)
}
