package ring

// fill assigns open places to hosts that are short, directly and evenly. It may only
// be called when no further old owner can stay, so that each place it assigns costs
// the one move that is unavoidable. It leaves a place open where no host fits.
//
// Hosts and zones take turns in proportion to what they are short of (the one that is
// furthest behind its pace goes next, chance decides between equals), so that a host
// shares arcs with many others, and repair after its loss draws on many disks.
func (p *problem) fill() {
	f := newFiller(p)
	for i := range p.arcs {
		arc := p.arc(i)
		if !p.apart {
			for z := range p.members {
				if p.inZone(arc, int32(z)) == 0 {
					f.fromZone(arc, int32(z))
				}
			}
		}
		for p.open(arc) > 0 && f.fromAny(arc) {
			continue
		}
	}
}

// filler is the state of fill.
type filler struct {
	*problem
	zones   queue   // with hosts that are short
	hosts   []queue // of each zone: its hosts that are short
	zonePut []runner
	hostPut []runner
}

// runner is how far a host or zone has come: it is to take total places.
type runner struct {
	total, taken uint64
	chance       uint64
}

// behind says whether a is further behind its pace than b: its next place, seen as a
// point halfway between two ticks of its own pace, comes earlier.
func (a *runner) behind(b *runner) bool {
	x, y := (2*a.taken+1)*b.total, (2*b.taken+1)*a.total
	if x != y {
		return x < y
	}
	return mix(a.chance^a.taken) < mix(b.chance^b.taken)
}

func newFiller(p *problem) *filler {
	f := &filler{problem: p}
	f.hostPut = make([]runner, len(p.ids))
	f.zonePut = make([]runner, len(p.members))
	f.hosts = make([]queue, len(p.members))
	f.zones.less = func(a, b int32) bool { return f.zonePut[a].behind(&f.zonePut[b]) }
	less := func(a, b int32) bool { return f.hostPut[a].behind(&f.hostPut[b]) }
	must := f.mustTake()
	for z, members := range p.members {
		f.hosts[z].less = less
		total := -must[z]
		for _, h := range members {
			if p.short[h] > 0 {
				f.hostPut[h] = runner{total: uint64(p.short[h]), chance: mix(uint64(p.ids[h]))}
				f.hosts[z].push(h)
				total += int64(p.short[h])
			}
		}
		f.zonePut[z] = runner{total: uint64(max(1, total)), chance: mix(^uint64(z))}
		if len(f.hosts[z].items) > 0 {
			f.zones.push(int32(z))
		}
	}
	return f
}

// mustTake returns for each zone how many arcs need an owner there for lack of one.
func (f *filler) mustTake() []int64 {
	must := make([]int64, len(f.members))
	if f.apart {
		return must
	}
	for z := range must {
		must[z] = int64(f.arcs)
	}
	for arc := range f.arcs {
		places := f.owners(arc)
		for i, h := range places {
			if h != none && !f.zoneAmong(places[:i], f.zone[h]) {
				must[f.zone[h]]--
			}
		}
	}
	return must
}

// fromZone gives an open place of arc to a host of zone z. It returns false if there
// is none that is short and not an owner already.
func (f *filler) fromZone(arc int, z int32) bool {
	q := &f.hosts[z]
	aside := make([]int32, 0, 16)
	found := false
	for len(q.items) > 0 && !found {
		h := q.pop()
		if f.short[h] == 0 {
			continue
		}
		if found = !f.has(arc, h); found {
			f.add(arc, h)
			f.short[h]--
			f.hostPut[h].taken++
		}
		if f.short[h] > 0 {
			aside = append(aside, h)
		}
	}
	for _, h := range aside {
		q.push(h)
	}
	return found
}

// fromAny gives an open place of arc to a host of any zone that may have it.
func (f *filler) fromAny(arc int) bool {
	aside := make([]int32, 0, 16)
	found := false
	for len(f.zones.items) > 0 && !found {
		z := f.zones.pop()
		if !f.apart || f.inZone(arc, z) == 0 {
			if found = f.fromZone(arc, z); found {
				f.zonePut[z].taken++
			}
		}
		if len(f.hosts[z].items) > 0 {
			aside = append(aside, z)
		}
	}
	for _, z := range aside {
		f.zones.push(z)
	}
	return found
}

// queue is a heap: pop returns the least.
type queue struct {
	items []int32
	less  func(a, b int32) bool
}

func (q *queue) push(x int32) {
	q.items = append(q.items, x)
	for i := len(q.items) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.less(q.items[i], q.items[up]) {
			return
		}
		q.items[i], q.items[up] = q.items[up], q.items[i]
		i = up
	}
}

func (q *queue) pop() int32 {
	least := q.items[0]
	last := len(q.items) - 1
	q.items[0] = q.items[last]
	q.items = q.items[:last]
	for i := 0; ; {
		next := i
		for down := 2*i + 1; down <= 2*i+2 && down < last; down++ {
			if q.less(q.items[down], q.items[next]) {
				next = down
			}
		}
		if next == i {
			return least
		}
		q.items[i], q.items[next] = q.items[next], q.items[i]
		i = next
	}
}
