package heal

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cluster/meta/metatest"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/internal/clock"
)

const (
	vol      = signet.DefaultVolume
	ringSize = 16
)

// tester is a test, or one run of a property.
type tester interface {
	metatest.T
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	FailNow()
}

// sim is a cluster in one goroutine: hosts with real tables, stores in memory and a
// keeper each, which does one step when it is told to.
type sim struct {
	t      tester
	clock  *clock.Manual
	rand   *rand.Rand
	log    metatest.Log
	hosts  map[signet.HostID]*host
	truth  *meta.State // the tables at the log's end
	lead   *host
	term   *term
	ino    signet.Ino
	seq    uint64
	puts   []*put                   // on their way
	strays []*put                   // given up, or not needed any more
	files  map[signet.Ino]*put      // what the log names
	report map[signet.HostID]Report // the newest of each host
	lost   map[signet.Address]bool  // taken away by the test itself
}

type host struct {
	*sim
	id      signet.HostID
	start   uint64
	state   *meta.State
	disk    *store.Memory
	keeper  *keeper
	up      bool
	session signet.SessionID
	request uint64
	budget  int // operations until it crashes; negative: never
}

// put is an object on its way from its writer into the log.
type put struct {
	writer  *host
	session signet.SessionID
	row     signet.Object
	sealed  []byte
	late    []signet.HostID // copies still on their way
}

func newSim(t tester, seed uint64) *sim {
	s := &sim{
		t: t, clock: clock.NewManual(time.Unix(1e9, 0)), rand: rand.New(rand.NewPCG(seed, 1)),
		hosts: map[signet.HostID]*host{}, ino: 100, files: map[signet.Ino]*put{}, report: map[signet.HostID]Report{},
		lost: map[signet.Address]bool{},
	}
	s.truth = metatest.Open(t)
	h := s.add(1)
	s.lead = h
	h.must(signet.ClusterGroup, &meta.Init{
		Cluster: [16]byte{7}, Name: "sim", Arcs: ringSize, Copies: 3, Host: newHost(1), Mode: 0o755,
		Slots: []meta.NewSlot{{Kind: 1, Data: []byte("x")}},
	})
	h.open()
	h.must(vol, &meta.GrantInodes{Count: 1 << 20})
	s.elect(h)
	return s
}

func newHost(id signet.HostID) meta.NewHost {
	return meta.NewHost{
		Key: signet.HostKey{byte(id)}, Name: fmt.Sprint("h", id), Zone: fmt.Sprint("z", id), Weight: 1,
		Roles: meta.RoleAll, Knows: meta.FeatureNewest,
	}
}

// add makes a host, without telling the log.
func (s *sim) add(id signet.HostID) *host {
	h := &host{sim: s, id: id, state: metatest.Open(s.t), disk: store.NewMemory(0), up: true, budget: -1, start: 1}
	s.hosts[id] = h
	h.restart()
	return h
}

// join admits another host.
func (s *sim) join() *host {
	id := signet.HostID(len(s.hosts) + 1)
	tok := signet.Digest{byte(id), 1}
	s.lead.must(signet.ClusterGroup, &meta.CreateToken{Digest: tok, Expires: signet.Time{Sec: 1 << 40}, Uses: 1, Roles: meta.RoleAll})
	s.lead.must(signet.ClusterGroup, &meta.Join{Token: tok, Host: newHost(id)})
	h := s.add(id)
	h.catchUp(s.log.Last())
	s.lead.must(signet.ClusterGroup, &meta.SetHostState{Host: id, State: meta.HostUp})
	h.open()
	return h
}

// restart begins a new keeper on tables and store as they are.
func (h *host) restart() {
	h.budget = -1
	h.keeper = newKeeper(New(Config{
		Self: h.id, Store: &faulty{h.disk, h}, Log: h, Peers: h, Floor: h.log.Last(), Clock: h.clock,
		Up: func(id signet.HostID) bool { return h.hosts[id] != nil && h.hosts[id].up },
	}))
}

