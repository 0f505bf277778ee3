package ring

import (
	"slices"

	"github.com/signetfs/signet"
)

// Host is what placement needs to know of a host.
type Host struct {
	ID     signet.HostID
	Weight uint64 // its part of the data, in any unit that all hosts share (bytes of capacity); 0: none
	Zone   string // failure domain; hosts that name none are in one zone together
}

// Table says who owns each arc. Whoever holds a Table must not change it.
type Table struct {
	Arcs [][]signet.HostID // by arc; the first owner is the primary
}

// Owners returns the owners of an arc, the primary first; nil if there is no such arc.
func (t Table) Owners(arc signet.Arc) []signet.HostID {
	if int64(arc) >= int64(len(t.Arcs)) {
		return nil
	}
	return t.Arcs[arc]
}

// Owns says whether host is an owner of arc.
func (t Table) Owns(arc signet.Arc, host signet.HostID) bool {
	return slices.Contains(t.Owners(arc), host)
}

// Keys returns the first and the last arc key that fall into an arc of a ring of
// arcs arcs.
func Keys(arc signet.Arc, arcs uint32) (first, last signet.ArcKey) {
	const keys = 1 << 16
	begin := func(a uint64) uint64 { return (a*keys + uint64(arcs) - 1) / uint64(arcs) }
	return signet.ArcKey(begin(uint64(arc))), signet.ArcKey(begin(uint64(arc)+1) - 1)
}

// Successor returns the next arc clockwise that has another primary than arc has, or
// arc itself if there is none.
func (t Table) Successor(arc signet.Arc) signet.Arc { return t.neighbour(arc, 1) }

// Predecessor returns the next arc counter-clockwise that has another primary than
// arc has, or arc itself if there is none.
func (t Table) Predecessor(arc signet.Arc) signet.Arc { return t.neighbour(arc, len(t.Arcs)-1) }

func (t Table) neighbour(arc signet.Arc, step int) signet.Arc {
	own := t.Owners(arc)
	if len(own) == 0 {
		return arc
	}
	for at := (int(arc) + step) % len(t.Arcs); at != int(arc); at = (at + step) % len(t.Arcs) {
		if other := t.Arcs[at]; len(other) > 0 && other[0] != own[0] {
			return signet.Arc(at)
		}
	}
	return arc
}

// Share is how much of the ring a host has.
type Share struct {
	Host    signet.HostID
	Owned   int // arcs it owns
	Primary int // of them, those whose primary it is
}

// Shares returns what each host has, in the order of host numbers. Hosts that own
// nothing do not appear.
func (t Table) Shares() []Share {
	at := make(map[signet.HostID]int)
	var shares []Share
	for _, owners := range t.Arcs {
		for i, h := range owners {
			n, ok := at[h]
			if !ok {
				n = len(shares)
				at[h] = n
				shares = append(shares, Share{Host: h})
			}
			shares[n].Owned++
			if i == 0 {
				shares[n].Primary++
			}
		}
	}
	slices.SortFunc(shares, func(a, b Share) int {
		if a.Host < b.Host {
			return -1
		}
		return 1
	})
	return shares
}

// Moves returns how many places got an owner who did not own the arc before: how
// many arcs' worth of data travel. A change of primary moves nothing.
func Moves(from, to Table) int {
	moves := 0
	for arc, owners := range to.Arcs {
		before := from.Owners(signet.Arc(arc))
		for _, h := range owners {
			if !slices.Contains(before, h) {
				moves++
			}
		}
	}
	return moves
}

// LeastMoves returns the least that any change between tables with the same shares
// could move: the sum over hosts of what their share grew.
func LeastMoves(from, to Table) int {
	before := make(map[signet.HostID]int)
	for _, s := range from.Shares() {
		before[s.Host] = s.Owned
	}
	least := 0
	for _, s := range to.Shares() {
		least += max(0, s.Owned-before[s.Host])
	}
	return least
}

// Changed returns the arcs whose list of owners differs, be it only in its order.
func Changed(from, to Table) []signet.Arc {
	var changed []signet.Arc
	for arc := range max(len(from.Arcs), len(to.Arcs)) {
		if !slices.Equal(from.Owners(signet.Arc(arc)), to.Owners(signet.Arc(arc))) {
			changed = append(changed, signet.Arc(arc))
		}
	}
	return changed
}
