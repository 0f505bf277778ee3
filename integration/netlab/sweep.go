package netlab

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// prefix begins the name of a lab's directory: signet-lab-PID-START-RANDOM. A process
// id comes again one day, together with the time of its start it does not.
const prefix = "signet-lab-"

// TempDir makes a directory in the system's temporary one that New of a later run
// removes, should this process not get to it.
func TempDir() (string, error) { return makeDir(os.TempDir()) }

// makeDir makes a lab's directory, open to ordinary users too.
func makeDir(temp string) (string, error) {
	start, err := startOf(os.Getpid())
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(temp, fmt.Sprintf("%s%d-%s-", prefix, os.Getpid(), start))
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// sweep removes the directories of labs whose test process is dead. Nothing else of
// such a lab can be left. What cannot be removed is somebody else's.
func sweep(temp string) {
	dirs, err := filepath.Glob(filepath.Join(temp, prefix+"*"))
	if err != nil {
		return
	}
	for _, d := range dirs {
		f := strings.Split(strings.TrimPrefix(filepath.Base(d), prefix), "-")
		if len(f) != 3 {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		if err != nil {
			continue
		}
		if start, err := startOf(pid); err != nil || start != f[1] {
			os.RemoveAll(d)
		}
	}
}

// startOf returns when a process started, in the kernel's ticks since boot: the 22nd
// field of /proc/PID/stat, counted after the name in brackets.
func startOf(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 20 {
		return "", fmt.Errorf("strange /proc/%d/stat: %q", pid, b)
	}
	return f[19], nil
}
