package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// connsPerPeer is how many connections one peer may have at once: two classes, a
// successor of each while its predecessor ends, and as much again for a peer that
// came back before its old connections were found dead. One more closes the oldest.
const connsPerPeer = 8

// Handler answers a call. ctx ends with the caller's deadline, with the caller's
// giving up, or with the connection. It runs in a goroutine of its own and may block.
// from has been authorised; for MethodJoin it is a stranger's key. An error crosses
// the wire as its kind and text.
type Handler func(ctx context.Context, from signet.HostKey, req *Request) (Reply, error)

// Sink takes one-way messages: those of one connection one by one, in the order in
// which they were sent. It runs in the connection's reader, so it must not wait for
// anything; a full queue behind it means dropping the message.
type Sink func(from signet.HostKey, req *Request)

// Server accepts connections and answers calls. Create one with NewServer, register
// its handlers, then Serve.
type Server struct {
	cfg      Config
	tls      *tls.Config
	handlers map[Method]Handler
	sinks    map[Method]Sink
	rooms    [Bulk + 1]room  // by class, so that bulk never takes what proposals need
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	wg       sync.WaitGroup
	refusals refusals

	mu        sync.Mutex // guards what follows; nothing else is locked under it
	listeners []net.Listener
	strangers []*stranger // oldest first
	members   map[signet.HostKey][]*answerer
	closed    bool
}

// stranger is a connection that has not introduced itself yet.
type stranger struct{ cancel context.CancelFunc }

// NewServer returns a server that serves nothing yet but MethodPing.
func NewServer(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Authorize == nil {
		return nil, signet.Errorf(signet.Invalid, "configure wire", "", "a server needs Authorize")
	}
	s := &Server{
		cfg: cfg, tls: cfg.Identity.serverTLS(),
		handlers: map[Method]Handler{}, sinks: map[Method]Sink{}, members: map[signet.HostKey][]*answerer{},
	}
	s.rooms[Control].left, s.rooms[Bulk].left = cfg.Receive, cfg.Receive
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.Handle(MethodPing, func(context.Context, signet.HostKey, *Request) (Reply, error) { return Reply{}, nil })
	return s, nil
}

// Handle registers the handler of a method. All handlers and sinks are registered
// before Serve.
func (s *Server) Handle(m Method, h Handler) { s.handlers[m] = h }

// HandleSend registers the sink of a one-way method.
func (s *Server) HandleSend(m Method, h Sink) { s.sinks[m] = h }

// Serve accepts connections from l until Close or Shutdown, also one before it, and
// returns nil then. It may run for several listeners at once.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		l.Close()
		return nil
	}
	s.listeners = append(s.listeners, l)
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	pause := time.Duration(0)
	for {
		raw, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.meet(raw)
			continue
		case s.ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return s.unlessClosed(l, err)
		}
		// Out of file descriptors, most likely: it passes.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.cfg.Logger.Warn("cannot accept connections", "address", l.Addr().String(), "error", err, "pause", pause)
		if clock.Sleep(s.ctx, s.cfg.Clock, pause) != nil {
			return nil
		}
	}
}

// unlessClosed tells a listener that was closed by us from one closed by others.
func (s *Server) unlessClosed(l net.Listener, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return signet.Wrap("serve", l.Addr().String(), err)
}

// meet begins the handshake with a new connection. It never blocks.
func (s *Server) meet(raw net.Conn) {
	ctx, cancel := clock.WithTimeout(s.ctx, s.cfg.Clock, s.cfg.Handshake)
	st := &stranger{cancel}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		cancel()
		raw.Close()
		return
	}
	if len(s.strangers) >= s.cfg.Strangers {
		s.strangers[0].cancel()
		s.strangers = s.strangers[1:]
	}
	s.strangers = append(s.strangers, st)
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		a := s.greet(ctx, raw)
		s.introduced(st)
		if a != nil {
			a.serve(a)
			s.remove(a)
			if a.silent.Load() && a.class == Control {
				s.hangUp(a.peer, signet.Errorf(signet.Unavailable, "", "", "the host fell silent on its control connection"))
			}
		}
	}()
}

