package fuse

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/need"
)

// limitOf is how long a test here may take before it is a hang.
const limitOf = 20 * time.Second

// fake is a volume that answers what a test wants. A method whose function is nil
// panics, as no test means to call it.
type fake struct {
	volume
	lookup  func(r *fs.Request, parent signet.Ino, name string) (fs.Entry, error)
	mkdir   func(r *fs.Request, parent signet.Ino, name string, mode uint32) (fs.Entry, error)
	setAttr func(r *fs.Request, ino signet.Ino, c fs.AttrChange) (signet.Attr, time.Duration, error)
	getAttr func(r *fs.Request, ino signet.Ino) (signet.Attr, time.Duration, error)
	rename  func(r *fs.Request, p signet.Ino, n string, np signet.Ino, nn string, flags uint32) error
	create  func(r *fs.Request, p signet.Ino, name string, mode, flags uint32) (fs.Entry, fs.Handle, fs.OpenFlags, error)
	read    func(r *fs.Request, h fs.Handle, off int64, dst []byte, flags uint32) (int, error)
	write   func(r *fs.Request, h fs.Handle, off int64, data []byte, flags uint32) (int, error)
	readDir func(r *fs.Request, h fs.Handle, cookie uint64, limit int, emit func(fs.DirEntry) bool) error
	release func(r *fs.Request, h fs.Handle)
	xattr   func(r *fs.Request, ino signet.Ino, name string) ([]byte, error)
	setLock func(r *fs.Request, h fs.Handle, l fs.Lock, wait bool) error
	list    func(r *fs.Request, ino signet.Ino) ([]string, error)
}

func (f *fake) Lookup(r *fs.Request, p signet.Ino, n string) (fs.Entry, error) {
	return f.lookup(r, p, n)
}
func (f *fake) Mkdir(r *fs.Request, p signet.Ino, n string, mode uint32) (fs.Entry, error) {
	return f.mkdir(r, p, n, mode)
}
func (f *fake) SetAttr(r *fs.Request, ino signet.Ino, c fs.AttrChange) (signet.Attr, time.Duration, error) {
	return f.setAttr(r, ino, c)
}
func (f *fake) GetAttr(r *fs.Request, ino signet.Ino) (signet.Attr, time.Duration, error) {
	return f.getAttr(r, ino)
}
func (f *fake) Rename(r *fs.Request, p signet.Ino, n string, np signet.Ino, nn string, fl uint32) error {
	return f.rename(r, p, n, np, nn, fl)
}
func (f *fake) Create(r *fs.Request, p signet.Ino, n string, mode, fl uint32) (fs.Entry, fs.Handle, fs.OpenFlags, error) {
	return f.create(r, p, n, mode, fl)
}
func (f *fake) Read(r *fs.Request, h fs.Handle, off int64, dst []byte, fl uint32) (int, error) {
	return f.read(r, h, off, dst, fl)
}
func (f *fake) Write(r *fs.Request, h fs.Handle, off int64, data []byte, fl uint32) (int, error) {
	return f.write(r, h, off, data, fl)
}
func (f *fake) ReadDir(r *fs.Request, h fs.Handle, c uint64, limit int, emit func(fs.DirEntry) bool) error {
	return f.readDir(r, h, c, limit, emit)
}
func (f *fake) SetLock(r *fs.Request, h fs.Handle, l fs.Lock, wait bool) error {
	return f.setLock(r, h, l, wait)
}
func (f *fake) Release(r *fs.Request, h fs.Handle) { f.release(r, h) }
func (f *fake) GetXattr(r *fs.Request, ino signet.Ino, n string) ([]byte, error) {
	return f.xattr(r, ino, n)
}
func (f *fake) ListXattr(r *fs.Request, ino signet.Ino) ([]string, error) { return f.list(r, ino) }

// kernel pretends to be the kernel, at the other end of a socket pair.
type kernel struct {
	t      testing.TB
	fd     int
	server *server
	unique uint64
	closed bool
	buf    []byte
}

// connect starts a server for v with a pretended kernel. The server has ended when
// the test has, or the test fails.
func connect(t testing.TB, v volume, clk clock.Clock) *kernel {
	t.Helper()
	k := pair(t, v, clk)
	k.init(0)
	k.server.start()
	t.Cleanup(func() {
		k.close()
		within20(t, k.server.done, "the server to end")
	})
	return k
}

