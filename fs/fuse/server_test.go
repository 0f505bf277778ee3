package fuse

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/internal/clock"
)

var sample = signet.Attr{
	Ino: 77, Mode: signet.ModeRegular | 0o640, Nlink: 2, UID: 5, GID: 6, Size: 1000, Bytes: 513,
	Atime: signet.Time{Sec: -1, Nsec: 1}, Mtime: signet.Time{Sec: 2, Nsec: 3}, Ctime: signet.Time{Sec: 4, Nsec: 5}, Btime: signet.Time{Sec: 6, Nsec: 7},
}

// sampleBytes is sample as struct fuse_attr.
var sampleBytes = bytes.Join([][]byte{
	u64(77, 1000, 2, ^uint64(0), 2, 4), u32(1, 3, 5, 0o100640, 2, 5, 6, 0, 65536, 0),
}, nil)

func TestInit(t *testing.T) {
	t.Parallel()
	k := connect(t, &fake{}, clock.Real())
	n := &k.server.kernel
	must := uint64(gofuse.CAP_EXPLICIT_INVAL_DATA | gofuse.CAP_POSIX_LOCKS | gofuse.CAP_FLOCK_LOCKS | gofuse.CAP_ATOMIC_O_TRUNC |
		gofuse.CAP_POSIX_ACL | gofuse.CAP_DONT_MASK | gofuse.CAP_SETXATTR_EXT | gofuse.CAP_ASYNC_DIO | gofuse.CAP_ASYNC_READ | gofuse.CAP_HANDLE_KILLPRIV_V2 | gofuse.CAP_PARALLEL_DIROPS | gofuse.CAP_CACHE_SYMLINKS | gofuse.CAP_BIG_WRITES | gofuse.CAP_MAX_PAGES)
	if !n.has(must) {
		t.Errorf("missing capabilities: %#x", must&^n.flags)
	}
	never := uint64(gofuse.CAP_WRITEBACK_CACHE | gofuse.CAP_AUTO_INVAL_DATA |
		gofuse.CAP_PASSTHROUGH | gofuse.CAP_OVER_IO_URING | gofuse.CAP_NO_OPEN_SUPPORT | gofuse.CAP_SPLICE_READ |
		gofuse.CAP_READDIRPLUS | gofuse.CAP_READDIRPLUS_AUTO)
	if n.flags&never != 0 {
		t.Errorf("capabilities that must not be: %#x", never&n.flags)
	}
	if n.minor != 45 || n.maxWrite != 1<<20 || n.maxPages != 256 {
		t.Errorf("negotiated %+v", n)
	}
}

func TestInitRefusesOldKernels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body []byte
		want signet.Kind
	}{
		{u32(8, 0, 0, 0, 0), signet.WrongVersion},
		{u32(7, 8, 0, 0, 0), signet.WrongVersion},
		{u32(7, 26, 0, 0, 0), signet.NotSupported}, // before Linux 5.2
	} {
		k := pair(t, &fake{}, clock.Real())
		done := make(chan error, 1)
		go func() { done <- k.server.initialise() }()
		k.send(opInit, 0, c.body, make([]byte, 44))
		if err := <-done; signet.KindOf(err) != c.want {
			t.Errorf("%x: %v, want %v", c.body, err, c.want)
		}
		k.close()
		k.server.conn.close()
	}
}

func TestLookupByteForByte(t *testing.T) {
	t.Parallel()
	v := &fake{lookup: func(r *fs.Request, p signet.Ino, n string) (fs.Entry, error) {
		if r.UID != 1000 || r.GID != 100 || r.PID != 4242 || r.Umask != 0 || r.Ctx.Err() != nil {
			return fs.Entry{}, fmt.Errorf("request %+v", r)
		}
		if p == 9 && n == "name" {
			return fs.Entry{Attr: sample, EntryTTL: 1500 * time.Millisecond, AttrTTL: time.Hour}, nil
		}
		return fs.Entry{}, signet.NotFound
	}}
	k := connect(t, v, clock.Real())
	e, body := k.call(opLookup, 9, z("name"))
	want := bytes.Join([][]byte{u64(77, 1, 1, 3600), u32(500000000, 0), sampleBytes}, nil)
	if e != 0 || !bytes.Equal(body, want) {
		t.Errorf("errno %d\n%s\nwant\n%s", e, hex.Dump(body), hex.Dump(want))
	}
	if e, body := k.call(opLookup, 9, z("other")); e != int32(syscall.ENOENT) || len(body) != 0 {
		t.Errorf("missing name: errno %d, %d bytes", e, len(body))
	}
}

