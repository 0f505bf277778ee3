package meta

import (
	"slices"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
)

// Holders says who has an object, as far as the log knows: those of its row, or else
// the owners of its arc as they were when it was put. Nobody has a lost object.
func Holders(o *signet.Object, a *Arc) []signet.HostID {
	switch {
	case len(o.Hosts) == 1 && o.Hosts[0] == 0:
		return nil
	case len(o.Hosts) > 0:
		return o.Hosts
	case a.Moving() && o.Ring < a.Version:
		return a.Previous
	}
	return a.Owners
}

func (t *tx) object(a signet.Address) (object, bool) {
	o, ok := t.objects.get(objectID{t.group, a})
	o.Address = a
	return o, ok
}

func (t *tx) putObject(o *object) { t.objects.set(objectID{t.group, o.Address}, *o) }

// mayName checks every object that a Write's extents refer to, and that its rows for
// new ones are fenced: an object that may have been collected, or put where its arc
// no longer lies, is Stale.
func (t *tx) mayName(c *signet.Write) signet.Kind {
	if len(c.Extents) == 0 {
		if len(c.Objects) > 0 {
			return signet.Invalid
		}
		return signet.OK
	}
	named := make(map[signet.Address]*signet.Object, len(c.Objects))
	for i := range c.Objects {
		o := &c.Objects[i]
		if _, twice := named[o.Address]; twice || o.Address.IsZero() {
			return signet.Invalid
		}
		named[o.Address] = o
	}
	used := 0
	seen := make(map[signet.Address]uint32, len(named)) // object -> size
	for i := range c.Extents {
		e := &c.Extents[i]
		if e.Object.IsZero() {
			continue
		}
		size, ok := seen[e.Object]
		if !ok {
			var k signet.Kind
			if size, k = t.mayRefer(e.Object, named[e.Object]); k != signet.OK {
				return k
			}
			seen[e.Object] = size
			if named[e.Object] != nil {
				used++
			}
		}
		if uint64(e.ObjectOff)+uint64(e.Len) > uint64(size) {
			return signet.Invalid
		}
	}
	if used != len(named) {
		return signet.Invalid // a row that no extent refers to would never die
	}
	return signet.OK
}

// mayRefer checks one object, for which the command may have brought a row, and
// returns its size.
func (t *tx) mayRefer(a signet.Address, row *signet.Object) (uint32, signet.Kind) {
	o, known := t.object(a)
	switch {
	case known && o.Died != 0:
		return 0, signet.Stale // an address that died is never named again
	case known:
		return o.Size, signet.OK
	case row == nil:
		return 0, signet.Stale // collected since the sender saw it
	}
	cluster, _ := t.cluster()
	vol, _ := t.volumes.get(t.group)
	arc := t.arc(signet.ArcOf(a.ArcKey(), cluster.Arcs), &cluster)
	switch {
	case row.Size == 0 || row.Size > signet.MaxObject || row.Form != signet.FormReplicas:
		return 0, signet.Invalid
	case row.Put > t.index || row.Ring > t.index:
		return 0, signet.Invalid
	case row.Put < vol.Horizon || row.Ring < arc.Version:
		return 0, signet.Stale
	case !t.areHosts(row.Hosts, &cluster):
		return 0, signet.Invalid
	}
	return row.Size, signet.OK
}

// areHosts says whether the numbers are of hosts, each there once.
func (t *tx) areHosts(hosts []signet.HostID, cluster *Cluster) bool {
	for i, h := range hosts {
		if h == 0 || uint64(h) > cluster.Hosts || slices.Contains(hosts[:i], h) {
			return false
		}
	}
	return len(hosts) <= maxHolders
}

// name gives a new object its row. Of one that the log knows already nothing changes.
func (t *tx) name(row *signet.Object) {
	if _, known := t.object(row.Address); known {
		return
	}
	o := object{Object: *row}
	o.Refs = 0
	t.step.Effects.Named = append(t.step.Effects.Named, Named{t.group, o.Object})
	vol, _ := t.volumes.get(t.group)
	vol.Objects++
	vol.ObjectBytes += uint64(o.Sealed)
	t.volumes.set(t.group, vol)
	t.placeObject(&o, o.Hosts)
}

// placeObject puts an object with the hosts that have it, as shortly as can be said,
// and keeps the list of objects that are short up to date.
func (t *tx) placeObject(o *object, hosts []signet.HostID) {
	cluster, _ := t.cluster()
	arc := t.arc(signet.ArcOf(o.Address.ArcKey(), cluster.Arcs), &cluster)
	before, _ := t.object(o.Address)
	o.Hosts = slices.Clone(hosts)
	slices.Sort(o.Hosts)
	owners := slices.Clone(arc.Owners)
	slices.Sort(owners)
	if slices.Equal(o.Hosts, owners) {
		o.Hosts = nil
	}
	t.putObject(o)
	t.setShort(o.Address, len(before.Hosts) > 0, len(o.Hosts) > 0)
}

