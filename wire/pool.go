package wire

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// Pool makes calls and sends one-way messages to other hosts. It keeps one
// connection per peer and class, made when first wanted, and made again after it was
// lost as soon as somebody wants it.
type Pool struct {
	cfg  Config
	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup // attempts and connections

	mu     sync.RWMutex // guards what follows; a link's lock is never taken under it
	links  map[way]*link
	conns  map[*conn]struct{} // up or retired
	closed bool
}

// way names a link.
type way struct {
	key   signet.HostKey
	class Class
}

// NewPool returns a pool without connections.
func NewPool(cfg Config) (*Pool, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Dial == nil {
		return nil, signet.Errorf(signet.Invalid, "configure wire", "", "a pool needs Dial")
	}
	p := &Pool{cfg: cfg, links: map[way]*link{}, conns: map[*conn]struct{}{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// Call makes a call and waits for the reply, whose message it decodes into in (nil:
// Empty). The buffer holds the reply's payload and is to be released; it is nil if
// there is none.
//
// A failure that the handler returned arrives with its kind and text. A peer that
// cannot be reached, or that is lost before its reply, is Unavailable; NotSent tells
// the two apart. When ctx ends, Call returns at once, and the peer is told.
func (p *Pool) Call(ctx context.Context, to Peer, out Out, in Message) (*Buffer, error) {
	b, err := p.call(ctx, &to, &out, in)
	if err == nil {
		return b, nil
	}
	if NotSent(err) {
		release(&out)
	}
	return nil, signet.Wrap("call "+out.Method.String()+" at", Short(to.Key), err)
}

func (p *Pool) call(ctx context.Context, to *Peer, out *Out, in Message) (*Buffer, error) {
	if err := p.check(out); err != nil {
		return nil, notSent{err}
	}
	if ctx.Err() != nil {
		return nil, notSent{ctx.Err()}
	}
	for again := true; ; again = false {
		l, err := p.link(to.Key, out.Class)
		if err != nil {
			return nil, notSent{err}
		}
		c, err := l.get(ctx, to.Addrs)
		if err != nil {
			return nil, notSent{err}
		}
		b, err := c.do(ctx, out, in)
		// The connection may have ended between get and do. That is no reason to fail.
		if again && err != nil && NotSent(err) && c.retired.Load() && ctx.Err() == nil {
			continue
		}
		return b, err
	}
}

// Send queues a one-way message and returns. Nil means only that it was queued: it
// arrives in the order of the Sends to this peer and class, or it is lost with the
// connection. TooBusy means that Queue bytes wait already, Unavailable that the
// peer cannot be reached at present; the message is dropped then. Send never waits
// for the network.
func (p *Pool) Send(to Peer, out Out) error {
	err := p.check(&out)
	var l *link
	if err == nil {
		l, err = p.link(to.Key, out.Class)
	}
	if err == nil {
		err = l.send(to.Addrs, &out)
	}
	if err != nil {
		release(&out)
		return signet.Wrap("send "+out.Method.String()+" to", Short(to.Key), err)
	}
	return nil
}

// release gives a payload back that was not taken over.
func release(out *Out) {
	if out.Release != nil {
		out.Release()
	}
}

func (p *Pool) check(out *Out) error {
	limits, ok := p.cfg.Methods[out.Method]
	switch {
	case !ok:
		return signet.Errorf(signet.NotSupported, "", "", "no such method")
	case out.Class != Control && out.Class != Bulk:
		return signet.Errorf(signet.Invalid, "", "", "no such class")
	case len(out.Payload) > limits.Request:
		return signet.Errorf(signet.TooBig, "", "", "payload of %d bytes, at most %d are allowed", len(out.Payload), limits.Request)
	}
	return nil
}

// link returns the link to a peer, new if need be.
func (p *Pool) link(key signet.HostKey, class Class) (*link, error) {
	w := way{key, class}
	p.mu.RLock()
	l, closed := p.links[w], p.closed
	p.mu.RUnlock()
	if l != nil && !closed {
		return l, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errPoolClosed()
	}
	if l = p.links[w]; l == nil {
		l = &link{pool: p, key: key, class: class}
		p.links[w] = l
	}
	return l, nil
}

func errPoolClosed() error {
	return signet.Errorf(signet.Closed, "", "", "this host is shutting down")
}

// begin counts one more attempt, unless the pool is closed.
func (p *Pool) begin() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return false
	}
	p.wg.Add(1)
	return true
}

// suspect closes the bulk connection to a peer that fell silent on its control
// connection, where silence is found much sooner.
func (p *Pool) suspect(key signet.HostKey) {
	p.mu.RLock()
	l := p.links[way{key, Bulk}]
	p.mu.RUnlock()
	if l == nil {
		return
	}
	if c := l.up.Load(); c != nil {
		c.close(signet.Errorf(signet.Unavailable, "", "", "the host fell silent on its control connection"))
	}
}

// Drop closes the connections to a host that has been removed and forgets it.
func (p *Pool) Drop(key signet.HostKey) {
	p.mu.Lock()
	var dropped []*link
	for _, class := range []Class{Control, Bulk} {
		if l := p.links[way{key, class}]; l != nil {
			dropped = append(dropped, l)
			delete(p.links, way{key, class})
		}
	}
	p.mu.Unlock()
	why := signet.Errorf(signet.Permission, "", "", "the host was removed")
	for _, l := range dropped {
		l.close(why)
	}
	for _, c := range p.connected() {
		if c.peer == key {
			c.close(why)
		}
	}
}

// Shutdown takes no further calls or messages, waits until those under way are
// answered and written, or until ctx ends, and closes the pool.
func (p *Pool) Shutdown(ctx context.Context) error {
	p.shut()
	conns := p.connected()
	for _, c := range conns {
		c.worn()
	}
	var err error
	for _, c := range conns {
		select {
		case <-c.dead:
		case <-ctx.Done():
			err = signet.Wrap("shut down", "", ctx.Err())
		}
	}
	p.Close()
	return err
}

// Close cuts off all connections; calls in flight fail with Closed.
func (p *Pool) Close() {
	for _, l := range p.shut() {
		l.close(errPoolClosed())
	}
	p.stop()
	for _, c := range p.connected() {
		c.close(errPoolClosed())
	}
	p.wg.Wait()
}

// enter and leave keep the list of connections that must be closed with the pool.
func (p *Pool) enter(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
}

func (p *Pool) leave(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Pool) connected() []*conn {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Collect(maps.Keys(p.conns))
}

// shut refuses further calls and returns the links.
func (p *Pool) shut() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	out := make([]*link, 0, len(p.links))
	for _, l := range p.links {
		out = append(out, l)
	}
	return out
}

