package fs

import (
	"context"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
	"github.com/signetfs/signet/internal/clock"
)

// Changed carries a batch to what fs remembers and to the kernel: when it returns nil,
// nothing here answers from before the batch any more, and the host may acknowledge
// it. Batches come one at a time, in order, each after it was published.
//
// It waits for replies in the act of being written, and for READs that do not depend
// on the acknowledgement (reads.go); never for one of this host's requests that waits
// for a release, which would wait for this. If ctx ends first the batch must not be
// acknowledged: the host has to let its lease go.
func (f *FS) Changed(ctx context.Context, b signet.Batch) error {
	var d digested
	f.digest(&d, &b)

	// Whoever computed an answer from before the batch has written it after this, or
	// finds out at the gate that it is old.
	if err := f.gate.Drain(ctx); err != nil {
		return signet.Wrap("wait for replies", "", err)
	}

	// Names that appeared need nothing: absent names are never cached. Those that led
	// elsewhere may be cached whoever took them away: an own removal is released before
	// its caller has the answer.
	names := slices.ContainsFunc(d.removed, func(p place) bool { return f.kernel.names.has(p.dir, p.name) })
	for ino := range d.attrs {
		names = !f.dropAttr(ino) || names
	}
	if names {
		f.kernel.dropNames(f.clock.Now())
	}
	f.dropOwn(ctx, d.own, b.Index)
	if err := f.dropPages(ctx, d.foreign, b.Index); err != nil {
		return err
	}
	if !b.All { // else Forget follows
		f.reached.set(b.Index)
	}
	return nil
}

// dropOwn drops the pages of files that a call of this host is truncating, punching or
// copying into. The kernel does that too, when it has the answer; until then a program
// here could read from the pages what others are past already. But that call is
// waiting for our acknowledgement, and if the pages are dirty ones of a mapping the
// kernel does not write them back before it is answered. So this has patience only.
func (f *FS) dropOwn(ctx context.Context, data rangesOf, index signet.Index) {
	if len(data) == 0 {
		return
	}
	ctx, cancel := clock.WithTimeout(ctx, f.clock, readPatience)
	defer cancel()
	_ = f.dropPages(ctx, data, index) // what is left is dropped when the call is answered
}

// digested is a batch as the kernel is to hear of it.
type digested struct {
	removed []place                 // names that were taken away or replaced
	attrs   map[signet.Ino]struct{} // whose attributes changed
	foreign rangesOf                // bytes that changed without the kernel's doing
	own     rangesOf                // bytes that the kernel has yet to hear of, from the call's answer
}

// rangesOf are ranges of files.
type rangesOf map[signet.Ino]*extent.Ranges

// digest sorts a batch and brings what fs itself remembers up to date.
func (f *FS) digest(d *digested, b *signet.Batch) {
	d.attrs = make(map[signet.Ino]struct{}, len(b.Changes))
	d.foreign, d.own = rangesOf{}, rangesOf{}
	for i := range b.Changes {
		c := &b.Changes[i]
		switch c.What {
		case signet.ChangedLock:
			f.lockChanged(c, b.Index)
			continue
		case 0:
			continue
		}
		d.attrs[c.Ino] = struct{}{}
		if c.What&signet.RemovedName != 0 {
			d.removed = append(d.removed, place{dir: c.Ino, name: string(c.Name)})
		}
		if c.What&signet.Orphaned != 0 {
			f.nodes.orphaned(c.Ino, true)
		}
		own := f.names.Own(c.Session)
		if c.What&signet.ChangedData == 0 {
			continue
		}
		if n := f.nodes.peek(c.Ino); n != nil {
			n.changed(b.Index, c.Index, own)
			if !own {
				f.loseTaken(n)
			}
		}
		switch underWay, forGood := f.doubts.about(c.Ino); {
		case !own || forGood:
			d.foreign.add(c)
		case underWay:
			d.own.add(c)
		}
	}
	f.moved.note(f.movedBy(b.Changes), f.clock.Now())
}

// changed notes that a Write of this host, or of another, was applied.
// newest is the index of the batch, at that of the change itself.
func (n *node) changed(newest, at signet.Index, own bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !own:
		n.foreign = newest
	case n.flight != nil && at > n.flight.after:
		n.land(at) // else it is the Write before, of which the feed tells only now
	}
}

func (m rangesOf) add(c *signet.Change) {
	set := m[c.Ino]
	if set == nil {
		set = new(extent.Ranges)
		m[c.Ino] = set
	}
	if !set.Add(c.Off, c.Len) {
		set.Clear()
		set.Add(0, math.MaxUint64)
	}
}

// dropPages makes the kernel forget the ranges, all at once: each may have to wait
// for another READ.
func (f *FS) dropPages(ctx context.Context, data rangesOf, index signet.Index) error {
	if len(data) == 0 {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for ino, set := range data {
		set, shorter := f.toDrop(ino, set, index)
		if set == nil {
			continue
		}
		for r := range set.All() {
			g.Go(func() error {
				return f.reads.forget(ctx, f.kernel.get(), f.clock, ino, r.Off, r.End(), index, shorter)
			})
		}
	}
	return signet.Wrap("drop pages", "", g.Wait())
}

// Forget makes the kernel forget all it may know of this mount, and brings what fs
// remembers up to date. It is for when the change feed has a gap: the state was
// replaced by a snapshot, or the lease was lost. Files that were closed when it was
// called are read anew when they are opened.
func (f *FS) Forget(ctx context.Context) error {
	f.kept.lose()
	f.loseOld()
	f.askAgain()
	v := f.names.View()
	index := v.Index()
	for _, n := range f.nodes.all() {
		f.loseTaken(n)
	}
	data := rangesOf{}
	for _, ino := range f.nodes.open(func(*node) bool { return true }) {
		data[ino] = new(extent.Ranges)
		data[ino].Add(0, math.MaxUint64)
		if n := f.nodes.peek(ino); n != nil {
			n.changed(index, index, false)
		}
		if at, err := v.Attr(ino); err == nil && at.Nlink == 0 {
			f.nodes.orphaned(ino, true)
		}
	}
	v.Close()
	if err := f.gate.Drain(ctx); err != nil {
		return signet.Wrap("wait for replies", "", err)
	}
	f.kernel.dropNames(f.clock.Now())
	for ino := range data {
		f.kernel.get().DropAttr(ino)
	}
	if err := f.dropPages(ctx, data, index); err != nil {
		return err
	}
	f.reached.set(index)
	return nil
}
