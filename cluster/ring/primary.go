package ring

import (
	"slices"

	"github.com/signetfs/signet"
)

// primaries chooses one owner of each arc as its primary: each host for as many arcs
// as it owns divided by the number of places, to within one, whatever the assignment
// (choosing each owner for the same part of the arc would hit that exactly, so by
// the integrality of flows whole choices can). Who was primary stays it if it may.
type primaries struct {
	*problem
	at    []int32 // of an arc: which of its places is the primary's; none
	limit []int32 // arcs that a host may be primary of, in this round
	count []int32 // arcs that it is primary of
	held  [][]int32
	level []int32
	next  []int32 // of a host: first of held not tried yet
}

// choosePrimaries returns for each arc which of its places is the primary's.
func (p *problem) choosePrimaries(prev Table) []int32 {
	q := &primaries{problem: p, at: make([]int32, p.arcs)}
	n := len(p.ids)
	q.limit, q.count, q.level, q.next = make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	q.held = make([][]int32, n)
	for arc := range q.at {
		q.at[arc] = none
	}
	// First nobody may have more than its part rounded down: all of that is reached.
	// What remains then goes to hosts that it makes one more, never two.
	for h := range q.limit {
		q.limit[h] = p.share[h] / int32(p.places)
	}
	q.round(prev)
	for h := range q.limit {
		q.limit[h] = (p.share[h] + int32(p.places) - 1) / int32(p.places)
	}
	q.round(prev)
	return q.at
}

// round makes as many arcs have a primary as the limits allow.
func (q *primaries) round(prev Table) {
	// Arcs with new owners come last, so that it is there that primaries change: new
	// owners are to become primaries too.
	for _, changed := range []bool{false, true} {
		for i := range q.arcs {
			if arc := q.arc(i); q.at[arc] == none && q.changed(arc) == changed {
				q.keepPrimary(arc, prev)
			}
		}
	}
	for i := range q.arcs {
		arc := q.arc(i)
		if q.at[arc] != none {
			continue
		}
		best := none
		for s, h := range q.owners(arc) {
			if q.count[h] < q.limit[h] && (best == none || q.furtherBehind(h, q.owners(arc)[best])) {
				best = s
			}
		}
		if best != none {
			q.set(arc, best)
		}
	}
	for q.search() {
		q.assign()
	}
}

// changed says whether arc has an owner that it did not have before.
func (q *primaries) changed(arc int) bool {
	return slices.ContainsFunc(q.owners(arc), func(h int32) bool { return !slices.Contains(q.before(arc), h) })
}

// keepPrimary lets the primary of an arc stay if it is an owner and below its limit.
func (q *primaries) keepPrimary(arc int, prev Table) {
	before := prev.Owners(signet.Arc(arc))
	if len(before) == 0 {
		return
	}
	for s, h := range q.owners(arc) {
		if q.ids[h] == before[0] && q.count[h] < q.limit[h] {
			q.set(arc, s)
		}
	}
}

// furtherBehind says whether host a has a smaller part of its limit than b.
func (q *primaries) furtherBehind(a, b int32) bool {
	return int64(q.count[a])*int64(q.limit[b]) < int64(q.count[b])*int64(q.limit[a])
}

func (q *primaries) set(arc, s int) {
	q.at[arc] = int32(s)
	q.count[q.owners(arc)[s]]++
}

// search sets the level of each host: how many arcs must change their primary until
// an arc without one could have this host. It returns false if none below its limit
// can be reached.
func (q *primaries) search() bool {
	for h := range q.level {
		q.level[h] = never
		q.held[h] = q.held[h][:0]
	}
	var line []int32
	reach := func(arc int, level int32) {
		for _, h := range q.owners(arc) {
			if q.level[h] == never {
				q.level[h] = level
				line = append(line, h)
			}
		}
	}
	for arc, s := range q.at {
		if s == none {
			reach(arc, 0)
		} else {
			h := q.owners(arc)[s]
			q.held[h] = append(q.held[h], int32(arc))
		}
	}
	found := false
	for i := 0; i < len(line); i++ {
		h := line[i]
		found = found || q.count[h] < q.limit[h]
		for _, arc := range q.held[h] {
			reach(int(arc), q.level[h]+1)
		}
	}
	return found
}

// assign gives arcs a primary along the levels until none is left that could get one.
func (q *primaries) assign() {
	clear(q.next)
	for i := range q.arcs {
		arc := q.arc(i)
		if q.at[arc] == none {
			q.take(arc, 0)
		}
	}
}

// take finds a primary for arc among its owners of a level.
func (q *primaries) take(arc int, level int32) bool {
	for s, h := range q.owners(arc) {
		if q.level[h] == level && q.free(h) {
			q.at[arc] = int32(s)
			return true
		}
	}
	return false
}

// free makes room for h to be primary of one arc more, which it is then counted as.
func (q *primaries) free(h int32) bool {
	if q.count[h] < q.limit[h] {
		q.count[h]++
		return true
	}
	for int(q.next[h]) < len(q.held[h]) {
		arc := int(q.held[h][q.next[h]])
		q.next[h]++
		if q.owners(arc)[q.at[arc]] == h && q.take(arc, q.level[h]+1) {
			return true
		}
	}
	return false
}

// table writes the result down: the primary, then the other old owners in their
// order, then the new ones.
func (p *problem) table(prev Table) Table {
	at := p.choosePrimaries(prev)
	flat := make([]signet.HostID, 0, p.arcs*p.places)
	table := Table{Arcs: make([][]signet.HostID, p.arcs)}
	for arc := range p.arcs {
		first := len(flat)
		places := p.owners(arc)
		flat = append(flat, p.ids[places[at[arc]]])
		for _, h := range p.before(arc) {
			if slices.Contains(places, h) && !slices.Contains(flat[first:], p.ids[h]) {
				flat = append(flat, p.ids[h])
			}
		}
		for _, h := range places {
			if !slices.Contains(flat[first:], p.ids[h]) {
				flat = append(flat, p.ids[h])
			}
		}
		table.Arcs[arc] = flat[first:len(flat):len(flat)]
	}
	return table
}
