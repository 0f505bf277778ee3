package meta

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signetfs/signet"
)

var token = signet.Digest{42}

func newHost(n byte) NewHost {
	return NewHost{Key: signet.HostKey{n}, Name: string('a' + n), Zone: "z", Weight: 1, Roles: RoleStore | RoleVote, Knows: FeatureNewest}
}

// host lets host n join, which must become its number, and sets it up.
func (w *world) host(n byte) {
	w.t.Helper()
	c := &CreateToken{Digest: signet.Digest{n, 1}, Expires: signet.Time{Sec: 1 << 40}, Uses: 1, Roles: RoleAll, Time: w.time()}
	w.cluster(c, signet.OK)
	w.cluster(&Join{Token: c.Digest, Host: newHost(n), Time: w.time()}, signet.OK)
	if w.last.Extra != uint64(n) {
		w.t.Fatalf("host %d has number %d", n, w.last.Extra)
	}
	w.cluster(&SetHostState{Host: signet.HostID(n), State: HostUp}, signet.OK)
}

func TestInit(t *testing.T) {
	w := empty(t, vfs.NewMem())
	w.read(func(r *Reader) {
		if _, err := r.Cluster(); signet.KindOf(err) != signet.NotFound {
			t.Error(err)
		}
		if at, err := r.Index(); at != 0 || err != nil {
			t.Error(at, err)
		}
	})
	w.cluster(&SetFeature{FeatureBase}, signet.NotFound)
	w.cluster(&OpenSession{Host: 1, Start: 1}, signet.NotFound)
	for name, change := range map[string]func(c *Init){
		"arcs":   func(c *Init) { c.Arcs = 12 },
		"copies": func(c *Init) { c.Copies = 0 },
		"id":     func(c *Init) { c.Cluster = [16]byte{} },
		"key":    func(c *Init) { c.Host.Key = signet.HostKey{} },
		"roles":  func(c *Init) { c.Host.Roles = 128 },
		"slot":   func(c *Init) { c.Slots[0].Data = nil },
		"owner":  func(c *Init) { c.Slots[0].Host = 2 },
	} {
		c := initCommand()
		change(c)
		w.unchanged(name, func() { w.cluster(c, signet.Invalid) })
	}
	res := w.cluster(initCommand(), signet.OK)
	if w.last.Extra != 1 || res.Attr.Ino != signet.RootIno {
		t.Errorf("%+v", w.last)
	}
	made, _ := w.s.Applied()
	w.cluster(initCommand(), signet.Exists)
	if a := w.attr(1); a.Mode != signet.ModeDir|0o755 || a.UID != 1000 || a.Nlink != 2 {
		t.Errorf("%+v", a)
	}
	w.read(func(r *Reader) {
		c, err := r.Cluster()
		if err != nil || c.ID != clusterID || c.Hosts != 1 || c.Made != made || c.Ring != made || c.Arcs != 16 {
			t.Errorf("%+v, %v", c, err)
		}
		h, err := r.HostByKey(hostKey)
		if err != nil || h.ID != 1 || h.State != HostUp || h.Addrs[0] != "127.0.0.1:7420" || h.Joined != made {
			t.Errorf("%+v, %v", h, err)
		}
		slots, err := r.Slots()
		if err != nil || len(slots) != 1 || slots[0].ID != 1 || string(slots[0].Data) != "wrapped" || slots[0].Added != made {
			t.Errorf("%+v, %v", slots, err)
		}
		if p, err := r.Policy(1); err != nil || p != (Policy{3, LayoutSpread}) {
			t.Errorf("%+v, %v", p, err)
		}
		if f, err := r.Features(); err != nil || len(f) != 1 || f[0].Feature != FeatureBase {
			t.Errorf("%+v, %v", f, err)
		}
		if p, err := r.Parent(1); p != 1 || err != nil {
			t.Errorf("%d, %v", p, err)
		}
		n := 0
		if err := r.Arcs(func(a Arc) bool {
			if int(a.Arc) != n || !slices.Equal(a.Owners, []signet.HostID{1}) || a.Moving() || a.Version != made {
				t.Errorf("%+v", a)
			}
			n++
			return true
		}); n != 16 || err != nil {
			t.Error(n, err)
		}
	})
	w.check()
}

