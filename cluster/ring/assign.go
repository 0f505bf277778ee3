package ring

import "slices"

// assign fills open places along paths whose labels fit, each of them a cheapest one,
// until none is left (as Dinic does level by level). A node that leads nowhere is not
// tried again; a place is passed on at most once. It returns false if it filled none.
func (f *flow) assign() (some bool) {
	clear(f.dead)
	copy(f.next, f.heldAt)
	f.sortHosts()
	for i := range f.arcs {
		arc := f.arc(i)
		if !slices.Contains(f.owners(arc), none) {
			continue
		}
		for f.open(arc) > 0 && f.label[f.arcNode(arc)] == 0 {
			h := f.takeForArc(arc)
			if h == none {
				break
			}
			f.add(arc, h)
			some = true
		}
		if f.apart {
			continue
		}
		for z := range int32(f.width) {
			if f.inZone(arc, z) > 0 {
				continue
			}
			if h := f.takeForCell(f.zoneCell(arc, z)); h != none {
				f.add(arc, h)
				some = true
			}
		}
	}
	return some
}

// sortHosts puts the hosts that a cheapest path may lead over into buckets.
func (f *flow) sortHosts() {
	f.fits = make(map[zoneLabel]*bucket)
	f.near = make(map[int32]*bucket)
	for h := range f.ids {
		label := f.label[h]
		if label/move > f.cost {
			continue
		}
		at := zoneLabel{f.zone[h], label}
		b := f.fits[at]
		if b == nil {
			b = new(bucket)
			f.fits[at] = b
			if f.near[label] == nil {
				f.near[label] = new(bucket)
			}
			f.near[label].items = append(f.near[label].items, at.zone)
		}
		b.items = append(b.items, int32(h))
	}
}

// take takes a place of host h: one that it is short of, or one that another host
// takes over from it. It returns false if there is none, and never will be.
func (f *flow) take(h int32) bool {
	if f.short[h] > 0 && f.label[h]/move == f.cost {
		f.short[h]--
		return true
	}
	for f.next[h] < f.heldAt[h+1] {
		place := f.held[f.next[h]]
		f.next[h]++
		if f.owner[place] != h {
			continue
		}
		cell := f.cellNode(place, h)
		if f.label[cell] != f.label[h]+f.gain(int(place)/f.places, h) {
			continue
		}
		if other := f.takeForCell(cell); other != none {
			f.owner[place] = other
			return true
		}
	}
	return false
}

// takeForCell finds a host for a cell: one of its zone, or of another if the arc can
// spare one here. The caller gives the host its place.
func (f *flow) takeForCell(cell int32) int32 {
	if f.dead[cell] {
		return none
	}
	arc, z := f.splitCell(cell)
	label := f.label[cell]
	for _, h := range f.before(arc) {
		if f.zone[h] == z && f.label[h] == label+step && !f.has(arc, h) && f.take(h) {
			return h
		}
	}
	if h := f.takeFromZone(arc, z, label+move+step); h != none {
		return h
	}
	if f.spare(arc, z) && f.label[f.arcNode(arc)] == label+step {
		if h := f.takeForArc(arc); h != none {
			return h
		}
	}
	f.dead[cell] = true
	return none
}

// takeForArc finds a host of any zone that the arc may take one from.
func (f *flow) takeForArc(arc int) int32 {
	node := f.arcNode(arc)
	if f.dead[node] {
		return none
	}
	label := f.label[node]
	if f.apart {
		for _, h := range f.before(arc) {
			if f.label[h] == label+2*step && f.inZone(arc, f.zone[h]) == 0 && f.take(h) {
				return h
			}
		}
		if h := f.takeFromZones(arc, label+move+2*step); h != none {
			return h
		}
	} else {
		for z := range int32(f.width) {
			cell := f.zoneCell(arc, z)
			if f.label[cell] != label+step {
				continue
			}
			if h := f.takeForCell(cell); h != none {
				return h
			}
		}
	}
	f.dead[node] = true
	return none
}

// takeFromZone finds a new owner for arc in zone z among the hosts with this label.
func (f *flow) takeFromZone(arc int, z, label int32) int32 {
	b := f.fits[zoneLabel{z, label}]
	if b == nil {
		return none
	}
	for i := 0; i < len(b.items); {
		h := b.items[i]
		if f.has(arc, h) {
			i++
			continue
		}
		if f.take(h) {
			return h
		}
		b.drop(i)
	}
	return none
}

// takeFromZones finds a new owner for arc in a zone where it has none.
func (f *flow) takeFromZones(arc int, label int32) int32 {
	b := f.near[label]
	if b == nil {
		return none
	}
	for i := 0; i < len(b.items); {
		z := b.items[i]
		if f.inZone(arc, z) > 0 {
			i++
			continue
		}
		if h := f.takeFromZone(arc, z, label); h != none {
			return h
		}
		if len(f.fits[zoneLabel{z, label}].items) == 0 {
			b.drop(i)
		} else {
			i++
		}
	}
	return none
}

// drop takes the i-th item out.
func (b *bucket) drop(i int) {
	last := len(b.items) - 1
	b.items[i] = b.items[last]
	b.items = b.items[:last]
}
