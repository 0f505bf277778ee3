package wire_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/wire"
)

func TestDeadlineCrosses(t *testing.T) {
	w := newWorld(t, nil)
	seen := make(chan time.Time, 1)
	w.handle(methodFail, func(ctx context.Context, _ signet.HostKey, _ *wire.Request) (wire.Reply, error) {
		d, _ := ctx.Deadline()
		seen <- d
		child, cancel := context.WithCancel(ctx) // as handlers do
		defer cancel()
		<-child.Done()
		return wire.Reply{}, ctx.Err()
	})
	ctx, cancel := clock.WithTimeout(context.Background(), w.clock, 2*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := w.p.Call(ctx, w.peer, wire.Out{Class: wire.Control, Method: methodFail}, nil)
		done <- err
	}()
	if d := <-seen; !d.Equal(w.clock.Now().Add(2 * time.Second)) {
		t.Errorf("the handler sees deadline %v", d)
	}
	if err := w.clock.WaitFor(within(t), 4); err != nil { // ours, the handler's, two watches
		t.Fatal(err)
	}
	w.advance(2 * time.Second)
	wantKind(t, <-done, signet.Timeout)
	until(t, "the place is free", func() bool { return w.p.InFlight(w.peer.Key, wire.Control) == 0 })
}

func TestCancelCrosses(t *testing.T) {
	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	call := w.blocked(ctx, wire.Control)
	cancel()
	err := <-call
	wantKind(t, err, signet.Interrupted)
	if wire.NotSent(err) {
		t.Error("it was sent")
	}
	if w.wait(w.block) != 2 {
		t.Error("the handler was not told")
	}
	until(t, "the place is free", func() bool { return w.p.InFlight(w.peer.Key, wire.Control) == 0 })
	w.mustEcho()
}

func TestCancelHonouredByAFrozenPeer(t *testing.T) {
	w := newWorld(t, nil)
	w.mustEcho()
	w.net.Freeze("s")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 4)
	for range 4 { // more than the network takes
		go func() {
			_, err := w.p.Call(ctx, w.peer, wire.Out{Class: wire.Control, Method: methodTake, Payload: make([]byte, 1<<20)}, nil)
			done <- err
		}()
	}
	until(t, "they are under way", func() bool { return w.p.InFlight(w.peer.Key, wire.Control) == 4 })
	cancel()
	for range 4 {
		wantKind(t, <-done, signet.Interrupted)
	}
}

func TestCallsBeyondTheWindowWait(t *testing.T) {
	w := newWorld(t, func(server, _ *wire.Config) { server.Control.Calls = 2 })
	ctx, cancel := context.WithCancel(context.Background())
	first := w.blocked(ctx, wire.Control)
	other, cancelOther := context.WithCancel(context.Background())
	second := w.blocked(other, wire.Control)
	late, giveUp := context.WithCancel(context.Background())
	third := make(chan error, 1)
	go func() { third <- w.echo(late) }()
	giveUp()
	err := <-third
	wantKind(t, err, signet.Interrupted)
	if !wire.NotSent(err) {
		t.Error("it had no place, so it was not sent")
	}
	go func() { third <- w.echo(context.Background()) }()
	cancel() // frees a place, when the handler has returned
	if err := <-third; err != nil {
		t.Error(err)
	}
	wantKind(t, <-first, signet.Interrupted)
	cancelOther()
	<-second
}

