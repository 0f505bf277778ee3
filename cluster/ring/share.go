package ring

import (
	"cmp"
	"slices"
)

// setShares decides how many places each host gets.
//
// Fair is: all in proportion to weight, but no host can have more places than there
// are arcs; where zones are kept apart no zone can either; where every arc must have
// an owner in every zone, no zone can have less. Whoever is at such a bound is taken
// out with exactly that, and the others divide the rest in proportion. All bounds
// are whole, so only the proportional parts need rounding.
func (p *problem) setShares() {
	p.share = make([]int32, len(p.ids))
	if p.apart {
		p.shareApart()
	} else {
		p.shareTogether()
	}
	p.short = slices.Clone(p.share)
}

// shareApart: a zone can have at most one place of each arc.
func (p *problem) shareApart() {
	zones := make([]part, len(p.members))
	var weight wide
	for z, members := range p.members {
		zones[z] = p.partOf(members)
		weight = weight.plus(zones[z].weight)
	}
	slices.SortStableFunc(zones, func(a, b part) int { return b.weight.compare(a.weight) })
	places := uint64(p.arcs) * uint64(p.places)
	for len(zones) > 0 && atLeast(zones[0].weight, places, weight, p.arcs) {
		p.divide(uint64(p.arcs), zones[:1])
		places -= uint64(p.arcs)
		weight = weight.minus(zones[0].weight)
		zones = zones[1:]
	}
	p.divide(places, zones)
}

// shareTogether: a zone must have at least one place of each arc, and a host can
// have at most one. Giving a zone its least takes from all others, so zones that
// were above their least may fall below it: repeat until none does.
func (p *problem) shareTogether() {
	free := make([]int, len(p.members))
	for z := range free {
		free[z] = z
	}
	places := uint64(p.arcs) * uint64(p.places)
	for {
		zones, left := p.fillUp(free, places)
		weight := sum(zones)
		below := func(i int) bool {
			whole := len(zones[i].hosts) == len(p.members[free[i]])
			return whole && !atLeast(zones[i].weight, left, weight, p.arcs)
		}
		var still []int
		for i, z := range free {
			if below(i) {
				p.divide(uint64(p.arcs), []part{p.partOf(p.members[z])})
				places -= uint64(p.arcs)
			} else {
				still = append(still, z)
			}
		}
		if len(still) == len(free) {
			p.divide(left, zones)
			return
		}
		free = still
	}
}

// fillUp gives a place of every arc to the hosts whose part of places would be that
// or more. It returns the others by zone, and the places that are left for them.
func (p *problem) fillUp(free []int, places uint64) ([]part, uint64) {
	var hosts []int32
	for _, z := range free {
		hosts = append(hosts, p.members[z]...)
	}
	weight := p.partOf(hosts).weight
	slices.SortStableFunc(hosts, func(a, b int32) int { return cmp.Compare(p.weight[b], p.weight[a]) })
	full := make(map[int32]bool)
	for _, h := range hosts {
		if !atLeast(wide{low: p.weight[h]}, places, weight, p.arcs) {
			break
		}
		full[h] = true
		p.share[h] = int32(p.arcs)
		places -= uint64(p.arcs)
		weight = weight.minus(wide{low: p.weight[h]})
	}
	zones := make([]part, len(free))
	for i, z := range free {
		zones[i] = p.partOf(slices.DeleteFunc(slices.Clone(p.members[z]), func(h int32) bool { return full[h] }))
	}
	return zones, places
}

// atLeast says whether of some places divided by weight those of part, out of whole,
// are at least one for each arc.
func atLeast(part wide, places uint64, whole wide, arcs int) bool {
	return part.times(places).compare(whole.times(uint64(arcs))) >= 0
}

// part is some hosts (of one zone, mostly), and the weight of them together.
type part struct {
	hosts  []int32
	weight wide
}

func (p *problem) partOf(hosts []int32) part {
	var weight wide
	for _, h := range hosts {
		weight = weight.plus(wide{low: p.weight[h]})
	}
	return part{hosts, weight}
}

func sum(parts []part) wide {
	var weight wide
	for _, p := range parts {
		weight = weight.plus(p.weight)
	}
	return weight
}

// claim is a quota that is to be rounded: whole places, and a remainder that may be
// worth one more.
type claim struct {
	at        int    // whose it is
	whole     uint64 // places
	remainder wide   // of a divisor that competing claims share; with 0 there is nothing to round
	keeps     bool   // one place more would be one that it has already, so nothing would move
}

// divide gives places to the hosts of some zones in proportion to weight: exactly to
// within one place for each zone and for each host. Of all ways to round that so,
// it takes one by which the sum of what shares grow is least.
func (p *problem) divide(places uint64, zones []part) {
	weight := sum(zones)
	if weight == (wide{}) {
		return
	}
	inner := make([][]claim, len(zones))
	outer := make([]claim, len(zones))
	for i, z := range zones {
		var below, keeps uint64
		for _, h := range z.hosts {
			c := claim{at: int(h)}
			c.whole, c.remainder = wide{low: p.weight[h]}.partOf(weight, places)
			c.keeps = c.remainder != (wide{}) && uint64(p.had[h]) > c.whole
			below += c.whole
			if c.keeps {
				keeps++
			}
			inner[i] = append(inner[i], c)
		}
		outer[i].at = i
		outer[i].whole, outer[i].remainder = z.weight.partOf(weight, places)
		outer[i].keeps = outer[i].remainder != (wide{}) && outer[i].whole-below < keeps
	}
	round(outer, places)
	for _, z := range outer {
		round(inner[z.at], z.whole)
		for _, c := range inner[z.at] {
			p.share[c.at] = int32(c.whole)
		}
	}
}

// round raises claims by one until they sum to total: first those that keep a place,
// then those with the largest remainder.
func round(claims []claim, total uint64) {
	for _, c := range claims {
		total -= c.whole
	}
	slices.SortFunc(claims, func(a, b claim) int {
		switch {
		case a.keeps && !b.keeps:
			return -1
		case b.keeps && !a.keeps:
			return 1
		}
		return cmp.Or(b.remainder.compare(a.remainder), cmp.Compare(a.at, b.at))
	})
	for i := range total {
		claims[i].whole++
	}
}