// pair makes a server that has not begun.
func pair(t testing.TB, v volume, clk clock.Clock) *kernel {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20); err != nil {
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<20)
		}
	}
	tv := unix.NsecToTimeval(int64(limitOf))
	if err := unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	s := newServer(&conn{fd: fds[1]}, v, clk, slog.New(slog.DiscardHandler), func(any, []byte) {})
	return &kernel{t: t, fd: fds[0], server: s, unique: 2}
}

// needLarge skips the test if messages of a MiB do not pass: raising the buffer of a
// socket that far takes root.
func (k *kernel) needLarge() {
	k.t.Helper()
	n, err := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	need.That(k.t, err == nil && n >= 2*largeBuffer, "root, for a socket buffer of 2 MiB")
}

// init plays the first request. Flags 0 stand for all that Linux 6.18 offers.
func (k *kernel) init(minor uint32) {
	k.t.Helper()
	if minor == 0 {
		minor = 45
	}
	done := make(chan error, 1)
	go func() { done <- k.server.initialise() }()
	k.send(opInit, 0, u32(7, minor, 131072, 0xf3ffffff, 0x1ff), make([]byte, 44))
	if err := <-done; err != nil {
		k.t.Fatal("INIT:", err)
	}
	if _, e, body := k.recv(); e != 0 || len(body) != 64 {
		k.t.Fatalf("INIT was answered with errno %d and %d bytes", e, len(body))
	}
}

func (k *kernel) close() {
	if !k.closed {
		k.closed = true
		unix.Close(k.fd)
	}
}

// send sends a request as uid 1000, gid 100, pid 4242 and returns its number.
func (k *kernel) send(opcode uint32, node uint64, body ...[]byte) uint64 {
	k.t.Helper()
	k.unique += 2
	msg := u32(0, opcode)
	msg = append(msg, u64(k.unique, node)...)
	msg = append(msg, u32(1000, 100, 4242, 0)...)
	for _, b := range body {
		msg = append(msg, b...)
	}
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	k.raw(msg)
	return k.unique
}

func (k *kernel) raw(msg []byte) {
	k.t.Helper()
	if _, err := unix.Write(k.fd, msg); err != nil {
		k.t.Fatal("send:", err)
	}
}

// recv takes one answer or notification: its number, errno (negative: the code of a
// notification) and body.
func (k *kernel) recv() (unique uint64, errno int32, body []byte) {
	k.t.Helper()
	if k.buf == nil {
		k.buf = make([]byte, 2<<20)
	}
	buf := k.buf
	n, err := unix.Read(k.fd, buf)
	for err == syscall.EINTR {
		n, err = unix.Read(k.fd, buf)
	}
	if err != nil {
		k.t.Fatal("no answer came:", err)
	}
	if n < outHeaderSize || int(native.Uint32(buf)) != n {
		k.t.Fatalf("an answer of %d bytes says that it has %d", n, native.Uint32(buf))
	}
	return native.Uint64(buf[8:]), -int32(native.Uint32(buf[4:])), bytes.Clone(buf[outHeaderSize:n])
}

// call sends a request and returns its answer.
func (k *kernel) call(opcode uint32, node uint64, body ...[]byte) (int32, []byte) {
	k.t.Helper()
	want := k.send(opcode, node, body...)
	got, e, b := k.recv()
	if got != want {
		k.t.Fatalf("the answer is to request %d, want %d", got, want)
	}
	return e, b
}

func u32(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.NativeEndian.AppendUint32(b, x)
	}
	return b
}

func u64(v ...uint64) []byte {
	var b []byte
	for _, x := range v {
		b = binary.NativeEndian.AppendUint64(b, x)
	}
	return b
}

func z(s string) []byte { return append([]byte(s), 0) }

// within20 fails the test if c is not closed in time.
func within20(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(limitOf):
		t.Fatalf("waited %v for %s", limitOf, what)
	}
}

// held is a handler that waits for its request's context, or to be let go.
type held struct {
	in, let chan struct{}
}

func newHeld() *held { return &held{in: make(chan struct{}, 10000), let: make(chan struct{})} }

func (h *held) wait(ctx context.Context) error {
	h.in <- struct{}{}
	select {
	case <-ctx.Done():
		return signet.Wrap("wait", "", ctx.Err())
	case <-h.let:
		return nil
	}
}

// entered waits until n requests are in the handler.
func (h *held) entered(t testing.TB, n int) {
	t.Helper()
	for range n {
		select {
		case <-h.in:
		case <-time.After(limitOf):
			t.Fatal("the requests did not arrive")
		}
	}
}

var errTest = errors.New("as the test wants it")
