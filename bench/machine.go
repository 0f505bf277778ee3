package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine describes where the figures come from. It names nobody.
type machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Memory int     `json:"memory_mib"`
	Kernel string  `json:"kernel"`
	Go     string  `json:"go"`
	Load   float64 `json:"load"` // when it began: others may have been at work
}

func describe() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.CPU = valueOf("/proc/cpuinfo", "model name")
	if kb, err := strconv.Atoi(strings.TrimSuffix(valueOf("/proc/meminfo", "MemTotal"), " kB")); err == nil {
		m.Memory = kb / 1024
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
		// What comes after the numbers is the build's business.
		m.Kernel, _, _ = strings.Cut(m.Kernel, "-")
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _ = strconv.ParseFloat(string(bytes.Fields(b)[0]), 64)
	}
	return m
}

// valueOf returns what a file of lines "name: value" says.
func valueOf(file, name string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		k, v, ok := strings.Cut(s.Text(), ":")
		if ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// fsOf names the kind of filesystem that a directory is on.
func fsOf(dir string) string {
	out, err := exec.Command("findmnt", "-n", "-o", "FSTYPE", "-T", dir).Output()
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(out))
}

// dropCaches makes the kernel forget what it has read. It says whether it could.
func dropCaches() bool {
	if os.Geteuid() != 0 {
		return false
	}
	unix.Sync()
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0) == nil
}

// urge has the kernel prefer a process's session to others.
func urge(pid string) error {
	if err := os.WriteFile(filepath.Join("/proc", pid, "autogroup"), []byte("-19\n"), 0); err != nil {
		return fmt.Errorf("-urgent: %w", err)
	}
	return nil
}

// usage is what a process has used of the machine.
type usage struct {
	pid  int
	CPU  time.Duration
	Peak int // KiB of memory, at most
	Anon int // KiB of memory that is not the program's file
}

// usage returns what each host has used since it started.
func (r *ring) usage() []usage {
	out := make([]usage, len(r.hosts))
	for i, h := range r.hosts {
		if h.pid == 0 {
			continue
		}
		out[i].pid = h.pid
		proc := filepath.Join("/proc", strconv.Itoa(h.pid))
		if b, err := os.ReadFile(filepath.Join(proc, "stat")); err == nil {
			// After the name, which may hold anything, come the state and the numbers.
			f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
			user, _ := strconv.Atoi(f[11])
			system, _ := strconv.Atoi(f[12])
			out[i].CPU = time.Duration(user+system) * 10 * time.Millisecond
		}
		out[i].Peak, _ = strconv.Atoi(strings.TrimSuffix(valueOf(filepath.Join(proc, "status"), "VmHWM"), " kB"))
		out[i].Anon, _ = strconv.Atoi(strings.TrimSuffix(valueOf(filepath.Join(proc, "status"), "RssAnon"), " kB"))
	}
	return out
}

// perf records what the hosts do until stop is called, if the command line says so.
func (b *bench) perf(ctx context.Context, name string) (stop func(), err error) {
	if b.profile == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(b.profile, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(b.profile, strings.ReplaceAll(name, " ", "-")+".perf")
	var pids []string
	for _, h := range b.ring.hosts {
		pids = append(pids, strconv.Itoa(h.pid))
	}
	c := exec.CommandContext(ctx, "perf", "record", "-q", "-g", "-F", "499", "-o", file, "-p", strings.Join(pids, ","))
	if err := c.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait()
	}, nil
}
