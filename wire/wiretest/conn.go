package wiretest

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// buffered is how many bytes the network holds for each direction.
const buffered = 256 << 10

// Conn is a connection as its dialling side has it. All of it is guarded by the
// network's lock.
type Conn struct {
	n        *Network
	inner    net.Conn
	from, to string
	there    lane // what is written
	back     lane // what is to be read
	held     bool
	allowed  int  // bytes written that pass though the connection is held
	closed   bool // by its owner
}

// lane is one direction of a connection.
type lane struct {
	direction
	chunks []chunk
	bytes  int
	err    error // after the chunks
}

type chunk struct {
	data []byte
	due  time.Time
}

var errReset = errors.New("connection reset by peer")

func (n *Network) connect(inner net.Conn, from, to string) (net.Conn, error) {
	c := &Conn{
		n: n, inner: inner, from: from, to: to,
		there: lane{direction: direction{from, to}}, back: lane{direction: direction{to, from}},
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		inner.Close()
		return nil, net.ErrClosed
	}
	n.conns = append(n.conns, c)
	n.wg.Add(2)
	go c.deliver()
	go c.fetch()
	return c, nil
}

// push adds bytes to a lane, waiting for room. The lock is held.
func (c *Conn) push(l *lane, p []byte) error {
	for l.bytes >= buffered && l.err == nil {
		c.n.changed.Wait()
	}
	if l.err != nil {
		return l.err
	}
	data := slices.Clone(p)
	if c.n.garble[l.direction] && len(data) > 0 {
		delete(c.n.garble, l.direction)
		data[len(data)-1] ^= 0x55
	}
	d := c.n.delay[l.direction]
	l.chunks = append(l.chunks, chunk{data, c.n.clock.Now().Add(d)})
	l.bytes += len(data)
	if d > 0 {
		c.n.clock.AfterFunc(d, func() { c.n.set(func() {}) })
	}
	c.n.changed.Broadcast()
	return nil
}

// passes says whether the lane lets its first chunk, or its end, through now.
func (c *Conn) passes(l *lane) bool {
	n := c.n
	if n.cut[l.direction] || n.frozen[c.from] || n.frozen[c.to] {
		return false
	}
	if c.held && (l != &c.there || c.allowed <= 0) {
		return false
	}
	if len(l.chunks) > 0 {
		return !n.clock.Now().Before(l.chunks[0].due)
	}
	return l.err != nil
}

// deliver passes on what was written, also after Close: a kernel would, too.
func (c *Conn) deliver() {
	defer c.n.wg.Done()
	l := &c.there
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	for {
		for l.err != errReset && !c.passes(l) {
			c.n.changed.Wait()
		}
		if l.err == errReset || len(l.chunks) == 0 {
			c.inner.Close()
			return
		}
		first := l.chunks[0]
		l.chunks = l.chunks[1:]
		c.allowed = max(0, c.allowed-len(first.data))
		c.n.mu.Unlock()
		_, err := c.inner.Write(first.data)
		c.n.mu.Lock()
		l.bytes -= len(first.data)
		if err != nil && l.err == nil {
			l.err = errReset
		}
		c.n.changed.Broadcast()
	}
}

// fetch takes in what is to be read.
func (c *Conn) fetch() {
	defer c.n.wg.Done()
	p := make([]byte, 32<<10)
	for {
		k, err := c.inner.Read(p)
		c.n.mu.Lock()
		if k > 0 && c.push(&c.back, p[:k]) != nil {
			c.n.mu.Unlock()
			return
		}
		if err != nil {
			if c.back.err == nil {
				c.back.err = err
			}
			c.n.changed.Broadcast()
			c.n.mu.Unlock()
			return
		}
		c.n.mu.Unlock()
	}
}

// Read returns what has arrived.
func (c *Conn) Read(p []byte) (int, error) {
	l := &c.back
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	for !c.closed && l.err != errReset && !c.passes(l) {
		c.n.changed.Wait()
	}
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case l.err == errReset:
		return 0, errReset
	case len(l.chunks) == 0:
		return 0, l.err
	}
	k := copy(p, l.chunks[0].data)
	if l.chunks[0].data = l.chunks[0].data[k:]; len(l.chunks[0].data) == 0 {
		l.chunks = l.chunks[1:]
	}
	l.bytes -= k
	c.n.changed.Broadcast()
	return k, nil
}

// Write takes bytes as a kernel would: it waits only when too much is held already.
func (c *Conn) Write(p []byte) (int, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if err := c.push(&c.there, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends the connection; what was written before still arrives, if it can.
func (c *Conn) Close() error {
	c.n.set(func() {
		c.closed = true
		if c.there.err == nil {
			c.there.err = io.ErrClosedPipe
		}
		if c.back.err == nil {
			c.back.err = net.ErrClosed
		}
	})
	return nil
}

// Hold lets nothing pass on this connection, either way, until Heal.
func (c *Conn) Hold() { c.n.set(func() { c.held = true }) }

// Pass lets about n bytes of what is written pass on a connection that is held, and
// returns when they have.
func (c *Conn) Pass(n int) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	c.allowed = n
	c.n.changed.Broadcast()
	for c.allowed > 0 && c.there.err == nil {
		c.n.changed.Wait()
	}
}

// Held returns how many written bytes have not been passed on yet.
func (c *Conn) Held() int {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	return c.there.bytes
}

// Kill resets the connection: both ends are told at once, even across a cut.
func (c *Conn) Kill() {
	if tcp, ok := c.inner.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // an error means that it is closed already
	}
	c.inner.Close()
	c.n.set(func() { c.there.err, c.back.err = errReset, errReset })
}

// LocalAddr returns the dialling side's address.
func (c *Conn) LocalAddr() net.Addr { return c.inner.LocalAddr() }

// RemoteAddr returns the address that was dialled.
func (c *Conn) RemoteAddr() net.Addr { return c.inner.RemoteAddr() }

// SetDeadline is not supported.
func (c *Conn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline is not supported.
func (c *Conn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline is not supported.
func (c *Conn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
