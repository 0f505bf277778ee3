package integration

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// count adds to a number in a file, under a lock: $1 says which, $2 how often.
const count = `
import fcntl, os, sys
fd = os.open("counter-" + sys.argv[1], os.O_RDWR)
lock = {"flock": fcntl.flock, "fcntl": fcntl.lockf}[sys.argv[1]]
for _ in range(int(sys.argv[2])):
    lock(fd, fcntl.LOCK_EX)
    n = int(os.pread(fd, 20, 0) or b"0")
    os.pwrite(fd, b"%d" % (n + 1), 0)
    lock(fd, fcntl.LOCK_UN)
`

// TestLockCounters has programs on three hosts, two on each, count in files under locks:
// no step is lost.
func TestLockCounters(t *testing.T) {
	need.Program(t, "python3")
	r := ring.Start(t, 3)
	const each = 40
	for _, kind := range []string{"flock", "fcntl"} {
		r.Host(0).Write("/counter-"+kind, "0")
		began := time.Now()
		var all sync.WaitGroup
		for _, h := range r.Hosts() {
			for range 2 {
				all.Go(func() {
					if out, err := h.Try(3*time.Minute, "python3", "-c", count, kind, fmt.Sprint(each)); err != nil {
						t.Errorf("%s: %v\n%s", h.Name(), err, out)
					}
				})
			}
		}
		all.Wait()
		for _, h := range r.Hosts() {
			h.WantFile("/counter-"+kind, fmt.Sprint(6*each))
		}
		t.Logf("%s: %d steps by six programs on three hosts in %v", kind, 6*each, time.Since(began).Round(time.Millisecond))
	}
}

// lockFile is a program on a host with a file open.
type lockFile struct {
	*ring.Program
	fd int
}

func openFor(h *ring.Host, path string) lockFile {
	p := h.Program()
	return lockFile{p, p.Must(ring.Call{Op: ring.OpOpen, Path: path, Flags: unix.O_RDWR | unix.O_CREAT, Mode: 0o666}).FD}
}

func (f lockFile) flock(how int) ring.Call { return ring.Call{Op: ring.OpFlock, FD: f.fd, Flags: how} }

func (f lockFile) fcntl(how int, typ int, off, n int64) ring.Call {
	return ring.Call{Op: ring.OpFcntl, FD: f.fd, Flags: how, Mode: uint32(typ), Off: off, Len: n}
}

// ends fails unless a call ends as wanted in time.
func ends(t *testing.T, done <-chan error, most time.Duration, want error) {
	t.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	case <-time.After(most):
		t.Errorf("no end within %v", most)
	}
}

