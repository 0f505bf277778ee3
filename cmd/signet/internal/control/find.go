package control

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// DaemonTitle is the second word of a daemon's command line.
const DaemonTitle = "daemon"

// FindByMount returns the state directory of the running daemon that has something
// mounted at path, which is absolute and without symlinks; "" if there is none. Daemons
// are found by their command lines, so nothing has to be kept anywhere that could be
// wrong after a crash. dirs are asked first.
func FindByMount(ctx context.Context, path string, dirs ...string) string {
	tried := map[string]bool{}
	for _, d := range append(slices.Clone(dirs), running()...) {
		if d == "" || tried[d] {
			continue
		}
		tried[d] = true
		var mounts []Mount
		c := Client{Dir: d}
		if c.Call(ctx, CallMounts, nil, &mounts) != nil {
			continue
		}
		if slices.ContainsFunc(mounts, func(m Mount) bool { return m.Mountpoint == path }) {
			return d
		}
	}
	return ""
}

// running lists the state directories of daemons on this machine, as far as their
// command lines name them.
func running() []string {
	pids, _ := os.ReadDir("/proc")
	var out []string
	for _, p := range pids {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", p.Name(), "cmdline"))
		if err != nil || len(line) == 0 {
			continue
		}
		if dir := stateOf(line); filepath.IsAbs(dir) {
			out = append(out, dir)
		}
	}
	return out
}

// stateOf returns what a daemon's command line gives to --state.
func stateOf(cmdline []byte) string {
	var args []string
	for a := range bytes.SplitSeq(bytes.TrimRight(cmdline, "\x00"), []byte{0}) {
		args = append(args, string(a))
	}
	if len(args) < 2 || !strings.HasPrefix(filepath.Base(args[0]), "signet") || !slices.Contains(args, DaemonTitle) {
		return ""
	}
	for i, a := range args {
		flag := strings.TrimLeft(a, "-")
		if len(a) == len(flag) {
			continue
		}
		if v, ok := strings.CutPrefix(flag, "state="); ok {
			return v
		}
		if flag == "state" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}