func TestSendKeepsOrder(t *testing.T) {
	w := newWorld(t, nil)
	for i := range uint32(500) { // the first ones while the connection is made
		if err := w.p.Send(w.peer, note(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint32(500) {
		if got := <-w.notes; got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
	}
}

func TestSendRefusesWhenTooMuchWaits(t *testing.T) {
	w := newWorld(t, func(_, pool *wire.Config) { pool.Control.Queue = 100 << 10 })
	w.mustEcho()
	w.net.Freeze("s")
	var released atomic.Int64
	sent := 0
	var err error
	for ; sent < 100 && err == nil; sent++ {
		out := note(uint32(sent))
		out.Payload, out.Release = make([]byte, 40<<10), func() { released.Add(1) }
		err = w.p.Send(w.peer, out)
	}
	wantKind(t, err, signet.TooBusy)
	if sent > 12 { // 256 KiB in the network, one batch being written, 100 KiB waiting
		t.Errorf("%d messages of 40 KiB were taken", sent)
	}
	w.net.Heal()
	for i := range uint32(sent - 1) {
		if got := <-w.notes; got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
	}
	until(t, "all payloads are released", func() bool { return released.Load() == int64(sent) })
}

func TestReleaseIsCalledOnceWhateverHappens(t *testing.T) {
	w := newWorld(t, nil)
	var calls, released atomic.Int64
	try := func(ctx context.Context, peer wire.Peer, m wire.Method, n int) error {
		calls.Add(1)
		_, err := w.p.Call(ctx, peer, wire.Out{
			Class: wire.Control, Method: m, Payload: make([]byte, n), Release: func() { released.Add(1) },
		}, nil)
		return err
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, n := range []int{0, 100, 100 << 10} {
		ctx := within(t)
		if err := try(ctx, w.peer, methodTake, n); err != nil {
			t.Error(err)
		}
		wantKind(t, try(ended, w.peer, methodTake, n), signet.Interrupted)
		wantKind(t, try(ctx, wire.Peer{Key: signet.HostKey{1}}, methodTake, n), signet.Invalid)
		wantKind(t, try(ctx, w.peer, methodTake+100, n), signet.NotSupported)
		w.net.Refuse("s", true)
		wantKind(t, try(ctx, wire.Peer{Key: signet.HostKey{2, byte(n)}, Addrs: w.peer.Addrs}, methodTake, n), signet.Unavailable)
		w.net.Heal()
	}
	wantKind(t, try(within(t), w.peer, methodTake, wire.MaxPayload+1), signet.TooBig)
	// Cut in the middle of a large one.
	w.net.Freeze("s")
	done := make(chan error, 1)
	go func() { done <- try(context.Background(), w.peer, methodTake, 4<<20) }()
	until(t, "it is under way", func() bool { return w.p.InFlight(w.peer.Key, wire.Control) == 1 })
	w.net.Kill("p", "s")
	wantKind(t, <-done, signet.Unavailable)
	until(t, "all payloads are released", func() bool { return released.Load() == calls.Load() })
}

func TestAbandonedTransfersAreNotWritten(t *testing.T) {
	w := newWorld(t, nil)
	_ = w.blocked(context.Background(), wire.Bulk)
	w.net.Conns("p", "s")[0].Hold()
	ctx, cancel := context.WithCancel(context.Background())
	var released atomic.Int64
	done := make(chan error, 10)
	put := func(ctx context.Context) {
		_, err := w.p.Call(ctx, w.peer, wire.Out{
			Class: wire.Bulk, Method: methodTake, Payload: make([]byte, 1<<20), Release: func() { released.Add(1) },
		}, nil)
		done <- err
	}
	inFlight := func(n int) {
		until(t, "calls are under way", func() bool { return w.p.InFlight(w.peer.Key, wire.Bulk) == n })
	}
	go put(context.Background()) // fills the network, so that the rest waits
	inFlight(2)
	until(t, "the network is full", func() bool { return w.net.Conns("p", "s")[0].Held() >= 256<<10 })
	for range 5 {
		go put(ctx)
	}
	inFlight(7)
	cancel()
	for range 5 {
		wantKind(t, <-done, signet.Interrupted)
	}
	w.net.Heal()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	inFlight(1) // the places of those that were skipped are free again
	until(t, "all payloads are released", func() bool { return released.Load() == 6 })
	if n := w.p.Skipped(w.peer.Key, wire.Bulk); n != 5 {
		t.Errorf("%d of 5 were skipped", n)
	}
}

func TestReceiveIsBounded(t *testing.T) {
	gate := make(chan bool)
	var running, most atomic.Int64
	w := newWorld(t, func(server, _ *wire.Config) { server.Receive = wire.MaxPayload })
	w.handle(methodSlow, func(_ context.Context, _ signet.HostKey, req *wire.Request) (wire.Reply, error) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-gate
		running.Add(-1)
		return wire.Reply{}, nil
	})
	done := make(chan error, 9)
	for range 9 {
		go func() {
			_, err := w.p.Call(context.Background(), w.peer, wire.Out{
				Class: wire.Bulk, Method: methodSlow, Payload: make([]byte, 3<<20),
			}, nil)
			done <- err
		}()
	}
	for left := int64(9); left > 0; left-- {
		until(t, "all that fit run", func() bool { return running.Load() == min(2, left) })
		gate <- true
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if most.Load() != 2 {
		t.Errorf("%d payloads of 3 MiB were held at once; 8 MiB hold two", most.Load())
	}
}

func TestUnknownMethod(t *testing.T) {
	w := newWorld(t, func(_, pool *wire.Config) { pool.Methods[2000] = wire.Limits{Request: 100 << 10} })
	_, err := w.p.Call(within(t), w.peer, wire.Out{Class: wire.Bulk, Method: 2000, Payload: make([]byte, 90<<10)}, nil)
	wantKind(t, err, signet.NotSupported)
	if err := w.p.Send(w.peer, wire.Out{Class: wire.Bulk, Method: 2000}); err != nil { // nobody is told
		t.Fatal(err)
	}
	_, err = echo(within(t), w.p, w.peer, wire.Bulk, nil)
	if err != nil { // and the connection lives
		t.Fatal(err)
	}
	if _, err := w.p.Call(within(t), w.peer, wire.Out{Class: wire.Control, Method: wire.MethodPing}, nil); err != nil {
		t.Fatal(err)
	}
	_, err = w.p.Call(within(t), w.peer, wire.Out{Class: wire.Control, Method: wire.MethodJoin}, nil)
	wantKind(t, err, signet.NotSupported) // a member need not join
}

func TestReplyOfTheWrongForm(t *testing.T) {
	w := newWorld(t, nil)
	w.handle(methodFail, func(context.Context, signet.HostKey, *wire.Request) (wire.Reply, error) {
		return wire.Reply{Message: &wire.Put{}}, nil
	})
	_, err := w.p.Call(within(t), w.peer, wire.Out{Class: wire.Control, Method: methodFail}, nil)
	wantKind(t, err, signet.BadMessage)
	w.handle(methodFail, func(context.Context, signet.HostKey, *wire.Request) (wire.Reply, error) {
		return wire.Reply{Payload: []byte("more than this method's replies carry")}, nil
	})
	_, err = w.p.Call(within(t), w.peer, wire.Out{Class: wire.Control, Method: methodFail}, nil)
	wantKind(t, err, signet.TooBig)
	w.handle(methodFail, func(context.Context, signet.HostKey, *wire.Request) (wire.Reply, error) {
		return wire.Reply{Message: &wire.Stock{Bits: make([]byte, wire.MaxHeader)}}, nil
	})
	_, err = w.p.Call(within(t), w.peer, wire.Out{Class: wire.Control, Method: methodFail}, nil)
	wantKind(t, err, signet.TooBig)
	w.mustEcho()
}

func TestLongErrorIsClipped(t *testing.T) {
	w := newWorld(t, nil)
	w.handle(methodFail, func(context.Context, signet.HostKey, *wire.Request) (wire.Reply, error) {
		return wire.Reply{}, errors.New(string(make([]byte, 1<<20)))
	})
	_, err := w.p.Call(within(t), w.peer, wire.Out{Class: wire.Control, Method: methodFail}, nil)
	wantKind(t, err, signet.Other)
	if len(err.Error()) > 2*wire.MaxText {
		t.Error(len(err.Error()))
	}
}

func TestShutdownLetsCallsEnd(t *testing.T) {
	w := newWorld(t, nil)
	begun, finish := make(chan bool), make(chan bool)
	w.handle(methodFail, func(ctx context.Context, _ signet.HostKey, _ *wire.Request) (wire.Reply, error) {
		begun <- true
		<-finish
		return wire.Reply{}, ctx.Err()
	})
	done := make(chan error, 1)
	go func() {
		_, err := w.p.Call(context.Background(), w.peer, wire.Out{Class: wire.Control, Method: methodFail}, nil)
		done <- err
	}()
	<-begun
	shut := make(chan error, 1)
	go func() { shut <- w.s.Shutdown(context.Background()) }()
	until(t, "new calls go elsewhere", func() bool { return w.echo(within(t)) != nil })
	select {
	case err := <-done:
		t.Fatal("the call ended early:", err)
	case err := <-shut:
		t.Fatal("shutdown did not wait:", err)
	default:
	}
	finish <- true
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := <-shut; err != nil {
		t.Error(err)
	}
}

func TestShutdownDoesNotWaitForever(t *testing.T) {
	w := newWorld(t, nil)
	call := w.blocked(context.Background(), wire.Control)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantKind(t, w.s.Shutdown(ctx), signet.Interrupted)
	wantKind(t, <-call, signet.Unavailable)
	if w.wait(w.block) != 2 {
		t.Error("the handler was not cancelled")
	}
}

func TestPoolShutdownWritesWhatWaits(t *testing.T) {
	w := newWorld(t, nil)
	w.mustEcho()
	for i := range uint32(300) {
		if err := w.p.Send(w.peer, note(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.p.Shutdown(within(t)); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(300) {
		if got := <-w.notes; got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
	}
	wantKind(t, w.echo(within(t)), signet.Closed)
	wantKind(t, w.p.Send(w.peer, note(1)), signet.Closed)
}

func TestPoolCloseFailsCalls(t *testing.T) {
	w := newWorld(t, nil)
	call := w.blocked(context.Background(), wire.Bulk)
	w.net.Cut("p", "s")
	waiting := make(chan error, 1)
	go func() { waiting <- w.echo(context.Background()) }()
	until(t, "an attempt runs", func() bool { return w.p.Dialling(w.peer.Key, wire.Control) })
	w.p.Close()
	wantKind(t, <-call, signet.Closed)
	wantKind(t, <-waiting, signet.Closed)
	wantKind(t, w.echo(context.Background()), signet.Closed)
}
