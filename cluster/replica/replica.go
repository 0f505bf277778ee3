package replica

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/internal/clock"
)

// Times of this room.
const (
	// linger is how long a put waits for the copies beyond MinCopies. Hosts are rarely
	// further apart than this; a row that names its hosts and a further command cost
	// more than the wait.
	linger = 20 * time.Millisecond
	// tryTimeout is how long one host may take over a put or a get before another is
	// asked too: 4 MiB over a slow link, and a disk's bad second.
	tryTimeout = 5 * time.Second
	// straggler is how long a copy may take that nobody waits for any more.
	straggler = 30 * time.Second
	// shortage is how long a put tries again when too few hosts took it, and pause how
	// long it waits in between: until the log says that a host is down, it counts.
	shortage = 4 * time.Second
	pause    = 100 * time.Millisecond
)

// MinCopies is how many hosts have an object durable before anybody may rely on it, as
// long as that many storing hosts are up.
const MinCopies = 2

// Where says which hosts should have an object.
type Where struct {
	Owners   []signet.HostID // the primary first
	Previous []signet.HostID // who may hold it while its arc moves
	Spares   []signet.HostID // the other storing hosts in the order in which they stand in
	Version  signet.Index    // of the arc: its last move
}

// Map knows the ring and who is up, from memory.
type Map interface {
	Where(a signet.Address) Where
	// Up says whether a host seems to answer, by the log and by what this host saw.
	Up(h signet.HostID) bool
	// Counts says whether a host is up by the log: what all hosts agree on.
	Counts(h signet.HostID) bool
	// Applied is the newest log index that this host has applied.
	Applied() signet.Index
	// Session is this host's session.
	Session() signet.SessionID
}

// Peers are the stores of the other hosts. Put reads sealed only until it returns.
type Peers interface {
	Put(ctx context.Context, h signet.HostID, g signet.Group, a signet.Address, sealed []byte, m store.Meta) error
	Get(ctx context.Context, h signet.HostID, g signet.Group, a signet.Address, off, n uint32) ([]byte, error)
}

// Reports is where it is told what others have to mend. Calls must only queue.
type Reports interface {
	// Placed says that h has the object, which Put had not counted on.
	Placed(g signet.Group, a signet.Address, h signet.HostID)
	// Lacks says that h should have the object and has not, or has it damaged.
	Lacks(g signet.Group, a signet.Address, h signet.HostID)
}

// Config is what a Replica is made of.
type Config struct {
	Self    signet.HostID
	Local   store.Store
	Peers   Peers
	Map     Map
	Reports Reports
	Clock   clock.Clock
	Logger  *slog.Logger
}

// Replica is the ring's store as seen from one host.
type Replica struct {
	Config
}

// New returns a Replica.
func New(c Config) *Replica { return &Replica{c} }

// candidates returns the hosts to try for a put, wanted first: the owners that are up,
// then the spares that are up, then everybody else (who is thought to be down may not
// be), and how many copies are wanted and how many needed. That a host does not answer
// this one is no reason to do with fewer copies: this one may be the one cut off.
func (r *Replica) candidates(w Where) (hosts []signet.HostID, want, need int) {
	var down []signet.HostID
	up, counted := 0, 0
	add := func(list []signet.HostID) {
		for _, h := range list {
			if h == r.Self || r.Map.Counts(h) {
				counted++
			}
			if r.Map.Up(h) {
				hosts = append(hosts, h)
				up++
			} else {
				down = append(down, h)
			}
		}
	}
	add(w.Owners)
	add(w.Spares)
	need = max(min(MinCopies, len(w.Owners), counted), 1)
	want = max(min(len(w.Owners), up), need)
	return append(hosts, down...), want, need
}

// copied is the end of one attempt.
type copied struct {
	host signet.HostID
	err  error
}

// Put makes an object durable on enough hosts and returns the parts of its row that
// follow from that. sealed is borrowed until release is called, exactly once and maybe
// after Put has returned, because copies may still be on their way then. Repeating it is
// harmless. After an error some hosts may have a copy, which collection removes.
func (r *Replica) Put(ctx context.Context, g signet.Group, a signet.Address, sealed []byte, release func()) (signet.Object, error) {
	w := r.Map.Where(a)
	o := signet.Object{Address: a, Sealed: uint32(len(sealed)), Form: signet.FormReplicas, Ring: w.Version, Put: r.Map.Applied()}
	meta := store.Meta{Session: r.Map.Session(), Index: o.Put}
	hosts, want, _ := r.candidates(w)
	p := &put{r: r, where: w, ctx: ctx, group: g, address: a, sealed: sealed, meta: meta, rest: hosts, results: make(chan copied, len(hosts)), release: release}
	p.users.Store(1)
	defer p.unuse()
	for range want {
		p.next()
	}
	have, err := p.await()
	if err != nil {
		return signet.Object{}, err
	}
	if !sameHosts(have, w.Owners) {
		o.Hosts = have
	}
	return o, nil
}

