package meta

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/lock"
	"pgregory.net/rapid"
)

// lockCells is how many bytes of a file the model looks at; the last stands for all from
// there to the end.
const lockCells = 12

// locker is an owner in the model.
type locker = signet.LockOwner

// lockFile is the model of one inode's locks: each byte knows what each owner has of it.
type lockFile struct {
	cells [lockCells]map[locker]signet.LockType
	queue []lockWait
}

type lockWait struct {
	lock signet.FileLock
	wait uint64
	pass bool
}

// lockModel is the locks of a few inodes, by inode and kind.
type lockModel struct {
	files   map[[2]uint64]*lockFile
	granted []string
}

func (m *lockModel) file(ino signet.Ino, kind signet.LockKind) *lockFile {
	k := [2]uint64{uint64(ino), uint64(kind)}
	if m.files[k] == nil {
		m.files[k] = &lockFile{}
	}
	return m.files[k]
}

func cellsOf(l *signet.FileLock) (from, to int) {
	return int(min(l.Start, lockCells-1)), int(min(l.End, lockCells-1))
}

// blockers are the owners of what conflicts with l.
func (f *lockFile) blockers(l *signet.FileLock) map[locker]bool {
	set := map[locker]bool{}
	from, to := cellsOf(l)
	for _, c := range f.cells[from : to+1] {
		for o, typ := range c {
			if o != l.LockOwner && (typ == signet.LockWrite || l.Type == signet.LockWrite) {
				set[o] = true
			}
		}
	}
	return set
}

func (f *lockFile) set(l *signet.FileLock) {
	from, to := cellsOf(l)
	for i := from; i <= to; i++ {
		if f.cells[i] == nil {
			f.cells[i] = map[locker]signet.LockType{}
		}
		delete(f.cells[i], l.LockOwner)
		if l.Type != signet.LockNone {
			f.cells[i][l.LockOwner] = l.Type
		}
	}
}

// behind says whether somebody in the queue wants what conflicts with l.
func behind(queue []lockWait, l *signet.FileLock) bool {
	return slices.ContainsFunc(queue, func(w lockWait) bool {
		return w.lock.LockOwner != l.LockOwner && w.lock.Start <= l.End && l.Start <= w.lock.End &&
			(w.lock.Type == signet.LockWrite || l.Type == signet.LockWrite)
	})
}

func (m *lockModel) grant(f *lockFile) {
	for again := true; again; {
		again = false
		var left []lockWait
		for _, w := range f.queue {
			if len(f.blockers(&w.lock)) > 0 || !w.pass && behind(left, &w.lock) {
				left = append(left, w)
				continue
			}
			f.set(&w.lock)
			m.granted = append(m.granted, fmt.Sprint(w.lock.Session, " ", w.wait))
			again = true
		}
		f.queue = left
	}
}

// holds says whether an owner or its process has something of the file.
func (f *lockFile) holds(w *lockWorld, l *signet.FileLock) bool {
	for _, c := range f.cells {
		for o := range c {
			if o.Session == l.Session && (o.ID == l.ID || w.pid(o) == l.PID) {
				return true
			}
		}
	}
	return false
}

// stuck says whether one of the owners waits, by way of others, for o.
func (m *lockModel) stuck(from map[locker]bool, o locker, seen map[locker]bool) bool {
	for x := range from {
		if x == o {
			return true
		}
		if seen[x] {
			continue
		}
		seen[x] = true
		for k, f := range m.files {
			for i := range f.queue {
				if w := &f.queue[i]; signet.LockKind(k[1]) == signet.LockPOSIX && w.lock.LockOwner == x && m.stuck(f.blockers(&w.lock), o, seen) {
					return true
				}
			}
		}
	}
	return false
}

// ask carries out a request.
func (m *lockModel) ask(w *lockWorld, c *signet.Lock) (k signet.Kind, held bool) {
	f := m.file(c.Ino, c.Kind)
	l := &c.Lock
	if l.Type == signet.LockNone {
		f.set(l)
		m.grant(f)
		return signet.OK, true
	}
	had := f.holds(w, l)
	if c.Kind == signet.LockFlock && f.cells[0][l.LockOwner] != l.Type {
		drop := *l
		drop.Type = signet.LockNone
		f.set(&drop)
	}
	blockers := f.blockers(l)
	switch {
	case c.Wait != 0 && len(blockers) > 0 && c.Kind == signet.LockPOSIX && m.stuck(blockers, l.LockOwner, map[locker]bool{}):
		return signet.Deadlock, false
	case len(blockers) > 0, c.Wait != 0 && !had && behind(f.queue, l):
		if c.Wait != 0 {
			f.queue = append(f.queue, lockWait{lock: *l, wait: c.Wait})
		}
	default:
		f.set(l)
		held = true
	}
	m.grant(f)
	return signet.OK, held
}

