package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// quit sends SIGQUIT to the test process that the go command with process id parent
// started in a package's directory: it prints the stacks of all its goroutines and
// ends.
func quit(parent int, dir string) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return
	}
	for _, p := range procs {
		// Each of these fails if the process has ended meanwhile.
		stat, _ := os.ReadFile(filepath.Join(p, "stat"))
		exe, _ := os.Readlink(filepath.Join(p, "exe"))
		cwd, _ := os.Readlink(filepath.Join(p, "cwd"))
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil || cwd != dir || !strings.HasSuffix(exe, ".test") || parentOf(string(stat)) != parent {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGQUIT); err == nil {
			return
		}
	}
}

// parentOf takes the parent's id from a line of /proc/PID/stat, "12 (a b) S 7 ...";
// the name in brackets may hold anything. It returns 0 if there is none.
func parentOf(stat string) int {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 2 {
		return 0
	}
	pid, err := strconv.Atoi(f[1])
	if err != nil {
		return 0
	}
	return pid
}
