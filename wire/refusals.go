package wire

import (
	"net"
	"sync"
	"time"
)

// refusalsEvery is how often the log says that connections were refused. Who can reach
// the port could fill the disk otherwise.
const refusalsEvery = 10 * time.Second

// refusals counts refused connections between two lines of the log.
type refusals struct {
	mu     sync.Mutex // guards:
	next   time.Time  // when the log may say something again
	untold uint64
}

// note counts a refusal, and says how many there were if that may be said now.
func (r *refusals) note(now time.Time) (n uint64, tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.untold++
	if now.Before(r.next) {
		return 0, false
	}
	n, r.untold = r.untold, 0
	r.next = now.Add(refusalsEvery)
	return n, true
}

// refused tells the log why a connection did not come in: the latest for all since the
// last line.
func (s *Server) refused(from net.Addr, why error) {
	if s.ctx.Err() != nil {
		return // it is we who go
	}
	if n, tell := s.refusals.note(s.cfg.Clock.Now()); tell {
		s.cfg.Logger.Info("refused connections", "count", n, "last", from.String(), "err", why)
	}
}
