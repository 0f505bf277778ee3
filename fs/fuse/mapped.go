package fuse

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/signetfs/signet"
)

// Mapped says whether a program has an inode of this mount mapped shared and writable. The
// kernel does not tell of mmap(2), so the lists of mappings in /proc are read (proc(5)).
// That takes milliseconds on a host with many programs. An ordinary user's daemon reads
// those of the same user, and the mount lets nobody else in unless with allow_other.
func (s *server) Mapped(ino signet.Ino) bool {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	want := []byte(fmt.Sprintf(" %s %d ", s.mapsDev, ino))
	for _, d := range dirs {
		if _, err := strconv.ParseUint(d.Name(), 10, 32); err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + d.Name() + "/maps")
		if err == nil && sharedWritable(b, want) {
			return true
		}
	}
	return false
}

// sharedWritable says whether a list of mappings has one of that device and inode which
// stores reach the file through.
func sharedWritable(maps, devAndIno []byte) bool {
	for line := range bytes.Lines(maps) {
		f := bytes.Fields(line)
		if len(f) >= 5 && len(f[1]) == 4 && f[1][1] == 'w' && f[1][3] == 's' && bytes.Contains(line, devAndIno) {
			return true
		}
	}
	return false
}

// mapsDev is a device number as lists of mappings have it, from mountinfo's.
func mapsDev(dev string) string {
	major, minor, _ := strings.Cut(dev, ":")
	a, _ := strconv.ParseUint(major, 10, 32)
	b, _ := strconv.ParseUint(minor, 10, 32)
	return fmt.Sprintf("%02x:%02x", a, b)
}