func TestSessions(t *testing.T) {
	w := made(t)
	first := w.session
	open := func(start uint64, k signet.Kind) signet.SessionID {
		t.Helper()
		return signet.SessionID(w.cluster(&OpenSession{Host: 1, Start: start}, k).Index)
	}
	if again := open(1, signet.OK); again != first {
		t.Errorf("asked again: %d, was %d", again, first)
	}
	w.cluster(&OpenSession{Host: 9, Start: 1}, signet.NotFound)
	second := open(2, signet.OK)
	if e := w.step.Effects.Ended; len(e) != 1 || e[0] != first || second == first {
		t.Errorf("%v %d", e, second)
	}
	w.want(w.create(1, "f", 2, signet.ModeRegular), signet.Ended)
	open(1, signet.Stale)
	w.session, w.request = second, 0
	w.file(1, "f", 2)
	w.read(func(r *Reader) {
		all, err := r.Sessions()
		if err != nil || len(all) != 1 || all[0].ID != second || all[0].High != 1 || all[0].Lowest != 1 {
			t.Errorf("%+v, %v", all, err)
		}
		if _, err := r.Session(first); signet.KindOf(err) != signet.NotFound {
			t.Error(err)
		}
		if h, _ := r.Host(1); h.Start != 2 {
			t.Errorf("%+v", h)
		}
	})
	w.cluster(&EndSession{second}, signet.OK)
	w.cluster(&EndSession{second}, signet.OK)
	w.want(w.create(1, "g", 3, signet.ModeRegular), signet.Ended)
	dump(w, 0, tableAnswers, codeAnswer, func(_ []byte, a answerRow) { t.Errorf("an answer is left: %+v", a) })
	// Cut off and back without a restart.
	third := open(2, signet.OK)
	if third == second {
		t.Error("an ended session came back")
	}
	st := w.entry(Envelope{Command: &OpenSession{Host: 1, Start: 3}}, Envelope{Command: &OpenSession{Host: 1, Start: 4}})
	if a := st.Answers; a[0].Result.Err != signet.OK || a[1].Result.Err != signet.TooBusy {
		t.Errorf("%+v", a)
	}
}

