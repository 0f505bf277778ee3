package ring

import "slices"

// search labels every node with its distance from the nearest place that is open. It
// returns false if no host that is short can be reached; else cost becomes that of
// the cheapest path to one.
func (f *flow) search() bool {
	for i := range f.label {
		f.label[i], f.seen[i] = never, never
	}
	f.listHeld()
	f.reach.reset()
	f.searchFromOpen()
	var batch []int32
	for cost := 0; cost < len(f.queues); {
		if len(f.queues[cost]) == 0 {
			cost++
			continue
		}
		batch, f.queues[cost] = f.queues[cost], batch[:0]
		for _, node := range batch {
			if at := f.label[node]; int(at/move) == cost && at != f.seen[node] {
				f.seen[node] = at
				f.goOn(node, at)
			}
		}
		cost = max(0, cost-1) // one step back is as far as an old place given up leads
	}
	f.cost = never
	for h, n := range f.short {
		if n > 0 && f.label[h] < never {
			f.cost = min(f.cost, f.label[h]/move)
		}
	}
	return f.cost < never
}

// searchFromOpen labels the nodes that paths begin at.
func (f *flow) searchFromOpen() {
	for arc := range f.arcs {
		if !slices.Contains(f.owners(arc), none) {
			continue
		}
		if f.open(arc) > 0 {
			f.relax(f.arcNode(arc), 0)
		}
		if f.apart {
			continue
		}
		for z := range int32(f.width) {
			if f.inZone(arc, z) == 0 {
				f.relax(f.zoneCell(arc, z), 0)
			}
		}
	}
}

// listHeld lists the places of each host.
func (f *flow) listHeld() {
	clear(f.heldAt)
	for _, h := range f.owner {
		if h != none {
			f.heldAt[h+1]++
		}
	}
	for h := range f.ids {
		f.heldAt[h+1] += f.heldAt[h]
	}
	f.held = slices.Grow(f.held[:0], len(f.owner))[:f.heldAt[len(f.ids)]]
	copy(f.next, f.heldAt)
	for place, h := range f.owner {
		if h != none {
			f.held[f.next[h]] = int32(place)
			f.next[h]++
		}
	}
}

// goOn labels the nodes that follow a node with label at.
func (f *flow) goOn(node, at int32) {
	first := int32(len(f.ids))
	switch {
	case node < first:
		for _, place := range f.held[f.heldAt[node]:f.heldAt[node+1]] {
			f.relax(f.cellNode(place, node), at+f.gain(int(place)/f.places, node))
		}
	case node < first+int32(f.arcs):
		f.goOnFromArc(int(node-first), at)
	default:
		arc, z := f.splitCell(node)
		for _, h := range f.before(arc) {
			if f.zone[h] == z && !f.has(arc, h) {
				f.relax(h, at+step)
			}
		}
		f.relaxZone(arc, z, at+move+step)
		if f.spare(arc, z) {
			f.relax(f.arcNode(arc), at+step)
		}
	}
}

func (f *flow) goOnFromArc(arc int, at int32) {
	if !f.apart {
		for z := range int32(f.width) {
			f.relax(f.zoneCell(arc, z), at+step)
		}
		return
	}
	for _, h := range f.before(arc) {
		if f.inZone(arc, f.zone[h]) == 0 {
			f.relax(h, at+2*step)
		}
	}
	f.relaxZones(arc, at+move+2*step)
}

// reach remembers which hosts of a zone cannot be brought any nearer by a new owner's
// place: nearly every arc leads to nearly every host, and without it the search would
// look at each pair. Hosts that are not in rest have a label of at most their zone's;
// zones that are not in zones have nothing in rest and a label of at most nearest.
type reach struct {
	label   []int32
	rest    [][]int32
	zones   []int32
	nearest int32
}

func (r *reach) reset() {
	for z := range r.label {
		r.label[z] = never
	}
	r.nearest = never
}

// relaxZone labels the hosts of zone z that do not own arc.
func (f *flow) relaxZone(arc int, z, label int32) {
	r := &f.reach
	if label < r.label[z] {
		r.label[z] = label
		r.rest[z] = append(r.rest[z][:0], f.members[z]...)
	}
	rest := r.rest[z][:0]
	for _, h := range r.rest[z] {
		if label < f.label[h] && !f.has(arc, h) {
			f.relax(h, label)
		}
		if f.label[h] > r.label[z] {
			rest = append(rest, h)
		}
	}
	r.rest[z] = rest
}

// relaxZones labels the hosts of the zones in which arc has no owner.
func (f *flow) relaxZones(arc int, label int32) {
	r := &f.reach
	if label < r.nearest {
		r.nearest = label
		r.zones = r.zones[:0]
		for z := range int32(len(f.members)) {
			r.zones = append(r.zones, z)
		}
	}
	zones := r.zones[:0]
	for _, z := range r.zones {
		if f.inZone(arc, z) == 0 {
			f.relaxZone(arc, z, label)
		}
		if r.label[z] > r.nearest || len(r.rest[z]) > 0 {
			zones = append(zones, z)
		}
	}
	r.zones = zones
}
