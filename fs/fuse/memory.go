package fuse

import (
	"context"
	"sync"
)

// pool keeps a few buffers of one size for the next who needs one. How many are lent
// is bounded by whoever asks, see Server.
type pool struct {
	size int

	mu   sync.Mutex
	free [][]byte // at most keepFree
}

// keepFree buffers of a size stay when nobody uses them.
const keepFree = 8

func (p *pool) get() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return make([]byte, p.size)
}

func (p *pool) put(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < keepFree {
		p.free = append(p.free, b[:p.size])
	}
}

// limit lets as many in at once as it has room for.
type limit chan struct{}

func (l limit) tryEnter() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l limit) enter(ctx context.Context) error {
	if l.tryEnter() {
		return nil
	}
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l limit) leave() { <-l }
