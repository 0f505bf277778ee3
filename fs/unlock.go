package fs

import (
	"context"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// This file has the ends of locks and of waits. None may be lost: a lock that nobody gives
// up is there for as long as the session. So each goes on in the background until the log
// has it.

// lifetime returns the context of a step of background work.
func (f *FS) lifetime() (context.Context, context.CancelFunc) {
	return clock.WithTimeout(f.life, f.clock, callTimeout)
}

// publishFirst publishes what was written to ino through this mount, and waits for its
// release. What was given up because it never can be published does not count: handles are
// told of that elsewhere.
func (f *FS) publishFirst(ctx context.Context, ino signet.Ino) error {
	n := f.nodes.peek(ino)
	if n == nil {
		return nil
	}
	if n.isDirty() {
		if err := f.publish(ctx, n); err != nil && !hopeless(err) {
			return err
		}
	}
	return n.released(ctx)
}

// unlockOwner gives up what an owner has locked of the inode of h: one of its descriptors
// was closed. It waits for that, but not for a majority: without one nobody else can get
// the lock, and close(2) must end.
func (f *FS) unlockOwner(r *Request, h *handle, owner uint64) {
	o := f.locks.flushed(h.node.ino, lockKey{signet.LockPOSIX, owner})
	if o == nil {
		return
	}
	tried, _ := f.giveUp(o)
	ctx, cancel := f.begin(r)
	defer cancel()
	if f.names.Writable(ctx) != nil {
		return
	}
	select {
	case <-tried:
	case <-ctx.Done():
	}
}

// unlockHandle gives up what was locked through a handle that is closed, and through no
// other.
func (f *FS) unlockHandle(h *handle) {
	for _, o := range f.locks.closed(h) {
		f.giveUp(o)
	}
}

// unlockAll gives up everything, at the end of the mount.
func (f *FS) unlockAll(ctx context.Context) {
	for _, o := range f.locks.all() {
		_, done := f.giveUp(o)
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
}

// giveUp unlocks all of a holding in the background, which leaves it: until it is done, and
// tried once.
func (f *FS) giveUp(o *holding) (tried, done <-chan struct{}) {
	first, last := make(chan struct{}), make(chan struct{})
	f.work.Go(func() {
		defer close(last)
		defer f.locks.leave(o)
		var once sync.Once
		told := func() { once.Do(func() { close(first) }) }
		defer told()
		if o.turn.take(f.life) != nil {
			return
		}
		defer o.turn.give()
		for _, step := range []func(context.Context) error{
			func(ctx context.Context) error { return f.publishFirst(ctx, o.ino) },
			func(ctx context.Context) error { return f.unlock(ctx, o) },
		} {
			f.retry(func(ctx context.Context) error {
				err := step(ctx)
				if err != nil {
					told()
				}
				return err
			})
		}
	})
	return first, last
}

// noIndex is later than all.
const noIndex = ^signet.Index(0)

// unlock tells the log that an owner holds nothing.
func (f *FS) unlock(ctx context.Context, o *holding) error {
	s := f.locks.held(o)
	if s == 0 {
		return nil
	}
	res, _, err := f.names.Do(ctx, lockCommand(o.ino, o.key, s, &Lock{End: signet.LockEnd}))
	if signet.KindOf(err) == signet.Ended || err == nil && (res.Err == signet.OK || res.Err == signet.Stale) {
		if res.Err != signet.OK || err != nil {
			res.Index = noIndex // they ended with their session
		}
		f.locks.free(o, res.Index)
		return nil
	}
	if err == nil {
		err = res.Err
	}
	return err
}

// retry does a step of background work until it succeeds or the mount is gone.
func (f *FS) retry(step func(context.Context) error) {
	for f.life.Err() == nil {
		ctx, cancel := f.lifetime()
		err := step(ctx)
		cancel()
		if err == nil {
			return
		}
		t := f.clock.NewTimer(writeBackRetry)
		select {
		case <-t.C():
		case <-f.life.Done():
		}
		t.Stop()
	}
}

// abandon ends a request of which nobody knows what became. If it is queued it is taken
// out of the queue; if it has its lock, endWait says what becomes of that.
func (f *FS) abandon(w *lockWait) {
	if w != nil {
		f.work.Go(func() { f.endWait(w, make(chan bool, 1)) })
	}
}

// endWait takes a request out of the queue and says whether it was waiting until then. If
// it had its lock already and its program has turned away, a lock of flock(2) is given back.
// One of a range stays until the process closes the file: it may have replaced another,
// which the program counts on.
func (f *FS) endWait(w *lockWait, waited chan<- bool) {
	defer f.locks.done(w)
	f.retry(func(ctx context.Context) error {
		res, err := f.doEndWait(ctx, w, false)
		switch {
		case signet.KindOf(err) == signet.Ended:
			waited <- false
			return nil
		case err != nil:
			return err
		}
		waited <- res.Err == signet.OK
		if res.Err == signet.OK {
			return nil
		}
		return f.reached.wait(ctx, res.Index) // then the change feed has told what became of it
	})
	select {
	case <-w.settled:
	case <-f.life.Done():
		return
	}
	if w.got || !isClosed(w.granted) || w.hold.turn.take(f.life) != nil {
		return
	}
	defer w.hold.turn.give()
	if f.locks.unwanted(w) {
		f.retry(func(ctx context.Context) error { return f.unlock(ctx, w.hold) })
	}
}

// doEndWait takes a request out of the queue, or lets it pass those before it.
func (f *FS) doEndWait(ctx context.Context, w *lockWait, pass bool) (signet.Result, error) {
	o := w.hold
	res, _, err := f.names.Do(ctx, &signet.EndWait{
		Ino: o.ino, Kind: o.key.kind, Owner: signet.LockOwner{Session: w.session, ID: o.key.owner}, Wait: w.wait, Pass: pass,
	})
	return res, err
}

// askAgain finds out which of the waiting requests have their locks, after a gap in the
// change feed.
func (f *FS) askAgain() {
	for _, w := range f.locks.waiting() {
		f.work.Go(func() {
			f.retry(func(ctx context.Context) error {
				res, err := f.doEndWait(ctx, w, true)
				if err == nil && res.Err == signet.NotFound {
					f.locks.grant(w.session, w.wait, res.Index)
				}
				if signet.KindOf(err) == signet.Ended {
					return nil
				}
				return err
			})
		})
	}
}

// loseLocks is called when sessions of this mount are over, and with them their locks: the
// handles that had them are of no use any more, and what was written through them must not
// be published, as others may hold those locks by now.
func (f *FS) loseLocks(over func(signet.SessionID) bool) {
	for _, h := range f.locks.lose(over) {
		err := signet.Errorf(signet.Ended, "keep locks of", inodeText(h.node.ino), "this host was away for so long that others may have them")
		f.report(err)
		if h.node.isDirty() {
			f.discard(h.node, err)
		}
		f.work.Go(func() { f.kernel.get().DropPages(h.node.ino, 0, -1) })
	}
}

// lockChanged takes a change of locks from the change feed.
func (f *FS) lockChanged(c *signet.Change, index signet.Index) {
	if c.Ino == 0 {
		f.loseLocks(func(s signet.SessionID) bool { return s == c.Session })
		return
	}
	f.locks.grant(c.Session, c.Off, index)
}

// loseOld is loseLocks for what was locked in any session but the current one.
func (f *FS) loseOld() {
	s := f.names.Session()
	f.loseLocks(func(old signet.SessionID) bool { return old != s })
}
