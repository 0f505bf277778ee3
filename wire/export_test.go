package wire

import "github.com/signetfs/signet"

// Received returns how many bytes have arrived on the connection to a peer.
func (p *Pool) Received(key signet.HostKey, class Class) uint64 {
	l, _ := p.link(key, class)
	if c := l.up.Load(); c != nil {
		return c.meter.in.Load()
	}
	return 0
}

// Asked says whether the peer was asked for a sign of life and has given none yet.
func (p *Pool) Asked(key signet.HostKey, class Class) bool {
	l, _ := p.link(key, class)
	c := l.up.Load()
	if c == nil {
		return false
	}
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	return c.watch.asked
}

// InFlight returns how many calls hold a place on the connection to a peer.
func (p *Pool) InFlight(key signet.HostKey, class Class) int {
	l, _ := p.link(key, class)
	if c := l.up.Load(); c != nil {
		return len(c.slots)
	}
	return 0
}

// Skipped returns how many frames were not written because nobody waited for the
// reply any more.
func (p *Pool) Skipped(key signet.HostKey, class Class) int64 {
	l, _ := p.link(key, class)
	if c := l.up.Load(); c != nil {
		return c.skipped.Load()
	}
	return 0
}

// Conns returns how many connections the server has with known hosts.
func (s *Server) Conns() int { return len(s.all()) }

// Strangers returns how many connections have not said who they are.
func (s *Server) Strangers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.strangers)
}

// Dialling says whether an attempt to reach a peer is running.
func (p *Pool) Dialling(key signet.HostKey, class Class) bool {
	l, _ := p.link(key, class)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.attempt != nil
}

// Received returns how many bytes have arrived on all connections.
func (s *Server) Received() (n uint64) {
	for _, a := range s.all() {
		n += a.meter.in.Load()
	}
	return n
}
