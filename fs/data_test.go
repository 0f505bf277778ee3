package fs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
	"github.com/signetfs/signet/internal/clock"
)

const mib = 1 << 20

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := 0; i+8 <= n; i += 8 {
		x := r.Uint64()
		for j := range 8 {
			b[i+j] = byte(x >> (8 * j))
		}
	}
	return b
}

func (u *user) fill(h fs.Handle, data []byte, step int) {
	u.t.Helper()
	for off := 0; off < len(data); off += step {
		u.write(h, int64(off), string(data[off:min(off+step, len(data))]))
	}
}

func (u *user) whole(h fs.Handle, size, step int) []byte {
	u.t.Helper()
	var all []byte
	for len(all) < size {
		part := u.read(h, int64(len(all)), step)
		if part == "" {
			break
		}
		all = append(all, part...)
	}
	return all
}

func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	for _, size := range []int{0, 1, 4096, 4097, 100_000, 4 * mib, 9*mib + 77} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			a, b := a, b
			data := noise(uint64(size), size)
			puts, _, _ := v.Objects.Counts()
			h, ino := a.create(root, fmt.Sprint(size), 0o644)
			a.fill(h, data, 128<<10)
			if got := a.whole(h, size, 100_001); !bytes.Equal(got, data) {
				t.Error("read back before it is published: differs")
			}
			if at := a.stat(ino); at.Size != uint64(size) {
				t.Error("size before it is published:", at.Size)
			}
			a.close(h)
			after, _, _ := v.Objects.Counts()
			if want := (size + 4*mib - 1) / (4 * mib); size <= signet.MaxInline && after != puts {
				t.Errorf("%d objects for inline data", after-puts)
			} else if size > signet.MaxInline && after-puts > want {
				t.Errorf("%d objects for %d bytes", after-puts, size)
			}
			if at := b.find(root, fmt.Sprint(size)); at.Ino != ino || at.Size != uint64(size) {
				t.Errorf("on the other host: %+v", at)
			}
			r := b.open(ino, syscall.O_RDONLY)
			if got := b.whole(r, size, 128<<10); !bytes.Equal(got, data) {
				t.Error("on the other host: differs")
			}
			if got := b.read(r, int64(size), 10); got != "" {
				t.Errorf("behind the end: %q", got)
			}
			b.close(r)
		})
	}
}

func TestNothingDirtyCostsNothing(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u := newUser(t, v.Mount())
	h, _ := u.create(root, "f", 0o644)
	u.write(h, 0, "x")
	u.fsync(h)
	_, before := v.State.Released()
	u.fsync(h)
	u.close(h)
	if _, after := v.State.Released(); after != before {
		t.Error("a command for nothing")
	}
}

