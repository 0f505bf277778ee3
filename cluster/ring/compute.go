package ring

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/signetfs/signet"
)

// MaxHosts is how many hosts a ring can have.
const MaxHosts = 1 << 16

// none is no host.
const none = -1

// problem is one call of Compute. Hosts and zones are numbered: hosts that may own
// something in the order of their ids, zones in the order of their names.
type problem struct {
	arcs    int
	places  int // owners of each arc
	ids     []signet.HostID
	weight  []uint64
	zone    []int32   // of a host
	members [][]int32 // hosts of a zone

	// apart: there are zones enough that no arc needs two owners in one. Otherwise
	// every arc has at least one owner in each zone.
	apart bool

	old   []int32 // owners before, as far as they may own something still, arc by arc
	oldAt []int32 // where the old owners of an arc begin; one more than arcs
	had   []int32 // old places of a host
	share []int32 // new places of a host
	short []int32 // new places of a host that are not assigned yet
	owner []int32 // arcs * places: the result; none where a place is not assigned yet

	start, step int // the order in which arcs are gone through
}

// Compute returns the table for these hosts: see the package comment. prev is the
// table before, empty for a new ring. It fails with Invalid if an argument makes no
// sense; then nothing is owned by anybody.
func Compute(hosts []Host, copies, arcs int, prev Table) (Table, error) {
	if err := check(hosts, copies, arcs, prev); err != nil {
		return Table{}, err
	}
	p := newProblem(hosts, copies, arcs)
	if p.places == 0 {
		return Table{Arcs: make([][]signet.HostID, arcs)}, nil
	}
	p.recall(prev)
	p.setShares()
	p.keep()
	if err := p.complete(); err != nil {
		return Table{}, err
	}
	p.stir()
	return p.table(prev), nil
}

func check(hosts []Host, copies, arcs int, prev Table) error {
	invalid := func(format string, args ...any) error {
		return signet.Errorf(signet.Invalid, "compute ring", "", format, args...)
	}
	switch {
	case copies < 1 || copies > signet.MaxReplicas:
		return invalid("%d copies; want 1 to %d", copies, signet.MaxReplicas)
	case arcs < 1 || arcs > signet.MaxArcs:
		return invalid("%d arcs; want 1 to %d", arcs, signet.MaxArcs)
	case len(hosts) > MaxHosts:
		return invalid("%d hosts; want at most %d", len(hosts), MaxHosts)
	case len(prev.Arcs) != 0 && len(prev.Arcs) != arcs:
		return invalid("%d arcs, but %d before", arcs, len(prev.Arcs))
	}
	seen := make(map[signet.HostID]bool, len(hosts))
	for _, h := range hosts {
		if h.ID == 0 || seen[h.ID] {
			return signet.Errorf(signet.Invalid, "compute ring", h.ID.String(), "no host has this number, or two have")
		}
		seen[h.ID] = true
	}
	for arc, owners := range prev.Arcs {
		if len(owners) > signet.MaxReplicas {
			return signet.Errorf(signet.Invalid, "compute ring", "arc "+strconv.Itoa(arc), "%d owners before; want at most %d", len(owners), signet.MaxReplicas)
		}
	}
	return nil
}

func newProblem(hosts []Host, copies, arcs int) *problem {
	var able []Host
	for _, h := range hosts {
		if h.Weight > 0 {
			able = append(able, h)
		}
	}
	slices.SortFunc(able, func(a, b Host) int { return cmp.Compare(a.ID, b.ID) })
	var names []string
	for _, h := range able {
		names = append(names, h.Zone)
	}
	slices.Sort(names)
	names = slices.Compact(names)

	p := &problem{arcs: arcs, places: min(copies, len(able)), members: make([][]int32, len(names))}
	seed := uint64(arcs)
	for i, h := range able {
		z, _ := slices.BinarySearch(names, h.Zone)
		p.ids = append(p.ids, h.ID)
		p.weight = append(p.weight, h.Weight)
		p.zone = append(p.zone, int32(z))
		p.members[z] = append(p.members[z], int32(i))
		seed = mix(seed ^ mix(uint64(h.ID)) ^ h.Weight)
	}
	p.apart = len(names) >= p.places
	// Changes begin at another arc each time, so that hosts that joined one after
	// the other do not all own the same few arcs.
	p.start = int(seed % uint64(arcs))
	p.step = max(1, arcs*5/8)
	for gcd(p.step, arcs) != 1 {
		p.step++
	}
	return p
}

// recall notes the owners before, without those who are gone, drained or named twice.
func (p *problem) recall(prev Table) {
	p.had = make([]int32, len(p.ids))
	p.oldAt = make([]int32, 1, p.arcs+1)
	for arc := range p.arcs {
		first := len(p.old)
		for _, id := range prev.Owners(signet.Arc(arc)) {
			h, ok := slices.BinarySearch(p.ids, id)
			if ok && !slices.Contains(p.old[first:], int32(h)) {
				p.old = append(p.old, int32(h))
				p.had[h]++
			}
		}
		p.oldAt = append(p.oldAt, int32(len(p.old)))
	}
}

// arc returns the i-th arc of the order in which arcs are gone through.
func (p *problem) arc(i int) int { return (p.start + i*p.step) % p.arcs }

// before returns the old owners of an arc.
func (p *problem) before(arc int) []int32 { return p.old[p.oldAt[arc]:p.oldAt[arc+1]] }

// owners returns the places of an arc.
func (p *problem) owners(arc int) []int32 { return p.owner[arc*p.places : (arc+1)*p.places] }

// has says whether h owns arc.
func (p *problem) has(arc int, h int32) bool { return slices.Contains(p.owners(arc), h) }

// add gives h a place of arc that is not assigned.
func (p *problem) add(arc int, h int32) {
	places := p.owners(arc)
	places[slices.Index(places, none)] = h
}

// inZone returns how many owners of arc lie in zone z.
func (p *problem) inZone(arc int, z int32) int {
	n := 0
	for _, h := range p.owners(arc) {
		if h != none && p.zone[h] == z {
			n++
		}
	}
	return n
}

// open returns how many places of arc are not assigned, not counting those that must
// go to a zone in which the arc has no owner yet.
func (p *problem) open(arc int) int {
	n, zones := 0, 0
	places := p.owners(arc)
	for i, h := range places {
		if h == none {
			n++
		} else if !p.apart && !p.zoneAmong(places[:i], p.zone[h]) {
			zones++
		}
	}
	if p.apart {
		return n
	}
	return n - (len(p.members) - zones)
}

// zoneAmong says whether one of the places is in zone z.
func (p *problem) zoneAmong(places []int32, z int32) bool {
	return slices.ContainsFunc(places, func(h int32) bool { return h != none && p.zone[h] == z })
}

// mix is a fixed permutation of the 64-bit numbers that looks like chance (the
// finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
