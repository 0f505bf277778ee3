package fs

import (
	"context"
	"time"

	"github.com/signetfs/signet"
)

// Lock is a lock as the kernel asks for it.
type Lock struct {
	Kind  signet.LockKind
	Type  signet.LockType
	Start uint64
	End   uint64 // the last byte; signet.LockEnd: to the end
	PID   uint32
	Owner uint64 // the kernel's number of the process or open file
}

// key names the owner in the log. Locks of flock(2) belong to an open file, which is h
// whatever number the kernel has for it: it gives the number to another file as soon as
// this one is closed, before we hear of that.
func (l *Lock) key(h *handle) lockKey {
	if l.Kind == signet.LockFlock {
		return lockKey{l.Kind, l.Owner ^ uint64(h.id)<<32}
	}
	return lockKey{l.Kind, l.Owner}
}

// GetLock returns a lock that keeps l from being had, of type LockNone if there is none.
// PID is 0 for a process of another host. It asks the log, not this host's copy of the
// state: locks are answered before all hosts have heard of them.
func (f *FS) GetLock(r *Request, id Handle, l Lock) (signet.FileLock, error) {
	h, err := f.handles.open(id)
	if err != nil {
		return signet.FileLock{}, err
	}
	ctx, cancel := f.begin(r)
	defer cancel()
	for {
		s := f.names.Session()
		c := lockCommand(h.node.ino, l.key(h), s, &l)
		c.Test = true
		res, _, err := f.names.Do(ctx, c)
		switch {
		case err != nil:
			return signet.FileLock{}, lockError(h.node.ino, err)
		case res.Err == signet.Stale && ctx.Err() == nil:
			continue
		case res.Err != signet.OK:
			return signet.FileLock{}, lockError(h.node.ino, res.Err)
		}
		if res.Lock.Session != s {
			res.Lock.PID = 0
		}
		return res.Lock, nil
	}
}

// SetLock takes a lock, or gives it up (LockNone). If somebody else has it, it fails with
// WouldBlock, or waits, without a deadline, until it has the lock, the program is
// interrupted or the mount ends.
//
// What was written through this mount is published before anything is given up, and so
// before every call here. Who gets a lock sees all that was published before it was free:
// that was released, and this host's kernel has forgotten the old bytes when the call is
// answered. So nothing waits for the release of the lock itself.
func (f *FS) SetLock(r *Request, id Handle, l Lock, wait bool) error {
	h, err := f.handles.open(id)
	if err != nil {
		return err
	}
	ino := h.node.ino
	ctx, cancel := f.begin(r)
	err = f.publishFirst(ctx, ino)
	cancel()
	if err != nil {
		return lockError(ino, err)
	}
	o := f.locks.enter(h, l.key(h))
	defer f.locks.leave(o)
	until := f.clock.Now().Add(closingPatience)
	for {
		again, err := f.tryLock(r, h, o, &l, wait, until)
		if err != nil {
			return lockError(ino, err)
		}
		if !again {
			return nil
		}
	}
}

// tryLock is one attempt. It is to be made again if the session ended while nothing was
// lost, or if who was in the way was about to go.
func (f *FS) tryLock(r *Request, h *handle, o *holding, l *Lock, wait bool, until time.Time) (again bool, err error) {
	ctx, cancel := f.begin(r)
	defer cancel()
	if err := o.turn.take(ctx); err != nil {
		return false, err
	}
	s := f.names.Session()
	had, ok := f.locks.begin(o, s)
	if !ok || !had && l.Type == signet.LockNone {
		o.turn.give()
		if !ok {
			f.loseOld()
			err = signet.Ended
		}
		return false, err
	}
	c := lockCommand(o.ino, o.key, s, l)
	var w *lockWait
	if wait && l.Type != signet.LockNone {
		w = f.locks.wait(o, s)
		defer func() {
			w.got = !again && err == nil
			close(w.settled)
		}()
		c.Wait = w.wait
	}
	res, _, err := f.names.Do(ctx, c)
	f.noteLock(o, l, res, err)
	o.turn.give()
	switch {
	case err != nil:
		f.abandon(w)
		return false, err
	case res.Err == signet.OK && !res.Held && w != nil:
		return f.awaitLock(r, h, w)
	case w != nil:
		f.locks.done(w)
	}
	switch {
	case res.Held:
		return false, f.reached.wait(ctx, res.Index)
	case res.Err == signet.Stale && !had:
		return true, ctx.Err()
	case res.Err == signet.Stale:
		f.loseLocks(func(old signet.SessionID) bool { return old == s })
		return false, signet.Ended
	case res.Err != signet.OK:
		return false, res.Err
	}
	return f.metClosing(ctx, o, &res.Lock, s, until)
}

