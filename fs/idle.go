package fs

import (
	"context"
	"sync"
	"time"

	"github.com/signetfs/signet"
)

// idle are the files that are delegated to this host and that nobody here has open for
// writing any more. They are handed back after a while, many with one command: most
// files are written, closed and not looked at elsewhere within a second, and some are
// written again. Who asks for one gets it at once.
type idle struct {
	mu sync.Mutex
	of map[*node]time.Time // guarded by mu; since when. They are held
}

// rest notes that nobody has n open for writing any more.
func (f *FS) rest(n *node) {
	n.mu.Lock()
	is := n.right.session != 0 && n.right.writers == 0
	n.mu.Unlock()
	if !is {
		return
	}
	f.idle.mu.Lock()
	if f.idle.of == nil {
		f.idle.of = make(map[*node]time.Time)
	}
	if _, known := f.idle.of[n]; !known {
		f.nodes.get(n.ino, false)
	}
	f.idle.of[n] = f.clock.Now()
	many := len(f.idle.of) >= signet.MaxHandBack
	f.idle.mu.Unlock()
	if many {
		select {
		case f.idleNow <- struct{}{}:
		default:
		}
	}
}

// handBackIdle hands back what has been idle for a while, until the FS ends.
func (f *FS) handBackIdle() {
	tick := f.clock.NewTicker(idleFor)
	defer tick.Stop()
	for {
		after := idleFor
		select {
		case <-tick.C():
		case <-f.idleNow:
			after = 0
		case <-f.life.Done():
			return
		}
		ctx, cancel := f.lifetime()
		f.handBackOlder(ctx, after)
		cancel()
	}
}

// handBackOlder hands back what has been idle for so long. What cannot be handed back now
// stays.
func (f *FS) handBackOlder(ctx context.Context, after time.Duration) {
	list := f.resting(after)
	var free []*node
	for _, n := range list {
		select {
		case n.flushing <- struct{}{}:
			if n.isWritten() || !n.owned() || n.isDirty() {
				n.flushing.give()
				continue
			}
			free = append(free, n)
		default: // in use again
		}
	}
	if len(free) > 0 {
		_ = f.handBack(ctx, free) // else the next who wants one asks for it
	}
	for _, n := range free {
		n.flushing.give()
	}
	for _, n := range list {
		f.rest(n) // unless it is handed back
		f.nodes.put(n, false)
	}
}

// resting takes what has been idle for so long out of the list.
func (f *FS) resting(after time.Duration) []*node {
	now := f.clock.Now()
	f.idle.mu.Lock()
	defer f.idle.mu.Unlock()
	var list []*node
	for n, since := range f.idle.of {
		if now.Sub(since) >= after && len(list) < signet.MaxHandBack {
			list = append(list, n)
			delete(f.idle.of, n)
		}
	}
	return list
}
