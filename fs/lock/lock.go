package lock

import (
	"cmp"
	"slices"

	"github.com/signetfs/signet"
)

// MaxHeld is how many locks a Table can hold at most.
const MaxHeld = signet.MaxLocks + 2*signet.MaxLockWaits

// Table is the locks of one kind on one inode.
type Table struct {
	Held  []signet.FileLock // by owner, then start; those of one owner are disjoint and joined
	Queue []Waiter          // who asked first comes first
}

// Waiter is a queued request.
type Waiter struct {
	signet.FileLock
	Wait uint64 // names it, in its session
	Pass bool   // it waits for holders only
}

// Request is what an owner asks for.
type Request struct {
	signet.FileLock
	Flock bool   // conversions drop the old lock first
	Wait  uint64 // 0: do not queue
}

// Outcome is what became of a request.
type Outcome struct {
	Err     signet.Kind     // nothing was changed, unless it is OK
	Held    bool            // the request is satisfied
	Blocker signet.FileLock // if not, one that is in the way; LockNone: the queue
	Granted []Waiter        // who got theirs because of it
}

// Check returns Invalid for a lock that makes no sense.
func Check(l *signet.FileLock) signet.Kind {
	if l.Type > signet.LockWrite || l.Start > l.End || l.End > signet.LockEnd {
		return signet.Invalid
	}
	return signet.OK
}

// Empty says whether nobody holds anything or waits.
func (t *Table) Empty() bool { return len(t.Held)+len(t.Queue) == 0 }

// Ask carries out a request. deadlock says whether who makes it would wait for itself; it
// is asked only if the request would have to wait for a holder.
func (t *Table) Ask(r Request, deadlock func() bool) Outcome {
	if r.Type == signet.LockNone {
		return t.take(t.Held, r.FileLock)
	}
	held := t.Held
	if r.Flock {
		if i, j := span(held, r.LockOwner); i < j {
			if held[i].Type == r.Type {
				return Outcome{Held: true}
			}
			held = slices.Concat(held[:i], held[j:])
		}
	}
	blocker, blocked := blockerIn(held, &r.FileLock)
	if blocked && r.Wait != 0 && deadlock() {
		return Outcome{Err: signet.Deadlock}
	}
	if blocked || r.Wait != 0 && t.behind(&r.FileLock) {
		return t.queue(r, held, blocker)
	}
	return t.take(held, r.FileLock)
}

// take sets l in held, unless that makes too many: unlocking the middle of a lock makes
// one more, too.
func (t *Table) take(held []signet.FileLock, l signet.FileLock) Outcome {
	if held = set(held, l); len(held) > signet.MaxLocks && len(held) > len(t.Held) {
		return Outcome{Err: signet.TooManyLocks}
	}
	t.Held = held
	return Outcome{Held: true, Granted: t.grant()}
}

// queue puts a request into the queue, if it may wait.
func (t *Table) queue(r Request, held []signet.FileLock, blocker signet.FileLock) Outcome {
	if r.Wait != 0 {
		// Each that is granted adds two at most, so a table has never more than MaxHeld.
		if len(t.Queue) >= signet.MaxLockWaits || len(held) >= signet.MaxLocks {
			return Outcome{Err: signet.TooManyLocks}
		}
		t.Queue = append(slices.Clip(t.Queue), Waiter{FileLock: r.FileLock, Wait: r.Wait})
	}
	dropped := len(held) != len(t.Held)
	t.Held = held
	out := Outcome{Blocker: blocker}
	if dropped {
		out.Granted = t.grant()
	}
	return out
}

// behind says whether a request has to wait for one that is queued already.
func (t *Table) behind(l *signet.FileLock) bool {
	if !softBlocked(t.Queue, l) {
		return false
	}
	return !slices.ContainsFunc(t.Held, func(h signet.FileLock) bool {
		return h.Session == l.Session && (h.ID == l.ID || h.PID == l.PID)
	})
}

// End ends the waiting of a request, or lets it pass those before it in the queue. It
// fails with NotFound if it is not queued.
func (t *Table) End(o signet.LockOwner, wait uint64, pass bool) (signet.Kind, []Waiter) {
	i := slices.IndexFunc(t.Queue, func(w Waiter) bool { return w.LockOwner == o && w.Wait == wait })
	if i < 0 {
		return signet.NotFound, nil
	}
	queue := slices.Clone(t.Queue)
	if pass {
		queue[i].Pass = true
	} else {
		queue = slices.Delete(queue, i, i+1)
	}
	t.Queue = queue
	return signet.OK, t.grant()
}

