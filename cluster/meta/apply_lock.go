package meta

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/lock"
)

// maxWalk is how many owners the search for a deadlock looks at. Beyond, a request waits
// as if there were none; Linux gives up after ten.
const maxWalk = 256

func (t *tx) lock(c *signet.Lock) signet.Result {
	flock := c.Kind == signet.LockFlock
	switch k := lock.Check(&c.Lock); {
	case k != signet.OK:
		return refuse(k)
	case !flock && c.Kind != signet.LockPOSIX, flock && (c.Lock.Start != 0 || c.Lock.End != signet.LockEnd):
		return refuse(signet.Invalid)
	case c.Lock.Session != t.session:
		return refuse(signet.Stale)
	}
	if c.Lock.Type != signet.LockNone {
		if _, k := t.inode(c.Ino); k != signet.OK {
			return refuse(k)
		}
	}
	before := t.locks(t.group, c.Ino, c.Kind)
	after := before
	if c.Test {
		return tested(&after, c)
	}
	out := after.Ask(lock.Request{FileLock: c.Lock, Flock: flock, Wait: c.Wait}, func() bool {
		return !flock && t.deadlock(c.Ino, &before, &c.Lock)
	})
	if out.Err != signet.OK {
		return refuse(out.Err)
	}
	t.putLocks(t.group, c.Ino, c.Kind, &before, &after)
	t.granted(c.Ino, out.Granted)
	return signet.Result{Held: out.Held, Lock: out.Blocker}
}

// tested answers whether a lock could be held, without taking it.
func tested(table *lock.Table, c *signet.Lock) signet.Result {
	out := table.Ask(lock.Request{FileLock: c.Lock}, nil)
	if out.Err == signet.TooManyLocks {
		out = lock.Outcome{Held: true} // nobody is in the way
	}
	return signet.Result{Err: out.Err, Held: out.Held, Lock: out.Blocker}
}

func (t *tx) endWait(c *signet.EndWait) signet.Result {
	if c.Owner.Session != t.session {
		return refuse(signet.Stale)
	}
	before := t.locks(t.group, c.Ino, c.Kind)
	after := before
	k, granted := after.End(c.Owner, c.Wait, c.Pass)
	if k != signet.OK {
		return refuse(k)
	}
	t.putLocks(t.group, c.Ino, c.Kind, &before, &after)
	t.granted(c.Ino, granted)
	return signet.Result{}
}

// endLocks takes away what a session has locked or waits for, as far as one command may.
// It says whether nothing is left.
func (t *tx) endLocks(id signet.SessionID) bool {
	type table struct {
		group signet.Group
		ino   signet.Ino
		kind  signet.LockKind
	}
	var tables []table
	p := numKey(0, tableLockers, id)
	t.scan(p, next(p), func(key, _ []byte) bool {
		k := key[len(p):]
		tables = append(tables, table{
			signet.Group(binary.BigEndian.Uint32(k)), signet.Ino(binary.BigEndian.Uint64(k[4:])), signet.LockKind(k[12]),
		})
		return len(tables) < cutRows
	})
	for _, x := range tables {
		before := t.locks(x.group, x.ino, x.kind)
		if t.touched+2+len(before.Queue) > cutRows { // the row, that of the session, those of who no longer waits
			return false
		}
		after := before
		granted := after.EndSession(id)
		t.putLocks(x.group, x.ino, x.kind, &before, &after)
		t.granted(x.ino, granted)
	}
	return len(tables) < cutRows
}

// granted tells the change feed of requests that got their locks.
func (t *tx) granted(ino signet.Ino, list []lock.Waiter) {
	for _, w := range list {
		t.lockChange(signet.Change{Ino: ino, Off: w.Wait, Session: w.Session})
	}
}

// lockChange adds a change of locks to the feed: it tells a session of its own.
func (t *tx) lockChange(c signet.Change) {
	c.What = signet.ChangedLock
	t.step.Batch.Changes = append(t.step.Batch.Changes, c)
}

// locks returns the locks of an inode.
func (t *tx) locks(g signet.Group, ino signet.Ino, kind signet.LockKind) lock.Table {
	row, _ := read(t, lockKey(g, ino, kind), codeLocks)
	return row
}

// putLocks writes the locks of an inode and what follows from them: which sessions have a
// part in them, and which owners wait there.
func (t *tx) putLocks(g signet.Group, ino signet.Ino, kind signet.LockKind, before, after *lock.Table) {
	key := lockKey(g, ino, kind)
	switch {
	case !after.Empty():
		write(t, key, codeLocks, after)
	case !before.Empty():
		t.del(key)
	}
	t.putMarks(lockers(before), lockers(after), func(s signet.LockOwner) []byte { return lockerKey(s.Session, g, ino, kind) })
	if kind == signet.LockPOSIX {
		t.putMarks(waiting(before), waiting(after), func(o signet.LockOwner) []byte { return waitKey(g, o, ino) })
	}
}

// lockers returns the sessions with a part in a table.
func lockers(l *lock.Table) map[signet.LockOwner]bool {
	set := make(map[signet.LockOwner]bool, 1)
	for i := range l.Held {
		set[signet.LockOwner{Session: l.Held[i].Session}] = true
	}
	for i := range l.Queue {
		set[signet.LockOwner{Session: l.Queue[i].Session}] = true
	}
	return set
}

// waiting returns the owners that wait in a table.
func waiting(l *lock.Table) map[signet.LockOwner]bool {
	set := make(map[signet.LockOwner]bool, len(l.Queue))
	for i := range l.Queue {
		set[l.Queue[i].LockOwner] = true
	}
	return set
}

// putMarks makes rows without content of the one set into those of the other.
func (t *tx) putMarks(before, after map[signet.LockOwner]bool, key func(signet.LockOwner) []byte) {
	for _, o := range slices.SortedFunc(maps.Keys(before), lock.Order) {
		if !after[o] {
			t.del(key(o))
		}
	}
	for _, o := range slices.SortedFunc(maps.Keys(after), lock.Order) {
		if !before[o] {
			write(t, key(o), codeShort, &struct{}{})
		}
	}
}

// deadlock says whether the owner of l, if it waited on ino for who holds what is in the
// way, would wait for itself: whether one of those waits, by way of others, for it.
func (t *tx) deadlock(ino signet.Ino, at *lock.Table, l *signet.FileLock) bool {
	seen := map[signet.LockOwner]bool{}
	var todo []signet.LockOwner
	add := func(o signet.LockOwner) {
		if !seen[o] {
			seen[o] = true
			todo = append(todo, o)
		}
	}
	at.Blockers(l, add)
	for n := 0; n < len(todo) && n < maxWalk; n++ {
		o := todo[n]
		if o == l.LockOwner {
			return true
		}
		for _, in := range t.waits(o) {
			other := at
			if in != ino {
				x := t.locks(t.group, in, signet.LockPOSIX)
				other = &x
			}
			for i := range other.Queue {
				if w := &other.Queue[i]; w.LockOwner == o {
					other.Blockers(&w.FileLock, add)
				}
			}
		}
	}
	return false
}

// waits returns the inodes at which an owner waits for POSIX locks.
func (t *tx) waits(o signet.LockOwner) (list []signet.Ino) {
	p := waitKey(t.group, o, 0)
	p = p[:len(p)-8]
	t.scan(p, next(p), func(key, _ []byte) bool {
		list = append(list, number[signet.Ino](key[len(p):]))
		return len(list) < maxWalk
	})
	return list
}
