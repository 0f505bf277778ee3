package clock

import (
	"context"
	"time"
)

// Clock tells the time and waits for it. Times of one clock are compared with each
// other only.
type Clock interface {
	// Now returns the current time. Differences between two of them do not jump when
	// the machine's wall clock is set.
	Now() time.Time
	// NewTimer returns a timer that sends on its channel once, d from now.
	NewTimer(d time.Duration) Timer
	// NewTicker returns a ticker that sends on its channel every d, which must be
	// positive. Ticks that nobody takes are dropped.
	NewTicker(d time.Duration) Ticker
	// AfterFunc calls f once, d from now, unless the timer is stopped. A Real clock
	// calls it in a goroutine of its own, a Manual one in the one that advances it, so
	// f must not wait for time to pass.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is one wait. After Stop or Reset nothing of the former wait arrives.
type Timer interface {
	// C returns the channel on which the time is sent; nil for a timer of AfterFunc.
	C() <-chan time.Time
	// Stop ends the wait and says whether it was still running.
	Stop() bool
	// Reset begins a new wait of d and says whether one was still running.
	Reset(d time.Duration) bool
}

// Ticker is a wait that repeats until it is stopped.
type Ticker interface {
	C() <-chan time.Time
	Stop()
	// Reset begins anew with period d.
	Reset(d time.Duration)
}

// Real returns the machine's clock.
func Real() Clock { return real{} }

type real struct{}

type realTimer struct{ *time.Timer }

type realTicker struct{ *time.Ticker }

func (real) Now() time.Time                   { return time.Now() }
func (real) NewTimer(d time.Duration) Timer   { return realTimer{time.NewTimer(d)} }
func (real) NewTicker(d time.Duration) Ticker { return realTicker{time.NewTicker(d)} }
func (t realTimer) C() <-chan time.Time       { return t.Timer.C }
func (t realTicker) C() <-chan time.Time      { return t.Ticker.C }
func (real) AfterFunc(d time.Duration, f func()) Timer {
	return realTimer{time.AfterFunc(d, f)}
}

// Sleep waits for d to pass on c, or for ctx to end, and returns ctx's error then.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
