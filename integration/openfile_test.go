package integration

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/ring"
)

// stepsWanted is how many steps a random test makes: n, or SIGNET_STEPS.
func stepsWanted(t *testing.T, n int) int {
	t.Helper()
	s := os.Getenv("SIGNET_STEPS")
	if s == "" {
		return n
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal("SIGNET_STEPS:", err)
	}
	return n
}

// openFile is one file that several hosts have open in every way, and what it must hold.
type openFile struct {
	t     *testing.T
	rnd   *rand.Rand
	hosts []*ring.Host
	path  string
	want  []byte
	open  []*opened
	trace []string
}

// opened is a descriptor of the file, maybe mapped.
type opened struct {
	host   *ring.Host
	fd     int
	flags  int
	mapped int // number of the mapping; 0: none
	length int // of the mapping
}

const sharedSize = 100_000

func (s *openFile) note(h *ring.Host, format string, args ...any) {
	s.trace = append(s.trace, h.Name()+": "+fmt.Sprintf(format, args...))
}

func (s *openFile) fail(h *ring.Host, format string, args ...any) {
	s.t.Helper()
	from := max(0, len(s.trace)-25)
	s.t.Fatalf("%s: %s\nafter %d steps, the last of which are\n%s", h.Name(), fmt.Sprintf(format, args...), len(s.trace), strings.Join(s.trace[from:], "\n"))
}

