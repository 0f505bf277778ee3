package fuse

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/internal/clock"
)

// holding is a volume whose lookups are immediate and whose mkdirs are held.
func holding(h *held) *fake {
	return &fake{
		lookup: func(*fs.Request, signet.Ino, string) (fs.Entry, error) { return fs.Entry{Attr: sample}, nil },
		mkdir: func(r *fs.Request, _ signet.Ino, _ string, _ uint32) (fs.Entry, error) {
			return fs.Entry{Attr: sample}, h.wait(r.Ctx)
		},
		write: func(r *fs.Request, _ fs.Handle, _ int64, data []byte, _ uint32) (int, error) {
			return len(data), h.wait(r.Ctx)
		},
		read: func(r *fs.Request, _ fs.Handle, _ int64, dst []byte, _ uint32) (int, error) {
			return len(dst), h.wait(r.Ctx)
		},
		release: func(*fs.Request, fs.Handle) {},
	}
}

const (
	opMkdir = 9
	opWrite = 16
)

func mkdirBody() []byte { return append(u32(0o755, 0), z("x")...) }

func writeBody(n int) []byte {
	return bytes.Join([][]byte{u64(1, 0), u32(uint32(n), 0), u64(0), u32(0, 0), make([]byte, n)}, nil)
}

func TestInterruptEndsTheRightRequest(t *testing.T) {
	t.Parallel()
	h := newHeld()
	k := connect(t, holding(h), clock.Real())
	var u [3]uint64
	for i := range u {
		u[i] = k.send(opMkdir, 1, mkdirBody())
	}
	h.entered(t, 3)
	k.interrupt(u[1])
	if got, e, _ := k.recv(); got != u[1] || e != int32(syscall.EINTR) {
		t.Errorf("request %d got errno %d, want %d to be interrupted", got, e, u[1])
	}
	close(h.let)
	for range 2 {
		if got, e, _ := k.recv(); got == u[1] || e != 0 {
			t.Errorf("request %d got errno %d", got, e)
		}
	}
}

// interrupt sends INTERRUPT as the kernel does, with the request's own number and
// the lowest bit set.
func (k *kernel) interrupt(unique uint64) {
	k.t.Helper()
	msg := append(u32(48, opInterrupt), u64(unique|1, 0)...)
	k.raw(append(append(msg, u32(0, 0, 0, 0)...), u64(unique)...))
}

func TestInterruptOfNobodyIsToBeRepeated(t *testing.T) {
	t.Parallel()
	k := connect(t, &fake{}, clock.Real())
	k.interrupt(1000)
	if u, e, _ := k.recv(); u != 1001 || e != int32(syscall.EAGAIN) {
		t.Errorf("unique %d, errno %d", u, e)
	}
}

func TestInterruptIsHeardWhateverWaits(t *testing.T) {
	t.Parallel()
	h := newHeld()
	k := connect(t, holding(h), clock.Real())
	const n = 500
	waiting := map[uint64]bool{}
	for range n {
		waiting[k.send(opMkdir, 1, mkdirBody())] = true
	}
	h.entered(t, n)
	if e, _ := k.call(opLookup, 1, z("x")); e != 0 {
		t.Errorf("lookup beside %d held requests: errno %d", n, e)
	}
	for range 1000 { // want no answer and start no work
		k.send(opForget, 7, u64(1))
	}
	for u := range waiting {
		k.interrupt(u)
	}
	for range n {
		u, e, _ := k.recv()
		if !waiting[u] || e != int32(syscall.EINTR) {
			t.Fatalf("request %d got errno %d", u, e)
		}
		delete(waiting, u)
	}
	if e, _ := k.call(opLookup, 1, z("x")); e != 0 {
		t.Errorf("afterwards: errno %d", e)
	}
}

func TestLargeRequestsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHeld()
	clk := clock.NewManual(time.Unix(1, 0))
	k := connect(t, holding(h), clk)
	for range largeIn {
		k.send(opWrite, 1, writeBody(2*smallBuffer))
	}
	h.entered(t, largeIn)
	if e, _ := k.call(opLookup, 1, z("x")); e != 0 {
		t.Errorf("a small request at the limit: errno %d", e)
	}
	over := k.send(opWrite, 1, writeBody(2*smallBuffer))
	ctx, cancel := context.WithTimeout(t.Context(), limitOf)
	defer cancel()
	if err := clk.WaitFor(ctx, 1); err != nil {
		t.Fatal("the request over the limit does not wait:", err)
	}
	clk.Advance(patience)
	if u, e, _ := k.recv(); u != over || e != int32(syscall.EAGAIN) {
		t.Errorf("over the limit: request %d got errno %d", u, e)
	}
	if e, _ := k.call(opLookup, 1, z("x")); e != 0 {
		t.Errorf("after the refusal: errno %d", e)
	}
	over = k.send(opWrite, 1, writeBody(2*smallBuffer))
	if err := clk.WaitFor(ctx, 1); err != nil {
		t.Fatal(err)
	}
	close(h.let)
	seen := false
	for range largeIn + 1 {
		u, e, _ := k.recv()
		if e != 0 {
			t.Fatalf("request %d got errno %d", u, e)
		}
		seen = seen || u == over
	}
	if !seen {
		t.Error("the request that had to wait got no answer")
	}
}

