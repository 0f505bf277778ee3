package fs

import (
	"context"
	"math"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
	"github.com/signetfs/signet/internal/clock"
)

// reads are the READs in flight, and the change feed's business with them.
//
// While a READ is unanswered the kernel holds its pages locked, and DropPages of one
// of them blocks. The change feed must drop the pages of a batch before it
// acknowledges the batch, and must not wait for a READ that itself waits for the
// batch's release, which waits for the acknowledgement. So:
//
//   - A READ whose view is older than the batch does not wait for it: the drop waits for
//     the READ. When that takes longer than readPatience (a slow host, say), the READ
//     is told to read anew.
//   - A READ whose view shows the batch will fill its pages with the newest bytes or
//     not at all: its range is covered, and nothing waits for it. When such a READ turns
//     up while a drop is blocked (it may be what blocks it), the rest of the range
//     around it is dropped by further calls.
//
// A batch is done with when each byte of its ranges was dropped or is covered.
type reads struct {
	mu    sync.Mutex
	of    map[signet.Ino]map[*reading]bool // guarded by mu
	drops map[signet.Ino]map[*drop]bool    // guarded by mu
}

// reading is one READ in flight that the kernel holds pages for.
type reading struct {
	ino     signet.Ino
	off, to uint64
	index   signet.Index       // guarded by reads.mu; of the view it reads from; 0: none yet
	anew    context.CancelFunc // guarded by reads.mu; ends the reading from that view
	ended   chan struct{}      // guarded by reads.mu; closed when it is answered; nil: nobody waits
}

// begin notes a READ of [off, to).
func (t *reads) begin(ino signet.Ino, off, to uint64) *reading {
	r := &reading{ino: ino, off: off, to: to}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = make(map[signet.Ino]map[*reading]bool)
	}
	if t.of[ino] == nil {
		t.of[ino] = make(map[*reading]bool)
	}
	t.of[ino][r] = true
	return r
}

// from notes the index of the view that r now reads from. anew is called when that is
// too old to go on with.
func (t *reads) from(r *reading, index signet.Index, anew context.CancelFunc) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.index, r.anew = index, anew
	for d := range t.drops[r.ino] {
		d.look()
	}
}

// covered says whether every READ in flight of an inode shows index, or will.
func (t *reads) covered(ino signet.Ino, index signet.Index) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for r := range t.of[ino] {
		if r.index < index {
			return false
		}
	}
	return true
}

// end forgets r: its pages are unlocked.
func (t *reads) end(r *reading) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of[r.ino], r)
	if r.ended != nil {
		close(r.ended)
	}
	if len(t.of[r.ino]) == 0 {
		delete(t.of, r.ino)
	}
	for d := range t.drops[r.ino] {
		d.look()
	}
}

// before returns a READ in flight of what lies before r, and what is closed when it is
// answered, or nil.
func (t *reads) before(r *reading) (*reading, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for b := range t.of[r.ino] {
		if b.off < r.off {
			if b.ended == nil {
				b.ended = make(chan struct{})
			}
			return b, b.ended
		}
	}
	return nil, nil
}

// drop is a range of an inode that the kernel is to forget, because of a batch.
type drop struct {
	ino     signet.Ino
	off, to uint64
	index   signet.Index
	shorter bool // the kernel may have the file for longer than it is, see advance

	todo   extent.Ranges         // guarded by reads.mu; neither dropped nor covered
	called map[extent.Range]bool // guarded by reads.mu; what DropPages was called for
	again  chan struct{}         // one place: something happened
}

// look has the waiting loop look at the state again.
func (d *drop) look() {
	select {
	case d.again <- struct{}{}:
	default:
	}
}

// forget makes the kernel forget the pages of [off, to) of ino as they were before
// index. It returns when that is done.
func (t *reads) forget(ctx context.Context, k Kernel, c clock.Clock, ino signet.Ino, off, to uint64, index signet.Index, shorter bool) error {
	d := &drop{ino: ino, off: off, to: to, index: index, shorter: shorter,
		called: make(map[extent.Range]bool), again: make(chan struct{}, 1)}
	d.todo.Add(off, to-off)
	t.mu.Lock()
	if t.drops == nil {
		t.drops = make(map[signet.Ino]map[*drop]bool)
	}
	if t.drops[ino] == nil {
		t.drops[ino] = make(map[*drop]bool)
	}
	t.drops[ino][d] = true
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.drops[ino], d)
		if len(t.drops[ino]) == 0 {
			delete(t.drops, ino)
		}
	}()

	patience := c.NewTimer(readPatience)
	defer patience.Stop()
	impatient := false
	for {
		calls, done := t.advance(d, impatient)
		for _, r := range calls {
			go t.call(k, d, r)
		}
		if done {
			return nil
		}
		select {
		case <-d.again:
		case <-patience.C():
			impatient = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// advance takes what is covered out of what is to do and returns the ranges that
// DropPages is to be called for now: an earlier call for a larger range may be stuck. Where a
// READ may come back short and correct the size that the kernel has, it is waited for first, for
// the kernel does not take a size that it asked for before it was made to forget (known.go).
func (t *reads) advance(d *drop, impatient bool) (calls []extent.Range, done bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	older := false
	for r := range t.of[d.ino] {
		older = older || r.index < d.index
		switch {
		case r.off >= d.to || r.to <= d.off:
		case r.index >= d.index:
			d.todo.Remove(r.off, r.to-r.off)
		case impatient && r.anew != nil:
			r.anew()
		}
	}
	if older && d.shorter && !impatient {
		return nil, d.todo.Count() == 0
	}
	for r := range d.todo.All() {
		if !d.called[r] {
			d.called[r] = true
			calls = append(calls, r)
		}
	}
	return calls, d.todo.Count() == 0
}

// call has the kernel drop r. It may be stuck for as long as a READ is, long after
// the batch is done with.
func (t *reads) call(k Kernel, d *drop, r extent.Range) {
	n := int64(r.Len)
	if r.End() >= math.MaxInt64 {
		n = -1
	}
	k.DropPages(d.ino, int64(r.Off), n)
	t.mu.Lock()
	d.todo.Remove(r.Off, r.Len)
	t.mu.Unlock()
	d.look()
}