// TestManySessions ends more sessions at once than a command may forget answers of.
func TestManySessions(t *testing.T) {
	w := made(t)
	var ids []signet.SessionID
	// Six sessions of one start cannot be opened; rows of them can be there after a
	// change of rules, so they are made here by hand.
	for i := range 6 {
		id := signet.SessionID(1000 + i)
		ids = append(ids, id)
		b := w.s.db.NewBatch()
		set := func(key []byte, c *coder) { _ = b.Set(key, c.enc.Buf(), nil) }
		var c coder
		codeSession(&c, &Session{Host: 1, Start: uint64(2 + i), Lowest: 1, High: signet.MaxUnanswered})
		set(numKey(0, tableSessions, id), &c)
		for n := range uint64(signet.MaxUnanswered) {
			var c coder
			codeAnswer(&c, &answerRow{Request: n})
			set(answerKey(id, n), &c)
		}
		if err := w.s.db.Apply(b, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	w.cluster(&OpenSession{Host: 1, Start: 100}, signet.OK)
	if n := len(w.step.Effects.Ended); n != 7 {
		t.Errorf("%d ended", n)
	}
	left := 0
	for _, id := range ids {
		w.entry(Envelope{Session: id, Request: 9, Lowest: 9, Command: &EndSession{1}})
		if w.last.Result.Err != signet.Ended {
			t.Errorf("%+v", w.last)
		}
	}
	w.read(func(r *Reader) {
		all, _ := r.Sessions()
		for _, s := range all {
			if s.Ended {
				left++
			}
		}
	})
	if left == 0 {
		t.Error("one command forgot all")
	}
	for _, id := range ids {
		w.cluster(&EndSession{id}, signet.OK)
	}
	dump(w, 0, tableAnswers, codeAnswer, func([]byte, answerRow) { left = -1 })
	w.read(func(r *Reader) {
		if all, _ := r.Sessions(); len(all) != 1 || left < 0 {
			t.Errorf("%d sessions, %d", len(all), left)
		}
	})
}

func TestExactlyOnce(t *testing.T) {
	w := made(t)
	send := func(request, lowest uint64, c any) Answer {
		w.entry(Envelope{1, w.session, request, lowest, c})
		return w.last
	}
	base := w.request
	first := send(base+1, base+1, w.create(1, "f", 2, signet.ModeRegular))
	w.file(1, "other", 3) // takes base+1 too: the answer is that of the first
	if !w.last.Repeated || w.last.Result != first.Result {
		t.Errorf("%+v", w.last)
	}
	w.request = base + 1
	a := send(base+1, base+1, w.create(1, "f", 2, signet.ModeRegular))
	if !a.Repeated || a.Result != first.Result || len(w.step.Batch.Changes) > 0 {
		t.Errorf("%+v", a)
	}
	// A refusal is an answer too.
	a = send(base+2, base+1, &signet.Remove{Parent: 1, Name: []byte("none")})
	if a.Result.Err != signet.NotFound || a.Repeated {
		t.Errorf("%+v", a)
	}
	w.request = base + 2
	w.ok(&signet.Drain{Ino: 2})
	// base+3 is lowest now.
	for _, c := range []struct {
		request uint64
		want    signet.Kind
	}{{base + 1, signet.Stale}, {base + 2, signet.Stale}, {base + 3 + signet.MaxUnanswered, signet.TooBusy}, {1 << 63, signet.TooBusy},
		{base + 2 + signet.MaxUnanswered, signet.NotFound}, {base + 2 + signet.MaxUnanswered, signet.NotFound}} {
		if a := send(c.request, 0, &signet.Remove{Parent: 1, Name: []byte("none")}); a.Result.Err != c.want {
			t.Errorf("request %d: %+v, want %v", c.request, a, c.want)
		}
	}
	if !w.last.Repeated {
		t.Error("not remembered")
	}
	// In one entry.
	e := Envelope{1, w.session, base + 5, base + 4, w.create(1, "g", 4, signet.ModeRegular)}
	st := w.entry(e, e, e)
	if a := st.Answers; a[0].Repeated || !a[1].Repeated || a[0].Result != a[2].Result || a[0].Result.Err != signet.OK {
		t.Errorf("%+v", a)
	}
	// Extra is remembered as well.
	a = send(base+6, base+4, &GrantInodes{Count: 10})
	if b := send(base+6, base+4, &GrantInodes{Count: 10}); a.Extra == 0 || b.Extra != a.Extra || !b.Repeated {
		t.Errorf("%+v %+v", a, b)
	}
	// Without a session there are no volume commands.
	w.entry(Envelope{Group: 1, Command: w.create(1, "h", 9, signet.ModeRegular)})
	if w.last.Result.Err != signet.Ended {
		t.Errorf("%+v", w.last)
	}
	w.check()
}

func TestJoin(t *testing.T) {
	w := made(t)
	at := func(n int64) signet.Time { return signet.Time{Sec: n} }
	w.cluster(&CreateToken{Digest: token, Expires: at(1000), Uses: 0, Roles: RoleAll, Time: at(1)}, signet.Invalid)
	w.cluster(&CreateToken{Digest: token, Expires: at(1000), Uses: 2, Roles: RoleAll, Time: at(1000)}, signet.Invalid)
	w.cluster(&CreateToken{Digest: token, Expires: at(1000), Uses: 2, Roles: RoleStore | RoleVote, Time: at(1)}, signet.OK)
	w.cluster(&CreateToken{Digest: token, Expires: at(1000), Uses: 2, Roles: RoleAll, Time: at(1)}, signet.Exists)
	join := func(n byte, tok signet.Digest, when int64) *Join {
		return &Join{Token: tok, Host: newHost(n), Time: at(when)}
	}
	w.unchanged("bad tokens", func() {
		w.cluster(join(2, signet.Digest{1}, 500), signet.BadToken)
		w.cluster(join(2, token, 1000), signet.BadToken)
		greedy := join(2, token, 500)
		greedy.Host.Roles = RoleAll
		w.cluster(greedy, signet.BadToken)
		old := join(2, token, 500)
		old.Host.Knows = 0
		w.cluster(old, signet.WrongVersion)
		nobody := join(2, token, 500)
		nobody.Host.Key = signet.HostKey{}
		w.cluster(nobody, signet.Invalid)
	})
	w.cluster(join(2, token, 500), signet.OK)
	if e := w.step.Effects.Hosts; w.last.Extra != 2 || len(e) != 1 || e[0] != 2 {
		t.Errorf("%+v %v", w.last, e)
	}
	w.cluster(join(2, token, 2000), signet.OK) // asked again, for whatever reason
	if w.last.Extra != 2 {
		t.Errorf("%+v", w.last)
	}
	w.cluster(join(3, token, 500), signet.OK)
	w.cluster(join(4, token, 500), signet.BadToken) // used up
	w.read(func(r *Reader) {
		toks, err := r.Tokens()
		if err != nil || len(toks) != 1 || toks[0].Left != 0 || toks[0].Used != 2 || toks[0].Digest != token {
			t.Errorf("%+v, %v", toks, err)
		}
	})
	w.cluster(&CreateToken{Digest: signet.Digest{43}, Expires: at(9000), Uses: 2, Roles: RoleAll, Time: at(3000)}, signet.OK)
	w.cluster(&RevokeToken{signet.Digest{43}}, signet.OK)
	w.cluster(&RevokeToken{token}, signet.NotFound) // expired, forgotten
	w.cluster(join(4, signet.Digest{43}, 4000), signet.BadToken)

	w.cluster(&SetHost{Host: 2, Set: SetName | SetAddrs | SetZone | SetCapacity | SetWeight | SetKnows | SetSeal,
		Value: NewHost{Name: "n", Addrs: []string{"x:1"}, Zone: "y", Capacity: 5, Weight: 6, Knows: 7, Seal: []byte("s")}}, signet.OK)
	w.cluster(&SetHost{Host: 2, Set: SetRoles, Value: NewHost{}}, signet.Invalid)
	w.cluster(&SetHost{Host: 2, Set: 1 << 30}, signet.Invalid)
	w.cluster(&SetHost{Host: 9}, signet.NotFound)
	w.cluster(&SetHostState{Host: 2, State: HostRemoved}, signet.Invalid)
	w.cluster(&SetHostState{Host: 2, State: HostDown}, signet.OK)
	w.read(func(r *Reader) {
		h, _ := r.Host(2)
		if fmt.Sprintf("%s %v %s %d %d %d %s %d", h.Name, h.Addrs, h.Zone, h.Capacity, h.Weight, h.Knows, h.Seal, h.State) != "n [x:1] y 5 6 7 s 3" ||
			h.Key != newHost(2).Key || h.Roles != RoleStore|RoleVote {
			t.Errorf("%+v", h)
		}
	})
}

func TestRemoveHost(t *testing.T) {
	w := made(t)
	w.cluster(&RemoveHost{1}, signet.Busy)
	w.host(2)
	w.ok(&AddSlot{NewSlot{Kind: 2, Host: 2, Data: []byte("k")}})
	if w.last.Extra != 2 {
		t.Errorf("%+v", w.last)
	}
	s := signet.SessionID(w.cluster(&OpenSession{Host: 2, Start: 1}, signet.OK).Index)
	w.cluster(&RemoveHost{2}, signet.OK)
	if e := w.step.Effects; len(e.Ended) != 1 || e.Ended[0] != s || !e.Slots || len(e.Hosts) != 1 {
		t.Errorf("%+v", e)
	}
	w.cluster(&RemoveHost{2}, signet.NotPermitted)
	w.cluster(&OpenSession{Host: 2, Start: 2}, signet.NotPermitted)
	w.cluster(&Join{Host: newHost(2), Token: token}, signet.NotPermitted)
	w.cluster(&SetHostState{Host: 2, State: HostUp}, signet.NotPermitted)
	w.want(&AddSlot{NewSlot{Host: 2, Data: []byte("k")}}, signet.NotPermitted)
	w.read(func(r *Reader) {
		hosts, err := r.Hosts()
		if err != nil || len(hosts) != 2 || hosts[1].State != HostRemoved {
			t.Errorf("%+v, %v", hosts, err)
		}
		if slots, _ := r.Slots(); len(slots) != 1 {
			t.Errorf("%+v", slots)
		}
	})
	w.want(&RemoveSlot{1}, signet.NotPermitted)
	w.want(&RemoveSlot{7}, signet.NotFound)
	w.ok(&AddSlot{NewSlot{Kind: 3, Data: []byte("recovery")}})
	w.ok(&RemoveSlot{1})
	w.want(&AddSlot{NewSlot{}}, signet.Invalid)
	w.want(&AddSlot{NewSlot{Data: make([]byte, maxSlotData+1)}}, signet.TooBig)
	w.cluster(&RemoveHost{9}, signet.NotFound)
	w.host(3) // numbers are not used again
}

func TestRing(t *testing.T) {
	w := made(t)
	for n := byte(2); n < 6; n++ {
		w.host(n)
	}
	var ring signet.Index
	version := func() signet.Index {
		w.read(func(r *Reader) {
			c, _ := r.Cluster()
			ring = c.Ring
		})
		return ring
	}
	arc := func(n signet.Arc) (a Arc) {
		w.read(func(r *Reader) { a, _ = r.Arc(n) })
		return a
	}
	set := func(k signet.Kind, arcs ...ArcOwners) {
		t.Helper()
		w.cluster(&SetRing{Base: version(), Arcs: arcs}, k)
	}
	ids := func(h ...signet.HostID) []signet.HostID { return h }
	w.unchanged("bad rings", func() {
		w.cluster(&SetRing{Base: 1 << 30}, signet.Stale)
		set(signet.Invalid, ArcOwners{16, ids(1)})
		set(signet.Invalid, ArcOwners{2, ids(1)}, ArcOwners{2, ids(1)})
		set(signet.Invalid, ArcOwners{2, nil})
		set(signet.Invalid, ArcOwners{2, ids(1, 1)})
		set(signet.Invalid, ArcOwners{2, ids(9)})
	})
	set(signet.OK, ArcOwners{2, ids(2, 1)}, ArcOwners{5, ids(1)})
	v := version()
	if e := w.step.Effects; len(e.Moved) != 2 || len(e.Settled) != 1 || e.Settled[0].Arc.Arc != 5 {
		t.Errorf("%+v", e)
	}
	if a := arc(2); fmt.Sprint(a.Owners, a.Previous, a.Done, a.Version == v) != "[host-2 host-1] [host-1] [host-1] true" || !a.Moving() {
		t.Errorf("%+v", a)
	}
	done := func(k signet.Kind, n signet.Arc, h signet.HostID) {
		t.Helper()
		w.cluster(&ArcDone{n, h, v}, k)
	}
	done(signet.Invalid, 2, 3)
	done(signet.OK, 2, 1)
	done(signet.OK, 2, 2)
	if a, e := arc(2), w.step.Effects.Settled; len(e) != 1 || len(e[0].Free) != 0 || a.Moving() {
		t.Errorf("%+v %+v", a, e)
	}
	// Moved again before the move was done: all who may have something are kept.
	set(signet.OK, ArcOwners{2, ids(3, 4)})
	set(signet.OK, ArcOwners{2, ids(4, 5)})
	done(signet.Stale, 2, 4)
	v = version()
	if a := arc(2); fmt.Sprint(a.Owners, a.Previous, a.Done) != "[host-4 host-5] [host-2 host-1 host-3 host-4] []" {
		t.Errorf("%+v", a)
	}
	// Of several at once each counts for itself: one that is stale, one of another, one twice.
	w.cluster(&ArcsDone{Host: 4, Arcs: []ArcVersion{{3, 1}, {2, v - 1}, {99, v}, {5, v}, {2, v}, {2, v}}}, signet.OK)
	if a := arc(2); fmt.Sprint(a.Done) != "[host-4]" {
		t.Errorf("%+v", a)
	}
	w.cluster(&ArcsDone{Host: 5, Arcs: []ArcVersion{{2, v}}}, signet.OK)
	if e := w.step.Effects.Settled; len(e) != 1 || fmt.Sprint(e[0].Free) != "[host-2 host-1 host-3]" {
		t.Errorf("%+v", e)
	}
	// Only the order changes: nothing to move.
	set(signet.OK, ArcOwners{2, ids(5, 4)})
	if a := arc(2); a.Moving() || len(w.step.Effects.Settled) != 1 {
		t.Errorf("%+v", a)
	}
	w.cluster(&ArcDone{99, 1, 1}, signet.Invalid)
	w.cluster(&ArcsDone{Host: 1, Arcs: make([]ArcVersion, MaxArcsDone+1)}, signet.TooBig)
	w.cluster(&RemoveHost{5}, signet.OK)
	set(signet.Invalid, ArcOwners{3, ids(5)})
	w.read(func(r *Reader) {
		var got []signet.Arc
		_ = r.Arcs(func(a Arc) bool { got = append(got, a.Arc); return a.Arc < 6 })
		if fmt.Sprint(got) != "[0 1 2 3 4 5 6]" {
			t.Error(got)
		}
		if _, err := r.Arc(16); signet.KindOf(err) != signet.NotFound {
			t.Error(err)
		}
	})
	// Until it is done or forgotten, an arc cannot gather owners for ever.
	for n := 6; n <= maxHolders+6; n++ {
		w.host(byte(n))
	}
	k := signet.OK
	for n := 6; n <= maxHolders+6 && k == signet.OK; n++ {
		w.entry(Envelope{Command: &SetRing{Base: version(), Arcs: []ArcOwners{{3, ids(signet.HostID(n))}}}})
		k = w.last.Result.Err
	}
	if k != signet.Busy {
		t.Error(k)
	}
}

// TestMovingObjects holds who is said to have an object while its arc moves.
func TestMovingObjects(t *testing.T) {
	w := made(t)
	w.host(2)
	w.file(1, "f", 2)
	w.put(2, 1, 0, 10)
	late := w.object(2, 10)
	arc := signet.ArcOf(testAddress(1).ArcKey(), 16)
	holders := func(n byte) (out []signet.HostID) {
		w.read(func(r *Reader) {
			o, err := r.Object(testAddress(n))
			if err != nil {
				t.Fatal(err)
			}
			a, _ := r.Arc(arc)
			out = Holders(&o, &a)
		})
		w.check()
		return out
	}
	var base signet.Index
	w.read(func(r *Reader) { c, _ := r.Cluster(); base = c.Ring })
	w.cluster(&SetRing{Base: base, Arcs: []ArcOwners{{arc, []signet.HostID{2}}}}, signet.OK)
	if got := fmt.Sprint(holders(1)); got != "[host-1]" {
		t.Error(got)
	}
	// What was put under the old ring must be put again.
	write := &signet.Write{Ino: 2, Extents: []signet.Extent{{Off: 100, Len: 10, Object: late.Address}}, Objects: []signet.Object{late}, Mtime: w.time()}
	w.want(write, signet.Stale)
	late = w.object(2, 10)
	late.Hosts = []signet.HostID{2}
	write.Objects = []signet.Object{late}
	w.ok(write)
	if got := fmt.Sprint(holders(1), holders(2), w.counters().Short); got != "[host-1] [host-2] 0" {
		t.Error(got)
	}
	w.put(2, 3, 200, 10) // on host 1, which stands in
	if got := fmt.Sprint(holders(3), w.counters().Short); got != "[host-1] 1" {
		t.Error(got)
	}
	w.read(func(r *Reader) {
		a, _ := r.Arc(arc)
		base = a.Version
		var n []byte
		after := signet.Address{}
		for {
			more := false
			if err := r.ObjectsOfArc(signet.DigestBLAKE3, arc, after, func(o signet.Object) bool {
				n, after, more = append(n, o.Address.Digest()[0]), o.Address, true
				return false
			}); err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
		}
		if fmt.Sprint(n) != "[1 2 3]" {
			t.Error(n)
		}
	})
	w.cluster(&ArcDone{arc, 2, base}, signet.OK)
	if got := fmt.Sprint(holders(1), holders(2), holders(3)); got != "[host-2] [host-2] [host-1]" {
		t.Error(got)
	}
	w.ok(&Placed{Host: 2, Addresses: []signet.Address{testAddress(3)}})
	w.ok(&Placed{Host: 1, Gone: true, Addresses: []signet.Address{testAddress(3)}})
	if got := fmt.Sprint(holders(3), w.counters().Short); got != "[host-2] 0" {
		t.Error(got)
	}
}

func TestArcRanges(t *testing.T) {
	for _, arcs := range []uint32{1, 2, 16, 4096, signet.MaxArcs} {
		for _, key := range []uint32{0, 1, 15, 16, 4095, 4096, 32767, 32768, 65534, 65535} {
			a := signet.NewAddress(signet.DigestBLAKE3, signet.ArcKey(key), signet.Digest{0xff})
			arc := signet.ArcOf(a.ArcKey(), arcs)
			in := func(n signet.Arc) bool {
				from, to := arcRange(1, signet.DigestBLAKE3, n, arcs)
				k := string(addressKey(1, tableObjects, a))
				return k >= string(from) && k < string(to)
			}
			if !in(arc) || arc > 0 && in(arc-1) || uint32(arc)+1 < arcs && in(arc+1) {
				t.Errorf("key %d of %d arcs", key, arcs)
			}
		}
	}
}

func TestWrongGroup(t *testing.T) {
	w := made(t)
	for _, c := range samples() {
		if _, ok := c.(signet.Command); ok {
			continue
		}
		g, want := signet.DefaultVolume, signet.Invalid
		switch c.(type) {
		case *GrantInodes, *Collect, *Placed, *Reap, *SetPolicy, *AddSlot, *RemoveSlot:
			g, want = 5, signet.NotFound
		}
		w.unchanged(fmt.Sprintf("%T", c), func() {
			w.entry(Envelope{Group: g, Command: c})
			if w.last.Result.Err != want {
				t.Errorf("%T in group %d: %v", c, g, w.last.Result.Err)
			}
		})
	}
}
