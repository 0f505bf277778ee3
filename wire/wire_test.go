package wire_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/wire"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	methodEcho  = wire.FirstAppMethod
	methodBlock = wire.FirstAppMethod + 1
	methodNote  = wire.FirstAppMethod + 2
	methodFail  = wire.FirstAppMethod + 3
	methodTake  = wire.FirstAppMethod + 4
	methodSlow  = wire.FirstAppMethod + 5
	methodGive  = wire.FirstAppMethod + 6
)

var cluster = wire.ClusterID{1, 2, 3}

func identity(t testing.TB) *wire.Identity {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := wire.NewIdentity(private)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func config(t testing.TB) wire.Config {
	cfg := wire.Defaults()
	cfg.Identity = identity(t)
	cfg.Cluster = cluster
	cfg.Rand = rand.Reader
	cfg.Authorize = func(signet.HostKey) error { return nil }
	cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	cfg.Methods = map[wire.Method]wire.Limits{
		methodEcho:  {Request: wire.MaxPayload, Reply: wire.MaxPayload},
		methodBlock: {Request: wire.MaxPayload},
		methodNote:  {Request: wire.MaxPayload},
		methodFail:  {},
		methodTake:  {Request: wire.MaxPayload},
		methodSlow:  {Request: wire.MaxPayload},
		methodGive:  {Reply: wire.MaxPayload},
	}
	return cfg
}

// serve starts s on a port of its own and returns how to reach it.
func serve(t testing.TB, s *wire.Server, id *wire.Identity) wire.Peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return wire.Peer{Key: id.Key, Addrs: []string{l.Addr().String()}}
}

// pair returns a server with the test's methods, and a pool that reaches it.
func pair(t testing.TB, change func(server, pool *wire.Config)) (*wire.Server, *wire.Pool, wire.Peer) {
	t.Helper()
	sc, pc := config(t), config(t)
	if change != nil {
		change(&sc, &pc)
	}
	s, err := wire.NewServer(sc)
	if err != nil {
		t.Fatal(err)
	}
	s.Handle(methodEcho, func(_ context.Context, _ signet.HostKey, req *wire.Request) (wire.Reply, error) {
		var m wire.Get
		if err := req.Decode(&m); err != nil {
			return wire.Reply{}, err
		}
		if len(req.Payload) == 0 {
			return wire.Reply{Message: &m}, nil
		}
		b := req.Keep()
		return wire.Reply{Message: &m, Payload: b.Payload(), Release: b.Release}, nil
	})
	s.Handle(methodBlock, func(ctx context.Context, _ signet.HostKey, _ *wire.Request) (wire.Reply, error) {
		<-ctx.Done()
		return wire.Reply{}, ctx.Err()
	})
	s.Handle(methodTake, func(context.Context, signet.HostKey, *wire.Request) (wire.Reply, error) { return wire.Reply{}, nil })
	give := make([]byte, 4<<20)
	s.Handle(methodGive, func(context.Context, signet.HostKey, *wire.Request) (wire.Reply, error) {
		return wire.Reply{Payload: give}, nil
	})
	s.Handle(methodFail, func(context.Context, signet.HostKey, *wire.Request) (wire.Reply, error) {
		return wire.Reply{}, signet.Errorf(signet.NoSpace, "put object", "abcd", "only 3 bytes left")
	})
	peer := serve(t, s, sc.Identity)
	p, err := wire.NewPool(pc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return s, p, peer
}

func echo(ctx context.Context, p *wire.Pool, to wire.Peer, class wire.Class, payload []byte) (*wire.Buffer, error) {
	out, in := wire.Get{Group: 7, Len: 9}, wire.Get{}
	b, err := p.Call(ctx, to, wire.Out{Class: class, Method: methodEcho, Message: &out, Payload: payload}, &in)
	if err == nil && in != out {
		return b, signet.Errorf(signet.Other, "echo", "", "the message came back as %+v", in)
	}
	return b, err
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestCall(t *testing.T) {
	_, p, peer := pair(t, nil)
	for _, n := range []int{0, 1, 1000, 31 << 10, 32 << 10, 100_000, 1 << 20, wire.MaxPayload} {
		for _, class := range []wire.Class{wire.Control, wire.Bulk} {
			payload := make([]byte, n)
			_, _ = rand.Read(payload)
			b, err := echo(within(t), p, peer, class, payload)
			if err != nil {
				t.Fatalf("%d bytes, %v: %v", n, class, err)
			}
			if !bytes.Equal(b.Payload(), payload) {
				t.Fatalf("%d bytes, %v: another payload came back", n, class)
			}
			b.Release()
		}
	}
}

func TestFailureKeepsItsKind(t *testing.T) {
	_, p, peer := pair(t, nil)
	_, err := p.Call(within(t), peer, wire.Out{Class: wire.Control, Method: methodFail}, nil)
	if signet.KindOf(err) != signet.NoSpace || wire.NotSent(err) {
		t.Fatal(err)
	}
	t.Log(err)
}
