package ring

import (
	"math"

	"github.com/signetfs/signet"
)

// What keep and fill leave open is repaired as in a minimum cost flow. A flow is an
// assignment of places; a new owner costs 1, one that was there before costs 0. From
// a place that is not assigned, a path leads over places that may pass from one host
// to another to a host that is short:
//
//	arc    an arc that may take a host from any zone its zones allow
//	cell   an arc that may take a host from one zone
//	host   that gives up one of its places, or is short of one
//
//	arc -> cell, host -> cell (of an arc that it owns), cell -> host,
//	cell -> arc (if the arc can do without an owner in that zone)
//
// As long as each path taken is a cheapest one, the assignment is the cheapest with
// as many places assigned (successive shortest paths; keep's start costs nothing).
// So the final one is the cheapest of all.
//
// Where zones are kept apart a cell is a place; where an arc has no owner in a zone,
// its cell can only be entered from the arc, and is skipped: arc -> host. Otherwise
// there are few zones, and a cell is a pair of arc and zone.

// Labels are distances: cost times move plus the number of steps. The steps make
// sure that going on by fitting labels never runs in a circle.
const (
	step  = 1
	move  = 1 << 20 // more than the steps of any path: at most 4 for each of MaxHosts
	never = math.MaxInt32
)

// flow searches for paths and assigns places along them.
type flow struct {
	*problem
	width  int     // cells of an arc
	label  []int32 // of hosts, then arcs, then cells
	seen   []int32 // label with which a node was last gone on from
	queues [][]int32
	held   []int32 // for each host the places it has: index into owner
	heldAt []int32
	reach  reach

	// While assigning along the labels:
	cost int32   // of the paths that are looked for
	next []int32 // of a host: first of held not tried yet
	dead []bool  // of a node: no path leads on from it
	fits map[zoneLabel]*bucket
	near map[int32]*bucket // zones with hosts of a label
}

// zoneLabel is a zone and the label of some of its hosts.
type zoneLabel struct{ zone, label int32 }

// bucket is hosts or zones that may be tried yet, in any order.
type bucket struct{ items []int32 }

// complete assigns every place that keep left open.
func (p *problem) complete() error {
	missing := 0
	for _, n := range p.short {
		missing += int(n)
	}
	if missing == 0 {
		return nil
	}
	f := &flow{problem: p, width: p.places}
	if !p.apart {
		f.width = len(p.members)
	}
	nodes := len(p.ids) + p.arcs*(1+f.width)
	f.label, f.seen, f.dead = make([]int32, nodes), make([]int32, nodes), make([]bool, nodes)
	f.heldAt, f.next = make([]int32, len(p.ids)+1), make([]int32, len(p.ids))
	f.reach = reach{label: make([]int32, len(p.members)), rest: make([][]int32, len(p.members))}
	filled := len(p.old) == 0
	if filled {
		p.fill()
	}
	for f.search() {
		if f.cost > 0 && !filled {
			p.fill()
			filled = true
			continue
		}
		if !f.assign() {
			break
		}
	}
	for _, n := range p.short {
		if n != 0 {
			// Cannot be: shares are chosen so that an assignment exists, and search finds
			// a path as long as one is missing (docs/ring.md). An error, not a loop, if
			// this is ever wrong.
			return signet.Errorf(signet.Other, "compute ring", "", "no assignment found for shares that have one")
		}
	}
	return nil
}

func (f *flow) arcNode(arc int) int32 { return int32(len(f.ids) + arc) }

// cellNode returns the cell of a place and its owner.
func (f *flow) cellNode(place int32, h int32) int32 {
	first := int32(len(f.ids) + f.arcs)
	if f.apart {
		return first + place
	}
	return f.zoneCell(int(place)/f.places, f.zone[h])
}

// zoneCell returns the cell of an arc and a zone, unless apart.
func (f *flow) zoneCell(arc int, z int32) int32 {
	return int32(len(f.ids)+f.arcs+arc*f.width) + z
}

// splitCell returns a cell's arc and zone.
func (f *flow) splitCell(cell int32) (arc int, z int32) {
	i := int(cell) - len(f.ids) - f.arcs
	if f.apart {
		return i / f.width, f.zone[f.owner[i]]
	}
	return i / f.width, int32(i % f.width)
}

// spare says whether arc can do without one of its owners in zone z.
func (f *flow) spare(arc int, z int32) bool { return f.apart || f.inZone(arc, z) > 1 }

// gain returns the cost and step of passing the place on that h has of arc.
func (f *flow) gain(arc int, h int32) int32 {
	for _, was := range f.before(arc) {
		if was == h {
			return step
		}
	}
	return step - move
}

// relax notes that a node can be reached at a distance of label.
func (f *flow) relax(node, label int32) {
	if label >= f.label[node] {
		return
	}
	f.label[node] = label
	cost := int(label / move)
	for len(f.queues) <= cost {
		f.queues = append(f.queues, nil)
	}
	f.queues[cost] = append(f.queues[cost], node)
}