// introduced ends a connection's time as a stranger.
func (s *Server) introduced(st *stranger) {
	st.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.strangers, st); i >= 0 {
		s.strangers = slices.Delete(s.strangers, i, i+1)
	}
}

// greet returns the connection if it may come in before ctx ends, else nil.
func (s *Server) greet(ctx context.Context, raw net.Conn) *answerer {
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	a, err := s.admit(ctx, newConn(&s.cfg, raw))
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		return a
	}
	raw.Close()
	if a != nil {
		s.remove(a)
	}
	s.refused(raw.RemoteAddr(), err)
	return nil
}

// admit does the accepting side of the handshake. The connection is in the table
// before Authorize is asked, so that a host that is removed at this moment is either
// refused here or closed by Drop.
func (s *Server) admit(ctx context.Context, c *conn) (*answerer, error) {
	protocol, err := c.welcome(ctx, s.tls)
	if err != nil {
		return nil, err
	}
	a := &answerer{conn: c, server: s, member: protocol == alpnMember, running: map[uint64]*running{}}
	why := s.cfg.compatible(&c.hello, protocol)
	if why == nil {
		c.out = newOutbox(s.cfg.class(c.class).Queue)
		s.add(a)
	}
	if why == nil && a.member {
		why = s.cfg.Authorize(c.peer)
	}
	if why == nil {
		return a, c.greet()
	}
	s.remove(a)
	if err := c.refuse(why); err == nil {
		_, _ = c.tls.Read(make([]byte, 1)) // until the peer has read it and closes, or ctx ends
	}
	return nil, why
}

// add enters a connection in the table.
func (s *Server) add(a *answerer) {
	s.mu.Lock()
	conns := append(s.members[a.peer], a)
	var oldest *answerer
	if len(conns) > connsPerPeer {
		oldest, conns = conns[0], conns[1:]
	}
	s.members[a.peer] = conns
	s.mu.Unlock()
	if oldest != nil {
		oldest.close(signet.Errorf(signet.TooBusy, "", "", "more than %d connections of one host", connsPerPeer))
	}
}

func (s *Server) remove(a *answerer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := slices.DeleteFunc(slices.Clone(s.members[a.peer]), func(b *answerer) bool { return a == b })
	if len(conns) == 0 {
		delete(s.members, a.peer)
	} else {
		s.members[a.peer] = conns
	}
}

// Drop closes the connections of a host, because it has been removed. Authorize
// must refuse it by now.
func (s *Server) Drop(k signet.HostKey) {
	s.hangUp(k, signet.Errorf(signet.Permission, "", "", "the host was removed"))
}

// hangUp closes the connections of a host.
func (s *Server) hangUp(k signet.HostKey, why error) {
	s.mu.Lock()
	conns := s.members[k]
	s.mu.Unlock()
	for _, a := range conns {
		a.close(why)
	}
}

// Shutdown stops accepting, asks the peers to go elsewhere, and returns when the
// calls that run have been answered, or when ctx ends, whatever is left being cut
// off.
func (s *Server) Shutdown(ctx context.Context) error {
	conns := s.shut()
	for _, a := range conns {
		a.goodbye(errGoodbye())
	}
	var err error
	for _, a := range conns {
		select {
		case <-a.dead:
		case <-ctx.Done():
			err = signet.Wrap("shut down", "", ctx.Err())
		}
	}
	s.Close()
	return err
}

// Close cuts off all connections, cancels the handlers and waits until they have
// returned.
func (s *Server) Close() {
	s.shut()
	s.stop() // a handshake that is not in the table by now will not finish
	for _, a := range s.all() {
		a.close(signet.Errorf(signet.Closed, "", "", "the server was closed"))
	}
	s.wg.Wait()
}

// shut closes the listeners and returns the connections.
func (s *Server) shut() []*answerer {
	s.mu.Lock()
	s.closed = true
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	return s.all()
}

func (s *Server) all() []*answerer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*answerer
	for _, conns := range s.members {
		out = append(out, conns...)
	}
	return out
}
