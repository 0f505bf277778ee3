package fs

import (
	"context"
	"sync"
)

// budget bounds how many bytes of something there are at once. Who wants more than is
// left waits, first come, first served.
type budget struct {
	limit int64

	mu      sync.Mutex
	used    int64     // guarded by mu
	waiting []*waiter // guarded by mu
}

type waiter struct {
	n  int64
	ok chan struct{}
}

func newBudget(limit int64) *budget { return &budget{limit: limit} }

// take waits until n more bytes fit, ctx ends, or stop is closed (then it returns
// false and no error). More than the whole budget fits when nothing else is there.
func (b *budget) take(ctx context.Context, n int64, stop <-chan struct{}) (bool, error) {
	b.mu.Lock()
	if len(b.waiting) == 0 && b.fits(n) {
		b.used += n
		b.mu.Unlock()
		return true, nil
	}
	w := &waiter{n, make(chan struct{})}
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()

	select {
	case <-w.ok:
		return true, nil
	case <-ctx.Done():
	case <-stop:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, x := range b.waiting {
		if x == w {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			b.wake() // who waits behind may ask for less
			return false, ctx.Err()
		}
	}
	return true, nil // it was granted just now
}

// add counts n bytes without waiting; n may be negative.
func (b *budget) add(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
	b.wake()
}

// wake is called with mu held.
func (b *budget) wake() {
	for len(b.waiting) > 0 && b.fits(b.waiting[0].n) {
		b.used += b.waiting[0].n
		close(b.waiting[0].ok)
		b.waiting = b.waiting[1:]
	}
}

// fits is called with mu held.
func (b *budget) fits(n int64) bool { return b.used <= 0 || b.used+n <= b.limit }

// over says whether more than num/den of the budget is used, or somebody waits.
func (b *budget) over(num, den int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting) > 0 || b.used*den > b.limit*num
}