// some returns a descriptor of which ok is true, nil if there is none.
func (s *openFile) some(ok func(*opened) bool) *opened {
	var list []*opened
	for _, o := range s.open {
		if ok(o) {
			list = append(list, o)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[s.rnd.IntN(len(list))]
}

func (o *opened) writes() bool { return o.flags&unix.O_ACCMODE != unix.O_RDONLY }
func (o *opened) reads() bool  { return o.flags&unix.O_ACCMODE != unix.O_WRONLY }

func (s *openFile) data() []byte {
	n := 1 + s.rnd.IntN(5000)
	if s.rnd.IntN(8) == 0 {
		n = 4096 * (1 + s.rnd.IntN(4))
	}
	return bytes.Repeat([]byte{byte('a' + s.rnd.IntN(26))}, n)
}

func (s *openFile) offset() int {
	if s.rnd.IntN(3) == 0 {
		return 4096 * s.rnd.IntN(sharedSize/2/4096)
	}
	return s.rnd.IntN(sharedSize / 2)
}

func (s *openFile) put(off int, data []byte) {
	if n := off + len(data); n > len(s.want) {
		s.want = append(s.want, make([]byte, n-len(s.want))...)
	}
	copy(s.want[off:], data)
}

// step makes one random call and compares its outcome.
func (s *openFile) step() {
	h := s.hosts[s.rnd.IntN(len(s.hosts))]
	switch s.rnd.IntN(14) {
	case 0:
		s.openOne(h)
	case 1:
		if len(s.open) > 4 {
			s.closeOne()
		}
	case 2, 3, 4:
		s.write()
	case 5, 6, 7, 8:
		s.read()
	case 9:
		s.stat(h)
	case 10:
		s.resize()
	case 11:
		s.remap()
	case 12, 13:
		s.peek()
	}
}

func (s *openFile) openOne(h *ring.Host) {
	if len(s.open) >= 12 {
		return
	}
	flags := []int{unix.O_RDONLY, unix.O_RDONLY, unix.O_RDWR, unix.O_RDWR, unix.O_WRONLY, unix.O_WRONLY | unix.O_APPEND}[s.rnd.IntN(6)]
	s.note(h, "open %#x", flags)
	s.open = append(s.open, &opened{host: h, fd: h.Open(s.path, flags), flags: flags})
	s.note(h, "  as %d", s.open[len(s.open)-1].fd)
}

func (s *openFile) closeOne() {
	i := s.rnd.IntN(len(s.open))
	o := s.open[i]
	s.open = append(s.open[:i], s.open[i+1:]...)
	s.note(o.host, "close %d", o.fd)
	if o.mapped != 0 {
		o.host.MustDo(ring.Call{Op: ring.OpUnmap, Map: o.mapped})
	}
	o.host.Close(o.fd)
}

func (s *openFile) write() {
	o := s.some((*opened).writes)
	if o == nil {
		return
	}
	data, off := s.data(), s.offset()
	if o.flags&unix.O_APPEND != 0 {
		off = len(s.want)
		if off+len(data) > sharedSize {
			return
		}
	}
	s.note(o.host, "write %d bytes of %c at %d through %d", len(data), data[0], off, o.fd)
	if r := o.host.MustDo(ring.Call{Op: ring.OpWrite, FD: o.fd, Off: int64(off), Data: data}); r.N != int64(len(data)) {
		s.fail(o.host, "%d bytes written of %d", r.N, len(data))
	}
	s.put(off, data)
}

func (s *openFile) read() {
	o := s.some((*opened).reads)
	if o == nil {
		return
	}
	off, n := s.offset(), 1+s.rnd.IntN(20_000)
	s.note(o.host, "read %d bytes at %d of %d through %d", n, off, len(s.want), o.fd)
	got := o.host.MustDo(ring.Call{Op: ring.OpRead, FD: o.fd, Off: int64(off), Len: int64(n)}).Data
	want := s.want[min(off, len(s.want)):min(off+n, len(s.want))]
	if d := ring.Difference(got, want); d != "" {
		s.fail(o.host, "read %d bytes at %d through %d (flags %#x): %s", n, off, o.fd, o.flags, d)
	}
}

func (s *openFile) stat(h *ring.Host) {
	s.note(h, "stat of %d bytes", len(s.want))
	if got := h.Stat(s.path); got.Size != int64(len(s.want)) {
		s.fail(h, "stat says %d bytes, want %d", got.Size, len(s.want))
	}
	if o := s.some(func(o *opened) bool { return o.host == h }); o != nil {
		if got := h.MustDo(ring.Call{Op: ring.OpStatFD, FD: o.fd}).Stat; got.Size != int64(len(s.want)) {
			s.fail(h, "fstat of %d says %d bytes, want %d", o.fd, got.Size, len(s.want))
		}
	}
}

func (s *openFile) resize() {
	o := s.some((*opened).writes)
	if o == nil || s.rnd.IntN(2) == 0 {
		return
	}
	size := s.rnd.IntN(sharedSize / 2)
	s.note(o.host, "truncate to %d through %d", size, o.fd)
	o.host.MustDo(ring.Call{Op: ring.OpTruncFD, FD: o.fd, Len: int64(size)})
	if size < len(s.want) {
		s.want = s.want[:size:size]
	} else {
		s.put(size, nil)
	}
}

// remap maps a descriptor for reading. The kernel refuses that where it may keep no pages.
func (s *openFile) remap() {
	o := s.some(func(o *opened) bool { return o.reads() && o.mapped == 0 })
	if o == nil || len(s.want) == 0 {
		return
	}
	r, err := o.host.Do(ring.Call{Op: ring.OpMap, FD: o.fd, Len: sharedSize})
	switch {
	case errors.Is(err, syscall.ENODEV):
		s.note(o.host, "map %d: refused", o.fd)
	case err != nil:
		s.fail(o.host, "map %d: %v", o.fd, err)
	default:
		o.mapped, o.length = r.Map, sharedSize
		s.note(o.host, "map %d", o.fd)
	}
}

// peek reads from a mapping, not beyond the end of the file. The kernel of a host learns
// that a file has grown elsewhere when it is asked for the size; a fault alone does not ask
// (docs/posix.md).
func (s *openFile) peek() {
	o := s.some(func(o *opened) bool { return o.mapped != 0 })
	if o == nil || len(s.want) == 0 {
		return
	}
	o.host.MustDo(ring.Call{Op: ring.OpStatFD, FD: o.fd})
	off := s.rnd.IntN(len(s.want))
	n := min(1+s.rnd.IntN(20_000), len(s.want)-off)
	s.note(o.host, "look at %d bytes at %d of %d through the mapping of %d", n, off, len(s.want), o.fd)
	got, err := o.host.Do(ring.Call{Op: ring.OpPeek, Map: o.mapped, Off: int64(off), Len: int64(n)})
	if err != nil {
		s.fail(o.host, "look at %d bytes at %d of %d through the mapping of %d: %v", n, off, len(s.want), o.fd, err)
	}
	if d := ring.Difference(got.Data, s.want[off:off+n]); d != "" {
		s.fail(o.host, "look at %d bytes at %d through the mapping of %d: %s", n, off, o.fd, d)
	}
}

// TestSharedFile has three hosts read, write, append to, truncate and map one file that
// they all have open, one call after the other: each sees what any has written when the
// call has returned, closed or not.
func TestSharedFile(t *testing.T) {
	r := ring.Start(t, 3)
	rnd := crash.Random(t)
	began := time.Now()
	steps := stepsWanted(t, 2500)
	for n := 0; n < steps; {
		s := &openFile{t: t, rnd: rnd, hosts: r.Hosts(), path: fmt.Sprintf("/shared%d", n)}
		h := s.hosts[rnd.IntN(3)]
		s.note(h, "create")
		s.open = append(s.open, &opened{host: h, fd: h.Open(s.path, unix.O_RDWR|unix.O_CREAT), flags: unix.O_RDWR})
		for range 250 {
			s.step()
			n++
		}
		for len(s.open) > 0 {
			s.closeOne()
		}
		for _, h := range s.hosts {
			h.WantFile(s.path, string(s.want))
		}
	}
	t.Logf("%d steps in %v", steps, time.Since(began).Round(time.Millisecond))
}

// TestAppendFromEverywhere has programs on three hosts append records to one file at the
// same time: all are there, each whole, those of one program in their order.
func TestAppendFromEverywhere(t *testing.T) {
	r := ring.Start(t, 3)
	const each = 100
	var wg sync.WaitGroup
	for i, h := range r.Hosts() {
		for _, who := range []string{"a", "b"} {
			seed := uint64(2*i) + uint64(who[0])
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, 1))
				fd := h.Open("/log", unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND)
				for k := range each {
					line := fmt.Sprintf("%d%s %d ", i, who, k)
					line += strings.Repeat(who, rnd.IntN(3000)) + "\n"
					if reply := h.MustDo(ring.Call{Op: ring.OpWrite, FD: fd, Data: []byte(line)}); reply.N != int64(len(line)) {
						t.Errorf("%d bytes written of %d", reply.N, len(line))
					}
				}
				h.Close(fd)
			})
		}
	}
	wg.Wait()
	for _, h := range r.Hosts() {
		next := map[string]int{}
		lines := strings.Split(strings.TrimSuffix(h.Read("/log"), "\n"), "\n")
		if len(lines) != 6*each {
			t.Fatalf("%s: %d lines, want %d", h.Name(), len(lines), 6*each)
		}
		for _, l := range lines {
			f := strings.Split(l, " ")
			if len(f) != 3 || strings.Trim(f[2], f[0][len(f[0])-1:]) != "" {
				t.Fatalf("%s: a torn line: %.80q", h.Name(), l)
			}
			if f[1] != strconv.Itoa(next[f[0]]) {
				t.Fatalf("%s: %s %s came when %d was due", h.Name(), f[0], f[1], next[f[0]])
			}
			next[f[0]]++
		}
	}
}

