package wire_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
	"github.com/signetfs/signet/wire"
)

// stranger speaks the protocol by hand, as doc.go describes it.
type stranger struct {
	t    *testing.T
	conn *tls.Conn
}

func meet(t *testing.T, addr string, alpn ...string) (*stranger, error) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(nil, &x509.Certificate{SerialNumber: big.NewInt(7)}, &x509.Certificate{}, public, private)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", addr, &tls.Config{
		InsecureSkipVerify: true, NextProtos: alpn,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return &stranger{t, conn}, nil
}

func mustMeet(t *testing.T, addr string) *stranger {
	t.Helper()
	s, err := meet(t, addr, "signet/1")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// frame builds a frame of an encoded header and a payload.
func frame(header, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(header)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	return append(append(b, header...), payload...)
}

func (s *stranger) send(b []byte) {
	s.t.Helper()
	if _, err := s.conn.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

// read returns the next frame's header.
func (s *stranger) read() []byte {
	s.t.Helper()
	b := make([]byte, 8)
	if _, err := io.ReadFull(s.conn, b); err != nil {
		s.t.Fatal(err)
	}
	h := make([]byte, binary.BigEndian.Uint32(b))
	if _, err := io.ReadFull(s.conn, h); err != nil {
		s.t.Fatal(err)
	}
	return h
}

// closed waits for the server to hang up.
func (s *stranger) closed() {
	s.t.Helper()
	if n, err := io.Copy(io.Discard, s.conn); n > 0 || err != nil && strings.Contains(err.Error(), "timeout") {
		s.t.Errorf("%d bytes instead of the end (%v)", n, err)
	}
}

func hello(change func(*wire.Hello)) []byte {
	h := wire.Hello{Version: 1, MinVersion: 1, Cluster: cluster, Class: wire.Control, Calls: 4}
	if change != nil {
		change(&h)
	}
	var e pack.Encoder
	e.Array(2)
	e.Uint(1)
	h.AppendTo(&e)
	return frame(e.Buf(), nil)
}

func TestSecondImplementation(t *testing.T) {
	w := newWorld(t, nil)
	s := mustMeet(t, w.peer.Addrs[0])
	s.send(hello(nil))
	d := pack.NewDecoder(s.read())
	var h wire.Hello
	if d.ArrayExact(2); d.Uint() != 1 {
		t.Fatal("no hello")
	}
	if h.Decode(d); d.Done() != nil || h.Cluster != cluster || h.Class != wire.Control || h.Calls != 1024 {
		t.Fatalf("%+v %v", h, d.Err())
	}
	var e pack.Encoder // call 77, method 1024, 1000 ms, Get{1, zero, 2, 3}
	e.Array(5)
	e.Uint(2)
	e.Uint(77)
	e.Uint(1024)
	e.Uint(1000)
	(&wire.Get{Group: 1, Off: 2, Len: 3}).AppendTo(&e)
	call := frame(e.Buf(), nil)
	s.send(call)
	d = pack.NewDecoder(s.read())
	var got wire.Get
	if d.ArrayExact(3); d.Uint() != 3 || d.Uint() != 77 {
		t.Fatal("no reply to call 77")
	}
	if got.Decode(d); d.Done() != nil || got.Len != 3 {
		t.Fatalf("%+v %v", got, d.Err())
	}
	s.send(frame([]byte{0x91, 7}, nil)) // ping
	if b := s.read(); !bytes.Equal(b, []byte{0x91, 8}) {
		t.Fatalf("%x instead of a pong", b)
	}
	for _, cut := range [][]byte{call[:3], call[3:12], call[12:]} { // arriving in pieces
		s.send(cut)
	}
	s.read()
}

func TestRefusals(t *testing.T) {
	refuse := atomic.Bool{}
	told := make(chan signet.Kind, 1)
	w := newWorld(t, func(server, client *wire.Config) {
		server.Authorize = func(signet.HostKey) error {
			if refuse.Load() {
				return signet.Errorf(signet.Permission, "", "", "this host is not a member")
			}
			return nil
		}
		client.Refused = func(_ signet.HostKey, why error) { told <- signet.KindOf(why) }
	})
	for _, c := range []struct {
		change func(*wire.Hello)
		kind   signet.Kind
		text   string
	}{
		{func(h *wire.Hello) { h.Version, h.MinVersion = 9, 7 }, signet.WrongVersion, "versions 1 to 1 of the protocol, the other 7 to 9"},
		{func(h *wire.Hello) { h.Cluster[0] = 9 }, signet.Invalid, "different clusters"},
		{func(h *wire.Hello) { h.Class = 3 }, signet.NotSupported, "class 3"},
		{func(h *wire.Hello) { refuse.Store(true) }, signet.Permission, "not a member"},
	} {
		s := mustMeet(t, w.peer.Addrs[0])
		s.send(hello(c.change))
		d := pack.NewDecoder(s.read())
		if d.ArrayExact(4); d.Uint() != 4 || d.Uint() != 0 {
			t.Fatal("no failure")
		}
		if k, text := signet.Kind(d.Uint16()), d.String(wire.MaxText); k != c.kind || !strings.Contains(text, c.text) {
			t.Errorf("refused as %v, %q; want %v, %q", k, text, c.kind, c.text)
		}
		s.closed()
	}
	wantKind(t, w.echo(within(t)), signet.Permission) // our pool tells it as it is
	if k := <-told; k != signet.Permission {
		t.Errorf("told of %v", k)
	}
	for _, alpn := range []string{"", "h2", "signet/2"} {
		var protocols []string
		if alpn != "" {
			protocols = []string{alpn}
		}
		s, err := meet(t, w.peer.Addrs[0], protocols...)
		if err == nil { // the client may be done before the server has seen its part
			s.closed()
		}
	}
}

func TestMalformedFramesEndTheConnection(t *testing.T) {
	w := newWorld(t, nil)
	big := func(head, payload uint32) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, head), payload)
	}
	var call pack.Encoder
	call.Array(5)
	for _, v := range []uint64{2, 5, 1024, 0} {
		call.Uint(v)
	}
	(&wire.Empty{}).AppendTo(&call)
	var small pack.Encoder // a method that takes no payload
	small.Array(5)
	for _, v := range []uint64{2, 5, uint64(methodFail), 0} {
		small.Uint(v)
	}
	(&wire.Empty{}).AppendTo(&small)
	for name, b := range map[string][]byte{
		"huge header":       big(1<<32-1, 0),
		"large header":      big(wire.MaxHeader+1, 0),
		"no header":         big(0, 0),
		"huge payload":      big(4, 1<<32-1),
		"five-byte killer":  frame([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}, nil),
		"killer as message": frame(append([]byte{0x95, 2, 1, 0xcd, 4, 0, 0}[:7], 0xdd, 0xff, 0xff, 0xff, 0xff), nil)[:8+12],
		"killer as text":    frame([]byte{0x94, 4, 1, 1, 0xdb, 0xff, 0xff, 0xff, 0xff}, nil),
		"unknown kind":      frame([]byte{0x91, 99}, nil),
		"second hello":      hello(nil),
		"reply":             frame([]byte{0x93, 3, 1, 0x90}, nil),
		"extra element":     frame([]byte{0x92, 7, 0}, nil),
		"trailing byte":     frame([]byte{0x91, 7, 0}, nil),
		"payload of a ping": frame([]byte{0x91, 7}, []byte{1}),
		"payload too large": frame(small.Buf(), []byte{1}),
		"no array":          frame([]byte{7}, nil),
		"same call twice":   append(blockCall(9), blockCall(9)...),
	} {
		t.Run(name, func(t *testing.T) {
			s := mustMeet(t, w.peer.Addrs[0])
			s.send(hello(nil))
			s.read()
			s.send(b)
			if name == "killer as message" {
				s.read() // the handler finds out, and the connection lives
				return
			}
			s.closed()
		})
		for len(w.block) > 0 {
			<-w.block
		}
	}
	w.mustEcho()
}

