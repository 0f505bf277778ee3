package meta

import (
	"slices"

	"github.com/signetfs/signet"
)

func (t *tx) cluster() (Cluster, bool) { return t.clusters.get(struct{}{}) }

// arc returns an arc; one that was never moved has no row.
func (t *tx) arc(a signet.Arc, cluster *Cluster) Arc {
	arc, ok := read(t, smallKey(0, tableArcs, a), codeArc)
	if !ok {
		return unmoved(a, cluster)
	}
	arc.Arc = a
	return arc
}

// unmoved is an arc as Init made it.
func unmoved(a signet.Arc, cluster *Cluster) Arc {
	first := []signet.HostID{cluster.First}
	return Arc{Arc: a, Owners: first, Done: first, Version: cluster.Made}
}

func (t *tx) putArc(a *Arc) { write(t, smallKey(0, tableArcs, a.Arc), codeArc, a) }

// maxMoved is how many arcs one SetRing may change.
const maxMoved = signet.MaxRows - 64

func (t *tx) setRing(c *SetRing) signet.Result {
	cluster, _ := t.cluster()
	switch {
	case c.Base != cluster.Ring:
		return refuse(signet.Stale)
	case len(c.Arcs) > maxMoved:
		return refuse(signet.TooBig)
	}
	moved := make([]Arc, 0, len(c.Arcs))
	usable := map[signet.HostID]bool{}
	for i := range c.Arcs {
		n := &c.Arcs[i]
		if uint32(n.Arc) >= cluster.Arcs || i > 0 && n.Arc <= c.Arcs[i-1].Arc ||
			len(n.Owners) == 0 || len(n.Owners) > signet.MaxReplicas || !t.areHosts(n.Owners, &cluster) {
			return refuse(signet.Invalid)
		}
		for _, h := range n.Owners {
			ok, asked := usable[h]
			if !asked {
				_, k := t.member(h)
				ok = k == signet.OK
				usable[h] = ok
			}
			if !ok {
				return refuse(signet.Invalid)
			}
		}
		old := t.arc(n.Arc, &cluster)
		arc, ok := turn(&old, n.Owners, t.index)
		if !ok {
			return refuse(signet.Busy)
		}
		moved = append(moved, arc)
	}
	for i := range moved {
		t.settle(&moved[i])
		t.step.Effects.Moved = append(t.step.Effects.Moved, moved[i])
		t.putArc(&moved[i])
	}
	cluster.Ring = t.index
	t.clusters.set(struct{}{}, cluster)
	return signet.Result{}
}

// turn gives an arc new owners. Those before stay as previous owners, also those of a
// move that was not finished: each of them may be the only one to have something. It
// is false if these would be too many.
func turn(old *Arc, owners []signet.HostID, version signet.Index) (Arc, bool) {
	a := Arc{Arc: old.Arc, Owners: slices.Clone(owners), Version: version}
	a.Previous = slices.Clone(old.Previous)
	for _, h := range old.Owners {
		if !slices.Contains(a.Previous, h) {
			a.Previous = append(a.Previous, h)
		}
	}
	for _, h := range owners {
		if slices.Contains(old.Done, h) {
			a.Done = append(a.Done, h)
		}
	}
	return a, len(a.Previous) <= maxHolders
}

// settle lets the previous owners go if all owners have everything.
func (t *tx) settle(a *Arc) {
	for _, h := range a.Owners {
		if !slices.Contains(a.Done, h) {
			return
		}
	}
	var free []signet.HostID
	for _, h := range a.Previous {
		if !slices.Contains(a.Owners, h) {
			free = append(free, h)
		}
	}
	a.Previous, a.Done = nil, slices.Clone(a.Owners)
	t.step.Effects.Settled = append(t.step.Effects.Settled, SettledArc{*a, free})
}

func (t *tx) arcDone(c *ArcDone) signet.Result {
	cluster, _ := t.cluster()
	if k := t.done(c.Arc, c.Host, c.Version, &cluster); k != signet.OK {
		return refuse(k)
	}
	return signet.Result{}
}

func (t *tx) arcsDone(c *ArcsDone) signet.Result {
	if len(c.Arcs) > MaxArcsDone {
		return refuse(signet.TooBig)
	}
	cluster, _ := t.cluster()
	for _, a := range c.Arcs {
		t.done(a.Arc, c.Host, a.Version, &cluster) // each for itself
	}
	return signet.Result{}
}

// done notes that a host has everything of an arc, and lets the previous owners go if
// it is the last.
func (t *tx) done(arc signet.Arc, h signet.HostID, version signet.Index, cluster *Cluster) signet.Kind {
	if uint32(arc) >= cluster.Arcs {
		return signet.Invalid
	}
	a := t.arc(arc, cluster)
	switch {
	case version != a.Version:
		return signet.Stale
	case !slices.Contains(a.Owners, h):
		return signet.Invalid
	case slices.Contains(a.Done, h):
		return signet.OK
	}
	a.Done = append(slices.Clone(a.Done), h)
	t.settle(&a)
	t.putArc(&a)
	return signet.OK
}