// fallBack gives the host older tables, as a crash does.
func (h *host) fallBack(to signet.Index) {
	h.state = metatest.Open(h.t)
	h.sim.log.Feed(h.t, h.state, to, nil)
	floor := h.sim.log.Last()
	h.restart()
	h.keeper.Floor = floor
}

// elect makes a host the leader.
func (s *sim) elect(h *host) {
	s.lead = h
	st := NewSteward(StewardConfig{Log: h, Reports: func() map[signet.HostID]Report { return s.report }, Clock: s.clock})
	s.term = st.begin()
	s.term.width = 1
	s.report = map[signet.HostID]Report{}
}

func (h *host) applied() signet.Index {
	at, _ := h.state.Applied()
	return at
}

func (h *host) catchUp(to signet.Index) {
	h.sim.log.Feed(h.t, h.state, to, func(st *meta.Step) {
		h.keeper.Applied(&st.Effects)
		if h == h.lead && h.term != nil {
			h.term.Applied(&st.Effects)
		}
	})
}

// tell has the host report to the leader.
func (h *host) tell() {
	r := Report{Session: h.session, Reader: h.applied()}
	for _, p := range h.puts {
		if p.writer == h && p.session == h.session {
			r.Reader = min(r.Reader, p.row.Put)
		}
	}
	h.report[h.id] = r
}

// open opens a session.
func (h *host) open() {
	h.start++
	a := h.must(signet.ClusterGroup, &meta.OpenSession{Host: h.id, Start: h.start})
	h.session, h.request = signet.SessionID(a.Result.Index), 0
}

// Read implements Log.
func (h *host) Read(g signet.Group, fn func(*meta.Reader) error) error {
	if err := h.spend(); err != nil {
		return err
	}
	r := h.state.Reader(g)
	defer r.Close()
	return fn(r)
}

// Propose implements Log.
func (h *host) Propose(_ context.Context, g signet.Group, c any) (meta.Answer, error) {
	if err := h.spend(); err != nil {
		return meta.Answer{}, err
	}
	a := h.propose(g, c)
	if err := h.spend(); err != nil { // it crashed before it saw the answer
		return meta.Answer{}, err
	}
	return a, nil
}

func (h *host) propose(g signet.Group, c any) meta.Answer {
	e := meta.Envelope{Group: g, Command: c}
	if _, ok := c.(signet.Command); ok {
		h.request++
		e.Session, e.Request, e.Lowest = h.session, h.request, h.request
	}
	index := h.sim.log.Append(h.t, e)
	var out meta.Answer
	h.catchUp(index - 1)
	h.sim.log.Feed(h.t, h.state, index, func(st *meta.Step) {
		out = st.Answers[0]
		h.keeper.Applied(&st.Effects)
		if h == h.lead && h.term != nil {
			h.term.Applied(&st.Effects)
		}
	})
	return out
}

func (h *host) must(g signet.Group, c any) meta.Answer {
	h.t.Helper()
	a := h.propose(g, c)
	if a.Result.Err != signet.OK {
		h.t.Fatalf("%T %+v: %v", c, c, a.Result.Err)
	}
	return a
}

// Get implements Peers.
func (h *host) Get(ctx context.Context, from signet.HostID, g signet.Group, a signet.Address, off, n uint32) ([]byte, error) {
	if err := h.spend(); err != nil {
		return nil, err
	}
	o := h.hosts[from]
	if o == nil || !o.up {
		return nil, signet.Errorf(signet.Unavailable, "get", from.String(), "down")
	}
	b, err := o.disk.Get(ctx, g, a, off, n)
	if k := signet.KindOf(err); k == signet.NotFound || k == signet.Corrupt {
		o.keeper.Lacks(g, a, from)
	}
	return b, err
}

// spend counts an operation and fails when the host is to crash.
func (h *host) spend() error {
	if h.budget < 0 {
		return nil
	}
	if h.budget == 0 {
		return signet.Errorf(signet.Interrupted, "crash", h.id.String(), "now")
	}
	h.budget--
	return nil
}

