package fuse

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// mapsPatience is how long the programs of this host have to let themselves be looked at.
const mapsPatience = 2 * time.Second

// Mapped says whether a program has an inode of this mount mapped shared and writable. The
// kernel does not tell of mmap(2), so the lists of mappings in /proc are read (proc(5)).
// That takes milliseconds on a host with many programs. An ordinary user's daemon reads
// those of the same user, and the mount lets nobody else in unless with allow_other.
//
// The list of a program that is in execve(2), or changes its mappings, can be read only when
// it is done with that, and it may be waiting for us there: execve(2) closes files. A program
// that takes longer than mapsPatience is taken for one that has the inode mapped.
func (s *server) Mapped(ctx context.Context, ino signet.Ino) (bool, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return false, signet.Wrap("list programs", "", err)
	}
	patient, cancel := clock.WithTimeout(ctx, s.clock, mapsPatience)
	defer cancel()
	want := []byte(fmt.Sprintf(" %s %d ", s.mapsDev, ino))
	for _, d := range dirs {
		if _, err := strconv.ParseUint(d.Name(), 10, 32); err != nil {
			continue
		}
		list, ok := s.maps.read(patient, d.Name())
		if err := ctx.Err(); err != nil {
			return false, err // who asked has gone: nothing is known
		}
		if !ok || sharedWritable(list, want) {
			return true, nil
		}
	}
	return false, nil
}

// mapLists reads lists of mappings, one of a program at a time: reading may be stuck for
// as long as the program is, and must not pile up. The zero value is ready.
type mapLists struct {
	mu      sync.Mutex
	reading map[string]chan struct{} // guarded by mu; closed at the end, by process
}

// read returns a program's list as it was after the call began, empty if there is no such
// program, or it is none of ours. It is not ok if ctx ended first.
func (m *mapLists) read(ctx context.Context, pid string) (list []byte, ok bool) {
	for {
		m.mu.Lock()
		before := m.reading[pid]
		if before == nil {
			break
		}
		m.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, false
		}
	}
	if m.reading == nil {
		m.reading = make(map[string]chan struct{})
	}
	done := make(chan struct{})
	m.reading[pid] = done
	m.mu.Unlock()
	var got []byte
	go func() {
		got, _ = os.ReadFile("/proc/" + pid + "/maps")
		m.mu.Lock()
		delete(m.reading, pid)
		m.mu.Unlock()
		close(done)
	}()
	select {
	case <-done:
		return got, true
	case <-ctx.Done():
		return nil, false
	}
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
