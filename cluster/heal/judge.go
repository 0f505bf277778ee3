package heal

import (
	"slices"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// verdict is what is to be done about an object on this host.
type verdict uint8

const (
	fine    verdict = iota
	pullIt          // an owner lacks it
	lostIt          // the log counts on a copy that an owner lacks: say so, and pull
	claimIt         // a copy is here that the log should count and does not
	goneIt          // the log counts on a copy that is not here and need not be: say so
	surplus         // the copy is not needed; the log still counts it: say that it is gone, then drop
	dropIt          // the copy is not needed, and the log does not count it
)

// judge decides about a live object. has says whether a copy is here.
func judge(o *signet.Object, arc *meta.Arc, self signet.HostID, has bool) verdict {
	listed := slices.Contains(o.Hosts, self)
	if slices.Contains(arc.Owners, self) {
		switch {
		case has && len(o.Hosts) > 0 && !listed:
			return claimIt
		case has && arc.Owners[0] == self && sameHosts(o.Hosts, arc.Owners):
			return claimIt // the arc has moved to where the object is: it is short no more
		case has:
			return fine
		case listed || len(o.Hosts) == 0 && (!arc.Moving() || o.Ring >= arc.Version):
			return lostIt
		}
		return pullIt // those who own an arc that moved to them are not counted before ArcsDone
	}
	switch {
	case !has && listed:
		return goneIt
	case !has || arc.Moving():
		return fine
	case len(o.Hosts) == 0:
		return dropIt // every owner has it
	}
	for _, h := range arc.Owners {
		if slices.Contains(o.Hosts, h) {
			continue
		}
		if listed {
			return fine // it stands in for h
		}
		return claimIt
	}
	if listed {
		return surplus
	}
	return dropIt
}

// sameHosts says whether two lists without repetitions name the same hosts.
func sameHosts(a, b []signet.HostID) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(h signet.HostID) bool { return !slices.Contains(b, h) })
}

// entry is an object as the keeper looks at it.
type entry struct {
	item
	object  signet.Object
	arc     *meta.Arc
	row     rowState
	has     bool
	damaged bool // it is here, and not what it should be
}

// rowState is what the tables have of an object.
type rowState uint8

const (
	noRow rowState = iota
	deadRow
	liveRow
)

// glance is one reading of the tables for a page of entries.
type glance struct {
	ring    uint32
	arcs    map[signet.Arc]*meta.Arc
	horizon signet.Index
	removed map[signet.HostID]bool
	settled bool // this host counts as up, so it may part with what is surplus
}

// look reads what is not about single objects.
func (k *keeper) look(r *meta.Reader) (*glance, error) {
	g := &glance{ring: k.ring, arcs: map[signet.Arc]*meta.Arc{}, removed: map[signet.HostID]bool{}}
	c, err := r.Counters()
	if err != nil && signet.KindOf(err) != signet.NotFound {
		return nil, err
	}
	g.horizon = c.Horizon
	hosts, err := r.Hosts()
	for _, h := range hosts {
		g.removed[h.ID] = h.State == meta.HostRemoved
		if h.ID == k.Self {
			g.settled = h.State == meta.HostUp || h.State == meta.HostDraining
		}
	}
	return g, err
}

// arc returns an arc.
func (g *glance) arc(r *meta.Reader, a signet.Address) (*meta.Arc, error) {
	at := signet.ArcOf(a.ArcKey(), g.ring)
	if arc := g.arcs[at]; arc != nil {
		return arc, nil
	}
	arc, err := r.Arc(at)
	if err != nil {
		return nil, err
	}
	g.arcs[at] = &arc
	return &arc, nil
}

// read fills in an entry from the tables.
func (g *glance) read(r *meta.Reader, e *entry) error {
	o, err := r.Object(e.address)
	if signet.KindOf(err) == signet.NotFound {
		e.row = noRow
		return nil
	}
	if err != nil {
		return err
	}
	e.object, e.row = o, liveRow
	if o.Refs == 0 {
		e.row = deadRow // a live object has at least a byte that is referred to
	}
	e.arc, err = g.arc(r, e.address)
	return err
}

// sources lists the hosts from which an object can be pulled: those that have it, then
// those that may have it; of both, who seems to answer first.
func (k *keeper) sources(o *signet.Object, arc *meta.Arc, g *glance) []signet.HostID {
	var all []signet.HostID
	add := func(list []signet.HostID) {
		for _, h := range list {
			if h != 0 && h != k.Self && !g.removed[h] && !slices.Contains(all, h) {
				all = append(all, h)
			}
		}
	}
	add(meta.Holders(o, arc))
	if n := len(all); n > 1 {
		// They share the load: who is asked first differs by object.
		first := int(o.Address[signet.AddressSize-1]) % n
		all = append(slices.Clone(all[first:]), all[:first]...)
	}
	add(arc.Owners)
	add(arc.Previous)
	if k.Up != nil {
		slices.SortStableFunc(all, func(a, b signet.HostID) int {
			switch up, other := k.Up(a), k.Up(b); {
			case up == other:
				return 0
			case up:
				return -1
			}
			return 1
		})
	}
	return all
}
