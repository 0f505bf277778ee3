package netlab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet/internal/need"
)

// Lab is a switch and the hosts on it.
type Lab struct {
	t      testing.TB
	dir    string
	net    byte // the third byte of all addresses
	sw     *keeper
	hosts  []*Host
	closed atomic.Bool

	mu      sync.Mutex   // guards the switch's state:
	refused []*Host      // hosts with Refuse in force
	cut     map[int]bool // hosts with Cut in force
}

// labs counts the labs of this process. Labs cannot meet, so numbers that repeat do no
// harm; different ones make logs readable.
var labs atomic.Uint32

// New boots a lab of n hosts, numbered from 0. When the test is over it takes
// everything down, and if the test failed it prints the end of every log.
func New(t testing.TB, n int) *Lab {
	t.Helper()
	need.Root(t)
	need.Program(t, "ip", "nft")
	if n < 1 || n > 250 {
		t.Fatalf("netlab: %d hosts", n)
	}
	sweep(os.TempDir())
	dir, err := makeDir(os.TempDir())
	if err != nil {
		t.Fatal("netlab:", err)
	}
	l := &Lab{t: t, dir: dir, cut: map[int]bool{}, net: byte(labs.Add(1)%250 + 1)}
	t.Cleanup(l.close)
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		l.watch(d.Deadline())
	}
	if l.sw, err = startKeeper(syscall.CLONE_NEWNET, ""); err != nil {
		t.Fatal("netlab: switch:", err)
	}
	if err := l.setUpSwitch(); err != nil {
		t.Fatal("netlab: switch:", err)
	}
	for i := range n {
		h := &Host{lab: l, index: i, dir: filepath.Join(dir, fmt.Sprintf("h%d", i))}
		if err := os.MkdirAll(h.logs(), 0o755); err != nil {
			t.Fatal("netlab:", err)
		}
		l.hosts = append(l.hosts, h)
		if err := h.boot(); err != nil {
			t.Fatalf("netlab: host %d: %v", i, err)
		}
	}
	return l
}

// Host returns host i, counted from 0.
func (l *Lab) Host(i int) *Host { return l.hosts[i] }

// Hosts returns how many hosts there are, dead ones included.
func (l *Lab) Hosts() int { return len(l.hosts) }

// addr is host i's address.
func (l *Lab) addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, l.net, byte(i + 1)}) }

// close takes the lab down. It runs even when the test panicked.
func (l *Lab) close() {
	l.t.Helper()
	l.closed.Store(true)
	var errs []error
	for _, h := range l.hosts {
		errs = append(errs, h.kill())
	}
	if l.sw != nil {
		errs = append(errs, l.sw.kill())
	}
	if l.t.Failed() {
		l.t.Log(l.tails())
	}
	errs = append(errs, os.RemoveAll(l.dir))
	if err := errors.Join(errs...); err != nil {
		l.t.Error("netlab: taking down:", err)
	}
}

// watch prints the logs shortly before the test binary runs into its deadline, when
// no clean-up would run any more.
func (l *Lab) watch(deadline time.Time, ok bool) {
	if !ok {
		return
	}
	timer := time.AfterFunc(time.Until(deadline)-3*time.Second, func() {
		if !l.closed.Load() {
			fmt.Fprintf(os.Stderr, "netlab: %s is about to run into its deadline\n%s", l.t.Name(), l.tails())
		}
	})
	l.t.Cleanup(func() { timer.Stop() })
}

// tailBytes is how much of a log is printed.
const tailBytes = 64 << 10

// tails returns the end of every log of every host.
func (l *Lab) tails() string {
	var b strings.Builder
	for _, h := range l.hosts {
		names, _ := filepath.Glob(filepath.Join(h.logs(), "*"))
		for _, name := range names {
			fmt.Fprintf(&b, "---- host %d (%v): %s\n%s", h.index, h.Addr(), filepath.Base(name), tail(name, tailBytes))
		}
	}
	return b.String()
}

// tail returns the last n bytes of a file, from the beginning of a line.
func tail(name string, n int64) string {
	f, err := os.Open(name)
	if err != nil {
		return err.Error() + "\n"
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err.Error() + "\n"
	}
	from := max(0, st.Size()-n)
	b := make([]byte, st.Size()-from)
	k, _ := f.ReadAt(b, from) // what was written meanwhile does not matter
	text := string(b[:k])
	if from > 0 {
		if _, rest, ok := strings.Cut(text, "\n"); ok {
			text = fmt.Sprintf("(%d bytes before this)\n%s", from, rest)
		}
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// onSwitch runs a program in the switch's network.
func (l *Lab) onSwitch(stdin string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := execIn(ctx, l.sw.pid(), []string{"net"}, Cmd{Args: args, Stdin: strings.NewReader(stdin)})
	return err
}
