package wire

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signetfs/signet"
)

// caller is the end of a connection that dialled it: it sends calls and one-way
// messages and receives replies.
type caller struct {
	*conn
	slots chan struct{} // one element for each call in flight

	mu    sync.Mutex
	calls map[uint64]*pending
	last  uint64 // call number
	over  error  // set once the connection has ended
}

// pending is a call that waits for its reply. It is used again after that.
type pending struct {
	done  chan struct{} // capacity 1; receives when the rest is set
	limit int           // of the reply's payload
	// Set by the reader, or under caller.mu.
	reply frame
	err   error
	// abandoned: the caller has left; the slot stays taken until the reply comes, so
	// that our count of calls in flight is never below the peer's.
	abandoned atomic.Bool
}

var pendings = sync.Pool{New: func() any { return &pending{done: make(chan struct{}, 1)} }}

func newCaller(c *conn) *caller {
	n := min(c.cfg.class(c.class).Calls, int(c.hello.Calls))
	cl := &caller{conn: c, slots: make(chan struct{}, n), calls: map[uint64]*pending{}}
	c.worn = cl.goodbye
	return cl
}

// do makes a call and decodes the reply's message into in, which may be nil for a
// message without elements. The buffer is nil if the reply has no payload. After a
// notSent error the payload is still the caller's.
func (c *caller) do(ctx context.Context, out *Out, in Message) (*Buffer, error) {
	if err := c.slot(ctx); err != nil {
		return nil, notSent{err}
	}
	p := pendings.Get().(*pending)
	p.limit = c.cfg.Methods[out.Method].Reply
	id, err := c.register(p)
	if err != nil {
		<-c.slots
		p.recycle()
		return nil, notSent{err}
	}
	if err := c.sendCall(ctx, id, p, out); err != nil {
		c.takeBack(id, p)
		return nil, notSent{err}
	}
	return c.await(ctx, id, p, in)
}

// slot waits until one more call may be in flight.
func (c *caller) slot(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-c.dead:
		return c.err
	case <-ctx.Done():
		return signet.Errorf(signet.KindOf(ctx.Err()), "", "", "%d calls are in flight already: %w", cap(c.slots), ctx.Err())
	}
}

func (c *caller) register(p *pending) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		return 0, c.over
	}
	c.last++
	c.calls[c.last] = p
	return c.last, nil
}

// takeBack undoes register for a call that was never queued.
func (c *caller) takeBack(id uint64, p *pending) {
	c.mu.Lock()
	_, ok := c.calls[id]
	delete(c.calls, id)
	c.mu.Unlock()
	if !ok {
		<-p.done // the connection has ended, and its end reached the call first
	}
	<-c.slots
	p.recycle()
}

func (c *caller) sendCall(ctx context.Context, id uint64, p *pending, out *Out) error {
	e := begin(5, kindCall)
	defer done(e)
	e.Uint(id)
	e.Uint(uint64(out.Method))
	e.Uint(c.remaining(ctx))
	appendMessage(e, out.Message)
	b, err := finish(e, len(out.Payload))
	if err != nil {
		return err
	}
	var skip func() bool
	if len(out.Payload) >= copyBelow {
		skip = func() bool { return c.skip(id, p) }
	}
	return c.out.put(b, out.Payload, out.Release, skip, false)
}

// remaining returns the milliseconds that ctx leaves, rounded up; 0 is no deadline.
func (c *caller) remaining(ctx context.Context) uint64 {
	t, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	d := t.Sub(c.cfg.Clock.Now())
	return uint64(min(max(1, (d+time.Millisecond-1)/time.Millisecond), maxWait))
}

// skip is asked by the writer before it writes a large frame. A call that was
// abandoned is not worth writing; no reply will come, so its slot is freed here.
func (c *caller) skip(id uint64, p *pending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[id] != p || !p.abandoned.Load() {
		return false
	}
	delete(c.calls, id)
	p.recycle()
	<-c.slots
	return true
}

