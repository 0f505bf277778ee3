package wire

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// maxMute is how often a peer may hang up without a word before it is left alone for
// a while. Each of two restarts of it may look like that to us.
const maxMute = 2

// link is the way to one peer in one class: a connection, an attempt to make one, or
// the memory that the last attempts failed. It dials only when somebody wants it.
type link struct {
	pool  *Pool
	key   signet.HostKey
	class Class
	up    atomic.Pointer[caller]

	mu       sync.Mutex // guards what follows; the pool's lock may be taken under it
	attempt  *attempt   // running
	failures int        // attempts that failed in a row
	mute     int        // connections in a row on which the peer said nothing
	failed   time.Time  // the last of them
	retry    time.Time  // no attempt before that
	last     error      // why the last one failed
	closed   error      // set once: the pool was closed or the peer dropped
}

// attempt is one try to connect. One-way messages wait in its outbox, which becomes
// the connection's, so that their order is kept.
type attempt struct {
	cancel context.CancelFunc
	out    *outbox
	done   chan struct{} // closed when the rest is set
	conn   *caller
	err    error
}

// usable returns the connection, or nil if there is none that takes new calls.
func (l *link) usable() *caller {
	if c := l.up.Load(); c != nil && !c.retired.Load() {
		return c
	}
	return nil
}

// get returns the connection, waiting for it to be made. If the last attempt failed
// lately the peer is known to be down: then it fails at once, though an attempt may
// be running.
func (l *link) get(ctx context.Context, addrs []string) (*caller, error) {
	if c := l.usable(); c != nil {
		return c, nil
	}
	c, a, down, err := l.dial(addrs)
	switch {
	case err != nil:
		return nil, err
	case c != nil:
		return c, nil
	case down != nil:
		return nil, down
	}
	select {
	case <-a.done:
		return a.conn, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// send queues a one-way message, also while the connection is being made.
func (l *link) send(addrs []string, out *Out) error {
	if c := l.usable(); c != nil {
		return putSend(c.out, out)
	}
	c, a, _, err := l.dial(addrs)
	switch {
	case err != nil:
		return err
	case c != nil:
		return putSend(c.out, out)
	}
	return putSend(a.out, out)
}

// dial returns the connection if there is one, or the running attempt, which it
// starts if it may; down says that the attempt before it failed lately.
func (l *link) dial(addrs []string) (c *caller, a *attempt, down, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed != nil {
		return nil, nil, nil, l.closed
	}
	if c := l.usable(); c != nil {
		return c, nil, nil, nil
	}
	now := l.pool.cfg.Clock.Now()
	if now.Sub(l.failed) > 2*l.pool.cfg.BackoffMax {
		l.failures = 0 // too long ago to know anything
	}
	if l.failures > 0 {
		down = l.last
	}
	if l.attempt == nil {
		if down != nil && now.Before(l.retry) {
			return nil, nil, nil, l.last
		}
		if len(addrs) == 0 {
			return nil, nil, nil, signet.Errorf(signet.Invalid, "", "", "no address is known")
		}
		ctx, cancel := clock.WithTimeout(l.pool.ctx, l.pool.cfg.Clock, l.pool.cfg.DialTimeout)
		l.attempt = &attempt{cancel: cancel, out: newOutbox(l.pool.cfg.class(l.class).Queue), done: make(chan struct{})}
		if !l.pool.begin() {
			cancel()
			l.attempt = nil
			return nil, nil, nil, errPoolClosed()
		}
		go l.connect(ctx, l.attempt, addrs)
	}
	return nil, l.attempt, down, nil
}

// connect carries out an attempt and then serves the connection.
func (l *link) connect(ctx context.Context, a *attempt, addrs []string) {
	defer l.pool.wg.Done()
	c, err := l.reach(ctx, addrs)
	a.cancel()
	l.mu.Lock()
	l.attempt = nil
	if l.closed != nil {
		if err == nil {
			c.meter.Close()
		}
		err = l.closed
	}
	if err != nil {
		a.err = err
		l.noteFailure(err)
		l.mu.Unlock()
		a.out.close(err, false)
		close(a.done)
		return
	}
	c.out = a.out
	a.conn = newCaller(c)
	if l.mute == 0 {
		l.failures = 0
	}
	l.up.Store(a.conn)
	l.pool.enter(c)
	l.mu.Unlock()
	close(a.done)
	c.serve(a.conn)
	l.pool.leave(c)
	l.ended(a.conn)
}

// reach tries the addresses in turn, each with its share of the time.
func (l *link) reach(ctx context.Context, addrs []string) (*conn, error) {
	var err error
	for _, addr := range addrs {
		each, cancel := clock.WithTimeout(ctx, l.pool.cfg.Clock, l.pool.cfg.DialTimeout/time.Duration(len(addrs)))
		var c *conn
		c, err = dial(each, &l.pool.cfg, l.class, alpnMember, addr, pinned(l.key))
		cancel()
		if err == nil {
			return c, nil
		}
		err = signet.Wrap("connect to", addr, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// ended forgets a connection that is over. After a connection that was used there is
// nothing to hold against the peer: it is dialled again at once. But one that hangs
// up on us again and again without a word would be dialled without a pause, so
// that counts as failing.
func (l *link) ended(c *caller) {
	if c.silent.Load() && l.class == Control {
		l.pool.suspect(l.key)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up.CompareAndSwap(c, nil)
	if l.mute++; c.spoke.Load() {
		l.mute, l.failures = 0, 0
	}
	if l.mute > maxMute {
		l.noteFailure(c.err)
	}
}

// noteFailure sets the pause before the next attempt. The lock is held.
func (l *link) noteFailure(err error) {
	l.last, l.failed = err, l.pool.cfg.Clock.Now()
	d := min(l.pool.cfg.BackoffMin<<min(l.failures, 16), l.pool.cfg.BackoffMax)
	l.failures++
	l.retry = l.failed.Add(d - time.Duration(jitter(l.pool.cfg.Rand)*float64(d/2)))
}

// jitter returns a number in [0, 1).
func jitter(r io.Reader) float64 {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0 // all the same: jitter is only politeness
	}
	return float64(binary.BigEndian.Uint32(b[:])) / (1 << 32)
}

// close ends the link for good. Its connections, of which one may be up and others
// retired, are the pool's to close afterwards.
func (l *link) close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = err
	if l.attempt != nil {
		l.attempt.cancel()
	}
}
