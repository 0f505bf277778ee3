package wiretest

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/signetfs/signet/internal/clock"
)

// Network connects named hosts. Create one with New.
type Network struct {
	clock clock.Clock
	wg    sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond         // on every change of what follows
	hosts   map[string]string // address -> host
	listen  []net.Listener
	conns   []*Conn // in the order in which they were made
	cut     map[direction]bool
	delay   map[direction]time.Duration
	garble  map[direction]bool
	frozen  map[string]bool
	refused map[string]bool
	closed  bool
}

type direction struct{ from, to string }

// New returns a network without faults, whose delays are of clock c.
func New(c clock.Clock) *Network {
	n := &Network{
		clock: c, hosts: map[string]string{}, cut: map[direction]bool{}, delay: map[direction]time.Duration{},
		garble: map[direction]bool{}, frozen: map[string]bool{}, refused: map[string]bool{},
	}
	n.changed.L = &n.mu
	return n
}

// Listen opens a port for host.
func (n *Network) Listen(host string) (net.Listener, error) { return n.ListenAt(host, "127.0.0.1:0") }

// ListenAt opens a certain address for host, so that one that was killed can come
// back where it was.
func (n *Network) ListenAt(host, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	n.set(func() {
		n.hosts[l.Addr().String()] = host
		n.listen = append(n.listen, l)
	})
	return l, nil
}

// Dial returns how host dials addresses that Listen gave out.
func (n *Network) Dial(host string) func(ctx context.Context, addr string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		stop := context.AfterFunc(ctx, func() { n.set(func() {}) })
		defer stop()
		to, err := n.passable(ctx, host, addr)
		if err != nil {
			return nil, err
		}
		inner, err := new(net.Dialer).DialContext(timeless{ctx}, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return n.connect(inner, host, to)
	}
}

// timeless hides a deadline that may be of another clock than the machine's, which
// the dialer would compare it with.
type timeless struct{ context.Context }

func (timeless) Deadline() (time.Time, bool) { return time.Time{}, false }

// passable waits until a SYN from host would be answered.
func (n *Network) passable(ctx context.Context, host, addr string) (to string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		to, known := n.hosts[addr]
		switch {
		case n.closed:
			return "", net.ErrClosed
		case !known:
			return "", errors.New("wiretest: nobody has listened at " + addr)
		case ctx.Err() != nil:
			return "", ctx.Err()
		case n.cut[direction{host, to}] || n.cut[direction{to, host}]:
			n.changed.Wait()
			continue
		case n.refused[to]:
			return "", errors.New("connection refused")
		}
		return to, nil
	}
}

// set changes something and tells everybody.
func (n *Network) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	n.changed.Broadcast()
}

// Cut lets nothing through between a and b.
func (n *Network) Cut(a, b string) {
	n.set(func() { n.cut[direction{a, b}], n.cut[direction{b, a}] = true, true })
}

// CutOneWay lets nothing through that from sends to to. No new connection can be
// made either way: the handshake needs both.
func (n *Network) CutOneWay(from, to string) {
	n.set(func() { n.cut[direction{from, to}] = true })
}

// Isolate cuts host off from all others that have listened so far.
func (n *Network) Isolate(host string) {
	n.set(func() {
		for _, other := range n.hosts {
			if other != host {
				n.cut[direction{host, other}], n.cut[direction{other, host}] = true, true
			}
		}
	})
}

// Freeze stops a host; Thaw lets it go on.
func (n *Network) Freeze(host string) { n.set(func() { n.frozen[host] = true }) }

// Thaw ends a Freeze.
func (n *Network) Thaw(host string) { n.set(func() { delete(n.frozen, host) }) }

// Refuse makes dialling a host fail at once, or work again.
func (n *Network) Refuse(host string, refuse bool) { n.set(func() { n.refused[host] = refuse }) }

// Delay makes what from sends to to arrive d later.
func (n *Network) Delay(from, to string, d time.Duration) {
	n.set(func() { n.delay[direction{from, to}] = d })
}

// Garble changes a byte of the next ones that from sends to to.
func (n *Network) Garble(from, to string) { n.set(func() { n.garble[direction{from, to}] = true }) }

// Heal ends all faults.
func (n *Network) Heal() {
	n.set(func() {
		clear(n.cut)
		clear(n.delay)
		clear(n.garble)
		clear(n.frozen)
		clear(n.refused)
		for _, c := range n.conns {
			c.held = false
		}
	})
}

// Kill resets the connections between a and b, whoever dialled.
func (n *Network) Kill(a, b string) {
	for _, c := range append(n.Conns(a, b), n.Conns(b, a)...) {
		c.Kill()
	}
}

// KillHost resets all connections of a host.
func (n *Network) KillHost(host string) {
	n.mu.Lock()
	conns := append([]*Conn(nil), n.conns...)
	n.mu.Unlock()
	for _, c := range conns {
		if c.from == host || c.to == host {
			c.Kill()
		}
	}
}

// Conns returns the open connections that from dialled to to, oldest first.
func (n *Network) Conns(from, to string) []*Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []*Conn
	for _, c := range n.conns {
		if c.from == from && c.to == to && !c.closed && c.there.err == nil {
			out = append(out, c)
		}
	}
	return out
}

// Close resets all connections, closes the listeners and waits until nothing of the
// network runs any more.
func (n *Network) Close() {
	var conns []*Conn
	var listen []net.Listener
	n.set(func() { n.closed, conns, listen = true, n.conns, n.listen })
	for _, l := range listen {
		l.Close()
	}
	for _, c := range conns {
		c.Kill()
	}
	n.wg.Wait()
}
