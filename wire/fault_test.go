package wire_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/wire"
	"github.com/signetfs/signet/wire/wiretest"
)

// world is a server "s" and a pool "p" with a failing network between them and time
// that stands still.
type world struct {
	t     *testing.T
	net   *wiretest.Network
	clock *clock.Manual
	cfg   wire.Config                                              // of the server
	dial  func(ctx context.Context, addr string) (net.Conn, error) // of the pool
	s     *wire.Server
	p     *wire.Pool
	peer  wire.Peer
	notes chan uint32     // what the server was sent one way
	block chan signet.Ino // calls of methodBlock that have begun
	stop  func()          // ends the server

	handlers map[wire.Method]wire.Handler // beside the usual ones
}

func newWorld(t *testing.T, change func(server, pool *wire.Config)) *world {
	t.Helper()
	w := &world{
		t: t, clock: clock.NewManual(time.Unix(1e9, 0)), notes: make(chan uint32, 1000), block: make(chan signet.Ino, 1000),
		handlers: map[wire.Method]wire.Handler{},
	}
	w.net = wiretest.New(w.clock)
	t.Cleanup(w.net.Close)
	pc := config(t)
	w.cfg = config(t)
	pc.Methods = w.cfg.Methods
	if change != nil {
		change(&w.cfg, &pc)
	}
	w.cfg.Clock, pc.Clock = w.clock, w.clock
	w.dial = w.net.Dial("p")
	pc.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return w.dial(ctx, addr) }
	p, err := wire.NewPool(pc)
	if err != nil {
		t.Fatal(err)
	}
	w.p = p
	w.start("127.0.0.1:0")
	t.Cleanup(func() {
		p.Close()
		w.stop()
	})
	return w
}

// start runs the server at addr.
func (w *world) start(addr string) {
	w.t.Helper()
	s, err := wire.NewServer(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Handle(methodEcho, func(_ context.Context, _ signet.HostKey, req *wire.Request) (wire.Reply, error) {
		var m wire.Get
		err := req.Decode(&m)
		return wire.Reply{Message: &m}, err
	})
	s.Handle(methodBlock, func(ctx context.Context, _ signet.HostKey, _ *wire.Request) (wire.Reply, error) {
		w.block <- 1
		<-ctx.Done()
		w.block <- 2
		return wire.Reply{}, ctx.Err()
	})
	for m, h := range w.handlers {
		s.Handle(m, h)
	}
	s.Handle(methodTake, func(context.Context, signet.HostKey, *wire.Request) (wire.Reply, error) { return wire.Reply{}, nil })
	s.HandleSend(methodNote, func(_ signet.HostKey, req *wire.Request) {
		var m wire.Get
		if req.Decode(&m) == nil {
			w.notes <- m.Off
		}
	})
	l, err := w.net.ListenAt("s", addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.s, w.peer = s, wire.Peer{Key: w.cfg.Identity.Key, Addrs: []string{l.Addr().String()}}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	w.stop = sync.OnceFunc(func() {
		s.Close()
		if err := <-served; err != nil {
			w.t.Error(err)
		}
	})
}

// handle replaces a handler. Handlers are fixed once a server runs, so it is a new
// server, at the same address.
func (w *world) handle(m wire.Method, h wire.Handler) {
	w.t.Helper()
	w.cfg.Methods[m] = wire.Limits{Request: wire.MaxPayload}
	w.handlers[m] = h
	w.stop()
	w.start(w.peer.Addrs[0])
	until(w.t, "the new server is found", func() bool {
		w.clock.Advance(100 * time.Millisecond)
		return w.echo(within(w.t)) == nil
	})
}

func (w *world) echo(ctx context.Context) error {
	_, err := echo(ctx, w.p, w.peer, wire.Control, nil)
	return err
}

// mustEcho makes a call that has to succeed.
func (w *world) mustEcho() {
	w.t.Helper()
	if err := w.echo(within(w.t)); err != nil {
		w.t.Fatal(err)
	}
}

// blocked begins a call that does not return by itself, and waits until it runs.
func (w *world) blocked(ctx context.Context, class wire.Class) <-chan error {
	w.t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := w.p.Call(ctx, w.peer, wire.Out{Class: class, Method: methodBlock}, nil)
		done <- err
	}()
	for w.wait(w.block) != 1 { // 2 is the end of an earlier one
	}
	return done
}

func (w *world) wait(c <-chan signet.Ino) signet.Ino {
	w.t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		w.t.Fatal("nothing happened for 20 s")
	}
	return 0
}