// await waits for the reply or the end of ctx.
func (c *caller) await(ctx context.Context, id uint64, p *pending, in Message) (*Buffer, error) {
	select {
	case <-p.done:
	default:
		select {
		case <-p.done:
		case <-ctx.Done():
			if c.abandon(id, p) {
				return nil, ctx.Err()
			}
			<-p.done // the reply came at the same time
		}
	}
	<-c.slots
	reply, err := p.reply, p.err
	p.recycle()
	if err != nil {
		return nil, err
	}
	return accept(&reply, in)
}

// accept turns a reply or failure into a call's result.
func accept(f *frame, in Message) (*Buffer, error) {
	if f.kind == kindFailure {
		f.buf.Release()
		return nil, f.failure()
	}
	if in == nil {
		in = &Empty{}
	}
	if err := f.decode(in); err != nil {
		f.buf.Release()
		return nil, err
	}
	if len(f.buf.Payload()) == 0 {
		f.buf.Release()
		return nil, nil
	}
	return f.buf, nil
}

// abandon leaves a call whose reply has not come yet, and tells the peer.
func (c *caller) abandon(id uint64, p *pending) bool {
	c.mu.Lock()
	if c.calls[id] != p {
		c.mu.Unlock()
		return false
	}
	p.abandoned.Store(true)
	c.mu.Unlock()
	e := begin(2, kindCancel)
	e.Uint(id)
	_ = c.put(e) // a peer that takes no frames learns of it by the end of the connection
	return true
}

func (p *pending) recycle() {
	p.reply, p.err, p.limit = frame{}, nil, 0
	p.abandoned.Store(false)
	pendings.Put(p)
}

// putSend queues a one-way message. After an error the payload is still the caller's.
func putSend(o *outbox, out *Out) error {
	e := begin(3, kindSend)
	defer done(e)
	e.Uint(uint64(out.Method))
	appendMessage(e, out.Message)
	b, err := finish(e, len(out.Payload))
	if err != nil {
		return err
	}
	return o.put(b, out.Payload, out.Release, nil, true)
}

// admit checks the size of a reply against what its call allows.
func (c *caller) admit(f *frame, payload int) (func(), error) {
	limit := 0
	if f.kind == kindReply {
		c.mu.Lock()
		if p := c.calls[f.call]; p != nil {
			limit = p.limit
		}
		c.mu.Unlock()
	}
	if payload > limit {
		return nil, signet.Errorf(signet.BadMessage, "read frame", "", "payload of %d bytes, at most %d are allowed", payload, limit)
	}
	return nil, nil
}

// receive hands a reply to its call.
func (c *caller) receive(f *frame) error {
	switch f.kind {
	case kindReply, kindFailure:
	case kindGoodbye:
		f.buf.Release()
		c.goodbye()
		return nil
	default:
		f.buf.Release()
		return signet.Errorf(signet.BadMessage, "read frame", "", "frame of kind %d from the side that was dialled", f.kind)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.calls[f.call]
	if p == nil {
		f.buf.Release()
		return signet.Errorf(signet.BadMessage, "read frame", "", "reply to call %d, which is not in flight", f.call)
	}
	delete(c.calls, f.call)
	if p.abandoned.Load() {
		f.buf.Release()
		p.recycle()
		<-c.slots
	} else {
		p.reply = *f
		p.done <- struct{}{}
	}
	if c.retired.Load() && len(c.calls) == 0 {
		c.finish(errGoodbye())
	}
	return nil
}

func errGoodbye() error {
	return signet.Errorf(signet.Unavailable, "", "", "the host is shutting down")
}

// goodbye lets the calls in flight end and takes no further ones.
func (c *caller) goodbye() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired.Store(true)
	if len(c.calls) == 0 {
		c.finish(errGoodbye())
	}
}

// ended fails the calls in flight.
func (c *caller) ended(err error) {
	c.mu.Lock()
	c.over = err
	for id, p := range c.calls {
		delete(c.calls, id)
		if p.abandoned.Load() {
			p.recycle()
			continue
		}
		p.err = err
		p.done <- struct{}{}
	}
	c.mu.Unlock()
}