// Join asks to become a member: it connects to the first of the addresses where a
// host answers whose key passes accept, makes the one call that strangers may make,
// and hangs up. It returns the key of the host that answered.
func (p *Pool) Join(ctx context.Context, addrs []string, accept func(signet.HostKey) error, out *Join, in *Joined) (signet.HostKey, error) {
	err := signet.Errorf(signet.Invalid, "", "", "no address is known")
	for _, addr := range addrs {
		each, cancel := clock.WithTimeout(ctx, p.cfg.Clock, p.cfg.DialTimeout)
		var c *conn
		c, err = dial(each, &p.cfg, Control, alpnJoin, addr, accept)
		cancel()
		if err == nil {
			return c.peer, signet.Wrap("join at", addr, p.join(ctx, c, out, in))
		}
		err = signet.Wrap("connect to", addr, err)
	}
	return signet.HostKey{}, notSent{signet.Wrap("join", "", err)}
}

func (p *Pool) join(ctx context.Context, c *conn, out *Join, in *Joined) error {
	defer c.close(errPoolClosed())
	if !p.begin() {
		c.meter.Close()
		return errPoolClosed()
	}
	c.out = newOutbox(p.cfg.Control.Queue)
	caller := newCaller(c)
	stop := context.AfterFunc(p.ctx, func() { c.close(errPoolClosed()) })
	defer stop()
	go func() {
		defer p.wg.Done()
		c.serve(caller)
	}()
	_, err := caller.do(ctx, &Out{Class: Control, Method: MethodJoin, Message: out}, in)
	return err
}
