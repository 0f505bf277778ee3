package fs

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/signetfs/signet"
)

// dirtyNodes are the nodes with something unpublished. They are held, so that data
// outlives the handles it was written through.
type dirtyNodes struct {
	mu sync.Mutex
	of map[*node]*dirt // guarded by mu
}

// dirt is for how long a node has been dirty. Guarded by dirtyNodes.mu.
type dirt struct {
	since   time.Time
	failing time.Time // zero: the last attempt did not fail
	busy    bool      // it is being published in the background
}

// soil notes that n is dirty. n.mu is not held.
func (f *FS) soil(n *node) {
	f.dirty.mu.Lock()
	defer f.dirty.mu.Unlock()
	if f.dirty.of[n] != nil {
		return
	}
	if f.dirty.of == nil {
		f.dirty.of = make(map[*node]*dirt)
	}
	f.dirty.of[n] = &dirt{since: f.clock.Now()}
	f.nodes.get(n.ino, false)
}

// clean notes that n may not be dirty any more. n.mu is not held.
func (f *FS) clean(n *node) {
	f.dirty.mu.Lock()
	n.mu.Lock()
	empty := n.over.empty()
	if empty {
		n.killPriv = false
	}
	freed := n.sweep()
	n.mu.Unlock()
	d := f.dirty.of[n]
	if empty {
		delete(f.dirty.of, n)
	} else if d != nil {
		d.since, d.failing = f.clock.Now(), time.Time{}
	}
	f.dirty.mu.Unlock()
	n.unpin()
	f.memory.add(-freed)
	if empty && d != nil {
		f.nodes.put(n, false)
	}
}

// writeBack publishes what has been dirty for a while, until the FS ends.
func (f *FS) writeBack() {
	tick := f.clock.NewTicker(writeBackRetry)
	defer tick.Stop()
	room := make(chan struct{}, backgroundFlushes)
	for {
		select {
		case <-tick.C():
		case <-f.life.Done():
			return
		}
		if f.atimes.count.Load() > 0 {
			f.later(func(ctx context.Context) { f.publishAtimes(ctx, false) })
		}
		for _, n := range f.due() {
			select {
			case room <- struct{}{}:
			case <-f.life.Done():
				return
			}
			f.later(func(ctx context.Context) {
				defer func() { <-room }()
				f.publishQuietly(ctx, n)
			})
		}
	}
}

// due returns the nodes to be published now and marks them busy.
func (f *FS) due() []*node {
	now := f.clock.Now()
	f.dirty.mu.Lock()
	defer f.dirty.mu.Unlock()
	var list []*node
	for n, d := range f.dirty.of {
		if !d.busy && now.Sub(d.since) >= writeBackAfter {
			d.busy = true
			list = append(list, n)
		}
	}
	return list
}

// publishSoon publishes n in the background, unless that is being done.
func (f *FS) publishSoon(n *node) {
	f.dirty.mu.Lock()
	d := f.dirty.of[n]
	start := d != nil && !d.busy
	if start {
		d.busy = true
	}
	f.dirty.mu.Unlock()
	if start {
		f.later(func(ctx context.Context) { f.publishQuietly(ctx, n) })
	}
}

// publishQuietly publishes n, which is marked busy. What fails is tried again until it
// is time to give up: an election, or a full minute without a majority.
func (f *FS) publishQuietly(ctx context.Context, n *node) {
	err := f.publish(ctx, n)
	now := f.clock.Now()
	f.dirty.mu.Lock()
	d := f.dirty.of[n]
	giveUp := false
	if d != nil {
		d.busy = false
		switch {
		case err == nil:
			d.failing = time.Time{}
		case d.failing.IsZero():
			d.failing = now
		default:
			giveUp = now.Sub(d.failing) >= giveUpAfter
		}
	}
	f.dirty.mu.Unlock()
	if giveUp {
		f.discard(n, err)
	}
}

// Sync publishes all that is dirty and waits until it is released.
func (f *FS) Sync(ctx context.Context) error {
	f.dirty.mu.Lock()
	all := make([]*node, 0, len(f.dirty.of))
	for n := range f.dirty.of {
		all = append(all, n)
	}
	f.dirty.mu.Unlock()

	errs := make(chan error, len(all))
	room := make(chan struct{}, backgroundFlushes)
	for _, n := range all {
		room <- struct{}{} // whoever has it gives it back when ctx ends at the latest
		f.work.Go(func() {
			defer func() { <-room }()
			errs <- f.settle(ctx, n)
		})
	}
	var first error
	for range all {
		if err := <-errs; err != nil && first == nil {
			first = signet.Wrap("sync", "", err)
		}
	}
	f.publishAtimes(ctx, true)
	return first
}

// relieve frees memory: the files with the most bytes that have no object yet get one,
// until a quarter of the budget is on its way.
func (f *FS) relieve() {
	type loose struct {
		n    *node
		size int64
	}
	var list []loose
	f.dirty.mu.Lock()
	for n := range f.dirty.of {
		n.mu.Lock()
		if n.over.loose > 0 {
			list = append(list, loose{n, n.over.loose})
		}
		n.mu.Unlock()
	}
	f.dirty.mu.Unlock()
	slices.SortFunc(list, func(a, b loose) int { return cmp.Compare(b.size, a.size) })
	enough := f.limits.Dirty / 4
	for _, l := range list {
		f.startAll(l.n, true)
		if enough -= l.size; enough <= 0 {
			return
		}
	}
}