func blockCall(id uint64) []byte {
	var e pack.Encoder
	e.Array(5)
	for _, v := range []uint64{2, id, uint64(methodBlock), 0} {
		e.Uint(v)
	}
	e.Array(0)
	return frame(e.Buf(), nil)
}

func TestMoreCallsThanAllowed(t *testing.T) {
	w := newWorld(t, func(server, _ *wire.Config) { server.Control.Calls = 2 })
	s := mustMeet(t, w.peer.Addrs[0])
	s.send(hello(nil))
	s.read()
	for id := range uint64(3) {
		s.send(blockCall(id + 1))
	}
	d := pack.NewDecoder(s.read())
	d.ArrayExact(4)
	if kind, id, err := d.Uint(), d.Uint(), signet.Kind(d.Uint()); kind != 4 || id != 3 || err != signet.TooBusy {
		t.Errorf("kind %d call %d: %v", kind, id, err)
	}
}

func TestPeerThatNeverReads(t *testing.T) {
	w := newWorld(t, func(server, _ *wire.Config) { server.Control.Queue = 64 << 10 })
	s := mustMeet(t, w.peer.Addrs[0])
	s.send(hello(nil))
	s.read()
	pings := bytes.Repeat(frame([]byte{0x91, 7}, nil), 10_000)
	for { // until the pongs that nobody reads fill what they may, and we are cut off
		if _, err := s.conn.Write(pings); err != nil {
			break
		}
	}
	until(t, "the connection is forgotten", func() bool { return w.s.Conns() == 0 })
}