func TestReservedName(t *testing.T) {
	t.Parallel()
	k := connect(t, &fake{}, clock.Real())
	if e, _ := k.call(opLookup, 1, z(".go-fuse-epoll-hack")); e != int32(syscall.ENOENT) {
		t.Errorf("lookup: errno %d", e)
	}
	if e, _ := k.call(9, 1, u32(0o755, 0), z(".go-fuse-epoll-hack")); e != int32(syscall.EPERM) {
		t.Errorf("mkdir: errno %d", e)
	}
}

func TestSetAttr(t *testing.T) {
	t.Parallel()
	var got fs.AttrChange
	v := &fake{setAttr: func(_ *fs.Request, ino signet.Ino, c fs.AttrChange) (signet.Attr, time.Duration, error) {
		got = c
		return sample, 0, nil
	}}
	k := connect(t, v, clock.Real())
	set := func(valid uint32) []byte {
		return bytes.Join([][]byte{u32(valid, 0), u64(0, 4096, 0, 1, 2, 3), u32(4, 5, 6, 0o104755, 0, 7, 8, 0)}, nil)
	}
	e, body := k.call(4, 77, set(1|2|4|8|16|32|1<<11))
	want := fs.AttrChange{
		Set: signet.SetMode | signet.SetUID | signet.SetGID | signet.SetSize | signet.SetAtime | signet.SetMtime, Mode: 0o4755, UID: 7, GID: 8, Size: 4096,
		Atime: signet.Time{Sec: 1, Nsec: 4}, Mtime: signet.Time{Sec: 2, Nsec: 5}, Ctime: signet.Time{Sec: 3, Nsec: 6}, KillPriv: true,
	}
	if e != 0 || got != want {
		t.Errorf("errno %d, change %+v, want %+v", e, got, want)
	}
	if wantBody := append(append(u64(0), u32(0, 0)...), sampleBytes...); !bytes.Equal(body, wantBody) {
		t.Errorf("answer\n%s", hex.Dump(body))
	}
	if k.call(4, 77, set(1<<7|1<<8)); !got.AtimeNow || !got.MtimeNow || got.Set != signet.SetAtime|signet.SetMtime {
		t.Errorf("now: %+v", got)
	}
}

func TestStatx(t *testing.T) {
	t.Parallel()
	a := sample
	a.Rdev = 0x12345678
	v := &fake{getAttr: func(*fs.Request, signet.Ino) (signet.Attr, time.Duration, error) { return a, time.Second, nil }}
	k := connect(t, v, clock.Real())
	e, b := k.call(52, 77, u32(0, 0), u64(0), u32(0, 0xfff))
	if e != 0 || len(b) != 288 {
		t.Fatalf("errno %d, %d bytes", e, len(b))
	}
	sx := b[32:] // struct fuse_statx
	if mask, ino, size := native.Uint32(sx), native.Uint64(sx[32:]), native.Uint64(sx[40:]); mask != 0xfff || ino != 77 || size != 1000 {
		t.Errorf("mask %#x ino %d size %d", mask, ino, size)
	}
	if sec, nsec := native.Uint64(sx[80:]), native.Uint32(sx[88:]); sec != 6 || nsec != 7 {
		t.Errorf("created at %d.%d", sec, nsec)
	}
	if major, minor := native.Uint32(sx[128:]), native.Uint32(sx[132:]); major != 0x456 || minor != 0x12378 {
		t.Errorf("device %#x:%#x", major, minor)
	}
}

func TestCreateAndRename(t *testing.T) {
	t.Parallel()
	v := &fake{
		create: func(_ *fs.Request, p signet.Ino, n string, mode, flags uint32) (fs.Entry, fs.Handle, fs.OpenFlags, error) {
			if p != 3 || n != "new" || mode != 0o100644 || flags != 0x8241 {
				return fs.Entry{}, 0, fs.OpenFlags{}, errTest
			}
			return fs.Entry{Attr: sample}, 42, fs.OpenFlags{KeepCache: true}, nil
		},
		rename: func(_ *fs.Request, p signet.Ino, n string, np signet.Ino, nn string, flags uint32) error {
			if p != 3 || n != "a" || np != 4 || nn != "b" {
				return errTest
			}
			return []error{nil, signet.Exists}[flags]
		},
	}
	k := connect(t, v, clock.Real())
	e, b := k.call(35, 3, u32(0x8241, 0o100644, 0o022, 0), z("new"))
	if e != 0 || len(b) != 144 || native.Uint64(b) != 77 || native.Uint64(b[128:]) != 42 || native.Uint32(b[136:]) != gofuse.FOPEN_KEEP_CACHE {
		t.Errorf("create: errno %d\n%s", e, hex.Dump(b))
	}
	if e, _ := k.call(12, 3, u64(4), z("a"), z("b")); e != 0 {
		t.Errorf("rename: errno %d", e)
	}
	if e, _ := k.call(45, 3, u64(4), u32(1, 0), z("a"), z("b")); e != int32(syscall.EEXIST) {
		t.Errorf("rename without replacing: errno %d", e)
	}
}

