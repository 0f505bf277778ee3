package fs_test

import (
	"bytes"
	"context"
	"errors"
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

func TestNoSpaceIsToldOnceAndHarmsNothingElse(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u := newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	second := u.open(ino, syscall.O_RDWR)
	u.write(h, 0, "old content")
	u.fsync(h)
	v.Objects.FailPut(func(signet.Address) error { return signet.NoSpace })
	u.write(h, 0, strings.Repeat("new", 10_000))
	small, _ := u.create(root, "small", 0o644)
	u.write(small, 0, "goes without an object")
	u.refused(signet.NoSpace, func(r *fs.Request) error { return u.Fsync(r, h) })
	u.fsync(h)
	u.refused(signet.NoSpace, func(r *fs.Request) error { _, err := u.Write(r, second, 0, []byte("x"), 0); return err })
	u.fsync(small)
	u.close(second)
	if got := u.read(h, 0, 100); got != "old content" {
		t.Errorf("content %q", got)
	}
	v.Objects.FailPut(nil)
	u.write(h, 0, strings.Repeat("new", 10_000))
	u.close(h)
	if at := u.stat(ino); at.Size != 30_000 {
		t.Error("size", at.Size)
	}
}

// TestNoSpaceCostsWhatDidNotFit has one of several objects of a file find no room: only its
// bytes are lost, on all hosts, and they can be written again.
func TestNoSpaceCostsWhatDidNotFit(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u, other := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	var puts atomic.Int64
	v.Objects.FailPut(func(signet.Address) error {
		if puts.Add(1) == 3 {
			return signet.NoSpace
		}
		return nil
	})
	const part, parts = mib, 24
	data := noise(5, parts*part)
	told := 0
	for i := range parts {
		err := u.do(func(r *fs.Request) error {
			_, err := u.Write(r, h, int64(i*part), data[i*part:(i+1)*part], 0)
			return err
		})
		switch {
		case errors.Is(err, signet.NoSpace) && told == 0:
			told++
			u.write(h, int64(i*part), string(data[i*part:(i+1)*part]))
		case err != nil:
			t.Fatal(err)
		}
	}
	if told == 0 {
		// A read elsewhere has it published, and hears nothing of what is lost: it is for who wrote it.
		r := other.open(ino, syscall.O_RDONLY)
		other.read(r, 0, 1)
		other.close(r)
		u.refused(signet.NoSpace, func(r *fs.Request) error { return u.Flush(r, h, 0) })
	}
	u.fsync(h)
	r := other.open(ino, syscall.O_RDONLY)
	here, there := u.whole(h, len(data), mib), other.whole(r, len(data), mib)
	if !bytes.Equal(here, there) {
		t.Fatal("two hosts read different bytes")
	}
	if at := u.stat(ino); at.Size != uint64(len(here)) {
		t.Errorf("the file has %d bytes, %d are read", at.Size, len(here))
	}
	lost := 0
	for i := range parts {
		end := min((i+1)*part, len(here))
		if got := here[min(i*part, end):end]; !bytes.Equal(got, data[i*part:(i+1)*part]) {
			lost++
			if len(bytes.Trim(got, "\x00")) > 0 {
				t.Errorf("MiB %d is neither there nor lost", i)
			}
			u.write(h, int64(i*part), string(data[i*part:(i+1)*part]))
		}
	}
	if lost == 0 || lost > 8 {
		t.Errorf("%d of %d MiB were lost with one object", lost, parts)
	}
	u.close(h)
	if got := other.whole(r, len(data), mib); !bytes.Equal(got, data) {
		t.Error("written again, it is not what was written")
	}
	other.close(r)
}

func TestWhatFailsForNowIsTriedAgain(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	m := v.Mount()
	u := newUser(t, m)
	h, ino := u.create(root, "f", 0o644)
	data := string(noise(3, 5*mib))
	for _, kind := range []signet.Kind{signet.Unavailable, signet.Timeout, signet.ReadOnly, signet.TooBusy} {
		v.Objects.FailPut(func(signet.Address) error { return kind })
		u.fill(h, []byte(data), mib)
		u.refused(kind, func(r *fs.Request) error { return u.Fsync(r, h) })
		v.Objects.FailPut(nil)
		u.fsync(h)

		// The same from the log, before and after the command was applied.
		u.write(h, 0, "again")
		m.Names.Before = func(_ context.Context, c signet.Command) error { return kind }
		u.refused(kind, func(r *fs.Request) error { return u.Fsync(r, h) })
		m.Names.Before = nil
		m.Names.After = func(_ context.Context, c signet.Command) error { return kind }
		u.refused(kind, func(r *fs.Request) error { return u.Fsync(r, h) })
		m.Names.After = nil
		u.write(h, 2, "AIN")
		if got := u.read(h, 0, 6); got != "agAIN"+data[5:6] {
			t.Errorf("read %q", got)
		}
		u.fsync(h)
	}
	other := newUser(t, v.Mount())
	r := other.open(ino, syscall.O_RDONLY)
	if got := other.whole(r, len(data), mib); string(got) != "agAIN"+data[5:] {
		t.Error("content differs")
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	m := v.Mount()
	u := newUser(t, m)
	h, _ := u.create(root, "f", 0o644)
	m.Names.SetReadOnly(signet.Errorf(signet.ReadOnly, "", "", "no majority for 10 s"))
	u.refused(signet.ReadOnly, func(r *fs.Request) error { _, err := u.Write(r, h, 0, []byte("x"), 0); return err })
	u.refused(signet.ReadOnly, func(r *fs.Request) error { _, err := u.Mkdir(r, root, "d", 0o755); return err })
	u.find(root, "f")
	u.list(root)
	u.close(h)
}

func TestTheRingMoves(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	m := v.Mount()
	u := newUser(t, m)
	h, _ := u.create(root, "f", 0o644)
	data := noise(4, 9*mib)
	u.fill(h, data, mib)
	var tries atomic.Int64
	m.Names.Before = func(_ context.Context, c signet.Command) error {
		if _, ok := c.(*signet.Write); ok && tries.Add(1) == 1 {
			m.Names.MoveRing(7)
			v.Objects.SetRing(7)
		}
		return nil
	}
	u.fsync(h)
	if tries.Load() != 2 {
		t.Error(tries.Load(), "commands")
	}
	if got := u.whole(h, len(data), mib); !bytes.Equal(got, data) {
		t.Error("content differs")
	}
}

func TestTruncatingWhatCannotBePublished(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u := newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	v.Objects.FailPut(func(signet.Address) error { return signet.Unavailable })
	u.write(h, 0, strings.Repeat("x", 10_000))
	u.must(func(r *fs.Request) error {
		at, _, err := u.SetAttr(r, ino, fs.AttrChange{Set: signet.SetSize, Size: 3})
		if at.Size != 3 {
			t.Error("size", at.Size)
		}
		return err
	})
	v.Objects.FailPut(nil)
	u.close(h)
	h = u.open(ino, syscall.O_RDONLY)
	if got := u.read(h, 0, 10); got != "xxx" {
		t.Errorf("read %q", got)
	}
}

func TestManySmallExtentsUnderALargeWrite(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u := newUser(t, v.Mount())
	h, _ := u.create(root, "log", 0o644)
	for i := range 100 {
		u.write(h, int64(10*i), "ten bytes.")
		u.fsync(h)
	}
	v.State.MaxLower = 9 // a stand-in for the rows one command may touch
	all := strings.Repeat("rewritten ", 100)
	u.write(h, 0, all)
	u.fsync(h)
	if got := u.read(h, 0, 2000); got != all {
		t.Errorf("read %q", got)
	}
}

func TestBadCopies(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u := newUser(t, v.Mount())
	h, _ := u.create(root, "f", 0o644)
	data := noise(5, 3*mib)
	u.fill(h, data, mib)
	u.fsync(h)
	v.Objects.Rot(true)
	if got := u.whole(h, len(data), 100_000); !bytes.Equal(got, data) {
		t.Error("content differs")
	}
	v.Objects.FailGet(func(context.Context, signet.Address) error {
		return signet.Errorf(signet.Unavailable, "", "", "all hosts are away")
	})
	other := newUser(t, v.Mount())
	r := other.open(other.find(root, "f").Ino, syscall.O_RDONLY)
	other.refused(signet.Unavailable, func(q *fs.Request) error { _, err := other.Read(q, r, 0, make([]byte, 10), 0); return err })
}

// wait calls Advance until done is closed. The clock moves only when somebody waits
// for it, so this is as quick as the machine.
func wait(t *testing.T, clk *clock.Manual, step time.Duration, done <-chan struct{}) {
	t.Helper()
	for range 100_000 {
		select {
		case <-done:
			return
		default:
			clk.Advance(step)
		}
		select {
		case <-done:
			return
		case <-time.After(100 * time.Microsecond):
		}
	}
	t.Fatal("it does not happen")
}

func TestWriteBack(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	clk := clock.NewManual(time.Unix(1_700_000_000, 0))
	v.Clock = clk
	m := v.Mount()
	u := newUser(t, m)
	wrote := make(chan struct{})
	var once sync.Once
	var early atomic.Bool
	start := clk.Now()
	m.Names.After = func(_ context.Context, c signet.Command) error {
		if _, ok := c.(*signet.Write); ok {
			if clk.Now().Sub(start) < 5*time.Second {
				early.Store(true)
			}
			once.Do(func() { close(wrote) })
		}
		return nil
	}
	h, _ := u.create(root, "f", 0o644)
	u.write(h, 0, "nobody asks for this to be safe")
	wait(t, clk, time.Second, wrote)
	if early.Load() {
		t.Error("too early")
	}
}

func TestGivesUpClosedFiles(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	clk := clock.NewManual(time.Unix(1_700_000_000, 0))
	v.Clock = clk
	reported := make(chan struct{})
	v.Report = func(err error) {
		if !errors.Is(err, signet.Unavailable) {
			t.Error(err)
		}
		close(reported)
	}
	u := newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	v.Objects.FailPut(func(signet.Address) error { return signet.Unavailable })
	u.write(h, 0, strings.Repeat("lost", 10_000))
	u.refused(signet.Unavailable, func(r *fs.Request) error { return u.Flush(r, h, 0) })
	start := clk.Now()
	u.must(func(r *fs.Request) error { u.Release(r, h); return nil })
	if u.stat(ino).Size != 40_000 {
		t.Error("forgotten at once")
	}
	wait(t, clk, time.Second, reported)
	if d := clk.Now().Sub(start); d < time.Minute {
		t.Error("gave up after", d)
	}
	if u.stat(ino).Size != 0 {
		t.Error("still there")
	}
}

func TestInterruptsAndDeadlines(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	clk := clock.NewManual(time.Unix(1_700_000_000, 0))
	v.Clock = clk
	u := newUser(t, v.Mount())
	slow := newUser(t, v.Mount())
	h, _ := u.create(root, "f", 0o644)
	u.write(h, 0, strings.Repeat("x", 10_000))

	call := func(ctx context.Context, fn func(r *fs.Request) error) <-chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := &fs.Request{Ctx: ctx}
			defer r.Done()
			if err := fn(r); err == nil {
				t.Error("it succeeded")
			} else if kind := signet.KindOf(err); kind != signet.Interrupted && kind != signet.Timeout {
				t.Error(err)
			}
		}()
		return done
	}
	release := v.Objects.BlockPuts()
	ctx, kill := context.WithCancel(t.Context())
	done := call(ctx, func(r *fs.Request) error { return u.Fsync(r, h) })
	kill()
	wait(t, clk, 100*time.Millisecond, done)
	start := clk.Now()
	wait(t, clk, time.Second, call(t.Context(), func(r *fs.Request) error { return u.Fsync(r, h) }))
	if d := clk.Now().Sub(start); d < 25*time.Second {
		t.Error("gave up after", d)
	}
	release()
	u.fsync(h)

	// A host that does not acknowledge holds up a change, but not for ever; and reads
	// of what it changes wait as well.
	slow.Names.Hold(true)
	wait(t, clk, time.Second, call(t.Context(), func(r *fs.Request) error { _, err := u.Mkdir(r, root, "d", 0o755); return err }))
	wait(t, clk, time.Second, call(t.Context(), func(r *fs.Request) error { _, err := u.Lookup(r, root, "d"); return err }))
	slow.Names.Hold(false)
	u.find(root, "d")
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	v.Limits = fs.Limits{Dirty: 8 * mib}
	u := newUser(t, v.Mount())
	h, _ := u.create(root, "f", 0o644)
	data := noise(6, 16*mib)
	release := v.Objects.BlockPuts()
	var written atomic.Int64
	progress, done := make(chan struct{}, 100), make(chan struct{})
	go func() {
		defer close(done)
		for off := 0; off < len(data); off += mib {
			u.write(h, int64(off), string(data[off:off+mib]))
			written.Add(mib)
			progress <- struct{}{}
		}
	}()
	for range 4 { // it gets that far without any put
		<-progress
	}
	u.must(func(r *fs.Request) error { // the kernel's own write-back must not wait
		_, err := u.Write(r, h, 100*mib, []byte("from a mapping"), fs.WriteFromCache)
		return err
	})
	if n := written.Load(); n > 9*mib { // of 16
		t.Error(n, "bytes were taken")
	}
	release()
	<-done
	u.fsync(h)
	if got := u.whole(h, len(data), mib); !bytes.Equal(got, data) {
		t.Error("content differs")
	}
}

func TestConcurrentWritersOfOneFile(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	v.Limits = fs.Limits{Dirty: 4 * mib}
	u := newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	var wg sync.WaitGroup
	const part = 700_000
	for i := range 8 {
		wg.Go(func() {
			h := u.open(ino, syscall.O_RDWR)
			data := noise(uint64(i), part)
			for off := 0; off < part; off += 50_000 {
				u.write(h, int64(i*part+off), string(data[off:off+50_000]))
				if off%150_000 == 0 {
					u.fsync(h)
				}
				if got := u.read(h, int64(i*part), 50_000); got != string(data[:50_000]) {
					t.Error("does not read what it wrote")
				}
			}
			u.close(h)
		})
	}
	wg.Wait()
	got := u.whole(h, 8*part, mib)
	for i := range 8 {
		if !bytes.Equal(got[i*part:(i+1)*part], noise(uint64(i), part)) {
			t.Error("part", i, "differs")
		}
	}
}
