package wire

import (
	"context"
	"sync"
	"time"

	"github.com/signetfs/signet/internal/clock"
)

// callContext is the context of a handler. It ends with the call's deadline, with a
// cancel frame, or with the connection. Most handlers return before they ever wait
// on it, so the channel and the timer are made when they are first asked for; a
// standard context with a deadline costs more than the rest of a small call.
type callContext struct {
	clock    clock.Clock
	deadline time.Time // zero: none

	mu    sync.Mutex
	err   error
	done  chan struct{} // nil until asked for
	timer clock.Timer
	after map[*func()]struct{} // to be called at the end
}

// Deadline returns when the caller gives up, by the injected clock.
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done returns a channel that is closed when nobody waits for the answer any more.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
		c.arm()
	}
	return c.done
}

// arm sets the timer when the first one waits. The lock is held.
func (c *callContext) arm() {
	if c.timer != nil || c.err != nil || c.deadline.IsZero() {
		return
	}
	c.timer = c.clock.AfterFunc(c.deadline.Sub(c.clock.Now()), func() { c.end(context.DeadlineExceeded) })
}

// Err returns nil while somebody waits for the answer.
func (c *callContext) Err() error {
	c.mu.Lock()
	late := c.err == nil && c.timer == nil && !c.deadline.IsZero() && !c.clock.Now().Before(c.deadline)
	c.mu.Unlock()
	if late {
		c.end(context.DeadlineExceeded)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value returns nil: nothing but time crosses the wire.
func (c *callContext) Value(any) any { return nil }

// AfterFunc lets package context derive from this one without a goroutine.
func (c *callContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	c.arm()
	if c.after == nil {
		c.after = map[*func()]struct{}{}
	}
	key := &f
	c.after[key] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := c.after[key]
		delete(c.after, key)
		return ok
	}
}

// end ends the context; only the first reason counts.
func (c *callContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	for f := range c.after {
		go (*f)()
	}
	c.after = nil
}
