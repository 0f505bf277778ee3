package heal

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/clock"
)

// shared lets the goroutines of several healers use hosts of a sim, one at a time.
type shared struct {
	mu *sync.Mutex
	*host
	seen func(any) // every command that was carried out
}

func (l *shared) Read(g signet.Group, fn func(*meta.Reader) error) error {
	l.mu.Lock()
	r := l.state.Reader(g)
	l.mu.Unlock()
	defer r.Close()
	return fn(r)
}

func (l *shared) Propose(_ context.Context, g signet.Group, c any) (meta.Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.propose(g, c)
	for _, h := range l.hosts {
		h.catchUp(l.sim.log.Last())
	}
	if a.Result.Err == signet.OK {
		l.seen(c)
	}
	return a, nil
}

func (l *shared) Get(ctx context.Context, from signet.HostID, g signet.Group, a signet.Address, off, n uint32) ([]byte, error) {
	return l.hosts[from].disk.Get(ctx, g, a, off, n)
}

// TestRun runs healers and the steward as a host does, all at once, while a host joins.
func TestRun(t *testing.T) {
	s := newSim(t, 30)
	s.term = nil
	for range 500 {
		s.lead.write()
	}
	second := s.join()
	s.hosts[1].tell()
	second.tell()

	var mu sync.Mutex
	done := make(chan struct{})
	arcs := map[signet.Arc]bool{}
	seen := func(c any) {
		d, ok := c.(*meta.ArcsDone)
		if !ok || d.Host != 2 || len(arcs) == ringSize {
			return
		}
		for _, a := range d.Arcs {
			arcs[a.Arc] = true
		}
		if len(arcs) == ringSize {
			close(done)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var loops sync.WaitGroup
	var work func() []Work
	for _, h := range s.hosts {
		l := &shared{&mu, h, seen}
		healer := New(Config{Self: h.id, Store: h.disk, Log: l, Peers: l, Clock: clock.Real()})
		mu.Lock()
		h.keeper = &keeper{Healer: healer} // events go to it
		mu.Unlock()
		loops.Go(func() { healer.Run(ctx) })
		work = healer.Work
	}
	lead := &shared{&mu, s.lead, seen}
	reports := func() map[signet.HostID]Report { return map[signet.HostID]Report{} }
	steward := NewSteward(StewardConfig{Log: lead, Reports: reports, Clock: clock.Real()})
	loops.Go(func() { steward.Run(ctx) })
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("not done: ", work())
	}
	cancel()
	loops.Wait()
	if u := second.disk.Stat(); u.Objects != 500 {
		t.Errorf("host 2 has %d of 500 objects", u.Objects)
	}
	s.honest()
}

// A store that is closed ends the healer.
func TestRunEndsWithItsStore(t *testing.T) {
	s := newSim(t, 31)
	h := s.lead
	h.write()
	if err := h.disk.Close(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	l := &shared{&mu, h, func(any) {}}
	New(Config{Self: 1, Store: h.disk, Log: l, Peers: l, Clock: clock.Real()}).Run(t.Context())
}

// What does not fit into the inbox becomes a note to look through arcs.
func TestInboxIsBounded(t *testing.T) {
	in := newInbox(1)
	var e meta.Effects
	for i := range 3 * maxEvents {
		a := signet.NewAddress(signet.DigestSHA256, signet.ArcKey(5*i), signet.Digest{byte(i), byte(i >> 8)})
		e.Named = append(e.Named, meta.Named{Group: vol, Object: signet.Object{Address: a, Hosts: []signet.HostID{2}}})
	}
	in.applied(&e)
	if n := in.take(); len(n.elsewhere) != maxEvents || !n.all {
		t.Error(len(n.elsewhere), n.all)
	}
	in.know(ringSize)
	in.applied(&e)
	if n := in.take(); len(n.elsewhere) != maxEvents || n.all || len(n.arcs) != ringSize || len(n.settled) != ringSize {
		t.Error(len(n.elsewhere), n.all, len(n.arcs))
	}
	if n := in.take(); len(n.elsewhere) != 0 || n.all || len(n.arcs) != 0 {
		t.Error("not taken")
	}
}

// Objects beyond what the inbox holds are pulled too.
func TestMoreThanTheInboxHolds(t *testing.T) {
	s := newSim(t, 32)
	second := s.join()
	s.pass(20 * time.Second)
	s.down(second)
	for range 300 {
		s.lead.write()
	}
	s.back(second)
	n := &second.keeper.in.news
	n.lacks = make([]item, maxEvents) // of objects that nobody knows
	s.pass(30 * time.Second)
	s.tidy()
}

func TestWork(t *testing.T) {
	s := newSim(t, 33)
	for range 50 {
		s.lead.write()
	}
	second := s.join()
	h := second.keeper.Healer
	if w := h.Work(); len(w) != 0 {
		t.Error("idle: ", w)
	}
	s.steward()
	s.clock.Advance(time.Second)
	s.steward()
	second.catchUp(s.log.Last())
	var kinds []string
	for range 400 {
		second.step()
		s.clock.Advance(10 * time.Millisecond)
		for _, w := range h.Work() {
			if w.Done > w.Total || w.Total == 0 {
				t.Fatalf("%+v", w)
			}
			if w.Done > 0 && w.ETA == 0 && w.Total > 2*w.Done {
				t.Errorf("no estimate: %+v", w)
			}
			if !slices.Contains(kinds, w.Kind) {
				kinds = append(kinds, w.Kind)
			}
		}
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"look", "pull"}) {
		t.Error(kinds)
	}
	s.pass(20 * time.Second)
	if w := h.Work(); len(w) != 0 {
		t.Error("done: ", w)
	}
}
