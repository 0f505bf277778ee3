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
	return nil
}
