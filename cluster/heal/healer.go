package heal

import (
	"context"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// Healer makes its host have what it should have, and nothing else.
type Healer struct {
	Config
	in    *inbox
	meter meter
}

// New returns a Healer, which does nothing before Run.
func New(c Config) *Healer {
	c.fill()
	h := &Healer{Config: c, in: newInbox(c.Self)}
	h.in.everything() // nothing is known of what was done before
	return h
}

// Applied takes the effects of a step that was published. It must be called for every
// step, in their order, after the step is published.
func (h *Healer) Applied(e *meta.Effects) {
	h.in.applied(e)
	h.in.rouse()
}

// Restored says that the state jumped: everything may have changed.
func (h *Healer) Restored() {
	h.in.everything()
	h.in.rouse()
}

// Lacks says that host should have the object and has not, or has it damaged. Only this
// host's copies are its business: each host finds out about its own, at the latest when
// it is asked for one.
func (h *Healer) Lacks(g signet.Group, a signet.Address, host signet.HostID) {
	if host == h.Self {
		h.in.hear(func(n *news) *[]item { return &n.lacks }, item{g, a})
		h.in.rouse()
	}
}

// Placed says that host got a copy on which its writer had not counted. Other hosts see
// for themselves, when the object is named.
func (h *Healer) Placed(g signet.Group, a signet.Address, host signet.HostID) {
	if host == h.Self {
		h.in.hear(func(n *news) *[]item { return &n.placed }, item{g, a})
		h.in.rouse()
	}
}

// Work says what is being done, for status. What is idle is left out.
func (h *Healer) Work() []Work { return h.meter.work(h.Clock.Now()) }

// Run does the work until ctx ends or the store is closed. It is called once.
func (h *Healer) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	k := newKeeper(h)
	for range h.Pulls {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case p := <-k.jobs:
					k.results <- k.fetch(ctx, p) // there is room for every pull there can be
				}
			}
		})
	}
	for ctx.Err() == nil {
		busy, err := k.step(ctx)
		switch {
		case signet.KindOf(err) == signet.Closed:
			return
		case err != nil && ctx.Err() == nil:
			h.Logger.Warn("healing waits", "err", err)
			k.pause()
			fallthrough
		case !busy:
			k.wait(ctx)
		default:
			k.handOut()
		}
	}
}

// handOut gives pulls to workers that are idle, and takes what others have done.
func (k *keeper) handOut() {
	for {
		var next *pull
		var jobs chan *pull
		if len(k.queue) > 0 {
			next, jobs = k.queue[0], k.jobs
		}
		select {
		case jobs <- next:
			k.queue = k.queue[1:]
		case r := <-k.results:
			k.finished = append(k.finished, r)
		default:
			return
		}
	}
}

// wait returns when there may be something to do.
func (k *keeper) wait(ctx context.Context) {
	at, ok := k.next()
	d := retryLast
	if ok {
		d = max(at.Sub(k.Clock.Now()), 0)
	}
	t := k.Clock.NewTimer(d)
	defer t.Stop()
	for {
		var next *pull
		var jobs chan *pull
		if len(k.queue) > 0 {
			next, jobs = k.queue[0], k.jobs
		}
		wake := k.in.wake
		if k.paused() {
			wake = nil
		}
		select {
		case jobs <- next:
			k.queue = k.queue[1:]
			continue
		case r := <-k.results:
			k.finished = append(k.finished, r)
			if k.paused() {
				continue
			}
		case <-wake:
		case <-t.C():
		case <-ctx.Done():
		}
		return
	}
}