// lockWorld is a world with several sessions.
type lockWorld struct {
	*world
	sessions []signet.SessionID
	requests map[signet.SessionID]uint64
	waits    uint64
}

// pid is the process that an owner belongs to: pairs of owners share one.
func (w *lockWorld) pid(o locker) uint32 { return uint32(o.ID / 2) }

func (w *lockWorld) as(s signet.SessionID, c any) signet.Result {
	w.requests[s]++
	w.entry(Envelope{signet.DefaultVolume, s, w.requests[s], w.requests[s], c})
	return w.last.Result
}

// heard returns the requests that the change feed says were granted.
func (w *lockWorld) heard() (out []string) {
	for _, c := range w.step.Batch.Changes {
		if c.What == signet.ChangedLock && c.Ino != 0 {
			out = append(out, fmt.Sprint(c.Session, " ", c.Off))
		}
	}
	return out
}

// compare holds the tables against the model.
func (m *lockModel) compare(t *rapid.T, w *lockWorld) {
	if got := w.heard(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(m.granted))) {
		t.Fatalf("granted %v, the model says %v", got, m.granted)
	}
	m.granted = nil
	seen := 0
	dump(w.world, 1, tableLocks, codeLocks, func(rest []byte, x lock.Table) {
		seen++
		f := m.file(number[signet.Ino](rest), signet.LockKind(rest[8]))
		var cells [lockCells]map[locker]signet.LockType
		for i := range x.Held {
			l := &x.Held[i]
			if i > 0 && x.Held[i-1].LockOwner == l.LockOwner && (x.Held[i-1].End >= l.Start || x.Held[i-1].End+1 == l.Start && x.Held[i-1].Type == l.Type) {
				t.Fatalf("neighbours %+v %+v", x.Held[i-1], l)
			}
			from, to := cellsOf(l)
			for j := from; j <= to; j++ {
				if cells[j] == nil {
					cells[j] = map[locker]signet.LockType{}
				}
				cells[j][l.LockOwner] = l.Type
			}
		}
		for i := range cells {
			if !maps.Equal(cells[i], f.cells[i]) {
				t.Fatalf("byte %d: %v, the model has %v", i, cells[i], f.cells[i])
			}
		}
		if !slices.EqualFunc(x.Queue, f.queue, func(a lock.Waiter, b lockWait) bool {
			return a.FileLock == b.lock && a.Wait == b.wait && a.Pass == b.pass
		}) {
			t.Fatalf("queue %+v, the model has %+v", x.Queue, f.queue)
		}
	})
	for _, f := range m.files {
		empty := len(f.queue) == 0
		for _, c := range f.cells {
			empty = empty && len(c) == 0
		}
		if !empty {
			seen--
		}
	}
	if seen != 0 {
		t.Fatalf("%d tables too many or few", seen)
	}
}