func TestLargeReadAndWrite(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("0123456789abcdef"), maxWrite/16)
	v := &fake{
		write: func(_ *fs.Request, h fs.Handle, off int64, data []byte, fl uint32) (int, error) {
			if h != 5 || off != 1<<40 || !bytes.Equal(data, big[:len(data)]) || fl != fs.WriteKillPriv|fs.WriteFromCache {
				return 0, errTest
			}
			return len(data), nil
		},
		read: func(_ *fs.Request, h fs.Handle, off int64, dst []byte, fl uint32) (int, error) {
			if h != 5 || off != 7 || fl != syscall.O_DIRECT {
				return 0, errTest
			}
			return copy(dst, big[:min(len(dst), maxWrite-9)]), nil
		},
	}
	k := connect(t, v, clock.Real())
	k.needLarge()
	for _, n := range []int{0, 1, 4096, smallBuffer - 80, smallBuffer - 79, 65536, maxWrite} {
		e, b := k.call(16, 77, u64(5, 1<<40), u32(uint32(n), 1|4), u64(0), u32(0, 0), big[:n])
		if e != 0 || !bytes.Equal(b, u32(uint32(n), 0)) {
			t.Errorf("write of %d: errno %d, %x", n, e, b)
		}
		e, b = k.call(15, 77, u64(5, 7), u32(uint32(n), 0), u64(0), u32(syscall.O_DIRECT, 0))
		if want := min(n, maxWrite-9); e != 0 || !bytes.Equal(b, big[:want]) {
			t.Errorf("read of %d: errno %d, %d bytes, want %d", n, e, len(b), want)
		}
	}
	if e, _ := k.call(15, 77, u64(5, 7), u32(1<<31, 0), u64(0), u32(0, 0)); e != int32(syscall.EINVAL) {
		t.Errorf("a read of 2 GiB: errno %d", e)
	}
}

func TestReadDir(t *testing.T) {
	t.Parallel()
	v := &fake{readDir: func(_ *fs.Request, h fs.Handle, cookie uint64, limit int, emit func(fs.DirEntry) bool) error {
		for c := cookie + 1; c <= 3; c++ {
			if limit--; limit < 0 {
				break
			}
			e := fs.DirEntry{Name: strings.Repeat("n", int(c)), Ino: signet.Ino(100 + c), Mode: signet.ModeDir, Cookie: c}
			if !emit(e) {
				break
			}
		}
		return nil
	}}
	k := connect(t, v, clock.Real())
	list := func(op uint32, cookie uint64, size uint32) []byte {
		e, b := k.call(op, 1, u64(1, cookie), u32(size, 0), u64(0), u32(0, 0))
		if e != 0 {
			t.Fatalf("errno %d", e)
		}
		return b
	}
	dirent := func(c uint64) []byte {
		b := bytes.Join([][]byte{u64(100+c, c), u32(uint32(c), 4), []byte(strings.Repeat("n", int(c)))}, nil)
		return append(b, make([]byte, 8-c)...)
	}
	if got, want := list(opReaddir, 0, 4096), bytes.Join([][]byte{dirent(1), dirent(2), dirent(3)}, nil); !bytes.Equal(got, want) {
		t.Errorf("all:\n%s", hex.Dump(got))
	}
	if got := list(opReaddir, 0, 95); !bytes.Equal(got, append(dirent(1), dirent(2)...)) {
		t.Errorf("what fits:\n%s", hex.Dump(got))
	}
	if got := list(opReaddir, 3, 32768); len(got) != 0 {
		t.Errorf("the end:\n%s", hex.Dump(got))
	}
}