func TestLargeAnswersAreBounded(t *testing.T) {
	t.Parallel()
	h := newHeld()
	k := connect(t, holding(h), clock.Real())
	k.needLarge()
	read := func() uint64 { return k.send(opRead, 1, u64(1, 0), u32(maxWrite, 0), u64(0), u32(0, 0)) }
	for range largeOut {
		read()
	}
	h.entered(t, largeOut)
	over := read()
	k.server.untilKnown(t, over)
	k.interrupt(over) // it waits for memory, and can be interrupted in that
	if u, e, _ := k.recv(); u != over || e != int32(syscall.EINTR) {
		t.Errorf("request %d got errno %d", u, e)
	}
	close(h.let)
	for range largeOut {
		if u, e, b := k.recv(); e != 0 || len(b) != maxWrite {
			t.Fatalf("request %d got errno %d, %d bytes", u, e, len(b))
		}
	}
}

// untilKnown waits until the request is in the table.
func (s *server) untilKnown(t testing.TB, unique uint64) {
	t.Helper()
	for end := time.Now().Add(limitOf); s.calls.get(unique) == nil; {
		if time.Now().After(end) {
			t.Fatal("the request did not arrive")
		}
	}
}

func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHeld()
	clk := clock.NewManual(time.Unix(1, 0))
	k := connect(t, holding(h), clk)
	for range maxCalls {
		k.send(opMkdir, 1, mkdirBody())
	}
	h.entered(t, maxCalls)
	over := k.send(opLookup, 1, z("x"))
	ctx, cancel := context.WithTimeout(t.Context(), limitOf)
	defer cancel()
	if err := clk.WaitFor(ctx, 1); err != nil {
		t.Fatal(err)
	}
	clk.Advance(patience)
	if u, e, _ := k.recv(); u != over || e != int32(syscall.EAGAIN) {
		t.Errorf("over the limit: request %d got errno %d", u, e)
	}
	if e, _ := k.call(opRelease, 1, u64(1), u32(0, 0), u64(0)); e != 0 {
		t.Errorf("a RELEASE must always be served: errno %d", e)
	}
	close(h.let)
	for range maxCalls {
		k.recv()
	}
}

// TestLockWaitsAreBounded: as many as may wait for locks take no room from other requests.
func TestLockWaitsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHeld()
	v := holding(h)
	v.setLock = func(r *fs.Request, fh fs.Handle, l fs.Lock, wait bool) error {
		if want := (fs.Lock{Kind: signet.LockPOSIX, Type: signet.LockWrite, Start: 5, End: 9, PID: 77, Owner: 3}); l != want || fh != 1 || !wait {
			t.Errorf("%+v", l)
		}
		return h.wait(r.Ctx)
	}
	k := connect(t, v, clock.Real())
	lock := bytes.Join([][]byte{u64(1, 3, 5, 9), u32(syscall.F_WRLCK, 77, 0, 0)}, nil)
	var first uint64
	for i := range maxLockWaits {
		u := k.send(opSetlkw, 5, lock)
		if i == 0 {
			first = u
		}
	}
	h.entered(t, maxLockWaits)
	if e, _ := k.call(opSetlkw, 5, lock); e != int32(syscall.ENOLCK) {
		t.Errorf("one too many: errno %d", e)
	}
	if e, _ := k.call(opLookup, 1, z("a")); e != 0 {
		t.Errorf("a lookup meanwhile: errno %d", e)
	}
	k.interrupt(first)
	if u, e, _ := k.recv(); u != first || e != int32(syscall.EINTR) {
		t.Errorf("request %d: errno %d", u, e)
	}
	close(h.let)
}

func TestIdleWorkersGo(t *testing.T) {
	t.Parallel()
	h := newHeld()
	k := connect(t, holding(h), clock.Real())
	for range 100 {
		k.send(opMkdir, 1, mkdirBody())
	}
	h.entered(t, 100)
	close(h.let)
	for range 100 {
		k.recv()
	}
	for end := time.Now().Add(limitOf); ; {
		if n := k.server.reading.Load(); n >= 1 && n <= idleReaders && len(k.server.served) == 0 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%d workers read, %d requests are served", n, len(k.server.served))
		}
	}
}