// step draws a command and holds its result against the model's.
func (m *lockModel) step(t *rapid.T, w *lockWorld) {
	w.step = &Step{}
	n := rapid.IntRange(0, len(w.sessions)-1).Draw(t, "session")
	s := w.sessions[n]
	o := locker{Session: s, ID: rapid.Uint64Range(1, 3).Draw(t, "owner")}
	ino := signet.Ino(rapid.IntRange(2, 3).Draw(t, "ino"))
	kind := signet.LockKind(rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "kind"))
	switch rapid.IntRange(0, 11).Draw(t, "what") {
	case 0: // a wait ends, or may pass
		f := m.file(ino, kind)
		if len(f.queue) == 0 {
			return
		}
		i := rapid.IntRange(0, len(f.queue)-1).Draw(t, "wait")
		q := f.queue[i]
		pass := rapid.Bool().Draw(t, "pass")
		if pass {
			f.queue[i].pass = true
		} else {
			f.queue = slices.Delete(f.queue, i, i+1)
		}
		m.grant(f)
		if res := w.as(q.lock.Session, &signet.EndWait{Ino: ino, Kind: kind, Owner: q.lock.LockOwner, Wait: q.wait, Pass: pass}); res.Err != signet.OK {
			t.Fatalf("end of %+v: %v", q, res.Err)
		}
	case 1: // a host dies
		if rapid.IntRange(0, 3).Draw(t, "dies") > 0 {
			return
		}
		for _, f := range m.files {
			for _, c := range f.cells {
				maps.DeleteFunc(c, func(o locker, _ signet.LockType) bool { return o.Session == s })
			}
			f.queue = slices.DeleteFunc(f.queue, func(q lockWait) bool { return q.lock.Session == s })
			m.grant(f)
		}
		w.cluster(&EndSession{Session: s}, signet.OK)
		if c := w.step.Batch.Changes; len(c) == 0 || c[0].Session != s || c[0].Ino != 0 || c[0].What != signet.ChangedLock {
			t.Fatalf("nobody is told of the end: %+v", c)
		}
		m.compare(t, w)
		w.step = &Step{}
		w.sessions[n] = w.newSession(signet.HostID(n+2), uint64(len(w.log)))
	default:
		c := &signet.Lock{Ino: ino, Kind: kind, Lock: signet.FileLock{LockOwner: o, PID: w.pid(o), End: signet.LockEnd}}
		c.Lock.Type = signet.LockType(rapid.IntRange(0, 2).Draw(t, "type"))
		if kind == signet.LockPOSIX {
			c.Lock.Start = rapid.Uint64Range(0, lockCells-1).Draw(t, "start")
			if end := rapid.Uint64Range(c.Lock.Start, lockCells-1).Draw(t, "end"); end < lockCells-1 {
				c.Lock.End = end
			}
		}
		if c.Lock.Type != signet.LockNone && rapid.Bool().Draw(t, "wait") {
			w.waits++
			c.Wait = w.waits
		}
		k, held := m.ask(w, c)
		if res := w.as(s, c); res.Err != k || res.Held != held {
			t.Fatalf("%+v: %v, held %v; the model says %v, %v", c, res.Err, res.Held, k, held)
		}
	}
}

func (w *lockWorld) newSession(h signet.HostID, start uint64) signet.SessionID {
	w.cluster(&OpenSession{Host: h, Start: start, Time: w.time()}, signet.OK)
	return signet.SessionID(w.last.Result.Index)
}

func newLockWorld(w *world, hosts int) *lockWorld {
	lw := &lockWorld{world: w, requests: map[signet.SessionID]uint64{}}
	for n := 2; n < hosts+2; n++ {
		w.host(byte(n))
	}
	w.file(1, "a", 2)
	w.file(1, "b", 3)
	for n := range hosts {
		lw.sessions = append(lw.sessions, lw.newSession(signet.HostID(n+2), 1))
	}
	return lw
}

// TestLockModel holds locks, queues, grants and deadlocks against a model in which each
// byte of a file knows who has it locked.
func TestLockModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newLockWorld(rapidWorld(rt, t, vfs.NewMem()), 3)
		defer w.s.Close()
		m := &lockModel{files: map[[2]uint64]*lockFile{}}
		for n := range rapid.IntRange(1, 80).Draw(rt, "steps") {
			m.step(rt, w)
			m.compare(rt, w)
			if n%8 == 0 {
				w.checkLocks()
			}
			if n := w.s.apply.touched; n > signet.MaxRows {
				rt.Fatalf("%d rows touched", n)
			}
		}
		w.checkLocks()
		w.check()
		sameEverywhere(rt, w.world)
	})
}

// checkLocks holds that the rows which follow from those of locks are there, and no others.
func (w *lockWorld) checkLocks() {
	w.t.Helper()
	want := map[string]bool{}
	dump(w.world, 1, tableLocks, codeLocks, func(rest []byte, x lock.Table) {
		ino, kind := number[signet.Ino](rest), signet.LockKind(rest[8])
		for o := range lockers(&x) {
			want[string(lockerKey(o.Session, 1, ino, kind))] = true
		}
		if kind == signet.LockPOSIX {
			for o := range waiting(&x) {
				want[string(waitKey(1, o, ino))] = true
			}
		}
	})
	for k := range w.rows() {
		if t := table(k[4]); t == tableLockers || t == tableWaits {
			if !want[k] {
				w.t.Fatalf("row %x follows from nothing", k)
			}
			delete(want, k)
		}
	}
	if len(want) > 0 {
		w.t.Fatalf("missing rows: %q", slices.Collect(maps.Keys(want)))
	}
}

func (w *lockWorld) posix(n int, owner uint64, typ signet.LockType, ino signet.Ino, from, to, wait uint64) signet.Result {
	return w.as(w.sessions[n], &signet.Lock{Ino: ino, Kind: signet.LockPOSIX, Wait: wait, Lock: signet.FileLock{
		LockOwner: locker{Session: w.sessions[n], ID: owner}, PID: uint32(owner), Type: typ, Start: from, End: to}})
}

