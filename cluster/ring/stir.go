package ring

import "slices"

// stirs is how often each place is tried to be exchanged.
const stirs = 4

// stir exchanges owners between arcs at what looks like random, as long as it costs
// no move and breaks no rule. What fill assigns is regular: the same hosts would meet
// in arc after arc, so few hosts could help to repair another, and when one leaves
// the places that it leaves could lie where those who are to grow are already.
func (p *problem) stir() {
	var fresh []int32 // places with a new owner
	for place, h := range p.owner {
		if !slices.Contains(p.before(place/p.places), h) {
			fresh = append(fresh, int32(place))
		}
	}
	chance := mix(uint64(p.start))
	for range stirs {
		for _, place := range fresh {
			chance = mix(chance)
			p.exchange(place, fresh[chance%uint64(len(fresh))])
		}
	}
}

// exchange gives the owner of place one to place two and the reverse, if both arcs
// stay right and both hosts new there.
func (p *problem) exchange(one, two int32) {
	a, b := int(one)/p.places, int(two)/p.places
	h, g := p.owner[one], p.owner[two]
	if p.has(a, g) || p.has(b, h) || slices.Contains(p.before(a), g) || slices.Contains(p.before(b), h) {
		return
	}
	if y, z := p.zone[h], p.zone[g]; y != z {
		if p.apart && (p.inZone(a, z) > 0 || p.inZone(b, y) > 0) {
			return
		}
		if !p.apart && (p.inZone(a, y) == 1 || p.inZone(b, z) == 1) {
			return
		}
	}
	p.owner[one], p.owner[two] = g, h
}