// setShort keeps the table of short objects.
func (t *tx) setShort(a signet.Address, was, is bool) {
	if was == is {
		return
	}
	vol, _ := t.volumes.get(t.group)
	key := addressKey(t.group, tableShort, a)
	if is {
		write(t, key, codeShort, &struct{}{})
		vol.Short++
	} else {
		t.del(key)
		vol.Short--
	}
	t.volumes.set(t.group, vol)
}

// refer counts bytes that extents refer to from here on.
func (t *tx) refer(a signet.Address, n uint64) {
	o, _ := t.object(a)
	o.Refs += n
	t.putObject(&o)
}

// account takes off what a change removed from a file: its bytes, and those that
// refer to objects. An object without any is dead from this index on.
func (t *tx) account(in *inode, r extent.Removed) {
	if r.Bytes == 0 {
		return
	}
	vol, _ := t.volumes.get(t.group)
	if in.Bytes < r.Bytes || vol.Bytes < r.Bytes {
		t.fail(signet.Errorf(signet.Corrupt, "apply", "", "inode %d: more bytes removed than it had", in.Ino))
		return
	}
	in.Bytes -= r.Bytes
	vol.Bytes -= r.Bytes
	t.volumes.set(t.group, vol)
	for _, ob := range r.Objects {
		o, ok := t.object(ob.Object)
		if !ok || o.Refs < ob.Bytes {
			t.fail(signet.Errorf(signet.Corrupt, "apply", "", "object %v: more bytes removed than it had", ob.Object))
			return
		}
		o.Refs -= ob.Bytes
		if o.Refs == 0 {
			t.bury(&o)
		}
		t.putObject(&o)
	}
}

// bury enters an object among the dead; the caller puts it.
func (t *tx) bury(o *object) {
	t.setShort(o.Address, len(o.Hosts) > 0, false)
	o.Died = t.index
	write(t, deadKey(t.group, o.Died, o.Address), codeDead, &DeadObject{Sealed: o.Sealed})
	vol, _ := t.volumes.get(t.group)
	vol.Objects--
	vol.ObjectBytes -= uint64(o.Sealed)
	vol.Dead++
	vol.DeadBytes += uint64(o.Sealed)
	t.volumes.set(t.group, vol)
}

func (t *tx) collect(c *Collect) signet.Result {
	if len(c.Addresses) > MaxPlaced {
		return refuse(signet.TooBig)
	}
	if c.Horizon > t.index {
		return refuse(signet.Invalid)
	}
	for _, a := range c.Addresses {
		o, ok := t.object(a)
		if !ok || o.Died == 0 || o.Died > c.Horizon {
			continue
		}
		t.del(deadKey(t.group, o.Died, a))
		t.objects.del(objectID{t.group, a})
		vol, _ := t.volumes.get(t.group)
		vol.Dead--
		vol.DeadBytes -= uint64(o.Sealed)
		t.volumes.set(t.group, vol)
		t.step.Effects.Collected = append(t.step.Effects.Collected, Named{t.group, signet.Object{Address: a}})
	}
	vol, _ := t.volumes.get(t.group)
	if c.Horizon > vol.Horizon {
		vol.Horizon = c.Horizon
		t.volumes.set(t.group, vol)
		t.step.Effects.Horizon = true
	}
	return signet.Result{}
}

func (t *tx) placed(c *Placed) signet.Result {
	cluster, _ := t.cluster()
	switch {
	case len(c.Addresses) > MaxPlaced:
		return refuse(signet.TooBig)
	case !t.areHosts([]signet.HostID{c.Host}, &cluster):
		return refuse(signet.NotFound)
	}
	for _, a := range c.Addresses {
		o, ok := t.object(a)
		if !ok || o.Died != 0 {
			continue
		}
		arc := t.arc(signet.ArcOf(a.ArcKey(), cluster.Arcs), &cluster)
		hosts := slices.Clone(Holders(&o.Object, &arc))
		at := slices.Index(hosts, c.Host)
		switch {
		case c.Gone && at >= 0:
			hosts = slices.Delete(hosts, at, at+1)
		case !c.Gone && at < 0 && len(hosts) < maxHolders:
			hosts = append(hosts, c.Host)
		case c.Gone || len(o.Hosts) == 0:
			continue // as it was said already
		}
		if len(hosts) == 0 {
			hosts = []signet.HostID{0} // lost, until somebody is found to have it
		}
		o.Ring = t.index
		t.placeObject(&o, hosts)
	}
	return signet.Result{}
}