// lockWorldOf is a world of hosts outside of a property.
func lockWorldOf(t *testing.T, hosts int) *lockWorld {
	w := empty(t, vfs.NewMem())
	w.make()
	return newLockWorld(w, hosts)
}

func TestDeadlockAcrossHosts(t *testing.T) {
	w := lockWorldOf(t, 3)
	for n := range 3 { // each has a byte and wants the next one's, of another file
		if res := w.posix(n, 7, signet.LockWrite, signet.Ino(2+n%2), uint64(n), uint64(n), 0); !res.Held {
			t.Fatalf("%+v", res)
		}
	}
	for n := range 2 {
		if res := w.posix(n, 7, signet.LockRead, signet.Ino(2+(n+1)%2), uint64(n+1), 50, uint64(n+1)); res.Err != signet.OK || res.Held {
			t.Fatalf("%+v", res)
		}
	}
	w.unchanged("a deadlock", func() {
		if res := w.posix(2, 7, signet.LockWrite, 2, 0, 0, 9); res.Err != signet.Deadlock {
			t.Fatalf("%+v", res)
		}
	})
	if res := w.posix(2, 7, signet.LockWrite, 2, 0, 0, 0); res.Err != signet.OK || res.Held || res.Lock.Session != w.sessions[0] {
		t.Fatalf("who does not wait is in no deadlock: %+v", res)
	}
	w.posix(2, 7, signet.LockNone, 2, 0, signet.LockEnd, 0)
	if got := w.heard(); len(got) != 1 {
		t.Fatalf("granted %v", got)
	}
}

// TestLocksEndInSteps ends a session with more locks than one command may take away.
func TestLocksEndInSteps(t *testing.T) {
	w := lockWorldOf(t, 2)
	const files = 1500
	for i := range signet.Ino(files) {
		w.file(1, fmt.Sprint("f", i), 10+i)
		w.posix(0, 1, signet.LockWrite, 10+i, 0, 9, 0)
		w.posix(1, uint64(i)+1, signet.LockWrite, 10+i, 0, 9, uint64(i)+1)
	}
	var heard []string
	steps := 0
	for more := true; more; steps++ {
		more = w.cluster(&EndSession{Session: w.sessions[0]}, signet.OK).More
		heard = append(heard, w.heard()...)
		if n := w.s.apply.touched; n > signet.MaxRows {
			t.Fatalf("%d rows touched", n)
		}
		w.checkLocks()
	}
	if len(heard) != files || steps < 2 {
		t.Errorf("%d granted in %d steps", len(heard), steps)
	}
	if res := w.as(w.sessions[0], &signet.Lock{Ino: 2, Kind: signet.LockPOSIX, Lock: signet.FileLock{LockOwner: locker{Session: w.sessions[0]}, Type: 1}}); res.Err != signet.Ended {
		t.Errorf("after the end: %v", res.Err)
	}
}

// TestLockOfAnotherSession: a request belongs to the session that its sender knew of.
func TestLockOfAnotherSession(t *testing.T) {
	w := lockWorldOf(t, 2)
	for _, c := range []any{
		&signet.Lock{Ino: 2, Kind: signet.LockPOSIX, Lock: signet.FileLock{LockOwner: locker{Session: w.sessions[0]}, Type: signet.LockRead}},
		&signet.EndWait{Ino: 2, Kind: signet.LockPOSIX, Owner: locker{Session: w.sessions[0]}},
	} {
		if res := w.as(w.sessions[1], c); res.Err != signet.Stale {
			t.Errorf("%T: %v", c, res.Err)
		}
	}
	test := &signet.Lock{Ino: 2, Kind: signet.LockPOSIX, Test: true, Lock: signet.FileLock{LockOwner: locker{Session: w.sessions[1], ID: 1}, Type: signet.LockRead, Start: 2, End: 30}}
	if res := w.as(w.sessions[1], test); !res.Held {
		t.Errorf("test of what is free: %+v", res)
	}
	w.posix(0, 3, signet.LockWrite, 2, 5, 6, 0)
	w.unchanged("a test", func() {
		if res := w.as(w.sessions[1], test); res.Held || res.Lock.Start != 5 || res.Lock.End != 6 || res.Lock.Type != signet.LockWrite || res.Lock.PID != 3 {
			t.Errorf("test of what is locked: %+v", res)
		}
	})
}
