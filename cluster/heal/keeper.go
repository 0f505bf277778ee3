package heal

import (
	"context"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// keeper makes all decisions. It belongs to one goroutine; only workers that pull run
// beside it, and what they have done comes back as results.
type keeper struct {
	*Healer
	ring  uint32 // arcs of the ring; 0: there is no cluster here yet
	ready bool   // the tables are no older than the store

	arcs     arcQueue                      // to be looked through for what is missing
	rows     *rowScan                      // the arc that is being looked through
	stock    later[span]                   // parts of the store to be looked through for what is surplus
	held     *stockScan                    // the part that is being looked through
	short    *shortScan                    // a look at the short objects
	marks    *markScan                     // a look at the marks
	shortAt  time.Time                     // of the next look at the short objects
	sweep    bool                          // marks are to be looked at
	marksAt  time.Time                     // when to look at them in any case
	stood    signet.Index                  // where the log was when copies last waited in vain
	recent   later[item]                   // newly named without a copy here
	news     news                          // heard, not acted on
	failing  map[signet.Arc]*failure       // arcs to be looked through again
	wanted   map[item]*pull                // waiting, or under way, or finished
	nowhere  map[item]time.Time            // when no host had it
	queue    []*pull                       // waiting
	jobs     chan *pull                    // to the workers
	results  chan pulled                   // from them
	claims   map[claimTo]map[item]struct{} // to be reported
	done     []meta.ArcVersion             // to be reported
	doneAt   time.Time                     // when to report them at the latest, if others follow
	claimAt  time.Time                     // when to report, unless there is enough before
	rest     time.Time                     // after an error, nothing is done before
	finished []pulled                      // to be judged
	pulls    uint64                        // finished since the meter was read
	looked   uint64                        // arcs looked through since then
}

func newKeeper(h *Healer) *keeper {
	return &keeper{
		Healer: h, news: noNews(),
		failing: map[signet.Arc]*failure{}, wanted: map[item]*pull{}, nowhere: map[item]time.Time{},
		jobs: make(chan *pull), results: make(chan pulled, maxWanted+pageRows),
		claims: map[claimTo]map[item]struct{}{},
	}
}

// pause has the keeper rest after an error.
func (k *keeper) pause() { k.rest = k.Clock.Now().Add(retryFirst) }

func (k *keeper) paused() bool { return k.Clock.Now().Before(k.rest) }

// next returns when there will be something to do, if nothing is heard before.
func (k *keeper) next() (time.Time, bool) {
	if k.paused() {
		return k.rest, true
	}
	var at time.Time
	ok := false
	sooner := func(t time.Time, there bool) {
		if there && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	if k.gathering(k.Clock.Now()) {
		sooner(k.doneAt, true)
	} else {
		sooner(k.claimAt, k.reporting())
	}
	if !k.ready || len(k.wanted) >= maxWanted {
		return at, ok // pulls come first, and they wake us
	}
	sooner(k.shortAt, true)
	sooner(k.marksAt, true)
	sooner(k.recent.head())
	sooner(k.stock.head())
	for _, f := range k.failing {
		sooner(f.at, true)
	}
	return at, ok
}

// step does one piece of work, the most urgent first, and says whether there was any.
// After an error the same is tried again.
func (k *keeper) step(ctx context.Context) (bool, error) {
	if !k.ready {
		if err := k.begin(); err != nil || !k.ready {
			return false, err
		}
	}
	k.listen()
	defer k.count()
	now := k.Clock.Now()
	for _, do := range []func(context.Context, time.Time) (bool, error){
		k.stepCollected, k.stepNamed, k.stepFinished, k.stepReport, k.stepLacks, k.stepPlaced, k.stepRecent, k.stepRows, k.stepMarks, k.stepStock, k.stepShort,
	} {
		if busy, err := do(ctx, now); busy || err != nil {
			return err == nil, err
		}
	}
	return false, nil
}

// begin waits until the tables are no older than the store.
func (k *keeper) begin() error {
	err := k.Log.Read(signet.ClusterGroup, func(r *meta.Reader) error {
		at, err := r.Index()
		if err != nil || at < k.Floor {
			return err
		}
		cluster, err := r.Cluster()
		if signet.KindOf(err) == signet.NotFound {
			return nil
		}
		k.ring = cluster.Arcs
		return err
	})
	if err == nil && k.ring > 0 {
		k.ready = true
		k.shortAt = k.Clock.Now().Add(shortEvery)
		k.marksAt = k.Clock.Now().Add(marksEvery)
		k.in.know(k.ring)
	}
	return err
}

// listen takes what was heard, unless there is still enough of what was heard before.
func (k *keeper) listen() {
	n := &k.news
	if len(n.named)+len(n.collected)+len(n.lacks)+len(n.placed)+k.recent.len() >= maxEvents {
		return
	}
	now := k.Clock.Now()
	heard := k.in.take()
	n.named = append(n.named, heard.named...)
	n.collected = append(n.collected, heard.collected...)
	n.lacks = append(n.lacks, heard.lacks...)
	n.placed = append(n.placed, heard.placed...)
	for _, i := range heard.elsewhere {
		k.recent.add(now.Add(patience), i)
	}
	for arc := range heard.arcs {
		k.arcs.add(arc)
	}
	for arc := range heard.settled {
		k.stock.add(now.Add(dropDelay), arcSpans(arc, k.ring)...)
	}
	if heard.all {
		for arc := range k.ring {
			k.arcs.add(signet.Arc(arc))
		}
		k.sweep = true
	}
	if heard.all || heard.self {
		// While this host did not count as up it kept what it had, hoping for its arcs.
		k.stock = later[span]{}
		k.stock.add(now.Add(dropDelay), everything)
	}
	k.sweep = k.sweep || heard.horizon
	if heard.hosts {
		clear(k.nowhere)
		for _, f := range k.failing {
			f.at = now // who was missing may be back
		}
	}
}

// count keeps the meter.
func (k *keeper) count() {
	now := k.Clock.Now()
	m := &k.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	left := k.arcs.len()
	if k.rows != nil {
		left++
	}
	m.look.set(now, uint64(left), k.looked)
	m.pull.set(now, uint64(len(k.wanted)), k.pulls)
	m.failed = uint64(len(k.failing))
	k.looked, k.pulls = 0, 0
}

// stepFinished judges what was pulled.
func (k *keeper) stepFinished(ctx context.Context, _ time.Time) (bool, error) {
	if len(k.finished) == 0 {
		return false, nil
	}
	return true, k.settlePulls(ctx)
}

// take removes and returns up to n items from the front of a list.
func take[T any](list *[]T, n int) []T {
	n = min(n, len(*list))
	out := (*list)[:n:n]
	*list = (*list)[n:]
	if len(*list) == 0 {
		*list = nil
	}
	return out
}

// stepCollected deletes what the log has forgotten: nobody can name it again.
func (k *keeper) stepCollected(ctx context.Context, _ time.Time) (bool, error) {
	return k.eachGroup(ctx, &k.news.collected, func(ctx context.Context, g signet.Group, as []signet.Address) error {
		return k.delete(ctx, g, as)
	})
}

// stepNamed clears the marks of what was named.
func (k *keeper) stepNamed(ctx context.Context, _ time.Time) (bool, error) {
	return k.eachGroup(ctx, &k.news.named, k.Store.Named)
}

// eachGroup calls fn for a page of a list; what fails stays in the list.
func (k *keeper) eachGroup(ctx context.Context, list *[]item, fn func(context.Context, signet.Group, []signet.Address) error) (bool, error) {
	if len(*list) == 0 {
		return false, nil
	}
	n := min(pageRows, len(*list))
	for g, as := range byGroup((*list)[:n]) {
		if err := fn(ctx, g, as); err != nil {
			return false, err
		}
	}
	take(list, n)
	return true, nil
}

func byGroup(items []item) map[signet.Group][]signet.Address {
	out := map[signet.Group][]signet.Address{}
	for _, i := range items {
		out[i.group] = append(out[i.group], i.address)
	}
	return out
}

// delete deletes copies, and takes back what was to be said of them.
func (k *keeper) delete(ctx context.Context, g signet.Group, as []signet.Address) error {
	for _, a := range as {
		k.unclaim(item{g, a})
	}
	return k.Store.Delete(ctx, g, as)
}