func TestTheEndEndsEveryCall(t *testing.T) {
	t.Parallel()
	h := newHeld()
	var ended atomic.Int32
	v := holding(h)
	v.mkdir = func(r *fs.Request, _ signet.Ino, _ string, _ uint32) (fs.Entry, error) {
		err := h.wait(r.Ctx)
		ended.Add(1)
		return fs.Entry{}, err
	}
	k := connect(t, v, clock.Real())
	for range 50 {
		k.send(opMkdir, 1, mkdirBody())
	}
	h.entered(t, 50)
	device := func() string { // another test may have its number by now, so its name is asked for
		name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", k.server.conn.fd))
		return name
	}
	open := device()
	if open == "" {
		t.Fatal("the descriptor has no name")
	}
	k.close()
	within20(t, k.server.done, "the server to end")
	if ended.Load() != 50 {
		t.Errorf("%d of 50 handlers have ended", ended.Load())
	}
	if err := k.server.err; err != nil {
		t.Errorf("an unmount is no failure: %v", err)
	}
	if device() == open {
		t.Errorf("the descriptor %s is still open", open)
	}
	if err := k.server.DropNames(); err != nil {
		t.Errorf("a notification after the end: %v", err)
	}
	k.server.DropAttr(1)
	late := &call{req: fs.Request{Unique: 8}}
	k.server.calls.add(late)
	if late.ctx.Err() == nil {
		t.Error("a call that comes after the end may wait")
	}
}

func TestDeviceThatAlwaysFails(t *testing.T) {
	t.Parallel()
	k := pair(t, &fake{}, clock.Real())
	k.init(0)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	k.close()
	k.server.conn.close()
	k.server.conn = &conn{fd: p[1]} // cannot be read
	k.server.start()
	within20(t, k.server.done, "the server to give up")
	if k.server.err == nil {
		t.Error("it ended without saying why")
	}
	unix.Close(p[0])
}

func TestNotificationsByteForByte(t *testing.T) {
	t.Parallel()
	k := connect(t, &fake{}, clock.Real())
	for _, c := range []struct {
		name string
		do   func() error
		code int32
		body []byte
	}{
		{"names", k.server.DropNames, 8, nil},
		{"attributes", func() error { k.server.DropAttr(77); return nil }, 2, u64(77, ^uint64(0), 0)},
		{"pages", func() error { k.server.DropPages(77, 4096, 8192); return nil }, 2, u64(77, 4096, 8192)},
		{"pages to the end", func() error { k.server.DropPages(77, 1, -1); return nil }, 2, u64(77, 1, 0)},
		{"no pages", func() error { k.server.DropPages(77, 1, 0); return nil }, 2, u64(77, ^uint64(0), 0)},
		{"pages beyond the largest offset", func() error { k.server.DropPages(77, math.MaxInt64, 4096); return nil }, 2, u64(77, math.MaxInt64-4096, 4096)},
	} {
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if u, code, body := k.recv(); u != 0 || code != -c.code || !bytes.Equal(body, c.body) {
			t.Errorf("%s: unique %d, code %d, %x, want code %d, %x", c.name, u, -code, body, c.code, c.body)
		}
	}
}

func TestOldKernelsCannotForgetNames(t *testing.T) {
	t.Parallel()
	k := pair(t, &fake{}, clock.Real())
	k.init(43)
	if err := k.server.DropNames(); signet.KindOf(err) != signet.NotSupported {
		t.Errorf("DropNames on FUSE 7.43: %v", err)
	}
	k.close()
	k.server.conn.close()
}

// FuzzRequest sends anything as a request: the loop must live, and answer the next.
func FuzzRequest(f *testing.F) {
	f.Add(uint32(opLookup), uint64(1), z("name"))
	f.Add(uint32(opWrite), uint64(1), writeBody(10))
	f.Add(uint32(opMkdir), uint64(1), mkdirBody())
	f.Add(uint32(opGetxattr), uint64(1), append(u32(100, 0), z("user.a")...))
	f.Add(uint32(opReaddir), uint64(1), bytes.Join([][]byte{u64(1, 0), u32(4096, 0), u64(0), u32(0, 0)}, nil))
	f.Add(uint32(opInterrupt), uint64(0), u64(4))
	f.Add(uint32(opBatchForget), uint64(0), u32(1<<31, 0))
	f.Add(uint32(opNotifyReply), uint64(0), make([]byte, 48))
	f.Add(uint32(39), uint64(1), make([]byte, 32))
	f.Add(uint32(21), uint64(1), append(u32(5, 0), []byte("user.a")...))
	f.Fuzz(func(t *testing.T, op uint32, node uint64, body []byte) {
		if op == opInit {
			return // a second INIT is the kernel's privilege
		}
		k := connect(t, anything{}, clock.Real())
		k.server.panicked = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
		k.send(op, node, body[:min(len(body), maxWrite)])
		want := k.send(opLookup, 1, z("x"))
		for {
			if u, e, _ := k.recv(); u == want {
				if e != 0 {
					t.Errorf("the request after it: errno %d", e)
				}
				return
			}
		}
	})
}
