package fstest

import (
	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/lock"
)

// lockRow is where the locks of an inode are.
type lockRow struct {
	ino  signet.Ino
	kind signet.LockKind
}

// lock is what package meta does.
func (a *applying) lock(c *signet.Lock) signet.Result {
	if k := lock.Check(&c.Lock); k != signet.OK {
		return refuse(k)
	}
	if c.Lock.Session != a.session {
		return refuse(signet.Stale)
	}
	if _, ok := a.inode(c.Ino); !ok && c.Lock.Type != signet.LockNone {
		return refuse(signet.NotFound)
	}
	at := lockRow{c.Ino, c.Kind}
	t := a.locks[at]
	r := lock.Request{FileLock: c.Lock, Flock: c.Kind == signet.LockFlock, Wait: c.Wait}
	if c.Test {
		r.Flock = false
	}
	out := t.Ask(r, func() bool {
		return !r.Flock && a.waitsFor(&t, &c.Lock, c.Lock.LockOwner, map[signet.LockOwner]bool{})
	})
	if !c.Test && out.Err == signet.OK {
		a.setLocks(at, t, out.Granted)
	}
	return signet.Result{Err: out.Err, Held: out.Held, Lock: out.Blocker}
}

// waitsFor says whether somebody who holds what is in the way of l waits for o.
func (a *applying) waitsFor(t *lock.Table, l *signet.FileLock, o signet.LockOwner, seen map[signet.LockOwner]bool) (found bool) {
	t.Blockers(l, func(x signet.LockOwner) {
		if found = found || x == o; found || seen[x] {
			return
		}
		seen[x] = true
		for at, other := range a.State.locks {
			for i := range other.Queue {
				if w := &other.Queue[i]; at.kind == signet.LockPOSIX && w.LockOwner == x {
					found = found || a.waitsFor(&other, &w.FileLock, o, seen)
				}
			}
		}
	})
	return found
}

func (a *applying) endWait(c *signet.EndWait) signet.Result {
	if c.Owner.Session != a.session {
		return refuse(signet.Stale)
	}
	at := lockRow{c.Ino, c.Kind}
	t := a.locks[at]
	k, granted := t.End(c.Owner, c.Wait, c.Pass)
	if k == signet.OK {
		a.setLocks(at, t, granted)
	}
	return signet.Result{Err: k}
}

func (a *applying) setLocks(at lockRow, t lock.Table, granted []lock.Waiter) {
	a.State.locks[at] = t
	if t.Empty() {
		delete(a.State.locks, at)
	}
	for _, w := range granted {
		a.changes = append(a.changes, signet.Change{Ino: at.ino, What: signet.ChangedLock, Session: w.Session, Off: w.Wait})
	}
}

// EndSession ends the host's session, as the log does when a host was away for long, and
// opens another.
func (h *Host) EndSession() {
	s := h.state
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index++
	a := &applying{State: s, session: h.session}
	a.change(signet.Change{What: signet.ChangedLock})
	for at, t := range s.locks {
		granted := t.EndSession(h.session)
		a.setLocks(at, t, granted)
	}
	s.sessions++
	h.session = s.sessions
	s.publish(a.changes)
}

// Locks returns how many locks are held on all inodes, and how many requests wait.
func (s *State) Locks() (held, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.locks {
		held += len(t.Held)
		waiting += len(t.Queue)
	}
	return held, waiting
}