// noteLock notes what a command for a lock has come to. When in doubt the owner has
// something: then there is a command more when the file is closed.
func (f *FS) noteLock(o *holding, l *Lock, res signet.Result, err error) {
	switch signet.KindOf(err) {
	case signet.OK:
		switch {
		case !res.Held:
		case l.Type != signet.LockNone:
			f.locks.got(o, res.Index)
		case l.Start == 0 && l.End == signet.LockEnd:
			f.locks.free(o, res.Index)
		}
	case signet.ReadOnly, signet.TooBusy, signet.Ended: // not carried out
	default:
		if l.Type != signet.LockNone {
			f.locks.got(o, 0)
		}
	}
}

// metClosing is what becomes of an attempt that found a lock and does not wait. The kernel
// tells us of the end of an open file some time after close(2) has returned; a program that
// closes a file and tries the lock at once must not find its own.
func (f *FS) metClosing(ctx context.Context, o *holding, found *signet.FileLock, s signet.SessionID, until time.Time) (again bool, err error) {
	left := until.Sub(f.clock.Now())
	if found.Session != s || left <= 0 {
		return false, signet.WouldBlock
	}
	other := f.locks.find(o.ino, lockKey{o.key.kind, found.ID})
	if other == nil {
		return true, nil // it was given up meanwhile
	}
	now := f.clock.Now()
	closing := f.locks.closing(other, func(h *handle) bool {
		at := h.closed.Load()
		return at != 0 && now.UnixNano()-at < int64(closingPatience)
	})
	f.locks.leave(other)
	if !closing {
		return false, signet.WouldBlock
	}
	t := f.clock.NewTimer(left)
	defer t.Stop()
	select {
	case <-other.gone:
		return true, nil
	case <-t.C():
		return false, signet.WouldBlock
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// awaitLock waits for a queued request.
func (f *FS) awaitLock(r *Request, h *handle, w *lockWait) (again bool, err error) {
	pass := f.clock.NewTimer(queuePatience)
	defer pass.Stop()
	for {
		select {
		case <-w.granted:
			f.locks.done(w)
			ctx, cancel := f.lifetime()
			defer cancel()
			return false, f.reached.wait(ctx, w.index)
		case <-w.ended:
			f.locks.done(w)
			return f.anew(h)
		case <-pass.C():
			f.later(func(ctx context.Context) { _, _ = f.doEndWait(ctx, w, true) }) // if that fails it waits its turn
		case <-r.Ctx.Done():
			return false, f.interrupted(r, w)
		}
	}
}

// anew says what becomes of a request whose session ended while it waited: it is made again
// unless its file has lost something.
func (f *FS) anew(h *handle) (again bool, err error) {
	if h.lost.Load() {
		return false, signet.Ended
	}
	return true, nil
}

// interrupted ends a wait whose program does not want to wait any more. If the lock was
// granted before the log knew of that, the program has it.
func (f *FS) interrupted(r *Request, w *lockWait) error {
	known := make(chan bool, 1)
	f.work.Go(func() { f.endWait(w, known) })
	ctx, cancel := f.begin(r) // ends after a moment, at once if the program is being killed
	defer cancel()
	select {
	case waited := <-known:
		if waited {
			return signet.Interrupted
		}
	case <-ctx.Done():
		return signet.Interrupted
	}
	select {
	case <-w.granted:
		return f.reached.wait(ctx, w.index)
	case <-w.ended:
	case <-ctx.Done():
	}
	return signet.Interrupted
}

func lockCommand(ino signet.Ino, k lockKey, s signet.SessionID, l *Lock) *signet.Lock {
	return &signet.Lock{Ino: ino, Kind: k.kind, Lock: signet.FileLock{
		LockOwner: signet.LockOwner{Session: s, ID: k.owner}, Type: l.Type, Start: l.Start, End: l.End, PID: l.PID,
	}}
}

// lockError is the error of a call about locks. What keeps changes from being made is for
// locks what fcntl(2) calls "a remote locking protocol failed".
func lockError(ino signet.Ino, err error) error {
	switch signet.KindOf(err) {
	case signet.ReadOnly, signet.TooBusy:
		return signet.Errorf(signet.TooManyLocks, "lock", inodeText(ino), "no locks can be had now: %w", err)
	}
	return signet.Wrap("lock", inodeText(ino), err)
}
