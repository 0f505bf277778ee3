package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// memoryLimit is what no host may need for a directory, however large: the figure.
const memoryLimit = 400 << 20

// crowd works in the directory d: host sys.argv[2] of sys.argv[3], files of sys.argv[4].
// "watch" lists it until a file "stop" appears: what is there all the time has to be in each
// listing, and nothing may be in it twice.
const crowd = `import os, sys
what, host, hosts, files = sys.argv[1], *map(int, sys.argv[2:5])
kept = ['k%03d' % j for j in range(300)]
every = lambda: ('f%07d' % j for j in range(files))
mine = lambda: ('f%07d' % j for j in range(host, files, hosts))
d = os.open('d', os.O_RDONLY | os.O_DIRECTORY)
make = lambda name: os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=d))
listing = lambda: [e.name for e in os.scandir('d')]
if what == 'keep':
    for name in kept: make(name)
elif what == 'make':
    for name in mine(): make(name)
elif what == 'watch':
    rounds = 0
    while True:
        last = os.path.exists('stop')
        names = listing()
        seen = set(names)
        assert len(seen) == len(names), 'a name comes twice'
        assert seen.issuperset(kept), 'missing: %r' % sorted(set(kept) - seen)
        rounds += 1
        if last: break
    print('%d listings' % rounds)
elif what == 'whole':
    assert sorted(listing()) == sorted([*every(), *kept]), 'not what is there'
    assert len({e.inode() for e in os.scandir('d')}) == files + len(kept), 'two names of one inode'
    assert os.stat('d').st_size == files + len(kept)
elif what == 'remove':
    for name in mine(): os.unlink(name, dir_fd=d)
elif what == 'rest':
    assert sorted(listing()) == kept, 'not what was left'
`

// TestLargeDirectory fills a directory from all hosts at once while each lists it, and
// empties it the same way; then all hosts remove it with rm -rf at once. SIGNET_ENTRIES=N
// has N files in it. No daemon may ever have needed more memory than the limit.
func TestLargeDirectory(t *testing.T) {
	need.Program(t, "python3")
	files := 600
	if need.Long(t) {
		files = 30_000
	}
	if n, err := strconv.Atoi(os.Getenv("SIGNET_ENTRIES")); err == nil {
		files = n
	}
	bound := time.Minute + time.Duration(files)*20*time.Millisecond
	r := ring.Start(t, 3)
	r.Host(0).Mkdir("/d")
	do := func(h *ring.Host, what string) {
		out, err := h.Try(bound, "python3", "-c", crowd, what, strconv.Itoa(h.Index()), "3", strconv.Itoa(files))
		if err != nil {
			t.Errorf("%s: %s: %v\n%s", h.Name(), what, err, out)
		} else if out != "" {
			t.Logf("%s: %s: %s", h.Name(), what, strings.TrimSpace(out))
		}
	}
	// each has all hosts do something at once, each of them beside a program that watches.
	each := func(what string) {
		began := time.Now()
		var watchers sync.WaitGroup
		for _, h := range r.Hosts() {
			watchers.Go(func() { do(h, "watch") })
		}
		r.Each(func(h *ring.Host) { do(h, what) })
		r.Host(1).Write("/stop", "")
		watchers.Wait()
		r.Host(1).Remove("/stop")
		t.Logf("%s: %d files, %.0f/s with the last listings", what, files, float64(files)/time.Since(began).Seconds())
	}
	do(r.Host(0), "keep")
	each("make")
	for _, h := range r.Hosts() {
		do(h, "whole")
	}
	each("remove")
	for _, h := range r.Hosts() {
		do(h, "rest")
	}
	do(r.Host(2), "make")
	r.Each(func(h *ring.Host) {
		if out, err := h.Try(bound, "rm", "-rf", "d"); err != nil {
			t.Errorf("%s: rm -rf: %v\n%s", h.Name(), err, out)
		}
	})
	for _, h := range r.Hosts() {
		h.WantNames("/")
		if used := status(t, h, "VmHWM"); used > memoryLimit {
			t.Errorf("%s has needed %d MiB, at most %d are allowed", h.Name(), used>>20, memoryLimit>>20)
		} else {
			t.Logf("%s has needed at most %d MiB", h.Name(), used>>20)
		}
	}
}

// status returns an amount of memory out of /proc/PID/status of a host's daemon, in bytes.
func status(t *testing.T, h *ring.Host, name string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.Daemon().Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var kib int
		if n, _ := fmt.Sscanf(line, name+": %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatalf("no %s in /proc/PID/status", name)
	return 0
}