// until waits for a condition that has no event.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-look.C {
		if time.Now().After(end) {
			t.Fatal("did not happen for 20 s: " + what)
		}
	}
}

func wantKind(t testing.TB, err error, want signet.Kind) {
	t.Helper()
	if signet.KindOf(err) != want {
		t.Fatalf("got %v (%v), want %v", err, signet.KindOf(err), want)
	}
}

func (w *world) advance(d time.Duration) {
	for ; d > 0; d -= 100 * time.Millisecond {
		w.clock.Advance(100 * time.Millisecond)
	}
}

func TestKilledPeer(t *testing.T) {
	w := newWorld(t, nil)
	call := w.blocked(context.Background(), wire.Control)
	w.net.Kill("p", "s")
	err := <-call // at once: no time has passed
	wantKind(t, err, signet.Unavailable)
	if wire.NotSent(err) {
		t.Error("the call ran")
	}
	w.mustEcho() // and dialled again at once
	w.wait(w.block)
}

func TestFrozenPeer(t *testing.T) {
	for _, fault := range []string{"freeze", "cut", "one way there", "one way back"} {
		t.Run(fault, func(t *testing.T) {
			w := newWorld(t, nil)
			w.mustEcho()
			call := w.blocked(context.Background(), wire.Control)
			bulk := w.blocked(context.Background(), wire.Bulk)
			switch fault {
			case "freeze":
				w.net.Freeze("s")
			case "cut":
				w.net.Cut("p", "s")
			case "one way there":
				w.net.CutOneWay("p", "s")
			case "one way back":
				w.net.CutOneWay("s", "p")
			}
			w.advance(2900 * time.Millisecond)
			select {
			case err := <-call:
				t.Fatal("given up too early:", err)
			default:
			}
			begun := w.clock.Now()
			until(t, "it is given up", func() bool {
				w.clock.Advance(100 * time.Millisecond)
				return len(call) > 0 && len(bulk) > 0
			})
			wantKind(t, <-call, signet.Unavailable)
			wantKind(t, <-bulk, signet.Unavailable)
			if d := w.clock.Now().Sub(begun); d > 11*time.Second { // bulk's own silence takes 15 s
				t.Errorf("found after %v more", d)
			}
			// The peer has found out as well, cancelled the handlers and forgotten us.
			until(t, "the server drops the connections", func() bool {
				w.clock.Advance(time.Second)
				return w.s.Conns() == 0
			})
			w.net.Heal()
			until(t, "the host is found again", func() bool {
				w.clock.Advance(100 * time.Millisecond)
				return w.echo(within(t)) == nil
			})
		})
	}
}

