package heal

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cluster/store"
)

// readable checks that each file's object is intact on some host that is up.
func (s *sim) readable() {
	s.t.Helper()
	for ino, p := range s.files {
		if s.lost[p.row.Address] {
			continue
		}
		ok := false
		for _, h := range s.hosts {
			b, err := h.disk.Get(context.Background(), vol, p.row.Address, 0, store.ToEnd)
			ok = ok || h.up && err == nil && string(b) == string(p.sealed)
		}
		if !ok {
			s.t.Fatalf("no host that is up has inode %d's object %v", ino, p.row.Address)
		}
	}
}

// safe checks that each file's object is somewhere, be it on a host that is down.
func (s *sim) safe() {
	s.t.Helper()
	for ino, p := range s.files {
		ok := s.lost[p.row.Address]
		for _, h := range s.hosts {
			ok = ok || h.has(p.row.Address)
		}
		if !ok {
			s.t.Fatalf("inode %d's object %v is gone", ino, p.row.Address)
		}
	}
}

// honest checks that whoever the log counts on has the object. While an arc moves nobody
// knows which of its previous owners have what they had not got when it moved.
func (s *sim) honest() {
	s.t.Helper()
	s.log.Feed(s.t, s.truth, s.log.Last(), nil)
	r := s.truth.Reader(vol)
	defer r.Close()
	err := r.Arcs(func(a meta.Arc) bool {
		err := r.ObjectsOfArc(signet.DigestSHA256, a.Arc, signet.Address{}, func(o signet.Object) bool {
			if len(o.Hosts) == 0 && a.Moving() && o.Ring < a.Version {
				return true
			}
			for _, h := range meta.Holders(&o, &a) {
				if !s.lost[o.Address] && !s.hosts[h].has(o.Address) {
					s.t.Fatalf("the log counts on %v for %v: %+v, %+v", h, o.Address, o, a)
				}
			}
			return true
		})
		if err != nil {
			s.t.Error(err)
		}
		return true
	})
	if err != nil {
		s.t.Error(err)
	}
}