func TestXattrSizes(t *testing.T) {
	t.Parallel()
	v := &fake{
		xattr: func(_ *fs.Request, _ signet.Ino, n string) ([]byte, error) {
			if n == "user.none" {
				return nil, signet.NoAttr
			}
			return []byte("value"), nil
		},
		list: func(*fs.Request, signet.Ino) ([]string, error) { return []string{"user.a", "user.b"}, nil },
	}
	k := connect(t, v, clock.Real())
	for _, c := range []struct {
		op   uint32
		size uint32
		name string
		e    syscall.Errno
		body []byte
	}{
		{opGetxattr, 0, "user.a", 0, u32(5, 0)},
		{opGetxattr, 4, "user.a", syscall.ERANGE, nil},
		{opGetxattr, 5, "user.a", 0, []byte("value")},
		{opGetxattr, 65536, "user.a", 0, []byte("value")},
		{opGetxattr, 10, "user.none", syscall.ENODATA, nil},
		{opListxattr, 0, "", 0, u32(14, 0)},
		{opListxattr, 13, "", syscall.ERANGE, nil},
		{opListxattr, 14, "", 0, []byte("user.a\x00user.b\x00")},
	} {
		e, b := k.call(c.op, 7, u32(c.size, 0), z(c.name))
		if e != int32(c.e) || !bytes.Equal(b, c.body) {
			t.Errorf("%+v: errno %d, %q", c, e, b)
		}
	}
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	v := &fake{
		lookup: func(*fs.Request, signet.Ino, string) (fs.Entry, error) { return fs.Entry{Attr: sample}, nil },
		mkdir:  func(*fs.Request, signet.Ino, string, uint32) (fs.Entry, error) { return fs.Entry{}, errTest },
	}
	k := connect(t, v, clock.Real())
	k.raw([]byte("short"))
	k.raw(bytes.Repeat([]byte{0xff}, 39))
	k.raw(append(u32(1000, opLookup), make([]byte, 32)...)) // says it is longer, and has no number
	k.raw(append(append(u32(1000, opForget), u64(4, 1)...), make([]byte, 16)...))
	k.raw(append(append(u32(1000, opLookup), u64(4, 1)...), make([]byte, 16)...))
	if u, e, _ := k.recv(); u != 4 || e != int32(syscall.EIO) {
		t.Errorf("wrong length: unique %d, errno %d", u, e)
	}
	for _, op := range []uint32{0, 7, 37, 49, 54, 99, 106, 4096, 1 << 31} {
		if e, b := k.call(op, 1, make([]byte, 64)); e != int32(syscall.ENOSYS) || len(b) != 0 {
			t.Errorf("opcode %d: errno %d, %d bytes", op, e, len(b))
		}
	}
	if e, _ := k.call(15, 1, u32(1)); e == 0 {
		t.Error("a READ without its fields was answered")
	}
	if e, _ := k.call(12, 1, u64(4), []byte("no end")); e != int32(syscall.EIO) {
		t.Errorf("a rename with unfinished names: errno %d", e)
	}
	if e, _ := k.call(9, 1, u32(0, 0), z("x")); e != int32(syscall.EIO) {
		t.Errorf("an error without a kind: errno %d", e)
	}
	if e, _ := k.call(opLookup, 1, z("x")); e != 0 {
		t.Errorf("after all that: errno %d", e)
	}
}

func TestPanicIsToldAndAnswered(t *testing.T) {
	t.Parallel()
	var value any
	var stack string
	told := make(chan struct{})
	v := &fake{lookup: func(*fs.Request, signet.Ino, string) (fs.Entry, error) { panic("as the test wants it") }}
	k := pair(t, v, clock.Real())
	k.server.panicked = func(v any, s []byte) { value, stack = v, string(s); close(told) }
	k.init(0)
	k.server.start()
	if e, _ := k.call(opLookup, 1, z("x")); e != int32(syscall.EIO) {
		t.Errorf("errno %d", e)
	}
	within20(t, told, "the panic to be told")
	if value != "as the test wants it" || !strings.Contains(stack, "server_test.go") {
		t.Errorf("told %v\n%s", value, stack)
	}
	k.close()
	within20(t, k.server.done, "the end")
}

func TestContextOfACall(t *testing.T) {
	t.Parallel()
	c := &callCtx{}
	if c.Err() != nil {
		t.Fatal("ended at birth")
	}
	child, cancel := context.WithCancel(c)
	defer cancel()
	other, cancelOther := context.WithCancel(c)
	cancelOther()
	c.end()
	c.end()
	within20(t, c.Done(), "the context to end")
	within20(t, child.Done(), "its child to end")
	if c.Err() != context.Canceled || child.Err() != context.Canceled || other.Err() != context.Canceled {
		t.Errorf("%v, %v, %v", c.Err(), child.Err(), other.Err())
	}
	late, cancelLate := context.WithCancel(c)
	defer cancelLate()
	within20(t, late.Done(), "a late child to end")
	if len(c.after) != 0 {
		t.Error("it holds on to its children")
	}
}