func TestIdleConnectionLives(t *testing.T) {
	w := newWorld(t, nil)
	w.mustEcho()
	for range 10 {
		before := w.p.Received(w.peer.Key, wire.Control)
		for !w.p.Asked(w.peer.Key, wire.Control) { // in time: it is asked long before it is given up
			w.clock.Advance(500 * time.Millisecond)
		}
		until(t, "a sign of life", func() bool { return w.p.Received(w.peer.Key, wire.Control) > before })
		w.clock.Advance(500 * time.Millisecond) // it is seen
	}
	if n := len(w.net.Conns("p", "s")); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestKnownDownFailsFast(t *testing.T) {
	w := newWorld(t, nil)
	w.mustEcho()
	addr := w.peer.Addrs[0]
	w.stop()
	until(t, "the loss is noticed", func() bool { return w.p.Received(w.peer.Key, wire.Control) == 0 })
	// The first attempt meets a closed port.
	err := w.echo(within(t))
	wantKind(t, err, signet.Unavailable)
	if !wire.NotSent(err) {
		t.Error("nothing was sent")
	}
	// Now attempts hang, and still nobody waits for them.
	w.net.Cut("p", "s")
	for range 20 {
		wantKind(t, w.echo(within(t)), signet.Unavailable)
		w.advance(100 * time.Millisecond)
	}
	w.start(addr)
	w.net.Heal()
	until(t, "the host is found again", func() bool {
		w.clock.Advance(100 * time.Millisecond)
		return w.echo(within(t)) == nil
	})
}

func TestUnknownPeerIsWaitedFor(t *testing.T) {
	w := newWorld(t, nil)
	w.net.Cut("p", "s")
	done := make(chan error)
	go func() { done <- w.echo(context.Background()) }()
	if err := w.clock.WaitFor(within(t), 1); err != nil { // the attempt's deadline
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go cancel()
	wantKind(t, w.echo(ctx), signet.Interrupted)
	w.clock.Advance(3 * time.Second)
	wantKind(t, <-done, signet.Unavailable)
}

func TestBackoff(t *testing.T) {
	var dials atomic.Int64
	down := atomic.Bool{}
	w := newWorld(t, func(_, pc *wire.Config) {
		pc.BackoffMin, pc.BackoffMax = 100*time.Millisecond, 800*time.Millisecond
		pc.Rand = zeros{} // no jitter
	})
	inner := w.net.Dial("p")
	w.dial = func(ctx context.Context, addr string) (net.Conn, error) {
		dials.Add(1)
		if down.Load() {
			return nil, errors.New("connection refused")
		}
		return inner(ctx, addr)
	}
	w.mustEcho()
	down.Store(true)
	w.net.Kill("p", "s")
	until(t, "the loss is noticed", func() bool { return w.p.Received(w.peer.Key, wire.Control) == 0 })
	dials.Store(0)
	// An attempt, then one after 100, 200, 400, 800, 800 ms, however often it is wanted.
	var at []int
	for ms := 0; ms <= 2400; ms += 50 {
		before := dials.Load()
		wantKind(t, w.echo(within(t)), signet.Unavailable)
		until(t, "the attempt ends", func() bool { return !w.p.Dialling(w.peer.Key, wire.Control) })
		if dials.Load() > before {
			at = append(at, ms)
		}
		w.clock.Advance(50 * time.Millisecond)
	}
	if want := []int{0, 100, 300, 700, 1500, 2300}; !slices.Equal(at, want) {
		t.Errorf("dialled after %v ms, not %v", at, want)
	}
	down.Store(false)
	w.clock.Advance(800 * time.Millisecond)
	_ = w.echo(within(t)) // fails, but begins the attempt that succeeds
	until(t, "the attempt ends", func() bool { return !w.p.Dialling(w.peer.Key, wire.Control) })
	w.mustEcho()
	for range 20 { // a lost connection is no failure
		w.net.Kill("p", "s")
		until(t, "the loss is noticed", func() bool { return w.p.Received(w.peer.Key, wire.Control) == 0 })
		w.mustEcho()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestMutePeerIsLeftAlone(t *testing.T) {
	w := newWorld(t, nil)
	w.mustEcho()
	hangUps := 0
	for range 20 {
		if err := w.p.Send(w.peer, note(1)); err != nil {
			continue
		}
		<-w.notes
		hangUps++
		w.net.Kill("p", "s")
		until(t, "the loss is noticed", func() bool { return w.p.Received(w.peer.Key, wire.Control) == 0 })
	}
	if hangUps > 4 { // the first was on the connection that had answered
		t.Errorf("dialled %d times without a pause", hangUps)
	}
}

func TestBulkNeverDelaysControl(t *testing.T) {
	w := newWorld(t, nil)
	w.mustEcho()
	bulk := w.blocked(context.Background(), wire.Bulk)
	w.net.Conns("p", "s")[1].Hold() // the second one is the bulk connection
	stalled := make(chan error, 8)
	released := make(chan bool, 8)
	for range 8 {
		go func() {
			_, err := w.p.Call(context.Background(), w.peer, wire.Out{
				Class: wire.Bulk, Method: methodTake, Payload: make([]byte, 4<<20), Release: func() { released <- true },
			}, nil)
			stalled <- err
		}()
	}
	until(t, "the transfers are under way", func() bool { return w.p.InFlight(w.peer.Key, wire.Bulk) == 9 })
	for i := range 200 {
		w.mustEcho()
		if err := w.p.Send(w.peer, note(uint32(i))); err != nil {
			t.Fatal(err)
		}
		if got := <-w.notes; got != uint32(i) {
			t.Fatal("note", got)
		}
	}
	if len(stalled)+len(bulk)+len(released) > 0 {
		t.Fatal("the transfers were not stalled, so this test shows nothing")
	}
	w.net.Heal()
	for range 8 {
		if err := <-stalled; err != nil {
			t.Error(err)
		}
		<-released
	}
}

func note(i uint32) wire.Out {
	return wire.Out{Class: wire.Control, Method: methodNote, Message: &wire.Get{Off: i}}
}

func TestSlowTransferIsNotSilence(t *testing.T) {
	w := newWorld(t, nil)
	_ = w.blocked(context.Background(), wire.Bulk)
	conn := w.net.Conns("p", "s")[0]
	conn.Hold()
	done := make(chan error, 1)
	go func() {
		_, err := w.p.Call(context.Background(), w.peer, wire.Out{Class: wire.Bulk, Method: methodTake, Payload: make([]byte, 4<<20)}, nil)
		done <- err
	}()
	full := func() bool { return conn.Held() >= 256<<10 }
	until(t, "it is under way", full)
	for range 10 { // 256 KiB every 14 s, and not a byte comes back
		w.advance(14 * time.Second)
		before := w.s.Received()
		conn.Pass(256 << 10)
		until(t, "it goes on", func() bool { return full() && w.s.Received() >= before+200<<10 })
	}
	w.net.Heal()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestGarbledBytesEndTheConnection(t *testing.T) {
	w := newWorld(t, nil)
	call := w.blocked(context.Background(), wire.Control)
	w.net.Garble("p", "s")
	_, err := echo(within(t), w.p, w.peer, wire.Control, nil)
	wantKind(t, err, signet.Unavailable)
	wantKind(t, <-call, signet.Unavailable)
	w.wait(w.block)
	w.mustEcho()
}

func TestWornConnectionIsReplaced(t *testing.T) {
	w := newWorld(t, func(_, pool *wire.Config) { pool.Retire = 100 << 10 })
	call := w.blocked(context.Background(), wire.Control)
	for range 200 {
		w.mustEcho()
	}
	for range 3 { // not used up yet
		w.clock.Advance(500 * time.Millisecond)
		w.mustEcho()
	}
	if n := len(w.net.Conns("p", "s")); n != 1 {
		t.Fatalf("%d connections", n)
	}
	if _, err := w.p.Call(within(t), w.peer, wire.Out{Class: wire.Control, Method: methodTake, Payload: make([]byte, 100<<10)}, nil); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(500 * time.Millisecond)
	w.mustEcho()
	if n := len(w.net.Conns("p", "s")); n != 2 {
		t.Fatalf("%d connections, not the old one with its call and the new one", n)
	}
	select {
	case err := <-call:
		t.Fatal("the call on the old connection was cut off:", err)
	default:
	}
}