// TestOwnerGone takes away the host that is writing a file: killed, frozen or cut off. The
// others wait for it no longer than its lease lasts, find what it had synced, and write
// on. When it is back its program is told that the rest is lost, and nothing of that
// comes back.
func TestOwnerGone(t *testing.T) {
	r := ring.Start(t, 3)
	owner, b, c := r.Host(2), r.Host(0), r.Host(1)
	for _, how := range []string{"freeze", "cut", "kill"} {
		path := "/" + how
		b.Write(path, "")
		before := b.Open(path, unix.O_RDONLY) // so it reads from its kernel's pages
		fd := owner.Open(path, unix.O_RDWR)
		write := func(text string, off int64) error {
			_, err := owner.Do(ring.Call{Op: ring.OpWrite, FD: fd, Data: []byte(text), Off: off})
			return err
		}
		if err := write("synced", 0); err != nil {
			t.Fatal(err)
		}
		owner.MustDo(ring.Call{Op: ring.OpSync, FD: fd})
		if err := write("buffered", 6); err != nil {
			t.Fatal(err)
		}
		switch how {
		case "freeze":
			owner.Freeze()
		case "cut":
			owner.Cut()
		case "kill":
			owner.Kill()
		}
		began := time.Now()
		if got := c.Stat(path).Size; got != 6 {
			t.Errorf("%s: stat says %d bytes, want what was synced", how, got)
		}
		stat := time.Since(began)
		if got := string(b.MustDo(ring.Call{Op: ring.OpRead, FD: before, Len: 100}).Data); got != "synced" {
			t.Errorf("%s: read %q, want what was synced", how, got)
		}
		other := c.Open(path, unix.O_RDWR)
		c.MustDo(ring.Call{Op: ring.OpWrite, FD: other, Data: []byte("SYNC")})
		t.Logf("%s: stat after %v, written to after %v", how, stat.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		if got := string(b.MustDo(ring.Call{Op: ring.OpRead, FD: before, Len: 100}).Data); got != "SYNCed" {
			t.Errorf("%s: read %q after it was written on", how, got)
		}
		switch how {
		case "freeze":
			owner.Thaw()
		case "cut":
			r.Heal()
		case "kill":
			owner.Boot()
			owner.WantFile(path, "SYNCed")
		}
		if how != "kill" {
			r.Eventually(10*time.Second, "the owner to be told", func() error {
				if err := write("more", 6); !errors.Is(err, syscall.EIO) {
					return fmt.Errorf("write: %w", errOr(err))
				}
				return nil
			})
			_, _ = owner.Do(ring.Call{Op: ring.OpClose, FD: fd})
		}
		c.Close(other)
		b.Close(before)
		for _, h := range r.Hosts() {
			h.WantFile(path, "SYNCed")
		}
	}
}

// TestSharedMappings maps a file shared and writable on one host while another opens it
// for writing, in both orders: who comes second is refused, and nobody's bytes are lost.
func TestSharedMappings(t *testing.T) {
	r := ring.Start(t, 2)
	a, b := r.Host(0), r.Host(1)
	a.Write("/f", strings.Repeat("-", 8192))
	open := func(h *ring.Host) int { return h.Open("/f", unix.O_RDWR) }
	mapping := ring.Call{Op: ring.OpMap, Len: 8192, Flags: 1}

	fa := open(a)
	mapping.FD = fa
	m := a.MustDo(mapping).Map
	a.MustDo(ring.Call{Op: ring.OpPoke, Map: m, Off: 10, Data: []byte("mapped")})
	b.WantErr(ring.Call{Op: ring.OpOpen, Path: "/f", Flags: unix.O_RDWR}, syscall.EBUSY)
	b.WantErr(ring.Call{Op: ring.OpOpen, Path: "/f", Flags: unix.O_WRONLY | unix.O_TRUNC}, syscall.EBUSY)
	a.MustDo(ring.Call{Op: ring.OpMapSync, Map: m})
	if got := b.Read("/f")[10:16]; got != "mapped" {
		t.Errorf("after msync the other host reads %q", got)
	}
	a.Close(fa) // the mapping has it open still
	b.WantErr(ring.Call{Op: ring.OpOpen, Path: "/f", Flags: unix.O_RDWR}, syscall.EBUSY)
	a.MustDo(ring.Call{Op: ring.OpUnmap, Map: m})

	fb := open(b)
	b.MustDo(ring.Call{Op: ring.OpWrite, FD: fb, Data: []byte("b")})
	fa = open(a)
	mapping.FD = fa
	a.WantErr(mapping, syscall.ENODEV)
	mapping.Flags = 0
	a.WantErr(mapping, syscall.ENODEV) // for reading too: the kernel could not be made to look again
	private := a.MustDo(ring.Call{Op: ring.OpMap, FD: fa, Len: 8192, Flags: 2}).Map
	if got := string(a.MustDo(ring.Call{Op: ring.OpPeek, Map: private, Off: 0, Len: 1}).Data); got != "b" {
		t.Errorf("a private mapping shows %q", got)
	}
	a.MustDo(ring.Call{Op: ring.OpUnmap, Map: private})
	a.Close(fa)
	b.Close(fb)
	fa = open(a)
	mapping.FD, mapping.Flags = fa, 1
	a.MustDo(ring.Call{Op: ring.OpUnmap, Map: a.MustDo(mapping).Map})
	a.Close(fa)
}

func errOr(err error) error {
	if err == nil {
		return errors.New("it succeeded")
	}
	return err
}
