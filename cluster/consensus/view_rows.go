package consensus

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"sync"

	"github.com/signetfs/signet"
)

// row names something a View can read and a command can change.
type row struct {
	ino  signet.Ino
	what uint8
	name uint64 // hash of a sealed name; a collision only makes a reader wait needlessly
}

const (
	rowInode = iota // attributes, contents, extended attributes
	rowName         // one name in directory ino
	rowNames        // all names in directory ino
)

// maxRows bounds the changed rows remembered. Beyond it the oldest are forgotten and
// views older than those count as not fresh, which costs cached lifetimes only.
const maxRows = 1 << 18

// rows remembers which rows changed at which index, for as long as a reader may have
// to know: until the change is released and no older view is open.
type rows struct {
	seed maphash.Seed

	mu        sync.Mutex   // guards what follows
	marked    signet.Index // newest batch whose rows are noted here
	published signet.Index // newest batch that is in the tables
	released  signet.Index
	forgotten signet.Index // changes up to here may be missing from newest
	newest    map[row]signet.Index
	log       []changed   // oldest first
	open      []openViews // by index, none twice
	waiting   []waiter
}

type changed struct {
	index signet.Index
	row   row
}

type openViews struct {
	index signet.Index
	count int
}

type waiter struct {
	index signet.Index
	done  chan struct{}
}

func newRows() *rows {
	return &rows{seed: maphash.MakeSeed(), newest: map[row]signet.Index{}}
}

func (t *rows) nameRow(parent signet.Ino, name []byte) row {
	return row{parent, rowName, maphash.Bytes(t.seed, name)}
}

// mark notes a batch's changes. It is called before the batch gets into the tables, so
// that nobody can read a change that is not noted here.
func (t *rows) mark(b signet.Batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	note := func(r row) {
		if t.newest[r] != b.Index {
			t.newest[r] = b.Index
			t.log = append(t.log, changed{b.Index, r})
		}
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.What == signet.ChangedLock {
			continue // no view shows locks
		}
		if c.What&(signet.AddedName|signet.RemovedName) != 0 {
			note(t.nameRow(c.Ino, c.Name))
			note(row{c.Ino, rowNames, 0})
		}
		note(row{c.Ino, rowInode, 0})
	}
	t.marked = max(t.marked, b.Index)
}

// publish notes that the batches up to index are in the tables.
func (t *rows) publish(index signet.Index) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.published = max(t.published, index)
	t.forget()
}

// jump notes that the tables jumped to index: any row may have changed.
func (t *rows) jump(index signet.Index) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marked, t.published, t.forgotten = index, index, index
	t.newest, t.log = map[row]signet.Index{}, nil
}

// release notes that everything up to index may be seen, and wakes who waits for it.
func (t *rows) release(index signet.Index) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if index <= t.released {
		return
	}
	t.released = index
	n := 0
	for _, w := range t.waiting {
		if w.index <= index {
			close(w.done)
			continue
		}
		t.waiting[n] = w
		n++
	}
	clear(t.waiting[n:])
	t.waiting = t.waiting[:n]
	t.forget()
}

// releasedBy returns a channel that is closed when index is released, nil if it is.
func (t *rows) releasedBy(index signet.Index) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if index <= t.released {
		return nil
	}
	for _, w := range t.waiting {
		if w.index == index {
			return w.done
		}
	}
	w := waiter{index, make(chan struct{})}
	t.waiting = append(t.waiting, w)
	return w.done
}

// forget drops changes that nobody can ask about any more.
func (t *rows) forget() {
	limit := min(t.released, t.published)
	if len(t.open) > 0 {
		limit = min(limit, t.open[0].index)
	}
	n := 0
	for n < len(t.log) && (t.log[n].index <= limit || len(t.log)-n > maxRows) {
		c := t.log[n]
		if t.newest[c.row] == c.index {
			delete(t.newest, c.row)
		}
		if c.index > limit {
			t.forgotten = c.index
		}
		n++
	}
	if n > 0 {
		t.log = t.log[n:]
	}
	if len(t.log) == 0 {
		t.log = nil // give the grown array back
	}
}

// enter counts a view in, before it is opened, and returns an index that it will not be
// older than.
func (t *rows) enter() signet.Index {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.published
	if n := len(t.open); n > 0 && t.open[n-1].index == i {
		t.open[n-1].count++
	} else {
		t.open = append(t.open, openViews{i, 1})
	}
	return i
}

// leave counts a view out.
func (t *rows) leave(index signet.Index) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := slices.BinarySearchFunc(t.open, index, func(o openViews, x signet.Index) int { return cmp.Compare(o.index, x) })
	if !ok {
		return
	}
	if t.open[i].count--; t.open[i].count > 0 {
		return
	}
	// Views that outlive many others are common: what is over must not pile up behind them.
	t.open = slices.Delete(t.open, i, i+1)
	if i == 0 {
		t.forget()
	}
}

// oldest returns the index of the oldest open view, or the published index.
func (t *rows) oldest() signet.Index {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) > 0 {
		return t.open[0].index
	}
	return t.published
}

// settle returns the index whose release a reader of r at view index must wait for.
// When the row has changed since, whether an older unreleased change is among what the
// view shows is no longer known, so the view's own index stands in for it.
func (t *rows) settle(r row, view signet.Index) signet.Index {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.newest[r]
	if i <= view && t.forgotten > t.released {
		i = max(i, min(view, t.forgotten))
	}
	return min(i, view)
}

// fresh says whether none of the rows changed after view.
func (t *rows) fresh(read []row, view signet.Index) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if view < t.forgotten {
		return false
	}
	if view == t.marked {
		return true
	}
	for _, r := range read {
		if t.newest[r] > view {
			return false
		}
	}
	return true
}

// never is an index that is not released before the node closes.
const never = signet.Index(math.MaxUint64)
