package clock

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Manual is a clock that stands still until Advance moves it.
type Manual struct {
	mu      sync.Mutex
	now     time.Time
	seq     uint64        // orders waits with the same deadline
	waiting waits         // running waits, earliest first
	changed chan struct{} // closed and replaced when a wait begins or ends
}

// NewManual returns a clock that shows start.
func NewManual(start time.Time) *Manual {
	return &Manual{now: start, changed: make(chan struct{})}
}

// wait is a running or stopped timer or ticker.
type wait struct {
	m      *Manual
	at     time.Time
	seq    uint64
	pos    int           // in m.waiting; -1: not running
	period time.Duration // of a ticker
	f      func()        // of AfterFunc
	c      chan time.Time
}

// Now returns the time that the clock shows.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// NewTimer returns a timer; one whose time has come already fires at once.
func (m *Manual) NewTimer(d time.Duration) Timer {
	w := &wait{m: m, pos: -1, c: make(chan time.Time, 1)}
	w.Reset(d)
	return w
}

// NewTicker returns a ticker.
func (m *Manual) NewTicker(d time.Duration) Ticker {
	w := &wait{m: m, pos: -1, c: make(chan time.Time, 1)}
	t := manualTicker{w}
	t.Reset(d)
	return t
}

// AfterFunc has f called by the Advance that reaches its time; one of zero or less
// by the next Advance, whatever its length.
func (m *Manual) AfterFunc(d time.Duration, f func()) Timer {
	w := &wait{m: m, pos: -1, f: f}
	w.Reset(d)
	return w
}

// Advance moves the clock by d, stopping at each deadline on the way: the clock
// shows that time while the wait fires. When it returns, all functions of AfterFunc
// that were due have returned. Waits that begin on the way count. Concurrent calls
// add up, but fire in no certain order.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	end := m.now.Add(d)
	for len(m.waiting) > 0 && !m.waiting[0].at.After(end) {
		w := m.waiting[0]
		if w.at.After(m.now) {
			m.now = w.at
		}
		m.fire(w)
	}
	if end.After(m.now) {
		m.now = end
	}
}

// Next returns how long it is until the first running wait ends, and whether there
// is any.
func (m *Manual) Next() (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) == 0 {
		return 0, false
	}
	return max(0, m.waiting[0].at.Sub(m.now)), true
}

// Waiting returns how many waits are running: timers, tickers and functions.
func (m *Manual) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.waiting)
}

// WaitFor returns nil as soon as at least n waits are running, or ctx's error.
func (m *Manual) WaitFor(ctx context.Context, n int) error {
	for {
		m.mu.Lock()
		enough, changed := len(m.waiting) >= n, m.changed
		m.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fire ends w, or begins its next period. It holds the lock except while it calls
// w's function.
func (m *Manual) fire(w *wait) {
	if w.period > 0 {
		w.at = w.at.Add(w.period)
		m.seq++
		w.seq = m.seq
		heap.Fix(&m.waiting, w.pos)
	} else {
		m.remove(w)
	}
	if w.f != nil {
		m.mu.Unlock()
		defer m.mu.Lock() // also if f panics: Advance unlocks
		w.f()
		return
	}
	select {
	case w.c <- m.now:
	default:
	}
}

func (m *Manual) remove(w *wait) {
	heap.Remove(&m.waiting, w.pos)
	m.notify()
}

func (m *Manual) notify() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (w *wait) C() <-chan time.Time { return w.c }

func (w *wait) Stop() bool {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	return w.stop()
}

// stop ends the wait and takes back what it sent. The lock is held.
func (w *wait) stop() bool {
	running := w.pos >= 0
	if running {
		w.m.remove(w)
	}
	select {
	case <-w.c:
		running = true // as of time.Timer: nobody saw it fire
	default:
	}
	return running
}

func (w *wait) Reset(d time.Duration) bool {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	running := w.stop()
	w.begin(d)
	return running
}

// begin starts the wait. The lock is held.
func (w *wait) begin(d time.Duration) {
	m := w.m
	m.seq++
	w.at, w.seq = m.now.Add(d), m.seq
	if d <= 0 && w.f == nil {
		w.c <- m.now
		return
	}
	heap.Push(&m.waiting, w)
	m.notify()
}

type manualTicker struct{ w *wait }

func (t manualTicker) C() <-chan time.Time { return t.w.c }
func (t manualTicker) Stop()               { t.w.Stop() }

func (t manualTicker) Reset(d time.Duration) {
	if d <= 0 {
		panic("clock: the period of a ticker must be positive")
	}
	t.w.m.mu.Lock()
	defer t.w.m.mu.Unlock()
	t.w.stop()
	t.w.period = d
	t.w.begin(d)
}

// waits is a heap, earliest first.
type waits []*wait

func (h waits) Len() int { return len(h) }

func (h waits) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}

func (h waits) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

func (h *waits) Push(x any) {
	w := x.(*wait)
	w.pos = len(*h)
	*h = append(*h, w)
}

func (h *waits) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	w.pos = -1
	return w
}