func TestObjectsAreDurableFirst(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	m := v.Mount()
	u := newUser(t, m)
	var known sync.Map
	v.Objects.FailPut(func(a signet.Address) error { known.Store(a, true); return nil })
	var writes, extents atomic.Int64
	m.Names.Before = func(_ context.Context, c signet.Command) error {
		if w, ok := c.(*signet.Write); ok {
			writes.Add(1)
			extents.Add(int64(len(w.Extents)))
			puts, _, _ := v.Objects.Counts()
			for _, o := range w.Objects {
				if _, ok := known.Load(o.Address); !ok || puts == 0 {
					t.Error("named before it was put")
				}
			}
		}
		return nil
	}
	h, _ := u.create(root, "f", 0o644)
	u.fill(h, noise(1, 12*mib), mib)
	u.fsync(h)
	if writes.Load() != 1 || extents.Load() != 3 {
		t.Errorf("%d commands, %d extents", writes.Load(), extents.Load())
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	v.State.MaxCut = 2
	u, other := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	truncate := func(size uint64) {
		t.Helper()
		u.must(func(r *fs.Request) error {
			at, _, err := u.SetAttr(r, ino, fs.AttrChange{Set: signet.SetSize, Size: size})
			if err == nil && at.Size != size {
				t.Errorf("size %d, want %d", at.Size, size)
			}
			return err
		})
	}
	check := func(want string) {
		t.Helper()
		if got := u.read(h, 0, 100); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
	}
	u.write(h, 0, "abcdefgh")
	truncate(4)
	check("abcd")
	truncate(6)
	check("abcd\x00\x00")
	u.write(h, 8, "x")
	check("abcd\x00\x00\x00\x00x")
	truncate(2)
	u.write(h, 3, "y")
	u.fsync(h)
	check("ab\x00y")
	for i := range 20 { // more extents than one step removes
		u.write(h, int64(10+2*i), "z")
		u.fsync(h)
	}
	truncate(1)
	check("a")
	truncate(40)
	check("a" + strings.Repeat("\x00", 39))
	u.close(h)
	r := other.open(ino, syscall.O_RDWR|syscall.O_TRUNC)
	if got := u.stat(ino); got.Size != 0 {
		t.Error("O_TRUNC elsewhere left", got.Size)
	}
	other.close(r)
	if v.State.Objects() != 0 {
		t.Error("objects are left")
	}
}

func TestHolesAndSeek(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u := newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	seek := func(off uint64, whence uint32) (to uint64, err error) {
		err = u.do(func(r *fs.Request) (err error) { to, err = u.Lseek(r, h, off, whence); return err })
		return to, err
	}
	wantSeek := func(off uint64, whence uint32, want uint64) {
		t.Helper()
		if got, err := seek(off, whence); err != nil || got != want {
			t.Errorf("seek %d, %d: %d, %v; want %d", off, whence, got, err, want)
		}
	}
	alloc := func(off, n uint64, mode uint32) {
		t.Helper()
		u.must(func(r *fs.Request) error { return u.Fallocate(r, h, off, n, mode) })
	}
	const big = 1 << 41
	u.write(h, big, "far away")
	u.write(h, 100_000, strings.Repeat("d", 10_000))
	for _, published := range []bool{false, true} {
		if published {
			u.fsync(h)
		}
		wantSeek(0, fs.SeekHole, 0)
		wantSeek(0, fs.SeekData, 100_000)
		wantSeek(105_000, fs.SeekData, 105_000)
		wantSeek(105_000, fs.SeekHole, 110_000)
		wantSeek(110_000, fs.SeekData, big)
		wantSeek(big, fs.SeekHole, big+8)
		if _, err := seek(big+8, fs.SeekData); !errors.Is(err, signet.PastEnd) {
			t.Error(err)
		}
		if at := u.stat(ino); at.Size != big+8 || at.Bytes != 10_008 {
			t.Errorf("%d bytes of %d", at.Bytes, at.Size)
		}
	}
	alloc(102_000, 1000, fs.FallocPunchHole|fs.FallocKeepSize)
	wantSeek(100_000, fs.SeekHole, 102_000)
	wantSeek(102_000, fs.SeekData, 103_000)
	if got := u.read(h, 101_999, 3); got != "d\x00\x00" {
		t.Errorf("%q", got)
	}
	u.write(h, 102_500, "again") // dirty, and then zeroed
	alloc(102_400, 200, fs.FallocZeroRange)
	if got := u.read(h, 102_400, 200); got != strings.Repeat("\x00", 200) {
		t.Errorf("%q", got)
	}
	alloc(big, 100, 0)
	alloc(big, 1000, fs.FallocKeepSize)
	alloc(big+50, 100, fs.FallocZeroRange)
	if at := u.stat(ino); at.Size != big+150 {
		t.Error(at.Size)
	}
	u.refused(signet.NotSupported, func(r *fs.Request) error { return u.Fallocate(r, h, 0, 1, 8) })
	u.refused(signet.TooBig, func(r *fs.Request) error { return u.Fallocate(r, h, 1<<62, 1<<62, 0) })
}

func TestCopyFileRange(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u := newUser(t, v.Mount())
	data := noise(9, 6*mib)
	clear(data[mib : 2*mib])
	src, _ := u.create(root, "src", 0o644)
	u.write(src, 0, string(data[:mib]))
	u.write(src, 2*mib, string(data[2*mib:5*mib]))
	u.fsync(src)
	u.write(src, 5*mib, string(data[5*mib:]))
	u.fsync(src)
	u.write(src, 3*mib, "small inline data")
	copy(data[3*mib:], "small inline data")
	dst, _ := u.create(root, "dst", 0o644)
	u.write(dst, 10, "in the way")
	puts, _, _ := v.Objects.Counts()
	const shift = 12345
	for done := 0; done < len(data); {
		u.must(func(r *fs.Request) error {
			n, err := u.CopyFileRange(r, src, uint64(done), dst, uint64(done+shift), 1<<40, 0)
			if n == 0 {
				t.Fatal("no progress at", done)
			}
			done += int(n)
			return err
		})
	}
	if after, _, _ := v.Objects.Counts(); after != puts {
		t.Errorf("%d objects were put", after-puts)
	}
	u.write(src, 0, "later, and only here")
	u.fsync(src)
	got := u.whole(dst, len(data)+shift, 1<<20)
	if !bytes.Equal(got[shift:], data) || string(got[10:20]) != "in the way" {
		t.Error("the copy differs")
	}
	u.refused(signet.Invalid, func(r *fs.Request) error {
		_, err := u.CopyFileRange(r, src, 0, src, 10, 100, 0)
		return err
	})
	u.must(func(r *fs.Request) error {
		n, err := u.CopyFileRange(r, src, 1<<40, dst, 0, 100, 0)
		if n != 0 {
			t.Error("copied beyond the end")
		}
		return err
	})
}

func TestAppend(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := a.create(root, "log", 0o644)
	a.close(h)
	ha, hb := a.open(ino, syscall.O_WRONLY|syscall.O_APPEND), b.open(ino, syscall.O_WRONLY|syscall.O_APPEND)
	for i := range 10 { // the kernel's idea of the end is wrong each time
		a.appends(ha, 0, fmt.Sprint("a", i, "\n"))
		a.fsync(ha)
		b.appends(hb, 0, fmt.Sprint("b", i, "\n"))
		b.fsync(hb)
	}
	r := b.open(ino, syscall.O_RDONLY)
	got := b.read(r, 0, 1000)
	for i := range 10 {
		if line := fmt.Sprint("a", i, "\nb", i, "\n"); !strings.Contains(got, line) {
			t.Errorf("no %q in %q", line, got)
		}
	}
	if len(got) != 60 {
		t.Errorf("%d bytes", len(got))
	}
}

// TestFetchesNoMoreThanItNeeds counts what is fetched by a host that has nothing.
func TestFetchesNoMoreThanItNeeds(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	const size = 8 * mib
	data := noise(11, size)
	h, ino := a.create(root, "f", 0o644)
	a.fill(h, data, mib)
	a.close(h)
	r := b.open(ino, syscall.O_RDONLY)
	_, gets, bytes := v.Objects.Counts()
	for i := range 40 {
		off := (i * 2_345_677) % (size - 4096)
		if got := b.read(r, int64(off), 4096); got != string(data[off:off+4096]) {
			t.Fatal("differs at", off)
		}
	}
	_, g, n := v.Objects.Counts()
	if g-gets > 44 || n-bytes > 40*2*17_000 {
		t.Errorf("40 small reads made %d fetches of %d bytes", g-gets, n-bytes)
	}
	r = b.open(ino, syscall.O_RDONLY)
	if got := b.whole(r, size, 128<<10); string(got) != string(data) {
		t.Error("differs")
	}
	_, g2, n2 := v.Objects.Counts()
	if g2-g > 10 || n2-n > size+size/4 {
		t.Errorf("a reader in order made %d fetches of %d bytes", g2-g, n2-n)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	at := time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.UTC)
	clk := clock.NewManual(at)
	v.Clock = clk
	u := newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	now := func() signet.Time { return signet.Time{Sec: clk.Now().Unix(), Nsec: uint32(clk.Now().Nanosecond())} }
	if got := u.stat(ino); got.Mtime != now() || got.Btime != now() {
		t.Errorf("%+v", got)
	}
	clk.Advance(time.Second + 1)
	wrote := now()
	u.write(h, 0, "x")
	clk.Advance(time.Second / 2)
	for _, state := range []string{"dirty", "published"} {
		if got := u.stat(ino); got.Mtime != wrote || got.Ctime != wrote {
			t.Errorf("%s: %+v", state, got)
		}
		u.fsync(h)
	}
	// cp -p sets the times before it closes: publishing must not undo that.
	u.write(h, 0, "y")
	old := signet.Time{Sec: -1 << 33, Nsec: 999_999_999}
	u.must(func(r *fs.Request) error {
		_, _, err := u.SetAttr(r, ino, fs.AttrChange{Set: signet.SetMtime | signet.SetAtime, Mtime: old, AtimeNow: true})
		return err
	})
	clk.Advance(time.Second)
	u.close(h)
	if got := u.stat(ino); got.Mtime != old || got.Ctime == old || got.Atime == old {
		t.Errorf("%+v", got)
	}
}

func TestWrongHandles(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	h, ino := u.create(root, "f", 0o644)
	ro, wo := u.open(ino, syscall.O_RDONLY), u.open(ino, syscall.O_WRONLY)
	for _, c := range []struct {
		kind signet.Kind
		fn   func(r *fs.Request) error
	}{
		{signet.BadHandle, func(r *fs.Request) error { _, err := u.Read(r, 99, 0, nil, 0); return err }},
		{signet.BadHandle, func(r *fs.Request) error { _, err := u.Read(r, wo, 0, nil, 0); return err }},
		{signet.BadHandle, func(r *fs.Request) error { _, err := u.Write(r, ro, 0, nil, 0); return err }},
		{signet.TooBig, func(r *fs.Request) error { _, err := u.Write(r, h, 1<<63-2, []byte("xx"), 0); return err }},
		{signet.TooBig, func(r *fs.Request) error { _, err := u.Write(r, h, -1, []byte("xx"), 0); return err }},
		{signet.BadHandle, func(r *fs.Request) error { return u.Flush(r, 99, 0) }},
		{signet.IsDir, func(r *fs.Request) error { _, _, err := u.Open(r, root, 0); return err }},
		{signet.NotDir, func(r *fs.Request) error { _, err := u.OpenDir(r, ino); return err }},
		{signet.NotFound, func(r *fs.Request) error { _, _, err := u.GetAttr(r, 12345); return err }},
	} {
		u.refused(c.kind, c.fn)
	}
}
