package ring

import "slices"

// keep lets hosts stay where they are as far as zones and shares allow. Which of an
// arc's owners goes where one must is a matter of speed only: what flow.go does
// later is right for any choice. Good choices are to take from hosts that must lose
// most, and from as many arcs as possible, since a host that grows can take only one
// place of an arc.
func (p *problem) keep() {
	p.owner = make([]int32, p.arcs*p.places)
	for i := range p.owner {
		p.owner[i] = none
	}
	surplus := make([]int32, len(p.ids)) // places that a host must lose yet
	for h := range surplus {
		surplus[h] = p.had[h] - p.share[h]
	}
	for arc := range p.arcs {
		p.keepOld(arc, surplus)
	}
	p.drop(surplus)
	for _, h := range p.owner {
		if h != none {
			p.short[h]--
		}
	}
}

// keepOld lets the old owners of an arc stay as far as zones allow, those with the
// least surplus before others.
func (p *problem) keepOld(arc int, surplus []int32) {
	old := p.before(arc)
	if len(old) > 1 {
		old = slices.Clone(old)
		slices.SortStableFunc(old, func(a, b int32) int { return int(surplus[a] - surplus[b]) })
	}
	for _, h := range old {
		inZone := p.inZone(arc, p.zone[h])
		if p.apart && inZone > 0 || !p.apart && inZone > 0 && p.open(arc) == 0 || !slices.Contains(p.owners(arc), none) {
			surplus[h]--
			continue
		}
		p.add(arc, h)
	}
}

// drop takes places from hosts with a surplus until none has one: in the first round
// from arcs that have lost nothing yet, in the second from those that lost one.
func (p *problem) drop(surplus []int32) {
	var total int
	for _, n := range surplus {
		total += int(max(0, n))
	}
	for lost := 0; total > 0; lost++ {
		for i := 0; i < p.arcs && total > 0; i++ {
			places := p.owners(p.arc(i))
			most, at, free := int32(0), none, 0
			for s, h := range places {
				if h == none {
					free++
				} else if surplus[h] > 0 && surplus[h] >= most {
					most, at = surplus[h], s
				}
			}
			if at != none && free <= lost {
				surplus[places[at]]--
				places[at] = none
				total--
			}
		}
	}
}
