package clock

import (
	"context"
	"sync"
	"time"
)

// WithTimeout returns a context that ends with context.DeadlineExceeded when d has
// passed on c, or with ctx. The returned function ends it at once and frees what it
// holds; it must be called.
func WithTimeout(ctx context.Context, c Clock, d time.Duration) (context.Context, context.CancelFunc) {
	if c == Real() {
		return context.WithTimeout(ctx, d)
	}
	t := &timeout{Context: ctx, deadline: c.Now().Add(d), done: make(chan struct{})}
	// Both may run before this function returns; end is safe for that.
	timer := c.AfterFunc(d, func() { t.end(context.DeadlineExceeded) })
	stop := context.AfterFunc(ctx, func() { t.end(ctx.Err()) })
	return t, func() {
		timer.Stop()
		stop()
		t.end(context.Canceled)
	}
}

// timeout is a context that ends by another clock than the machine's. It has a Done
// channel of its own, so contexts derived from it take its error and not that of the
// standard context beneath it.
type timeout struct {
	context.Context
	deadline time.Time
	done     chan struct{}

	mu  sync.Mutex
	err error // set once, before done is closed
}

// Deadline is a time of the clock that the context was made with.
func (t *timeout) Deadline() (time.Time, bool) {
	if d, ok := t.Context.Deadline(); ok && d.Before(t.deadline) {
		return d, true
	}
	return t.deadline, true
}

func (t *timeout) Done() <-chan struct{} { return t.done }

func (t *timeout) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

func (t *timeout) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
		close(t.done)
	}
}