// tidy checks that everybody has what the log says, and nothing else.
func (s *sim) tidy() {
	s.t.Helper()
	r := s.lead.state.Reader(vol)
	defer r.Close()
	want := map[signet.HostID]map[signet.Address]bool{}
	for id := range s.hosts {
		want[id] = map[signet.Address]bool{}
	}
	err := r.Arcs(func(a meta.Arc) bool {
		if a.Moving() {
			s.t.Errorf("arc %d still moves: %+v", a.Arc, a)
		}
		for _, alg := range algs {
			err := r.ObjectsOfArc(alg, a.Arc, signet.Address{}, func(o signet.Object) bool {
				if len(o.Hosts) > 0 && !s.lost[o.Address] {
					s.t.Errorf("object %v is with %v, not with %v", o.Address, o.Hosts, a.Owners)
				}
				for _, h := range meta.Holders(&o, &a) {
					want[h][o.Address] = true
				}
				return true
			})
			if err != nil {
				s.t.Error(err)
			}
		}
		return true
	})
	if err != nil {
		s.t.Error(err)
	}
	for id, h := range s.hosts {
		if !h.up {
			continue
		}
		for a := range want[id] {
			if !h.has(a) {
				s.t.Errorf("host %d lacks %v", id, a)
			}
		}
		err := h.disk.Addresses(context.Background(), vol, signet.Address{}, func(a signet.Address, _ uint32) bool {
			if !want[id][a] {
				s.t.Errorf("host %d has %v for nothing", id, a)
			}
			return true
		})
		marks := 0
		if err == nil {
			err = h.disk.Unnamed(context.Background(), vol, signet.Address{}, func(signet.Address, store.Meta) bool {
				marks++
				return true
			})
		}
		if err != nil || marks > 0 {
			s.t.Errorf("host %d: %d marks, %v", id, marks, err)
		}
	}
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// owners returns how many arcs each host owns.
func (s *sim) owners() map[signet.HostID]int {
	n := map[signet.HostID]int{}
	r := s.lead.state.Reader(vol)
	defer r.Close()
	if err := r.Arcs(func(a meta.Arc) bool {
		for _, h := range a.Owners {
			n[h]++
		}
		return true
	}); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// Written with one host, two join, the first is killed, the others have everything.
func TestJoinAndLoseTheFirst(t *testing.T) {
	s := newSim(t, 1)
	first := s.lead
	for range 300 {
		first.write()
	}
	second, third := s.join(), s.join()
	before := s.log.Last()
	s.pass(20 * time.Second)
	s.tidy()
	t.Logf("%d commands to copy 300 objects to two hosts", s.log.Last()-before)
	for _, h := range []*host{second, third} {
		if u := h.disk.Stat(); u.Objects != 300 {
			t.Errorf("host %d has %d of 300 objects", h.id, u.Objects)
		}
	}
	s.elect(second)
	s.down(first)
	s.readable()
	// After the grace time the ring forgets the first host, which then parts with all.
	s.elapse(grace+time.Minute, 5*time.Second)
	if n := s.owners(); n[1] != 0 || n[2] != ringSize || n[3] != ringSize {
		t.Error("owners", n)
	}
	s.back(first)
	first.restart()
	s.pass(30 * time.Second)
	s.tidy()
	if n := s.owners(); n[1] != ringSize {
		t.Error("owners", n)
	}
}

// Host 3 is away during writes; others stand in for it; it comes back and has everything.
func TestAwayDuringWrites(t *testing.T) {
	s := newSim(t, 2)
	s.join()
	third := s.join()
	fourth := s.join()
	s.pass(20 * time.Second)
	s.down(third)
	for range 200 {
		s.lead.write()
	}
	s.pass(20 * time.Second)
	s.readable()
	if u := fourth.disk.Stat(); u.Objects != 200 {
		t.Errorf("host 4 has %d objects; it owns some and stands in for others", u.Objects)
	}
	s.back(third)
	s.pass(90 * time.Second)
	s.tidy()
	if u := third.disk.Stat(); u.Objects == 0 {
		t.Error("host 3 has nothing")
	}
}

// A disk that lost objects, or has them damaged, gets them back.
func TestLostAndDamaged(t *testing.T) {
	s := newSim(t, 3)
	s.join()
	third := s.join()
	s.pass(20 * time.Second)
	var all []signet.Address
	for range 40 {
		all = append(all, s.lead.write().row.Address)
	}
	s.pass(5 * time.Second)
	if err := third.disk.Delete(context.Background(), vol, all[:20]); err != nil {
		t.Fatal(err)
	}
	third.restart() // what is missing shows at the start
	s.pass(30 * time.Second)
	s.tidy()
	for _, a := range all[20:] {
		third.disk.Damage(vol, a, func(b []byte) { b[0] ^= 1 })
		third.keeper.Lacks(vol, a, 3)
	}
	s.pass(30 * time.Second)
	s.tidy()
	for _, a := range all {
		if _, err := third.disk.Get(context.Background(), vol, a, 0, store.ToEnd); err != nil {
			t.Error(err)
		}
	}
}

// An object that all have lost keeps nothing else from its place, and counts again when a
// copy of it turns up.
func TestLostForGood(t *testing.T) {
	s := newSim(t, 10)
	second := s.join()
	s.pass(15 * time.Second)
	p := s.lead.write()
	s.lead.write()
	s.pass(5 * time.Second)
	a := p.row.Address
	for _, h := range []*host{s.lead, second} {
		if err := h.disk.Delete(context.Background(), vol, []signet.Address{a}); err != nil {
			t.Fatal(err)
		}
		h.keeper.Lacks(vol, a, h.id)
	}
	s.lost[a] = true
	s.pass(15 * time.Second)
	s.join()
	s.pass(40 * time.Second)
	s.tidy()
	if n := s.owners(); n[3] != ringSize {
		t.Error("owners", n)
	}
	delete(s.lost, a)
	second.receive(p)
	second.keeper.Placed(vol, a, second.id)
	s.pass(40 * time.Second)
	s.tidy()
	s.readable()
}

// A host that drains hands over all it has; one that is removed leaves no trace.
func TestDrainAndRemove(t *testing.T) {
	s := newSim(t, 4)
	second := s.join()
	s.join()
	fourth := s.join()
	s.pass(20 * time.Second)
	for range 100 {
		s.lead.write()
	}
	s.setState(second, meta.HostDraining)
	s.pass(60 * time.Second)
	s.tidy()
	if u := second.disk.Stat(); u.Objects != 0 {
		t.Errorf("the drained host has %d objects", u.Objects)
	}
	s.down(fourth)
	for range 50 {
		s.lead.write()
	}
	s.lead.must(signet.ClusterGroup, &meta.RemoveHost{Host: 4})
	s.pass(60 * time.Second)
	s.tidy()
	s.readable()
	r := s.lead.state.Reader(vol)
	defer r.Close()
	if err := r.Short(signet.Address{}, func(o signet.Object) bool {
		t.Errorf("short: %v with %v", o.Address, o.Hosts)
		return true
	}); err != nil {
		t.Error(err)
	}
}

// What a crashed writer has put goes; what is on its way stays, however long it takes.
func TestGarbageGoesPutsOnTheirWayStay(t *testing.T) {
	s := newSim(t, 5)
	second := s.join()
	s.join()
	s.pass(20 * time.Second)
	for range 20 {
		second.begin(1)
	}
	slow := s.lead.begin(0)
	s.down(second) // its session ends, and with it 20 puts
	s.puts = []*put{slow}
	for range 5 {
		s.lead.write()
		s.pass(time.Minute)
	}
	if !s.lead.has(slow.row.Address) {
		t.Fatal("a put on its way was dropped")
	}
	// The horizon waits for the slow one. Once it has its name, the rest goes.
	if k := s.name(slow, 0); k != signet.OK {
		t.Fatal(k)
	}
	s.lead.write()
	s.pass(3 * time.Minute)
	s.back(second)
	s.pass(time.Minute)
	s.tidy()
}

// An object that died goes when no view can read it any more, and not before.
func TestDeadObjects(t *testing.T) {
	s := newSim(t, 6)
	s.join()
	s.pass(20 * time.Second)
	p := s.lead.write()
	ino := s.ino
	s.pass(5 * time.Second)
	second := s.hosts[2]
	second.catchUp(s.log.Last())
	second.puts = append(second.puts, &put{writer: second, session: second.session, row: signet.Object{Put: second.applied()}}) // like a view that stays open
	if k := s.lead.remove(ino); k != signet.OK {
		t.Fatal(k)
	}
	s.pass(5 * time.Minute)
	if !s.lead.has(p.row.Address) || !second.has(p.row.Address) {
		t.Error("dropped while a view may read it")
	}
	s.puts = nil
	s.pass(2 * time.Minute)
	s.tidy()
	if s.lead.has(p.row.Address) {
		t.Error("still there")
	}
}

// Orphans go when nobody has them open.
func TestOrphans(t *testing.T) {
	s := newSim(t, 7)
	p := s.lead.write()
	ino := s.ino
	name := []byte("f101")
	if k := s.lead.propose(vol, &signet.Remove{Parent: signet.RootIno, Name: name}).Result.Err; k != signet.OK {
		t.Fatal(k)
	}
	delete(s.files, ino)
	there := func() bool {
		r := s.lead.state.Reader(vol)
		defer r.Close()
		_, err := r.Attr(ino)
		return err == nil
	}
	report := func(r Report) {
		for range 10 {
			s.report[1] = r
			s.term.round(context.Background())
			s.clock.Advance(time.Second)
		}
	}
	open := Report{Session: s.lead.session, Reader: s.log.Last(), Orphans: []signet.Ino{ino}}
	report(open)
	if !there() {
		t.Fatal("freed while it was open")
	}
	more := open
	more.Orphans, more.OrphansMore = nil, true
	report(more)
	more.Orphans = []signet.Ino{ino + 1, ino + 5} // a part in which it is not
	report(more)
	old := open
	old.Orphans, old.Reader = nil, 1
	report(old)
	report(Report{Session: 999, Reader: s.log.Last()})
	if !there() {
		t.Fatal("freed although it may have been open")
	}
	open.Orphans, open.OrphansMore = []signet.Ino{0, ino + 1}, true // a part in which it would be
	report(open)
	if there() {
		t.Fatal("still there")
	}
	s.pass(3 * time.Minute)
	s.tidy()
	if s.lead.has(p.row.Address) {
		t.Error("its object is still there")
	}
}

// What was put last and never named goes too, though nothing happens any more; but not
// while its writer may still name it, and the log hardly grows for that.
func TestLastGarbage(t *testing.T) {
	s := newSim(t, 10)
	s.join()
	s.join()
	s.lead.write()
	s.pass(10 * time.Minute) // horizons have risen to where they get by themselves
	p := s.lead.begin(0)
	s.puts = nil // it will not be named
	before := s.log.Last()
	s.pass(15 * time.Minute)
	for id, h := range s.hosts {
		if h.has(p.row.Address) {
			t.Errorf("host %d still has it", id)
		}
	}
	s.tidy()
	if n := s.log.Last() - before; n > 10 {
		t.Errorf("%d entries for that", n)
	}
	before = s.log.Last()
	s.pass(30 * time.Minute)
	if n := s.log.Last() - before; n > 0 {
		t.Errorf("%d entries for nothing", n)
	}
}

// An idle cluster writes nothing to its log.
func TestIdle(t *testing.T) {
	s := newSim(t, 8)
	s.join()
	s.pass(time.Minute)
	s.lead.write()
	s.pass(5 * time.Minute)
	before := s.log.Last()
	s.pass(30 * time.Minute)
	if after := s.log.Last(); after != before {
		t.Errorf("%d entries in half an hour of nothing", after-before)
	}
}

// Three hosts that join in a row cost little more than one move of each object.
func TestCoalesce(t *testing.T) {
	s := newSim(t, 9)
	s.join()
	s.join()
	s.join()
	moves := 0
	before := s.log.Last()
	s.pass(10 * time.Second)
	r := s.lead.state.Reader(vol)
	defer r.Close()
	if err := r.Arcs(func(a meta.Arc) bool {
		if a.Version > before {
			moves++
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	n := s.owners()
	if moves != ringSize || n[1]+n[2]+n[3]+n[4] != 3*ringSize || slices.Min([]int{n[1], n[2], n[3], n[4]}) < 11 {
		t.Error(moves, n)
	}
}
