package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
	"github.com/signetfs/signet/internal/tap"
)

// dial connects to addr and introduces us. It gives up when ctx ends.
func dial(ctx context.Context, cfg *Config, class Class, protocol, addr string, accept func(signet.HostKey) error) (*conn, error) {
	raw, err := cfg.Dial(ctx, addr)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	c := newConn(cfg, raw)
	c.class = class
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	err = c.introduce(ctx, protocol, accept)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		return nil, unreachable(ctx, err)
	}
	return c, nil
}

// unreachable makes network errors Unavailable and keeps what has a kind.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	switch signet.KindOf(err) {
	case signet.Other, signet.Interrupted, signet.Timeout:
		return signet.Errorf(signet.Unavailable, "", "", "%w", err)
	}
	return err
}

// introduce does the dialling side of the handshake.
func (c *conn) introduce(ctx context.Context, protocol string, accept func(signet.HostKey) error) error {
	c.tls = tls.Client(c.meter, c.cfg.Identity.clientTLS(protocol, accept))
	if err := c.tls.HandshakeContext(ctx); err != nil {
		return err
	}
	c.peer, _ = peerKey(c.tls.ConnectionState()) // VerifyConnection has checked it
	if err := c.greet(); err != nil {
		return err
	}
	c.in = c.reader(MaxHeader)
	if err := c.greeted(); err != nil {
		var no refusal
		if errors.As(err, &no) && c.cfg.Refused != nil {
			c.cfg.Refused(c.peer, err)
		}
		return err
	}
	return c.cfg.compatible(&c.hello, protocol)
}

// welcome does the accepting side, up to the peer's Hello; what that says has not
// been judged yet.
func (c *conn) welcome(ctx context.Context, tc *tls.Config) (protocol string, err error) {
	c.tls = tls.Server(c.meter, tc)
	if err := c.tls.HandshakeContext(ctx); err != nil {
		return "", err
	}
	c.peer, _ = peerKey(c.tls.ConnectionState())
	c.in = c.reader(maxGreeting) // strangers get little memory
	if err := c.greeted(); err != nil {
		return "", err
	}
	if c.in.Buffered() > 0 {
		return "", signet.Errorf(signet.BadMessage, "read hello", "", "more bytes before the answer to it")
	}
	c.in = c.reader(MaxHeader)
	c.class = c.hello.Class
	return c.tls.ConnectionState().NegotiatedProtocol, nil
}

// reader returns a buffer to read frames from, with headers of at most so many bytes.
func (c *conn) reader(header int) *bufio.Reader {
	return bufio.NewReaderSize(tap.Reader(c.tls), prefixSize+header)
}

// greet writes our Hello.
func (c *conn) greet() error {
	h := Hello{
		Version: Version, MinVersion: MinVersion, Cluster: c.cfg.Cluster, Host: c.cfg.Host,
		Features: c.cfg.Features, Class: c.class, Calls: uint32(c.cfg.class(c.class).Calls),
	}
	e := begin(2, kindHello)
	h.AppendTo(e)
	return c.writeNow(e)
}

// refuse tells the peer why it may not come in.
func (c *conn) refuse(why error) error {
	e := begin(4, kindFailure)
	e.Uint(0)
	e.Uint(uint64(signet.KindOf(why)))
	e.String(clip(why.Error()))
	if err := c.writeNow(e); err != nil {
		return err
	}
	// Closing with unread bytes would reset the connection and lose the answer.
	return c.tls.CloseWrite()
}

func (c *conn) writeNow(e *pack.Encoder) error {
	defer done(e)
	b, err := finish(e, 0)
	if err == nil {
		_, err = c.tls.Write(b)
	}
	return err
}

// refusal marks the failure with which a peer answered our hello.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// greeted reads the peer's Hello, or why it refuses us.
func (c *conn) greeted() error {
	var d pack.Decoder
	var f frame
	err := readFrame(c.in, &d, maxGreeting, &f, func(f *frame, payload int) (func(), error) {
		if payload > 0 || f.kind != kindHello && f.kind != kindFailure {
			return nil, signet.Errorf(signet.BadMessage, "read hello", "", "frame of kind %d with %d bytes of payload", f.kind, payload)
		}
		return nil, nil
	})
	if err != nil {
		return err
	}
	defer f.buf.Release()
	if f.kind == kindFailure {
		return signet.Wrap("refused by", Short(c.peer), refusal{f.failure()})
	}
	return f.decode(&c.hello)
}

// compatible says whether we can talk to whoever sent h, and why not.
func (c *Config) compatible(h *Hello, protocol string) error {
	if h.Version < MinVersion || h.MinVersion > Version {
		return signet.Errorf(signet.WrongVersion, "", "",
			"one host speaks versions %d to %d of the protocol, the other %d to %d: upgrade the older one",
			MinVersion, Version, h.MinVersion, h.Version)
	}
	if h.Class != Control && h.Class != Bulk {
		return signet.Errorf(signet.NotSupported, "", "", "connection of %v", h.Class)
	}
	if h.Calls == 0 {
		return signet.Errorf(signet.BadMessage, "", "", "a hello that allows no calls")
	}
	if protocol == alpnMember && h.Cluster != c.Cluster {
		return signet.Errorf(signet.Invalid, "", "", "the hosts are of different clusters, %x and %x", c.Cluster[:4], h.Cluster[:4])
	}
	return nil
}
