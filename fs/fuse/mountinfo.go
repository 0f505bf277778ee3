package fuse

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
)

// A mounted filesystem as the kernel lists it in /proc/self/mountinfo.
type mounted struct {
	dev     string // major:minor of the filesystem; also the name of its bdi
	path    string // mountpoint
	fstype  string // "fuse.signet"
	source  string // "CLUSTER:/"
	options string // of the mount: "rw,nosuid"
}

// isFUSE says whether the filesystem is served by a FUSE daemon.
func (m *mounted) isFUSE() bool {
	return m.fstype == "fuse" || strings.HasPrefix(m.fstype, "fuse.") || m.fstype == "fuseblk"
}

// minor returns the minor device number, which is also the number of the connection
// below /sys/fs/fuse/connections.
func (m *mounted) minor() string {
	_, minor, _ := strings.Cut(m.dev, ":")
	return minor
}

// mountAt returns what is mounted on path, the topmost if several are; nil if
// nothing is. path is absolute and clean. It reads only /proc: nothing is asked of
// the filesystem itself, which may hang or be dead.
func mountAt(path string) (*mounted, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := parseMountinfo(f)
	if err != nil {
		return nil, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].path == path {
			return &all[i], nil
		}
	}
	return nil, nil
}

// parseMountinfo reads the lines described in proc(5). Lines it does not understand
// are left out.
func parseMountinfo(r io.Reader) ([]mounted, error) {
	var out []mounted
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		before, after, ok := strings.Cut(sc.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 1 {
			continue
		}
		m := mounted{dev: left[2], path: unescape(left[4]), options: left[5], fstype: right[0]}
		if len(right) > 1 {
			m.source = unescape(right[1])
		}
		if len(right) > 2 {
			for o := range strings.SplitSeq(right[2], ",") {
				if o == "sync" || o == "dirsync" { // of the filesystem, not of the mount
					m.options += "," + o
				}
			}
		}
		out = append(out, m)
	}
	return out, sc.Err()
}

// unescape undoes the kernel's \ooo for blanks, newlines and backslashes.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