// EndSession takes away everything that a session holds or waits for.
func (t *Table) EndSession(s signet.SessionID) []Waiter {
	t.Held = slices.DeleteFunc(slices.Clone(t.Held), func(h signet.FileLock) bool { return h.Session == s })
	t.Queue = slices.DeleteFunc(slices.Clone(t.Queue), func(w Waiter) bool { return w.Session == s })
	return t.grant()
}

// grant gives those in the queue what they can have now, in their order.
func (t *Table) grant() (granted []Waiter) {
	for again := true; again && len(t.Queue) > 0; {
		again = false
		var left []Waiter
		for _, w := range t.Queue {
			_, blocked := blockerIn(t.Held, &w.FileLock)
			if blocked || !w.Pass && softBlocked(left, &w.FileLock) {
				left = append(left, w)
				continue
			}
			// Who takes a weaker lock over a stronger one of his may let in others that
			// are before him in the queue.
			again = again || len(left) > 0 && weakens(t.Held, &w.FileLock)
			t.Held = set(t.Held, w.FileLock)
			granted = append(granted, w)
		}
		t.Queue = left
	}
	return granted
}

// weakens says whether l takes the place of a stronger lock of its owner.
func weakens(held []signet.FileLock, l *signet.FileLock) bool {
	from, to := span(held, l.LockOwner)
	return l.Type == signet.LockRead && slices.ContainsFunc(held[from:to], func(h signet.FileLock) bool {
		return h.Type == signet.LockWrite && h.Start <= l.End && l.Start <= h.End
	})
}

// Blockers calls fn for the owners that hold what is in the way of l, some more than once.
func (t *Table) Blockers(l *signet.FileLock, fn func(signet.LockOwner)) {
	for i := range t.Held {
		if conflict(&t.Held[i], l) {
			fn(t.Held[i].LockOwner)
		}
	}
}

func conflict(a, b *signet.FileLock) bool {
	return (a.Type == signet.LockWrite || b.Type == signet.LockWrite) &&
		a.Start <= b.End && b.Start <= a.End && a.LockOwner != b.LockOwner
}

// blockerIn returns the lock in the way of l that begins first.
func blockerIn(held []signet.FileLock, l *signet.FileLock) (first signet.FileLock, ok bool) {
	for i := range held {
		if conflict(&held[i], l) && (!ok || held[i].Start < first.Start) {
			first, ok = held[i], true
		}
	}
	return first, ok
}

func softBlocked(queue []Waiter, l *signet.FileLock) bool {
	return slices.ContainsFunc(queue, func(w Waiter) bool { return conflict(&w.FileLock, l) })
}

// Order orders owners.
func Order(a, b signet.LockOwner) int {
	return cmp.Or(cmp.Compare(a.Session, b.Session), cmp.Compare(a.ID, b.ID))
}

// span returns where the locks of an owner are.
func span(held []signet.FileLock, o signet.LockOwner) (from, to int) {
	from, _ = slices.BinarySearchFunc(held, o, func(h signet.FileLock, o signet.LockOwner) int { return Order(h.LockOwner, o) })
	for to = from; to < len(held) && held[to].LockOwner == o; to++ {
	}
	return from, to
}

// set returns held with l in place of what its owner had in that range.
func set(held []signet.FileLock, l signet.FileLock) []signet.FileLock {
	from, to := span(held, l.LockOwner)
	own := make([]signet.FileLock, 0, to-from+2)
	var after []signet.FileLock
	for _, h := range held[from:to] {
		switch {
		case h.Type == l.Type && h.Start <= l.End+1 && l.Start <= h.End+1: // touches: joined
			l.Start, l.End = min(l.Start, h.Start), max(l.End, h.End)
		case h.End < l.Start:
			own = append(own, h)
		case h.Start > l.End:
			after = append(after, h)
		default:
			if left := h; h.Start < l.Start {
				left.End = l.Start - 1
				own = append(own, left)
			}
			if right := h; h.End > l.End {
				right.Start = l.End + 1
				after = append(after, right)
			}
		}
	}
	if l.Type != signet.LockNone {
		own = append(own, l)
	}
	return slices.Concat(held[:from], own, after, held[to:])
}