func TestStrangersCostNothing(t *testing.T) {
	w := newWorld(t, func(server, _ *wire.Config) { server.Strangers = 4 })
	addr := w.peer.Addrs[0]
	var silent []net.Conn
	for i := range 40 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		switch i % 4 {
		case 1:
			_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: signet\r\n\r\n"))
		case 2:
			_, _ = c.Write(bytes.Repeat([]byte{22, 3, 1, 0xff, 0xff}, 1000))
		case 3:
			_, _ = c.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1}) // and then nothing more
		}
		silent = append(silent, c)
		if n := w.s.Strangers(); n > 4 {
			t.Fatalf("%d strangers", n)
		}
	}
	mustMeet(t, addr) // handshake, but no hello
	late := mustMeet(t, addr)
	w.mustEcho() // whoever is quick comes in
	late.send(hello(nil)[:5])
	w.advance(w.cfg.Handshake)
	late.closed()
	for _, c := range silent {
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Error(err)
		}
	}
	until(t, "strangers are forgotten", func() bool { return w.s.Strangers() == 0 })
}

// TestRefusalsAreTold: the log says that somebody was turned away, and not for each.
func TestRefusalsAreTold(t *testing.T) {
	var log lines
	w := newWorld(t, func(server, _ *wire.Config) { server.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	flood := func(n int) {
		for range n {
			c, err := net.Dial("tcp", w.peer.Addrs[0])
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: signet\r\n\r\n"))
			_, _ = io.Copy(io.Discard, c) // until it is closed
			c.Close()
		}
	}
	flood(20)
	until(t, "the log tells", func() bool { return log.count("refused connections") == 1 })
	until(t, "strangers are forgotten", func() bool { return w.s.Strangers() == 0 })
	w.advance(time.Minute)
	flood(1)
	until(t, "the log tells of the others", func() bool { return log.count("refused connections") == 2 })
	if log.count("count=20") != 1 || log.count("127.0.0.1:") != 2 {
		t.Errorf("the log says %s", log.b.String())
	}
}

// lines is a log in memory.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

func TestHelloLimits(t *testing.T) {
	w := newWorld(t, nil)
	for name, b := range map[string][]byte{
		"large header":     frame(make([]byte, 3<<10), nil),
		"payload":          frame([]byte{0x91, 7}, make([]byte, 100)),
		"call before it":   blockCall(1),
		"no waiting":       append(hello(nil), blockCall(1)...),
		"extra element":    func() []byte { h := hello(nil); h[9+1]++; h[3]++; return append(h, 0) }(),
		"no calls at all":  hello(func(h *wire.Hello) { h.Calls = 0 }),
		"five-byte killer": frame([]byte{0x92, 1, 0xdd, 0xff, 0xff, 0xff, 0xff}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			s := mustMeet(t, w.peer.Addrs[0])
			s.send(b)
			if name == "no calls at all" {
				s.read()
			}
			s.closed()
		})
	}
	if w.s.Conns() != 0 {
		t.Error("somebody came in")
	}
}

func TestWrongServerKey(t *testing.T) {
	w := newWorld(t, nil)
	other := wire.Peer{Key: signet.HostKey{1, 2, 3}, Addrs: w.peer.Addrs}
	_, err := echo(within(t), w.p, other, wire.Control, nil)
	wantKind(t, err, signet.Permission)
	if !strings.Contains(err.Error(), "where host 01020300 was expected") {
		t.Error(err)
	}
	// The right host at the second address.
	both := wire.Peer{Key: w.peer.Key, Addrs: []string{"127.0.0.1:1", w.peer.Addrs[0]}}
	if _, err := echo(within(t), w.p, both, wire.Control, nil); err != nil {
		t.Error(err)
	}
}

func TestDrop(t *testing.T) {
	removed := atomic.Bool{}
	w := newWorld(t, func(server, _ *wire.Config) {
		server.Authorize = func(signet.HostKey) error {
			if removed.Load() {
				return signet.Errorf(signet.Permission, "", "", "host-3 was removed")
			}
			return nil
		}
	})
	var key signet.HostKey
	w.handle(methodFail, func(_ context.Context, from signet.HostKey, _ *wire.Request) (wire.Reply, error) {
		key = from
		return wire.Reply{}, nil
	})
	if _, err := w.p.Call(within(t), w.peer, wire.Out{Class: wire.Control, Method: methodFail}, nil); err != nil {
		t.Fatal(err)
	}
	call := w.blocked(context.Background(), wire.Bulk)
	removed.Store(true)
	w.s.Drop(key)
	wantKind(t, <-call, signet.Unavailable)
	until(t, "the connections are gone", func() bool { return w.s.Conns() == 0 })
	until(t, "we are told why", func() bool { return signet.KindOf(w.echo(within(t))) == signet.Permission })
	removed.Store(false)
	w.p.Drop(w.peer.Key) // also forgets that it failed
	w.mustEcho()
	second := w.blocked(context.Background(), wire.Control)
	w.p.Drop(w.peer.Key)
	wantKind(t, <-second, signet.Permission)
}

func TestConnectionsOfOneHostAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	id := identity(t)
	var pools []*wire.Pool
	for range 12 {
		cfg := config(t)
		cfg.Identity, cfg.Methods = id, w.cfg.Methods
		p, err := wire.NewPool(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		pools = append(pools, p)
		if _, err := echo(within(t), p, w.peer, wire.Control, nil); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the oldest are closed", func() bool { return w.s.Conns() == 8 })
	if _, err := echo(within(t), pools[11], w.peer, wire.Control, nil); err != nil {
		t.Error(err)
	}
}

func TestJoin(t *testing.T) {
	w := newWorld(t, func(server, pool *wire.Config) {
		server.Authorize = func(signet.HostKey) error {
			return signet.Errorf(signet.Permission, "", "", "not a member")
		}
		pool.Cluster = wire.ClusterID{}
	})
	var key signet.HostKey
	w.stop()
	w.handlers[wire.MethodJoin] = func(_ context.Context, from signet.HostKey, req *wire.Request) (wire.Reply, error) {
		var m wire.Join
		if err := req.Decode(&m); err != nil {
			return wire.Reply{}, err
		}
		key = from
		if string(m.Proof) != "secret" {
			return wire.Reply{}, signet.Errorf(signet.BadToken, "", "", "the token was used already")
		}
		return wire.Reply{Message: &wire.Joined{Cluster: cluster, Host: 4}}, nil
	}
	w.start(w.peer.Addrs[0])
	accept := func(k signet.HostKey) error {
		if k != w.peer.Key {
			return signet.Errorf(signet.Permission, "", "", "not the sponsor")
		}
		return nil
	}
	var got wire.Joined
	addrs := []string{"127.0.0.1:1", w.peer.Addrs[0]}
	at, err := w.p.Join(within(t), addrs, accept, &wire.Join{Proof: []byte("secret")}, &got)
	if err != nil || at != w.peer.Key || got.Cluster != cluster || got.Host != 4 || key == (signet.HostKey{}) {
		t.Fatal(at, got, err)
	}
	_, err = w.p.Join(within(t), addrs, accept, &wire.Join{Proof: []byte("guess")}, &got)
	wantKind(t, err, signet.BadToken)
	_, err = w.p.Join(within(t), addrs, func(signet.HostKey) error { return signet.Errorf(signet.Permission, "", "", "not the sponsor") }, &wire.Join{}, &got)
	wantKind(t, err, signet.Permission)
	wantKind(t, w.echo(within(t)), signet.Invalid) // not of the cluster: no other call
	// A joiner may do nothing else on its connection.
	s, err := meet(t, w.peer.Addrs[0], "signet-join/1")
	if err != nil {
		t.Fatal(err)
	}
	s.send(hello(nil))
	s.read()
	s.send(blockCall(1))
	d := pack.NewDecoder(s.read())
	d.ArrayExact(4)
	if _, _, k := d.Uint(), d.Uint(), signet.Kind(d.Uint()); k != signet.NotSupported {
		t.Error(k)
	}
}
