package fs_test

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
)

// flockOf and rangeOf are locks as the kernel asks for them.
func flockOf(owner uint64, typ signet.LockType) fs.Lock {
	return fs.Lock{Kind: signet.LockFlock, Type: typ, End: signet.LockEnd, PID: uint32(owner), Owner: owner}
}

func rangeOf(owner uint64, typ signet.LockType, from, to uint64) fs.Lock {
	return fs.Lock{Kind: signet.LockPOSIX, Type: typ, Start: from, End: to, PID: uint32(owner), Owner: owner}
}

func (u *user) lock(h fs.Handle, l fs.Lock) {
	u.t.Helper()
	u.must(func(r *fs.Request) error { return u.SetLock(r, h, l, false) })
}

func (u *user) locked(h fs.Handle, l fs.Lock) {
	u.t.Helper()
	u.refused(signet.WouldBlock, func(r *fs.Request) error { return u.SetLock(r, h, l, false) })
}

// beginLock begins to wait for a lock and returns when the log knows of that. The context is
// that of the request.
func (u *user) beginLock(ctx context.Context, v *fstest.Volume, h fs.Handle, l fs.Lock) <-chan error {
	u.t.Helper()
	_, before := v.State.Locks()
	done := make(chan error, 1)
	go func() {
		r := &fs.Request{Ctx: ctx}
		err := u.SetLock(r, h, l, true)
		r.Done()
		done <- err
	}()
	eventually(u.t, "a request to wait", func() bool { _, n := v.State.Locks(); return n > before })
	return done
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatal("it does not come to ", what)
		}
		<-time.After(time.Millisecond)
	}
}

