package fs

import (
	"context"
	"sync"
)

// Request is one request of the kernel. Whoever received it fills in the exported
// fields, calls one method of FS with it, writes the reply, and then calls Done.
type Request struct {
	Ctx    context.Context // ends when the kernel interrupts the request or the mount ends
	Unique uint64          // the kernel's number of the request
	UID    uint32          // the caller's filesystem user
	GID    uint32          // and group
	PID    uint32
	Umask  uint32 // zero if the kernel has applied it already

	KillPriv bool // the kernel asks to clear set-uid and set-gid (Open), or set-gid (SetXattr)
	NoAtime  bool // the directory was opened with O_NOATIME (ReadDir)

	// Killed says, once Ctx has ended, whether nobody is left to hear the answer: the
	// program is being killed, or the mount has ended. Nil: it is not known.
	Killed func() bool

	leave []func() // undone by Done, last first
}

// Done says that the reply has been written to the kernel (or never will be). It
// must be called exactly once per request that FS has seen; a second call does
// nothing.
func (r *Request) Done() {
	for i := len(r.leave) - 1; i >= 0; i-- {
		r.leave[i]()
	}
	r.leave = nil
}

// onDone has fn called by Done.
func (r *Request) onDone(fn func()) { r.leave = append(r.leave, fn) }

// pass lets the request's reply into the gate until Done.
func (r *Request) pass(g *Gate) { r.onDone(g.enter()) }

// Gate lets replies through to the kernel and lets the change feed wait until those
// on their way are written. A reply decides inside the gate whether what it says is
// still the newest; a batch is published before Drain is called. So a reply that
// says something old was either written before Drain returned, and the notification
// that follows undoes it, or it found out that it is old.
type Gate struct {
	mu     sync.Mutex
	now    *passing   // guarded by mu; replies entering now
	before []*passing // guarded by mu; older ones that are not empty yet
}

// passing is the replies that entered between two drains.
type passing struct {
	n    int // guarded by Gate.mu
	gone chan struct{}
}

// enter lets a reply in and returns what lets it out again.
func (g *Gate) enter() (leave func()) {
	g.mu.Lock()
	if g.now == nil {
		g.now = &passing{gone: make(chan struct{})}
	}
	p := g.now
	p.n++
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if p.n--; p.n == 0 && p != g.now {
			close(p.gone)
		}
	}
}

// Drain waits until every reply that was inside when it was called has left. It does
// not keep others from entering.
func (g *Gate) Drain(ctx context.Context) error {
	g.mu.Lock()
	if p := g.now; p != nil && p.n > 0 {
		g.before = append(g.before, p)
		g.now = nil
	}
	wait := append([]*passing(nil), g.before...)
	g.mu.Unlock()

	for _, p := range wait {
		select {
		case <-p.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	left := g.before[:0]
	for _, p := range g.before {
		if p.n > 0 {
			left = append(left, p)
		}
	}
	g.before = left
	return nil
}
