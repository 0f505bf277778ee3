package heal

import (
	"context"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cluster/store"
)

// The fence to the index: under the horizon itself a put may still be named.
func TestHorizonToTheIndex(t *testing.T) {
	s := newSim(t, 20)
	h := s.lead
	p := h.begin(0)
	for _, c := range []struct {
		horizon signet.Index
		there   bool
	}{{p.row.Put - 1, true}, {p.row.Put, true}} {
		h.must(vol, &meta.Collect{Horizon: c.horizon})
		s.round()
		if h.has(p.row.Address) != c.there {
			t.Errorf("put under %d, horizon %d: there is %v", p.row.Put, c.horizon, !c.there)
		}
	}
	if k := s.name(p, 0); k != signet.OK {
		t.Fatal("at the horizon: ", k)
	}
	q := h.begin(0)
	h.write() // the log goes on
	h.must(vol, &meta.Collect{Horizon: q.row.Put + 1})
	s.round()
	if h.has(q.row.Address) {
		t.Error("nobody can name it, and it is still there")
	}
	if k := s.name(q, 0); k != signet.Stale {
		t.Error("below the horizon: ", k)
	}
}

// The end of a session says nothing of what was put under it: its host may open another
// and name the same object.
func TestNamedUnderTheNextSession(t *testing.T) {
	s := newSim(t, 21)
	h := s.lead
	p := h.begin(0)
	h.must(signet.ClusterGroup, &meta.EndSession{Session: h.session})
	h.open()
	s.pass(30 * time.Second)
	if k := s.name(p, 0); k != signet.OK {
		t.Fatal(k)
	}
	s.pass(30 * time.Second)
	s.tidy()
}

// After a crash the tables may know less than the store: what they do not know yet is
// neither dropped nor pulled nor reported.
func TestOldTablesAfterACrash(t *testing.T) {
	s := newSim(t, 22)
	second := s.join()
	s.pass(15 * time.Second)
	old := s.log.Last()
	for range 20 {
		s.lead.write()
	}
	s.pass(5 * time.Second)
	before := second.disk.Stat().Objects
	second.fallBack(old)
	s.clock.Advance(time.Hour)
	for second.step() {
	}
	if n := second.disk.Stat().Objects; n != before || before != 20 {
		t.Errorf("%d objects, then %d", before, n)
	}
	s.pass(30 * time.Second)
	s.tidy()
}

// A copy that was pulled while its object was collected is not left behind.
func TestPulledTooLate(t *testing.T) {
	s := newSim(t, 23)
	second := s.join()
	p := s.lead.write()
	ino := s.ino
	s.pass(5 * time.Second)
	second.catchUp(s.log.Last())
	k := second.keeper
	k.arcs = arcQueue{}
	for arc := range signet.Arc(ringSize) {
		k.arcs.add(arc)
	}
	if second.has(p.row.Address) {
		if err := second.disk.Delete(context.Background(), vol, []signet.Address{p.row.Address}); err != nil {
			t.Fatal(err)
		}
	}
	for len(k.queue) == 0 {
		s.clock.Advance(100 * time.Millisecond)
		if busy, err := k.step(context.Background()); !busy || err != nil {
			t.Fatal("nothing to pull", err)
		}
	}
	r := k.fetch(context.Background(), k.queue[0])
	k.queue = nil
	if r.err != nil || !second.has(p.row.Address) {
		t.Fatal(r)
	}
	if e := s.lead.remove(ino); e != signet.OK {
		t.Fatal(e)
	}
	s.lead.must(vol, &meta.Collect{Horizon: s.log.Last(), Addresses: []signet.Address{p.row.Address}})
	second.catchUp(s.log.Last())
	for second.step() {
	}
	if err := second.disk.Put(context.Background(), vol, p.row.Address, p.sealed, pulledMeta); err != nil {
		t.Fatal(err) // as if the worker's put had taken until now
	}
	k.finished = append(k.finished, r)
	for second.step() {
	}
	if second.has(p.row.Address) {
		t.Error("a copy of what was collected is left")
	}
}

// Whatever operation a host crashes at while it takes over its share, it goes on.
func TestCrashAtEveryOperation(t *testing.T) {
	for at := 0; ; at += 4 {
		s := newSim(t, 24)
		for range 6 {
			s.lead.write()
		}
		second := s.join()
		second.budget = at
		crashed := false
		for range 25 {
			s.steward()
			s.round()
			if second.crashed() && !crashed {
				crashed = true
				second.restart()
			}
			s.honest()
			s.clock.Advance(time.Second)
		}
		s.tidy()
		if !crashed {
			t.Logf("%d operations", at)
			return
		}
	}
}

var pulledMeta = store.Meta{Named: true}