func awaits(t testing.TB, done <-chan error, want signet.Kind) {
	t.Helper()
	select {
	case err := <-done:
		if signet.KindOf(err) != want {
			t.Fatalf("%v, want %v", err, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for ever")
	}
}

// lockPair is two hosts with a file open.
func lockPair(t testing.TB) (v *fstest.Volume, a, b *user, ha, hb fs.Handle) {
	v = fstest.NewVolume(t)
	a, b = newUser(t, v.Mount()), newUser(t, v.Mount())
	ha, ino := a.create(root, "f", 0o644)
	return v, a, b, ha, b.open(ino, syscall.O_RDWR)
}

func TestUnlockPublishesFirst(t *testing.T) {
	t.Parallel()
	_, a, b, ha, hb := lockPair(t)
	ino := b.find(root, "f").Ino
	seen := 0
	a.Names.Before = func(_ context.Context, c signet.Command) error {
		if l, ok := c.(*signet.Lock); ok && l.Lock.Type == signet.LockNone {
			if seen++; b.stat(ino).Size != uint64(seen) {
				t.Errorf("unlock %d is proposed before what was written is seen", seen)
			}
		}
		return nil
	}
	a.lock(ha, rangeOf(1, signet.LockWrite, 0, 9))
	a.write(ha, 0, "1")
	a.lock(ha, rangeOf(1, signet.LockNone, 0, signet.LockEnd))
	a.lock(ha, rangeOf(1, signet.LockWrite, 0, 9))
	a.write(ha, 0, "12")
	a.must(func(r *fs.Request) error { return a.Flush(r, ha, 1) }) // of another descriptor
	a.lock(ha, flockOf(7, signet.LockWrite))
	a.write(ha, 0, "123")
	a.must(func(r *fs.Request) error { a.Release(r, ha); return nil })
	done := make(chan error, 1)
	go func() {
		done <- b.do(func(r *fs.Request) error { return b.SetLock(r, hb, flockOf(1, signet.LockRead), true) })
	}()
	awaits(t, done, signet.OK)
	if got := b.read(hb, 0, 10); got != "123" || seen != 3 {
		t.Errorf("read %q after %d unlocks", got, seen)
	}
}

// TestSessionEndsLocks has a host lose its session: what it had locked others may have, so
// its programs must not go on as if they had it.
func TestSessionEndsLocks(t *testing.T) {
	t.Parallel()
	v, a, b, ha, hb := lockPair(t)
	other, _ := a.create(root, "other", 0o644)
	a.lock(ha, flockOf(1, signet.LockWrite))
	a.write(ha, 0, "not published")
	waits := b.beginLock(t.Context(), v, hb, flockOf(1, signet.LockWrite))
	a.Names.EndSession()
	awaits(t, waits, signet.OK)
	for name, fn := range map[string]func(r *fs.Request) error{
		"read":  func(r *fs.Request) error { _, err := a.Read(r, ha, 0, make([]byte, 5), 0); return err },
		"write": func(r *fs.Request) error { _, err := a.Write(r, ha, 0, []byte("x"), 0); return err },
		"fsync": func(r *fs.Request) error { return a.Fsync(r, ha) },
		"lock":  func(r *fs.Request) error { return a.SetLock(r, ha, flockOf(1, signet.LockRead), false) },
	} {
		eventually(t, "EIO of "+name, func() bool { return signet.KindOf(a.do(fn)) == signet.Ended })
	}
	if got := b.read(hb, 0, 20); got != "" {
		t.Errorf("what was written under the lost lock is published: %q", got)
	}
	a.write(other, 0, "what had no lock goes on")
	a.fsync(other)
	_ = a.do(func(r *fs.Request) error { return a.Flush(r, ha, 1) }) // says what was lost
	a.must(func(r *fs.Request) error { a.Release(r, ha); return nil })
	b.close(hb)
	h := a.open(a.find(root, "f").Ino, syscall.O_RDWR)
	eventually(t, "a lock in the new session", func() bool {
		return a.do(func(r *fs.Request) error { return a.SetLock(r, h, flockOf(2, signet.LockWrite), false) }) == nil
	})
	if got := a.read(h, 0, 10); got != "" {
		t.Errorf("%q", got)
	}
}

// TestSessionEndsWait: who only waits in a session that ends goes on waiting in the next.
func TestSessionEndsWait(t *testing.T) {
	t.Parallel()
	v, a, b, ha, hb := lockPair(t)
	a.lock(ha, rangeOf(1, signet.LockWrite, 0, 5))
	waits := b.beginLock(t.Context(), v, hb, rangeOf(1, signet.LockRead, 0, 0))
	b.Names.EndSession()
	eventually(t, "waiting again", func() bool { _, n := v.State.Locks(); return n == 1 })
	a.lock(ha, rangeOf(1, signet.LockNone, 0, 5))
	awaits(t, waits, signet.OK)
	a.locked(ha, rangeOf(1, signet.LockWrite, 0, 0))
}

func TestInterruptedWait(t *testing.T) {
	t.Parallel()
	v, a, b, ha, hb := lockPair(t)
	a.lock(ha, flockOf(1, signet.LockWrite))
	ctx, cancel := context.WithCancel(t.Context())
	waits := b.beginLock(ctx, v, hb, flockOf(1, signet.LockRead))
	cancel()
	awaits(t, waits, signet.Interrupted)
	if held, waiting := v.State.Locks(); held != 1 || waiting != 0 {
		t.Errorf("%d held, %d wait", held, waiting)
	}
	// The lock is granted just before the interrupt gets into the log: then it is had.
	ctx, cancel = context.WithCancel(t.Context())
	waits = b.beginLock(ctx, v, hb, flockOf(1, signet.LockRead))
	b.Names.Before = func(_ context.Context, c signet.Command) error {
		if _, ok := c.(*signet.EndWait); ok {
			a.lock(ha, flockOf(1, signet.LockNone))
		}
		return nil
	}
	cancel()
	awaits(t, waits, signet.OK)
	a.locked(ha, flockOf(1, signet.LockWrite))
}

// TestLockOfUnknownOutcome loses the answers to requests for locks: nothing may be left
// that nobody gives up.
func TestLockOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	v, a, b, ha, hb := lockPair(t)
	var lose atomic.Int32
	b.Names.After = func(_ context.Context, c signet.Command) error {
		if lose.Add(-1) >= 0 {
			return signet.Timeout
		}
		return nil
	}
	a.lock(ha, flockOf(1, signet.LockWrite))
	lose.Store(2) // of the request and of the first attempt to end it
	b.refused(signet.Timeout, func(r *fs.Request) error { return b.SetLock(r, hb, flockOf(1, signet.LockWrite), true) })
	eventually(t, "an empty queue", func() bool { _, n := v.State.Locks(); return n == 0 })
	a.lock(ha, flockOf(1, signet.LockNone))

	lose.Store(1)
	b.refused(signet.Timeout, func(r *fs.Request) error { return b.SetLock(r, hb, rangeOf(1, signet.LockWrite, 0, 9), false) })
	b.lock(hb, flockOf(2, signet.LockRead))
	lose.Store(2) // of what closing unlocks
	b.must(func(r *fs.Request) error { b.Release(r, hb); return nil })
	eventually(t, "nothing locked", func() bool { n, _ := v.State.Locks(); return n == 0 })
}

// TestLockAcrossGap: a request is granted while the change feed has a gap.
func TestLockAcrossGap(t *testing.T) {
	t.Parallel()
	v, a, b, ha, hb := lockPair(t)
	a.lock(ha, flockOf(1, signet.LockWrite))
	waits := b.beginLock(t.Context(), v, hb, flockOf(1, signet.LockRead))
	b.Names.Deafen(true)
	a.lock(ha, flockOf(1, signet.LockNone))
	select {
	case err := <-waits:
		t.Fatal("who told?", err)
	case <-time.After(50 * time.Millisecond):
	}
	b.Names.Deafen(false)
	if err := b.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaits(t, waits, signet.OK)
}

// TestReleaseUnlocks: what was locked through a handle and is held still ends with the last
// handle that its owner used. The kernel may give the number of a closed file to another
// before it tells of the close.
func TestReleaseUnlocks(t *testing.T) {
	t.Parallel()
	v, a, b, ha, hb := lockPair(t)
	again := a.open(a.find(root, "f").Ino, syscall.O_RDWR)
	a.lock(ha, rangeOf(5, signet.LockWrite, 0, 9))
	a.lock(again, rangeOf(5, signet.LockWrite, 5, 19))
	a.lock(ha, flockOf(6, signet.LockRead))
	a.lock(again, flockOf(6, signet.LockRead))
	a.must(func(r *fs.Request) error { a.Release(r, ha); return nil })
	eventually(t, "one flock gone", func() bool { n, _ := v.State.Locks(); return n == 2 })
	b.locked(hb, rangeOf(5, signet.LockRead, 12, 12))
	b.locked(hb, flockOf(6, signet.LockWrite))
	a.must(func(r *fs.Request) error { a.Release(r, again); return nil })
	eventually(t, "nothing locked", func() bool { n, _ := v.State.Locks(); return n == 0 })
}

// TestTryWhileClosing: close(2) has returned, and the kernel has not told of it yet.
func TestTryWhileClosing(t *testing.T) {
	t.Parallel()
	_, a, _, ha, _ := lockPair(t)
	again := a.open(a.find(root, "f").Ino, syscall.O_RDWR)
	a.lock(ha, flockOf(1, signet.LockWrite))
	a.locked(again, flockOf(2, signet.LockWrite))
	a.must(func(r *fs.Request) error { return a.Flush(r, ha, 99) })
	done := make(chan error, 1)
	go func() {
		done <- a.do(func(r *fs.Request) error { return a.SetLock(r, again, flockOf(2, signet.LockWrite), false) })
	}()
	select {
	case err := <-done:
		t.Fatal("it did not wait for the close:", err)
	case <-time.After(20 * time.Millisecond):
	}
	a.must(func(r *fs.Request) error { a.Release(r, ha); return nil })
	awaits(t, done, signet.OK)
	a.must(func(r *fs.Request) error { return a.Flush(r, again, 99) }) // and is not closed
	third := a.open(a.find(root, "f").Ino, syscall.O_RDWR)
	a.locked(third, flockOf(3, signet.LockWrite))
}

// TestReaderPassesQueue: a reader waits behind a writer that waits, but not for ever, as the
// reader may be what the holder waits for.
func TestReaderPassesQueue(t *testing.T) {
	t.Parallel()
	v, a, b, ha, hb := lockPair(t)
	third := b.open(b.find(root, "f").Ino, syscall.O_RDWR)
	a.lock(ha, flockOf(1, signet.LockRead))
	writer := b.beginLock(t.Context(), v, hb, flockOf(2, signet.LockWrite))
	reader := b.beginLock(t.Context(), v, third, flockOf(3, signet.LockRead))
	awaits(t, reader, signet.OK)
	a.lock(ha, flockOf(1, signet.LockNone))
	b.close(third)
	awaits(t, writer, signet.OK)
}

func TestGetLock(t *testing.T) {
	t.Parallel()
	_, a, b, ha, hb := lockPair(t)
	a.lock(ha, rangeOf(1, signet.LockWrite, 5, 9))
	get := func(u *user, h fs.Handle, l fs.Lock) (found signet.FileLock) {
		u.must(func(r *fs.Request) (err error) { found, err = u.GetLock(r, h, l); return err })
		found.LockOwner = signet.LockOwner{}
		return found
	}
	if got, want := get(b, hb, rangeOf(1, signet.LockRead, 0, 100)), (signet.FileLock{Type: signet.LockWrite, Start: 5, End: 9}); got != want {
		t.Errorf("elsewhere %+v", got)
	}
	if got := get(a, ha, rangeOf(2, signet.LockRead, 0, 100)); got.PID != 1 {
		t.Errorf("here %+v", got)
	}
	if got := get(b, hb, rangeOf(1, signet.LockRead, 10, 100)); got.Type != signet.LockNone {
		t.Errorf("nowhere %+v", got)
	}
	b.Names.SetReadOnly(signet.ReadOnly)
	b.refused(signet.TooManyLocks, func(r *fs.Request) error { return b.SetLock(r, hb, rangeOf(1, signet.LockRead, 10, 100), true) })
}
