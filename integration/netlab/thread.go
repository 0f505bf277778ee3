package netlab

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// namespaces are the sorts of namespaces that a host has of its own, in the order of
// entering: mounts last, since /proc of the others is found through them.
var namespaces = []string{"net", "uts", "ipc", "pid", "mnt"}

// inThread runs f in a thread of its own that ends with f, so that f may enter other
// namespaces. It must not be the thread that stands for the whole process in /proc.
func inThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// While this one is held, the next goroutine gets another thread.
			done <- inThread(f)
			runtime.UnlockOSThread()
			return
		}
		done <- f() // the lock is kept, so the thread ends here
	}()
	return <-done
}

// enter moves the current thread into the namespaces of a process, so that what it
// forks is born there. With pid, the children are in that process's pid namespace;
// the thread itself never is.
func enter(pid int, which []string) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // or the kernel refuses to change mounts
		return fmt.Errorf("unshare: %w", err)
	}
	// Entering a mount namespace leads to its own root, which is not ours when the
	// test runs in a chroot.
	root, err := os.Open("/proc/" + strconv.Itoa(pid) + "/root")
	if err != nil {
		return err
	}
	defer root.Close()
	files := make([]*os.File, 0, len(which))
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, ns := range which {
		f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/" + ns)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	for i, f := range files {
		if err := unix.Setns(int(f.Fd()), 0); err != nil {
			return fmt.Errorf("enter %s namespace: %w", which[i], err)
		}
	}
	return rootAt(root)
}

// rootAt makes a directory the root of the current thread.
func rootAt(dir *os.File) error {
	if err := unix.Fchdir(int(dir.Fd())); err != nil {
		return fmt.Errorf("change to the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	return nil
}

// ownMounts gives the current thread mounts of its own that neither show elsewhere nor
// change when others do.
func ownMounts() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err != unix.EINVAL {
		return err
	}
	// Our root is no mount point: the test runs in a chroot. Entering the namespace that we
	// are in leads to its own root; make everything private from there and come back.
	root, err := os.Open("/")
	if err != nil {
		return err
	}
	defer root.Close()
	ns, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	return rootAt(root)
}
