package ring

import (
	"fmt"
	"time"

	"github.com/signetfs/signet/integration/netlab"
)

// Program is a process of its own that makes calls on a host's mount, for tests that end
// it in the middle of one.
type Program struct {
	h       *Host
	client  *client
	process *netlab.Process
}

// Program starts a program on the host. It makes no calls by itself.
func (h *Host) Program() *Program {
	h.ring.t.Helper()
	h.mu.Lock()
	c, p, err := h.newAgent()
	h.mu.Unlock()
	if err != nil {
		h.ring.t.Fatalf("%s: start a program: %v", h.Name(), err)
	}
	return &Program{h: h, client: c, process: p}
}

// Must makes a call that must succeed.
func (p *Program) Must(q Call) *Reply {
	p.h.ring.t.Helper()
	r, err := p.client.call(q, Bound)
	if err == nil && r.Errno != 0 {
		err = r.Errno
	}
	if err != nil {
		p.h.ring.t.Fatalf("a program on %s: %s %s%s: %v", p.h.Name(), q.Op, q.Path, about(q.To), err)
	}
	return r
}

// Begin makes calls one after the other, until one fails, without waiting for them. The
// channel gets the outcome: nil if all succeeded, what Lost knows if the program died.
func (p *Program) Begin(calls ...Call) <-chan error {
	done := make(chan error, 1)
	go func() {
		var err error
		for _, q := range calls {
			var r *Reply
			if r, err = p.client.call(q, time.Minute); err == nil && r.Errno != 0 {
				err = fmt.Errorf("%s: %w", q.Op, r.Errno)
			}
			if err != nil {
				break
			}
		}
		done <- err
	}()
	return done
}

// Where says where in the kernel the program waits.
func (p *Program) Where() string { return threads(p.process.Pid()) }

// Done is closed when the program has ended.
func (p *Program) Done() <-chan struct{} { return p.process.Done() }

// Kill ends the program with SIGKILL and says how long that took. ok is false if it is
// still there after bound; then where says where in the kernel it waits.
func (p *Program) Kill(bound time.Duration) (took time.Duration, ok bool, where string) {
	began := time.Now()
	timer := time.NewTimer(bound)
	defer timer.Stop()
	p.process.Kill()
	select {
	case <-p.process.Done():
		return time.Since(began), true, ""
	case <-timer.C:
		return bound, false, threads(p.process.Pid())
	}
}