// sameHosts says whether both lists name the same hosts.
func sameHosts(a, b []signet.HostID) bool {
	if len(a) != len(b) {
		return false
	}
	for _, h := range a {
		found := false
		for _, k := range b {
			found = found || h == k
		}
		if !found {
			return false
		}
	}
	return true
}

// put is one Put under way. It is used by one goroutine; the attempts only send.
type put struct {
	r       *Replica
	where   Where
	ctx     context.Context
	group   signet.Group
	address signet.Address
	sealed  []byte
	meta    store.Meta
	rest    []signet.HostID // not tried yet
	running int
	results chan copied
	users   atomic.Int32 // of sealed
	release func()
}

// unuse notes that somebody needs sealed no more.
func (p *put) unuse() {
	if p.users.Add(-1) == 0 && p.release != nil {
		p.release()
	}
}

// next starts an attempt at the next host, if there is one.
func (p *put) next() bool {
	if len(p.rest) == 0 {
		return false
	}
	h := p.rest[0]
	p.rest = p.rest[1:]
	p.running++
	p.users.Add(1)
	go func() { // ends by straggler at the latest; its result always has room
		ctx, cancel := clock.WithTimeout(context.WithoutCancel(p.ctx), p.r.Clock, straggler)
		defer cancel()
		err := p.r.putOn(ctx, h, p.group, p.address, p.sealed, p.meta)
		p.unuse()
		p.results <- copied{h, err}
	}()
	return true
}

func (r *Replica) putOn(ctx context.Context, h signet.HostID, g signet.Group, a signet.Address, sealed []byte, m store.Meta) error {
	if h == r.Self {
		return r.Local.Put(ctx, g, a, sealed, m)
	}
	return r.Peers.Put(ctx, h, g, a, sealed, m)
}

// await collects results until as many hosts have the object as are wanted, or as many
// as are needed and the others take too long, and returns who has it. It starts over
// for a while when too few took it.
func (p *put) await() ([]signet.HostID, error) {
	var have []signet.HostID
	end := p.r.Clock.Now().Add(shortage)
	for {
		_, want, need := p.r.candidates(p.where)
		var errs []error
		have, errs = p.collect(have, want, need)
		if len(have) >= need {
			p.leave()
			return have, nil
		}
		if err := p.ctx.Err(); err != nil {
			return nil, signet.Wrap("put object", p.address.String(), err)
		}
		err := p.failure(have, need, errs)
		if signet.KindOf(err) != signet.Unavailable || !p.r.Clock.Now().Before(end) {
			return nil, err
		}
		if err := clock.Sleep(p.ctx, p.r.Clock, pause); err != nil {
			return nil, signet.Wrap("put object", p.address.String(), err)
		}
		// Nobody is at it now: all that have not got it are asked again.
		p.rest, want, _ = p.r.candidates(p.where)
		p.rest = slices.DeleteFunc(p.rest, func(h signet.HostID) bool { return slices.Contains(have, h) })
		for range want - len(have) {
			p.next()
		}
	}
}

// collect adds to have whoever takes the object, until that are want, or need and the
// rest lingers, or nobody is left to ask.
func (p *put) collect(have []signet.HostID, want, need int) ([]signet.HostID, []error) {
	var errs []error
	patience := p.r.Clock.NewTimer(tryTimeout)
	defer patience.Stop()
	lingering := false
	for len(have) < want {
		if len(have) >= need && !lingering {
			lingering = true
			patience.Reset(linger)
		}
		if p.running == 0 && !p.next() {
			break
		}
		select {
		case c := <-p.results:
			p.running--
			if c.err == nil {
				have = append(have, c.host)
				continue
			}
			errs = append(errs, signet.Wrap("copy to", c.host.String(), c.err))
			p.next()
		case <-patience.C():
			if lingering {
				return have, errs
			}
			p.next() // somebody hangs; ask one more
			patience.Reset(tryTimeout)
		case <-p.ctx.Done():
			return have, errs
		}
	}
	return have, errs
}

// leave has the results that are still out reported when they come.
func (p *put) leave() {
	running := p.running
	if running == 0 {
		return
	}
	go func() { // ends when the attempts do
		for range running {
			if c := <-p.results; c.err == nil {
				p.r.Reports.Placed(p.group, p.address, c.host)
			}
		}
	}()
}

// failure is why too few hosts have the object: for lack of space if any said so.
func (p *put) failure(have []signet.HostID, need int, errs []error) error {
	kind := signet.Unavailable
	last := signet.Errorf(kind, "", "", "nobody to ask")
	for _, err := range errs {
		last = err
		if k := signet.KindOf(err); k == signet.NoSpace {
			kind = k
			break
		}
	}
	return signet.Errorf(kind, "put object", p.address.String(), "%d of the needed %d hosts took it: %w", len(have), need, last)
}