func (h *host) crashed() bool { return h.budget == 0 }

// faulty is a store whose host may crash before and after each operation.
type faulty struct {
	*store.Memory
	h *host
}

func (f *faulty) around(fn func() error) error {
	if err := f.h.spend(); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	return f.h.spend()
}

func (f *faulty) Put(ctx context.Context, g signet.Group, a signet.Address, b []byte, m store.Meta) error {
	return f.around(func() error { return f.Memory.Put(ctx, g, a, b, m) })
}

func (f *faulty) Named(ctx context.Context, g signet.Group, as []signet.Address) error {
	return f.around(func() error { return f.Memory.Named(ctx, g, as) })
}

func (f *faulty) Delete(ctx context.Context, g signet.Group, as []signet.Address) error {
	return f.around(func() error {
		for i, a := range as {
			if i > 0 && f.h.budget > 0 {
				if err := f.h.spend(); err != nil {
					return err
				}
			}
			if err := f.Memory.Delete(ctx, g, []signet.Address{a}); err != nil {
				return err
			}
		}
		return nil
	})
}

// begin puts an object as package replica does, from what the writer knows. Of the
// owners that are up, those in late get their copy later, or never.
func (h *host) begin(late int) *put {
	h.seq++
	sealed := binary.BigEndian.AppendUint64(nil, h.seq)
	d := signet.Digest(sha256.Sum256(sealed))
	p := &put{writer: h, session: h.session, sealed: sealed}
	a := signet.NewAddress(signet.DigestSHA256, signet.ArcKey(binary.BigEndian.Uint16(d[:])), d)
	p.row = signet.Object{Address: a, KeyVersion: 1, Size: 8, Sealed: 8, Form: signet.FormReplicas, Put: h.applied()}
	var arc meta.Arc
	var all []meta.Host
	r := h.state.Reader(vol)
	defer r.Close()
	arc, err := r.Arc(signet.ArcOf(a.ArcKey(), ringSize))
	if err == nil {
		all, err = r.Hosts()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	p.row.Ring = arc.Version
	targets := slices.Clone(arc.Owners)
	for _, o := range all { // spares
		if !slices.Contains(targets, o.ID) && o.State == meta.HostUp {
			targets = append(targets, o.ID)
		}
	}
	var have []signet.HostID
	for _, id := range targets {
		o := h.hosts[id]
		if len(have) == len(arc.Owners) {
			break
		}
		if !o.up {
			continue
		}
		if late > 0 && len(have) >= 2 {
			late--
			p.late = append(p.late, id)
			continue
		}
		o.receive(p)
		have = append(have, id)
	}
	sorted := slices.Sorted(slices.Values(have))
	if !slices.Equal(sorted, slices.Sorted(slices.Values(arc.Owners))) {
		p.row.Hosts = have
	}
	if len(have) == 0 {
		return nil // nobody whom the writer knows can be reached
	}
	h.puts = append(h.puts, p)
	return p
}

// receive stores a copy of a put.
func (h *host) receive(p *put) {
	err := h.disk.Put(context.Background(), vol, p.row.Address, p.sealed, store.Meta{Session: p.session, Index: p.row.Put})
	if err != nil {
		h.t.Fatal(err)
	}
}

// name has the log name a put, in a new file or over an old one.
func (s *sim) name(p *put, ino signet.Ino) signet.Kind {
	h := p.writer
	s.puts = slices.DeleteFunc(s.puts, func(o *put) bool { return o == p })
	if ino == 0 {
		s.ino++
		ino = s.ino
		a := h.propose(vol, &signet.Create{Parent: signet.RootIno, Name: fmt.Appendf(nil, "f%d", ino), Ino: ino, Mode: signet.ModeRegular | 0o644})
		if a.Result.Err != signet.OK {
			return a.Result.Err
		}
	}
	a := h.propose(vol, &signet.Write{
		Ino: ino, Extents: []signet.Extent{{Off: 0, Len: 8, Object: p.row.Address}}, Objects: []signet.Object{p.row},
	})
	if a.Result.Err == signet.OK {
		s.files[ino] = p
		s.fence(h, p)
	}
	return a.Result.Err
}

// fence checks that all who are said to have a newly named object have it.
func (s *sim) fence(h *host, p *put) {
	who := p.row.Hosts
	if len(who) == 0 {
		r := h.state.Reader(vol)
		defer r.Close()
		arc, err := r.Arc(signet.ArcOf(p.row.Address.ArcKey(), ringSize))
		if err != nil {
			s.t.Fatal(err)
		}
		who = arc.Owners
	}
	for _, id := range who {
		if !s.hosts[id].has(p.row.Address) {
			s.t.Fatalf("the log names %v at %d, and host %d has dropped it", p.row.Address, s.log.Last(), id)
		}
	}
}

func (h *host) has(a signet.Address) bool {
	has, err := h.disk.Has(context.Background(), vol, []signet.Address{a})
	return err == nil && has[0]
}

// write makes an object and has it named.
func (h *host) write() *put {
	h.t.Helper()
	p := h.begin(0)
	if k := h.name(p, 0); k != signet.OK {
		h.t.Fatal("write: ", k)
	}
	return p
}

// remove makes the object of a file dead.
func (h *host) remove(ino signet.Ino) signet.Kind {
	a := h.propose(vol, &signet.SetAttr{Ino: ino, Set: signet.SetSize})
	if a.Result.Err == signet.OK {
		delete(h.files, ino)
	}
	return a.Result.Err
}

// step has the keeper of a host do one step, and one pull. It says whether there was
// anything to do.
func (h *host) step() bool {
	k := h.keeper
	if k.paused() {
		return false
	}
	busy, err := k.step(context.Background())
	if err != nil && !h.crashed() {
		k.pause()
	}
	if len(k.queue) > 0 && !h.crashed() {
		p := k.queue[0]
		k.queue = k.queue[1:]
		k.finished = append(k.finished, k.fetch(context.Background(), p))
		busy = true
	}
	return busy
}

// round has everybody do what there is to do.
func (s *sim) round() {
	for busy := true; busy; {
		busy = false
		for _, id := range s.ids() {
			if h := s.hosts[id]; h.up {
				h.catchUp(s.log.Last())
				for h.step() {
					busy = true
				}
			}
		}
	}
}

// steward has the leader do its duties once.
func (s *sim) steward() {
	for _, id := range s.ids() {
		if h := s.hosts[id]; h.up {
			h.tell()
		}
	}
	select {
	case <-s.term.wake:
		s.term.hostsMoved()
	default:
	}
	s.term.round(context.Background())
}

// pass lets time pass, with everybody at work.
func (s *sim) pass(d time.Duration) { s.elapse(d, time.Second) }

// elapse does that in strides.
func (s *sim) elapse(d, stride time.Duration) {
	for end := s.clock.Now().Add(d); s.clock.Now().Before(end); {
		s.steward()
		s.round()
		s.clock.Advance(stride)
	}
	s.round()
}

func (s *sim) ids() []signet.HostID {
	var ids []signet.HostID
	for id := range s.hosts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// setState changes a host's state in the log.
func (s *sim) setState(h *host, st meta.HostState) {
	s.lead.must(signet.ClusterGroup, &meta.SetHostState{Host: h.id, State: st})
}

// down takes a host off the network, and the log notices.
func (s *sim) down(h *host) {
	h.up = false
	s.setState(h, meta.HostDown)
	s.lead.must(signet.ClusterGroup, &meta.EndSession{Session: h.session})
}

// back lets a host return; it has missed what happened.
func (s *sim) back(h *host) {
	h.up = true
	h.catchUp(s.log.Last())
	s.setState(h, meta.HostUp)
	h.catchUp(s.log.Last())
	h.open()
}
