package integration

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/ring"
)

// TestOneWinner has three hosts do the same thing at the same moment, again and again:
// one of them succeeds, the others are told why they did not.
func TestOneWinner(t *testing.T) {
	r := ring.Start(t, 3)
	rounds := stepsWanted(t, 60)
	for _, race := range []struct {
		name string
		call ring.Call // its paths get the round's number
		file bool      // there is a file under Path before
		want syscall.Errno
	}{
		{"create exclusively", ring.Call{Op: ring.OpOpen, Path: "/excl", Flags: unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY, Mode: 0o644}, false, syscall.EEXIST},
		{"mkdir", ring.Call{Op: ring.OpMkdir, Path: "/dir", Mode: 0o755}, false, syscall.EEXIST},
		{"symlink", ring.Call{Op: ring.OpSymlink, Path: "/symlink", To: "target"}, false, syscall.EEXIST},
		{"link", ring.Call{Op: ring.OpLink, Path: "/linked", To: "/link"}, true, syscall.EEXIST},
		{"unlink", ring.Call{Op: ring.OpUnlink, Path: "/unlink"}, true, syscall.ENOENT},
		{"rename", ring.Call{Op: ring.OpRename, Path: "/from", To: "/to"}, true, syscall.ENOENT},
		{"rename without replacing", ring.Call{Op: ring.OpRename, Path: "/nrfrom", To: "/nrto", Flags: unix.RENAME_NOREPLACE}, true, syscall.ENOENT},
	} {
		for n := range rounds {
			q := race.call
			q.Path += fmt.Sprint(n)
			if q.Op == ring.OpLink || q.Op == ring.OpRename {
				q.To += fmt.Sprint(n)
			}
			if race.file {
				r.Host(n%3).Write(q.Path, "x")
			}
			var mu sync.Mutex
			var wg sync.WaitGroup
			winners := 0
			for _, h := range r.Hosts() {
				wg.Go(func() {
					reply, err := h.Do(q)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						winners++
						if q.Op == ring.OpOpen {
							h.Close(reply.FD)
						}
					case !errors.Is(err, race.want) && !(race.name == "rename without replacing" && errors.Is(err, syscall.EEXIST)):
						t.Errorf("%s, round %d, %s: %v, want %v", race.name, n, h.Name(), err, race.want)
					}
				})
			}
			wg.Wait()
			if winners != 1 {
				t.Errorf("%s, round %d: %d winners", race.name, n, winners)
			}
		}
	}
	// Who opens with O_CREAT only gets the one file, whoever made it.
	for n := range rounds {
		path := fmt.Sprintf("/shared%d", n)
		var wg sync.WaitGroup
		inos := make([]uint64, 3)
		for i, h := range r.Hosts() {
			wg.Go(func() {
				fd := h.Open(path, unix.O_CREAT|unix.O_RDWR)
				inos[i] = h.MustDo(ring.Call{Op: ring.OpStatFD, FD: fd}).Stat.Ino
				h.Close(fd)
			})
		}
		wg.Wait()
		if inos[0] != inos[1] || inos[1] != inos[2] {
			t.Errorf("%s is the inodes %d", path, inos)
		}
	}
}