// still fails if a call has ended.
func still(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		t.Errorf("it does not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
}

// TestLocksAcrossHosts takes locks on three hosts in all the ways in which they are given
// up, the death of hosts too.
func TestLocksAcrossHosts(t *testing.T) {
	need.Program(t, "python3")
	r := ring.Start(t, 3)
	t.Run("one winner", func(t *testing.T) { oneWinner(t, r) })
	t.Run("a deadlock", func(t *testing.T) { deadlock(t, r) })
	t.Run("a wait that is interrupted", func(t *testing.T) { interruptedWait(t, r) })
	t.Run("a program that is killed", func(t *testing.T) { killedHolder(t, r) })
	t.Run("a host that is cut off", func(t *testing.T) { cutOffHolder(t, r) })
	t.Run("a daemon that starts again", func(t *testing.T) { restartedHolder(t, r) })
	t.Run("a host that dies", func(t *testing.T) { deadHolder(t, r) })
}

func oneWinner(t *testing.T, r *ring.Ring) {
	var files []lockFile
	for _, h := range r.Hosts() {
		files = append(files, openFor(h, "/winner"))
	}
	for round := range 20 {
		results := make([]<-chan error, 3)
		for i, f := range files {
			q := f.flock(unix.LOCK_EX | unix.LOCK_NB)
			if round%2 == 1 {
				q = f.fcntl(unix.F_SETLK, unix.F_WRLCK, int64(round), 10)
			}
			results[i] = f.Begin(q)
		}
		won := -1
		for i, done := range results {
			err := <-done
			switch {
			case err == nil && won < 0:
				won = i
			case err == nil:
				t.Errorf("round %d: two have it", round)
			case !errors.Is(err, syscall.EAGAIN):
				t.Errorf("round %d: %v", round, err)
			}
		}
		if won < 0 {
			t.Fatalf("round %d: nobody has it", round)
		}
		files[won].Must(files[won].flock(unix.LOCK_UN))
		files[won].Must(files[won].fcntl(unix.F_SETLK, unix.F_UNLCK, 0, 0))
	}
}

func deadlock(t *testing.T, r *ring.Ring) {
	a, b, c := openFor(r.Host(0), "/deadlock"), openFor(r.Host(1), "/deadlock"), openFor(r.Host(2), "/deadlock")
	a.Must(a.fcntl(unix.F_SETLK, unix.F_WRLCK, 0, 1))
	b.Must(b.fcntl(unix.F_SETLK, unix.F_WRLCK, 1, 1))
	c.Must(c.fcntl(unix.F_SETLK, unix.F_WRLCK, 2, 1))
	one := a.Begin(a.fcntl(unix.F_SETLKW, unix.F_WRLCK, 1, 1))
	still(t, one)
	two := b.Begin(b.fcntl(unix.F_SETLKW, unix.F_RDLCK, 2, 1))
	still(t, two)
	ends(t, c.Begin(c.fcntl(unix.F_SETLKW, unix.F_WRLCK, 0, 1)), 10*time.Second, syscall.EDEADLK)
	c.Must(ring.Call{Op: ring.OpClose, FD: c.fd})
	ends(t, two, 10*time.Second, nil)
	b.Must(ring.Call{Op: ring.OpClose, FD: b.fd})
	ends(t, one, 10*time.Second, nil)
}

// impatient waits for a lock, not for long, then tries it, and says how each ended.
const impatient = `
import fcntl, os, signal
class Alarm(Exception): pass
def ring(*_): raise Alarm()
signal.signal(signal.SIGALRM, ring)
fd = os.open("interrupted", os.O_RDWR)
for lock in fcntl.flock, fcntl.lockf:
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        lock(fd, fcntl.LOCK_EX)
        print("got it")
    except Alarm:
        print("interrupted")
    signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("got it")
    except BlockingIOError:
        print("blocked")
`

func interruptedWait(t *testing.T, r *ring.Ring) {
	a := openFor(r.Host(0), "/interrupted")
	a.Must(a.flock(unix.LOCK_EX))
	a.Must(a.fcntl(unix.F_SETLK, unix.F_WRLCK, 0, 0))
	if out := r.Host(1).Run(time.Minute, "python3", "-c", impatient); strings.Join(strings.Fields(out), " ") != "interrupted blocked interrupted blocked" {
		t.Errorf("the waits ended with %q", out)
	}
	waiting := openFor(r.Host(2), "/interrupted")
	dies := waiting.Begin(waiting.flock(unix.LOCK_EX))
	still(t, dies)
	if took, ok, where := waiting.Kill(5 * time.Second); !ok {
		t.Errorf("a program that waits for a lock is not gone %v after SIGKILL: %s", took, where)
	}
	a.Must(ring.Call{Op: ring.OpClose, FD: a.fd})
	next := openFor(r.Host(1), "/interrupted")
	next.Must(next.flock(unix.LOCK_EX)) // nobody who is gone stands before it
	next.Must(next.fcntl(unix.F_SETLKW, unix.F_WRLCK, 0, 0))
}

func killedHolder(t *testing.T, r *ring.Ring) {
	a, b, c := openFor(r.Host(0), "/killed"), openFor(r.Host(1), "/killed"), openFor(r.Host(2), "/killed")
	a.Must(a.flock(unix.LOCK_EX))
	a.Must(a.fcntl(unix.F_SETLK, unix.F_WRLCK, 0, 0))
	a.Must(ring.Call{Op: ring.OpWrite, FD: a.fd, Data: []byte("last words")})
	one, two := b.Begin(b.flock(unix.LOCK_EX)), c.Begin(c.fcntl(unix.F_SETLKW, unix.F_RDLCK, 5, 1))
	still(t, one)
	still(t, two)
	a.Kill(5 * time.Second)
	ends(t, one, 10*time.Second, nil)
	ends(t, two, 10*time.Second, nil)
	if got := string(b.Must(ring.Call{Op: ring.OpRead, FD: b.fd, Len: 100}).Data); got != "last words" {
		t.Errorf("who has the lock now reads %q", got)
	}
}

// cutOffHolder has the holder's host be away until its session is over: another host gets the
// lock, and the holder learns that it has none.
func cutOffHolder(t *testing.T, r *ring.Ring) {
	a, b := openFor(r.Host(2), "/cut"), openFor(r.Host(0), "/cut")
	a.Must(a.flock(unix.LOCK_EX))
	a.Must(ring.Call{Op: ring.OpWrite, FD: a.fd, Data: []byte("cut off")})
	waits := b.Begin(b.flock(unix.LOCK_EX))
	still(t, waits)
	r.Host(2).Cut()
	began := time.Now()
	ends(t, waits, 30*time.Second, nil)
	t.Logf("the lock of a host that is cut off was had after %v", time.Since(began).Round(10*time.Millisecond))
	b.Must(ring.Call{Op: ring.OpWrite, FD: b.fd, Data: []byte("mine")})
	b.Must(ring.Call{Op: ring.OpSync, FD: b.fd})
	r.Heal()
	r.Eventually(30*time.Second, "EIO from the file whose lock was lost", func() error {
		err := <-a.Begin(ring.Call{Op: ring.OpRead, FD: a.fd, Len: 10})
		if !errors.Is(err, syscall.EIO) {
			return fmt.Errorf("read: %v", err)
		}
		return nil
	})
	ends(t, a.Begin(ring.Call{Op: ring.OpWrite, FD: a.fd, Data: []byte("x")}), 10*time.Second, syscall.EIO)
	<-a.Begin(ring.Call{Op: ring.OpClose, FD: a.fd}) // EIO tells of what was written and lost
	r.Host(2).WantFile("/cut", "mine")
	again := openFor(r.Host(2), "/cut")
	ends(t, again.Begin(again.flock(unix.LOCK_EX|unix.LOCK_NB)), 10*time.Second, syscall.EAGAIN)
	b.Must(b.flock(unix.LOCK_UN))
	again.Must(again.flock(unix.LOCK_EX))
}

func restartedHolder(t *testing.T, r *ring.Ring) {
	a, b := openFor(r.Host(2), "/again"), openFor(r.Host(0), "/again")
	a.Must(a.fcntl(unix.F_SETLK, unix.F_WRLCK, 0, 0))
	waits := b.Begin(b.fcntl(unix.F_SETLKW, unix.F_WRLCK, 0, 0))
	still(t, waits)
	r.Host(2).Kill()
	began := time.Now()
	r.Host(2).Boot()
	ends(t, waits, 20*time.Second, nil)
	t.Logf("the lock of a host that was started again was had after %v", time.Since(began).Round(10*time.Millisecond))
	c := openFor(r.Host(2), "/again")
	ends(t, c.Begin(c.fcntl(unix.F_SETLK, unix.F_RDLCK, 0, 0)), 10*time.Second, syscall.EAGAIN)
}

func deadHolder(t *testing.T, r *ring.Ring) {
	leader := r.Leader()
	a, b := openFor(leader, "/dead"), openFor(r.Host((leader.Index()+1)%3), "/dead")
	a.Must(a.flock(unix.LOCK_EX))
	a.Must(a.fcntl(unix.F_SETLK, unix.F_WRLCK, 0, 0))
	one, two := b.Begin(b.flock(unix.LOCK_SH)), b.Begin(b.fcntl(unix.F_SETLKW, unix.F_RDLCK, 0, 0))
	still(t, one)
	still(t, two)
	began := time.Now()
	leader.KillDaemon()
	ends(t, one, 30*time.Second, nil)
	ends(t, two, 30*time.Second, nil)
	t.Logf("the lock of a host that died, the leader, was had after %v", time.Since(began).Round(10*time.Millisecond))
}

// pairs locks and unlocks for a few seconds and says how often a second.
const pairs = `
import fcntl, os, time
fd = os.open("pace", os.O_RDWR | os.O_CREAT)
for name, lock in ("flock", fcntl.flock), ("fcntl", fcntl.lockf):
    n, began = 0, time.monotonic()
    while time.monotonic() - began < 3:
        lock(fd, fcntl.LOCK_EX)
        lock(fd, fcntl.LOCK_UN)
        n += 1
    print("%s %.0f" % (name, n / (time.monotonic() - began)))
small = "small"
os.close(os.open(small, os.O_WRONLY | os.O_CREAT))
with open(small, "w") as f:
    f.write("x" * 1000)
n, began = 0, time.monotonic()
while time.monotonic() - began < 3:
    fd = os.open(small, os.O_RDONLY)
    os.read(fd, 4096)
    os.close(fd)
    n += 1
print("open,read,close %.0f" % (n / (time.monotonic() - began)))
`

// BenchmarkLocks logs how often a second a lock that nobody else wants is taken and given up on a
// ring of three, and how often a small file in the cache is opened, read and closed.
func BenchmarkLocks(b *testing.B) {
	need.Program(b, "python3")
	r := ring.Start(b, 3)
	leader := r.Leader()
	for _, h := range []*ring.Host{leader, r.Host((leader.Index() + 1) % 3)} {
		b.Log(h == leader, strings.Join(strings.Fields(h.Run(time.Minute, "python3", "-c", pairs)), " "))
	}
}
