package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cluster/replica"
	"github.com/signetfs/signet/internal/clock"
)

// atlas is the ring and the hosts in memory, as of what this host has applied: small,
// and needed for every object. It implements replica.Map.
type atlas struct {
	self    signet.HostID
	members *member.Directory
	log     *consensus.Node
	clock   clock.Clock

	mu     sync.RWMutex // guards what follows
	arcs   []meta.Arc
	spares []signet.HostID // storing hosts by number
	up     map[signet.HostID]bool
	local  map[signet.HostID]time.Time // when this host last saw for itself that a host does not answer
	parted []signet.HostID             // removed, and voting until the log's members change
	out    bool                        // this host was removed, and votes no more
}

// load reads everything anew.
func (a *atlas) load(r *consensus.Reader) error {
	if err := a.loadHosts(r); err != nil {
		return err
	}
	c, err := r.Cluster()
	if signet.KindOf(err) == signet.NotFound {
		return nil // nothing applied yet
	}
	if err != nil {
		return err
	}
	arcs := make([]meta.Arc, 0, c.Arcs)
	if err := r.Arcs(func(arc meta.Arc) bool {
		arcs = append(arcs, arc)
		return true
	}); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arcs = arcs
	return nil
}

// loadHosts reads the host table anew. A removed host that votes stays in the directory
// until it does not: the change of voters may need its own vote.
func (a *atlas) loadHosts(r *consensus.Reader) error {
	rows, err := r.Hosts()
	if err != nil {
		return err
	}
	var hosts []member.Host
	var spares, parted []signet.HostID
	var removed []signet.HostKey
	out := false
	up := map[signet.HostID]bool{}
	for _, h := range rows {
		m := memberOf(h)
		if h.State == meta.HostRemoved {
			if a.log.Votes(h.ID) {
				hosts, parted = append(hosts, m), append(parted, h.ID)
				continue
			}
			removed = append(removed, h.Key)
			out = out || h.ID == a.self
			continue
		}
		hosts = append(hosts, m)
		up[h.ID] = m.Up
		if m.Stores && h.State != meta.HostDraining {
			spares = append(spares, h.ID)
		}
	}
	if len(hosts) == 0 {
		return nil // nothing applied yet: what the join told us stays
	}
	a.mu.Lock()
	a.spares, a.up, a.parted, a.out = spares, up, parted, out
	a.mu.Unlock()
	a.members.Replace(hosts, removed...)
	return nil
}

func memberOf(h meta.Host) member.Host {
	return member.Host{
		ID: h.ID, Key: h.Key, Name: h.Name, Addrs: h.Addrs, Zone: h.Zone, Weight: uint64(h.Weight),
		Up:     h.State == meta.HostUp || h.State == meta.HostDraining,
		Stores: h.Roles&meta.RoleStore != 0, Votes: h.Roles&meta.RoleVote != 0, Sealed: len(h.Seal) > 0,
		Mounts: h.Roles&meta.RoleMount != 0,
	}
}

// moved takes over arcs that a step changed.
func (a *atlas) moved(arcs []meta.Arc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, arc := range arcs {
		if int(arc.Arc) < len(a.arcs) {
			a.arcs[arc.Arc] = arc
		}
	}
}

// parting says whether a removed host has stopped voting since the hosts were loaded.
func (a *atlas) parting() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return slices.ContainsFunc(a.parted, func(h signet.HostID) bool { return !a.log.Votes(h) })
}

// removed says whether this host was removed, as far as it has applied the log.
func (a *atlas) removed() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.out
}

// empty says whether the ring is not known yet.
func (a *atlas) empty() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.arcs) == 0
}

// arc returns the arc of an address.
func (a *atlas) arc(addr signet.Address) meta.Arc {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if len(a.arcs) == 0 {
		return meta.Arc{}
	}
	return a.arcs[signet.ArcOf(addr.ArcKey(), uint32(len(a.arcs)))]
}

// Where implements replica.Map.
func (a *atlas) Where(addr signet.Address) replica.Where {
	arc := a.arc(addr)
	w := replica.Where{Owners: arc.Owners, Previous: arc.Previous, Version: arc.Version}
	a.mu.RLock()
	defer a.mu.RUnlock()
	// Who stands in first differs from arc to arc, so that the load is spread.
	n := len(a.spares)
	for i := range n {
		h := a.spares[(int(arc.Arc)+i)%n]
		if !slices.Contains(arc.Owners, h) {
			w.Spares = append(w.Spares, h)
		}
	}
	return w
}

// Up implements replica.Map.
func (a *atlas) Up(h signet.HostID) bool {
	if h == a.self {
		return true
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	at, doubted := a.local[h]
	return a.up[h] && !(doubted && a.clock.Now().Sub(at) < doubtFor)
}

// Counts implements replica.Map.
func (a *atlas) Counts(h signet.HostID) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.up[h]
}

// doubtFor is how long a host that did not answer this one is asked last. It may be a
// host that says nothing by itself that would tell it is back.
const doubtFor = 5 * time.Second

// doubt notes this host's own experience with another one.
func (a *atlas) doubt(h signet.HostID, down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if down {
		a.local[h] = a.clock.Now()
	} else {
		delete(a.local, h)
	}
}

// Applied implements replica.Map.
func (a *atlas) Applied() signet.Index { return a.log.State().Position().Index }

// Session implements replica.Map.
func (a *atlas) Session() signet.SessionID { return a.log.Session() }
