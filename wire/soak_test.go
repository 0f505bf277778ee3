package wire_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/wire"
	"github.com/signetfs/signet/wire/wiretest"
)

// TestSoak lets many callers work while the network fails at random. Every call must
// end, a reply must be the call's own, one-way messages of a connection must come in
// order, every payload must be released once, and nothing may be left (goleak).
func TestSoak(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	network := wiretest.New(clock.Real())
	defer network.Close()
	sc, pc := config(t), config(t)
	pc.Dial = network.Dial("p")
	pc.BackoffMin, pc.BackoffMax = time.Millisecond, 5*time.Millisecond
	pc.Control.Ping, pc.Control.Dead = 100*time.Millisecond, 300*time.Millisecond
	pc.Bulk.Calls, sc.Bulk.Calls = 4, 4
	sc.Receive = wire.MaxPayload
	s, err := wire.NewServer(sc)
	if err != nil {
		t.Fatal(err)
	}
	s.Handle(methodEcho, func(_ context.Context, _ signet.HostKey, req *wire.Request) (wire.Reply, error) {
		var m wire.Get
		if err := req.Decode(&m); err != nil {
			return wire.Reply{}, err
		}
		b := req.Keep()
		return wire.Reply{Message: &m, Payload: b.Payload(), Release: b.Release}, nil
	})
	s.Handle(methodBlock, func(ctx context.Context, _ signet.HostKey, _ *wire.Request) (wire.Reply, error) {
		<-ctx.Done()
		return wire.Reply{}, ctx.Err()
	})
	var last atomic.Uint32 // an old connection may still deliver while a new one does
	var behind atomic.Int64
	s.HandleSend(methodNote, func(_ signet.HostKey, req *wire.Request) {
		var m wire.Get
		if err := req.Decode(&m); err != nil {
			t.Error(err)
		} else if last.Swap(m.Off) >= m.Off {
			behind.Add(1)
		}
	})
	l, err := network.Listen("s")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	p, err := wire.NewPool(pc)
	if err != nil {
		t.Fatal(err)
	}
	so := &soak{t: t, p: p, peer: wire.Peer{Key: sc.Identity.Key, Addrs: []string{l.Addr().String()}}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // on a very busy machine
	defer cancel()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() { so.caller(ctx, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	wg.Go(func() { so.notes(ctx) })
	so.faults(ctx, network, rand.New(rand.NewPCG(seed, 99)))
	cancel()
	wg.Wait()
	network.Heal()
	p.Close()
	s.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if so.payloads.Load() != so.released.Load() {
		t.Errorf("%d payloads, %d released", so.payloads.Load(), so.released.Load())
	}
	if behind.Load() > 10 {
		t.Errorf("%d notes out of order", behind.Load())
	}
	t.Logf("%d calls succeeded, %d failed", so.good.Load(), so.bad.Load())
}

type soak struct {
	t                  *testing.T
	p                  *wire.Pool
	peer               wire.Peer
	good, bad          atomic.Int64
	payloads, released atomic.Int64
}

// caller makes calls of all sorts until ctx ends.
func (so *soak) caller(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil {
		class := wire.Control
		if r.IntN(2) == 0 {
			class = wire.Bulk
		}
		n := []int{0, 10, 5000, 40 << 10, 100 << 10}[r.IntN(5)]
		payload := bytes.Repeat([]byte{byte(r.Uint32())}, n)
		m := wire.Get{Off: r.Uint32(), Len: uint32(n)}
		out := wire.Out{Class: class, Method: methodEcho, Message: &m, Payload: payload, Release: func() { so.released.Add(1) }}
		if r.IntN(5) == 0 {
			out.Method = methodBlock
		}
		so.payloads.Add(1)
		each, cancel := context.WithTimeout(ctx, time.Duration(1+r.IntN(400))*time.Millisecond)
		var in wire.Get
		b, err := so.p.Call(each, so.peer, out, &in)
		cancel()
		switch {
		case err != nil:
			so.bad.Add(1)
			switch signet.KindOf(err) {
			case signet.Unavailable, signet.Timeout, signet.Interrupted:
			default:
				so.t.Error(err)
			}
		case in != m || !bytes.Equal(b.Payload(), payload):
			so.t.Error("the reply of another call")
		default:
			so.good.Add(1)
			b.Release()
		}
	}
}

// notes sends one-way messages, numbered, until ctx ends.
func (so *soak) notes(ctx context.Context) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := uint32(1); ctx.Err() == nil; i++ {
		so.payloads.Add(1)
		out := wire.Out{
			Class: wire.Control, Method: methodNote, Message: &wire.Get{Off: i},
			Payload: make([]byte, i%3*20_000), Release: func() { so.released.Add(1) },
		}
		switch err := so.p.Send(so.peer, out); signet.KindOf(err) {
		case signet.OK, signet.Unavailable, signet.TooBusy:
		default:
			so.t.Error(err)
		}
		<-tick.C
	}
}

// faults breaks the network in a random way, for a random time, again and again; after
// each it waits until something succeeds again, however busy the machine is.
func (so *soak) faults(ctx context.Context, n *wiretest.Network, r *rand.Rand) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 15 {
		switch r.IntN(6) {
		case 0:
			n.Kill("p", "s")
		case 1:
			n.Cut("p", "s")
		case 2:
			n.CutOneWay("s", "p")
		case 3:
			n.Freeze("s")
		case 4:
			n.Garble("s", "p")
		case 5:
			n.Delay("p", "s", 3*time.Millisecond)
		}
		for range 5 + r.IntN(60) {
			<-tick.C
		}
		n.Heal()
		for before := so.good.Load(); so.good.Load() < before+5; {
			select {
			case <-ctx.Done():
				so.t.Error("nothing succeeds any more")
				return
			case <-tick.C:
			}
		}
	}
}
