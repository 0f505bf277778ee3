package cluster

import (
	"context"
	"slices"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
)

// Volume is a volume of the cluster as this host has it: what package fs needs of it,
// the names and the objects.
type Volume struct {
	node   *Node
	group  signet.Group
	cutoff consensus.Cutoff
}

// Volume returns the volume of a group. cutoff says what readers get while this host
// has no lease.
func (n *Node) Volume(g signet.Group, cutoff consensus.Cutoff) *Volume {
	return &Volume{n, g, cutoff}
}

// Ready returns once this host may answer from its own state; see consensus.Node.Ready.
func (v *Volume) Ready(ctx context.Context) error { return v.node.log.Ready(ctx, v.cutoff) }

// View opens a view of the volume as this host has it now. If the tables cannot be read
// every reading through the view says so.
func (v *Volume) View() signet.View { return v.node.log.View(v.group, v.cutoff) }

// Do proposes a command of the volume's tree.
func (v *Volume) Do(ctx context.Context, c signet.Command) (signet.Result, signet.Ticket, error) {
	a, t, err := v.node.log.Do(ctx, v.group, c)
	return a.Result, t, err
}

// NextIno returns an inode number that nobody else has.
func (v *Volume) NextIno(ctx context.Context) (signet.Ino, error) {
	return v.node.log.NextIno(ctx, v.group)
}

// Own says whether a session is this host's.
func (v *Volume) Own(s signet.SessionID) bool { return s == v.node.log.Session() }

// Session returns this host's session, 0 while it has none.
func (v *Volume) Session() signet.SessionID { return v.node.log.Session() }

// Writable returns nil, or why no change is possible now.
func (v *Volume) Writable(context.Context) error {
	if leader, _, _ := v.node.log.Lead(); leader == 0 {
		return signet.Errorf(signet.ReadOnly, "change", "", "no leader: fewer than half of the voters can be reached")
	}
	return nil
}

// Space is how large and how full a volume is, copies counted once.
type Space struct {
	Total, Used uint64 // bytes
	Fits        uint64 // bytes that could be written now: at most Total-Used
	Inodes      uint64
}

// Space tells from local state how large and how full the volume is. What the hosts offer
// is in the host table; what is used, in the volume's sums; what still fits is at most what
// this host's store has room for, as its share of it: objects that nobody needs any more
// take room until they are dropped, and a disk may have other things on it.
func (v *Volume) Space() (s Space, err error) {
	r := v.node.log.Reader(v.group)
	defer r.Close()
	sums, err := r.Counters()
	if err != nil {
		return s, err
	}
	c, err := r.Cluster()
	if err != nil {
		return s, err
	}
	hosts, err := r.Hosts()
	if err != nil {
		return s, err
	}
	var offers []uint64
	var own uint64
	for _, h := range hosts {
		if m := memberOf(h); m.Stores && m.Up {
			offers = append(offers, h.Capacity)
			if h.ID == v.node.self.host {
				own = h.Capacity
			}
		}
	}
	copies := uint64(min(int(c.Copies), max(len(offers), 1)))
	s.Total, s.Used, s.Inodes = usable(offers, copies), sums.ObjectBytes, sums.Inodes
	s.Fits = s.Total - min(s.Used, s.Total)
	if own > 0 {
		s.Fits = min(s.Fits, fits(v.node.store.Stat().Free, own, s.Total))
	}
	return s, nil
}

// fits is how much data there is room for when a host that offers own has room for so many
// bytes: a full volume of total bytes fills it, or puts a copy of everything there.
func fits(room, own, total uint64) uint64 {
	if own >= total {
		return room
	}
	return uint64(min(float64(room)*(float64(total)/float64(own)), 1<<62))
}

// usable is how much k copies of data fit on hosts that offer so much each, a copy to a
// host: no host can hold more than one copy of everything.
func usable(offers []uint64, copies uint64) uint64 {
	slices.Sort(offers)
	if copies == 0 || len(offers) == 0 {
		return 0
	}
	// A host larger than the average of what the rest must carry is only useful up to it.
	n := uint64(len(offers))
	var sum uint64
	for _, o := range offers {
		sum += o
	}
	for i := len(offers) - 1; i >= 0 && copies > 1 && n > 1; i-- {
		rest := sum - offers[i]
		if offers[i] <= rest/(copies-1) {
			break
		}
		sum, copies, n = rest, copies-1, n-1
	}
	return sum / copies
}

// Put makes a sealed object durable on enough hosts; see replica.Replica.
func (v *Volume) Put(ctx context.Context, a signet.Address, sealed []byte, release func()) (signet.Object, error) {
	return v.node.objects.Put(ctx, v.group, a, sealed, release)
}

// Get returns sealed bytes of an object; see replica.Replica.
func (v *Volume) Get(ctx context.Context, o signet.Object, off, n uint32) ([]byte, error) {
	return v.node.objects.Get(ctx, v.group, o, off, n)
}

// Subscribe has changed called with every batch of changes before this host acks it.
func (v *Volume) Subscribe(changed func(context.Context, signet.Batch)) (end func()) {
	return v.node.log.Subscribe(changed)
}
