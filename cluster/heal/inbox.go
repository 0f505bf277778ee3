package heal

import (
	"slices"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// item is an object of which something was heard.
type item struct {
	group   signet.Group
	address signet.Address
}

// news is what was heard since it was last taken.
type news struct {
	named     []item // named with a copy here
	elsewhere []item // named without one, as far as the writer knew
	collected []item
	lacks     []item // this host's copy is missing or damaged
	placed    []item // this host has got a copy
	arcs      map[signet.Arc]struct{}
	settled   map[signet.Arc]struct{}
	all       bool // look at everything
	horizon   bool
	hosts     bool // some host's row changed
	self      bool // this host's row changed
}

// inbox collects events for the keeper. It is bounded: there are at most as many arcs
// as the ring has, and objects beyond maxEvents become their arc.
type inbox struct {
	self signet.HostID
	wake chan struct{}

	mu   sync.Mutex // guards what follows
	ring uint32     // arcs of the ring; 0: not known yet
	news news
}

func newInbox(self signet.HostID) *inbox {
	return &inbox{self: self, wake: make(chan struct{}, 1), news: noNews()}
}

func noNews() news {
	return news{arcs: map[signet.Arc]struct{}{}, settled: map[signet.Arc]struct{}{}}
}

// rouse wakes the keeper.
func (b *inbox) rouse() {
	select {
	case b.wake <- struct{}{}:
	default: // a call lies there already
	}
}

// take returns what was heard and begins anew.
func (b *inbox) take() news {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.news
	b.news = noNews()
	return n
}

// know tells the inbox how many arcs the ring has.
func (b *inbox) know(ring uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ring = ring
}

// note keeps an item, or its arc if there are too many. The caller holds b.mu.
func (b *inbox) note(list *[]item, i item) {
	n := &b.news
	if len(n.named)+len(n.elsewhere)+len(n.collected)+len(n.lacks)+len(n.placed) < maxEvents {
		*list = append(*list, i)
		return
	}
	if b.ring == 0 {
		n.all = true
		return
	}
	arc := signet.ArcOf(i.address.ArcKey(), b.ring)
	n.arcs[arc], n.settled[arc] = struct{}{}, struct{}{}
}

// applied takes the effects of a step.
func (b *inbox) applied(e *meta.Effects) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := &b.news
	for i := range e.Named {
		o := &e.Named[i]
		list := &n.named
		if len(o.Object.Hosts) > 0 && !slices.Contains(o.Object.Hosts, b.self) {
			list = &n.elsewhere // else the writer knows of a copy here, or all owners have it
		}
		b.note(list, item{o.Group, o.Object.Address})
	}
	for i := range e.Collected {
		b.note(&n.collected, item{e.Collected[i].Group, e.Collected[i].Object.Address})
	}
	for i := range e.Moved {
		n.arcs[e.Moved[i].Arc] = struct{}{}
	}
	for i := range e.Settled {
		n.settled[e.Settled[i].Arc.Arc] = struct{}{}
	}
	n.horizon = n.horizon || e.Horizon
	n.hosts = n.hosts || len(e.Hosts) > 0
	n.self = n.self || slices.Contains(e.Hosts, b.self)
}

// hear takes one event about an object.
func (b *inbox) hear(list func(*news) *[]item, i item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note(list(&b.news), i)
}

// everything asks for a look at everything.
func (b *inbox) everything() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.all = true
}
