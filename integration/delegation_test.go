package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// TestTakenWhilePublished takes a file away from a host that is cut off while the command
// that publishes it is on its way. That command is refused; nothing else of that host's is.
func TestTakenWhilePublished(t *testing.T) {
	r := ring.Start(t, 3)
	owner, other := r.Host(2), r.Host(0)
	if r.Leader() == owner {
		owner, other = other, owner
	}
	open := func(path string) int { return owner.Open(path, unix.O_RDWR|unix.O_CREAT) }
	taken, kept := open("/taken"), open("/kept")
	for range 30 { // so that its session has a past
		owner.MustDo(ring.Call{Op: ring.OpWrite, FD: kept, Data: []byte("kept")})
		owner.MustDo(ring.Call{Op: ring.OpSync, FD: kept})
	}
	owner.MustDo(ring.Call{Op: ring.OpWrite, FD: taken, Data: []byte("lost")})
	owner.Cut()
	synced := make(chan error, 1)
	go func() {
		_, err := owner.Do(ring.Call{Op: ring.OpSync, FD: taken})
		synced <- err
	}()
	if got := other.Stat("/taken").Size; got != 0 {
		t.Errorf("the file has %d bytes after it was taken away", got)
	}
	r.Heal()
	if err := <-synced; err == nil {
		t.Error("the sync of a file that was taken away succeeded")
	}
	r.Eventually(5*time.Second, "the host to go on", func() error {
		if _, err := owner.Do(ring.Call{Op: ring.OpWrite, FD: kept, Data: []byte("more")}); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if _, err := owner.Do(ring.Call{Op: ring.OpSync, FD: kept}); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
		return nil
	})
	for i := range 30 {
		owner.Write(fmt.Sprintf("/after%d", i), "after")
	}
	other.WantFile("/kept", "more")
	other.WantFile("/taken", "")
	owner.WantFile("/taken", "")
}

// TestCrowdedAndWatched has two hosts write a file that a third reads through a handle from
// before. It sees every write of the guest at once, and those that the owner buffers, because
// it must not wait, as soon as the reader's kernel was made to forget what it read last.
func TestCrowdedAndWatched(t *testing.T) {
	r := ring.Start(t, 3)
	owner, guest, reader := r.Host(0), r.Host(1), r.Host(2)
	reader.Write("/f", strings.Repeat("0", 8192)) // more than is read: who reads to the end asks for the size
	rd := reader.Open("/f", unix.O_RDONLY)
	wo := owner.Open("/f", unix.O_RDWR)
	late := 0
	write := func(h *ring.Host, fd, off, n int) {
		h.MustDo(ring.Call{Op: ring.OpWrite, FD: fd, Off: int64(off), Data: []byte{byte('a' + n)}})
		wrote := time.Now()
		for {
			got := string(reader.MustDo(ring.Call{Op: ring.OpRead, FD: rd, Len: 4}).Data)
			if got[off] == byte('a'+n) {
				return
			}
			if off < 2 || time.Since(wrote) > time.Second {
				t.Fatalf("%s wrote %c at %d, then %q is read", h.Name(), 'a'+n, off, got)
			}
			late++
		}
	}
	write(owner, wo, 0, 0)
	write(owner, wo, 0, 1)
	wg := guest.Open("/f", unix.O_RDWR)
	for n := range 20 {
		write(guest, wg, 1, n)
		write(owner, wo, 2, n)
	}
	t.Logf("%d reads were old", late)
}

// replacing opens and writes a file and replaces itself with a program that does the same:
// execve(2) closes the file, and the list of the program's mappings cannot be read meanwhile.
const replacing = `import os, sys
me, left = sys.argv[1], int(sys.argv[2])
os.pwrite(os.open('f', os.O_RDWR), b'%4d' % left, 0)
if left: os.execv(sys.executable, [sys.executable, '-Sc', me, me, str(left - 1)])
`

// TestSharedWithOneInExecve opens a file for writing again and again, for which the owner
// looks at its programs' mappings, while one of those closes the file within execve(2).
func TestSharedWithOneInExecve(t *testing.T) {
	need.Program(t, "python3")
	r := ring.Start(t, 2)
	a, b := r.Host(0), r.Host(1)
	a.Write("/f", "----")
	const times = 60
	done := make(chan error, 1)
	go func() {
		out, err := a.Try(2*time.Minute, "python3", "-Sc", replacing, replacing, fmt.Sprint(times))
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		done <- err
	}()
	longest := time.Duration(0)
	for opens := 0; ; opens++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d opens, the longest took %v", opens, longest)
			b.WantFile("/f", "   0")
			return
		default:
		}
		began := time.Now()
		b.Close(b.Open("/f", unix.O_RDWR))
		longest = max(longest, time.Since(began))
	}
}

// TestTruncatedWhileMapped truncates a file by its name that a program of another host has
// stored into through a mapping: that is refused, and the stores are not lost.
func TestTruncatedWhileMapped(t *testing.T) {
	r := ring.Start(t, 2)
	a, b := r.Host(0), r.Host(1)
	a.Write("/f", strings.Repeat("-", 8192))
	fd := a.Open("/f", unix.O_RDWR)
	m := a.MustDo(ring.Call{Op: ring.OpMap, FD: fd, Len: 8192, Flags: 1}).Map
	a.MustDo(ring.Call{Op: ring.OpPoke, Map: m, Off: 10, Data: []byte("mapped")})
	b.WantErr(ring.Call{Op: ring.OpTruncate, Path: "/f", Len: 16384}, syscall.EBUSY)
	a.MustDo(ring.Call{Op: ring.OpMapSync, Map: m})
	if got := b.Read("/f")[10:16]; got != "mapped" {
		t.Errorf("after msync the other host reads %q", got)
	}
	a.MustDo(ring.Call{Op: ring.OpUnmap, Map: m})
	a.Close(fd)
	b.MustDo(ring.Call{Op: ring.OpTruncate, Path: "/f", Len: 20})
	a.WantFile("/f", "----------mapped----")
}
