package wire

import (
	"bufio"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/pack"
)

// end is one of the two ends of a connection: the caller who dialled it, or the
// answerer who accepted it. Its methods are called by the connection's reader.
type end interface {
	// admit sees a frame before memory is taken for its payload.
	admit(f *frame, payload int) (release func(), err error)
	// receive handles a frame and takes over its buffer. An error ends the connection.
	receive(f *frame) error
	// ended is called once, after the last receive, when the connection is over. What
	// still runs for the connection must stop.
	ended(err error)
}

// conn is what both ends of a connection have in common: a goroutine that reads, one
// that writes, and the watch over silence. It needs no lock beside those of its
// parts.
type conn struct {
	cfg   *Config
	class Class
	peer  signet.HostKey
	hello Hello // the peer's

	meter *meter
	tls   *tls.Conn
	in    *bufio.Reader
	out   *outbox

	worn    func()        // of the dialling end: make no new calls and close when there are none
	retired atomic.Bool   // no new calls: over, or the peer said goodbye
	spoke   atomic.Bool   // the peer has sent something since its Hello
	silent  atomic.Bool   // closed because the peer has sent nothing for too long
	skipped atomic.Int64  // frames that were never written because their call had ended
	batch   atomic.Uint64 // odd while a batch is being written
	dead    chan struct{} // closed with the connection
	once    sync.Once
	err     error          // why; set before dead is closed
	wg      sync.WaitGroup // the writer and what receive started

	watch watch
}

// meter counts what passes below TLS.
type meter struct {
	net.Conn
	in, out atomic.Uint64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.in.Add(uint64(n))
	return n, err
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.out.Add(uint64(n))
	return n, err
}

// newConn returns a connection that has no class, peer or traffic yet.
func newConn(cfg *Config, raw net.Conn) *conn {
	return &conn{cfg: cfg, meter: &meter{Conn: raw}, dead: make(chan struct{})}
}

// serve reads in this goroutine, writes and watches beside it, and returns when the
// connection is over and nothing of it runs any more.
func (c *conn) serve(e end) {
	c.wg.Go(func() { c.close(c.write()) })
	c.watch.start(c)
	c.close(c.read(e))
	e.ended(c.err)
	c.wg.Wait()
}

// Writing from the goroutine that has the frame, where nobody writes, would save a
// switch. It was tried: no gain beyond the noise, and a caller would be stuck in the
// write to a peer that does not read, whatever its context says.

// close ends the connection at once; the first err is the reason that everybody is
// told. It does not wait for the goroutines.
func (c *conn) close(err error) {
	c.once.Do(func() {
		if signet.KindOf(err) == signet.Other {
			err = signet.Errorf(signet.Unavailable, "", "", "connection lost: %w", err)
		}
		c.err = err
		c.retired.Store(true)
		close(c.dead)
		c.watch.stop()
		// Not tls.Conn.Close, which may wait to send its farewell.
		c.meter.Close()
		c.out.close(err, false)
	})
}

// finish refuses further frames, writes what waits and then closes.
func (c *conn) finish(err error) { c.out.close(err, true) }

func (c *conn) read(e end) error {
	var d pack.Decoder
	var f frame // receive copies what it keeps
	for {
		if err := readFrame(c.in, &d, MaxHeader, &f, e.admit); err != nil {
			return err
		}
		c.spoke.Store(true)
		switch f.kind {
		case kindPing:
			f.buf.Release()
			if err := c.put(begin(1, kindPong)); err != nil {
				return err
			}
		case kindPong:
			f.buf.Release()
		default:
			if err := e.receive(&f); err != nil {
				return err
			}
		}
	}
}

func (c *conn) write() error {
	var b batch
	defer b.clear()
	for c.out.take(&b) {
		c.batch.Add(1)
		err := b.writeTo(c.tls, &c.skipped)
		c.batch.Add(1)
		if err != nil {
			return err
		}
	}
	return c.out.err
}

// put queues a frame without payload. It fails if the connection is over, or if the
// peer lets too much wait: what we answer from the reader must not pile up.
func (c *conn) put(e *pack.Encoder) error {
	defer done(e)
	b, err := finish(e, 0)
	if err != nil {
		return err
	}
	return c.out.put(b, nil, nil, nil, true)
}

// watch closes a connection whose peer has been silent for too long and asks it for
// a sign of life before that. A byte received is one; so is progress of a write that
// lasts, because a peer that takes a large payload slowly has nothing to say.
type watch struct {
	mu      sync.Mutex
	timer   clock.Timer
	stopped bool
	quiet   time.Duration // how long there was no sign of life
	asked   bool
	in, out uint64 // as of the last look
	batch   uint64
}

func (w *watch) start(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in = c.meter.in.Load()
	if !w.stopped {
		w.timer = c.cfg.Clock.AfterFunc(w.period(c), func() { w.look(c) })
	}
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *watch) period(c *conn) time.Duration { return c.cfg.class(c.class).Ping / 2 }

func (w *watch) look(c *conn) {
	if c.worn != nil && c.meter.in.Load()+c.meter.out.Load() >= c.cfg.Retire {
		c.worn()
	}
	limits := c.cfg.class(c.class)
	ask, silent := w.measure(c, limits)
	switch {
	case silent:
		c.silent.Store(true)
		c.close(signet.Errorf(signet.Unavailable, "", "", "no sign of life for %v", limits.Dead))
	case ask:
		_ = c.put(begin(1, kindPing)) // if it cannot be queued there is no need to ask
	}
}

// measure looks at the counters and sets the timer again.
func (w *watch) measure(c *conn, limits *ClassConfig) (ask, silent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return false, false
	}
	in, out, batch := c.meter.in.Load(), c.meter.out.Load(), c.batch.Load()
	lasting := batch%2 == 1 && batch == w.batch
	if in != w.in || lasting && out != w.out {
		w.quiet, w.asked = 0, false
	} else {
		w.quiet += w.period(c)
	}
	w.in, w.out, w.batch = in, out, batch
	if w.quiet >= limits.Dead {
		return false, true
	}
	w.timer.Reset(w.period(c))
	if w.quiet >= limits.Ping && !w.asked {
		w.asked = true
		return true, false
	}
	return false, false
}
