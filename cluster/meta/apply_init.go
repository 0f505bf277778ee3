package meta

import (
	"math/bits"

	"github.com/signetfs/signet"
)

// firstHost is the number of the host that makes a cluster.
const firstHost signet.HostID = 1

func (t *tx) init(c *Init) signet.Result {
	if _, ok := t.cluster(); ok {
		return refuse(signet.Exists)
	}
	if bits.OnesCount32(c.Arcs) != 1 || c.Arcs > signet.MaxArcs || c.Copies == 0 || c.Copies > signet.MaxReplicas ||
		len(c.Name) > maxHostText || len(c.Slots) > maxSlots || c.Cluster == [16]byte{} {
		return refuse(signet.Invalid)
	}
	if k := checkHost(&c.Host); k != signet.OK {
		return refuse(k)
	}
	for i := range c.Slots {
		if k := checkSlot(&c.Slots[i]); k != signet.OK {
			return refuse(k)
		}
		if c.Slots[i].Host > firstHost {
			return refuse(signet.Invalid)
		}
	}
	cluster := Cluster{
		ID: c.Cluster, Name: c.Name, Arcs: c.Arcs, Copies: c.Copies, First: firstHost,
		Made: t.index, Ring: t.index, Created: c.Time,
	}
	t.extra = uint64(t.admitHost(&c.Host, HostUp, &cluster))

	t.group = signet.DefaultVolume
	defer func() { t.group = signet.ClusterGroup }()
	root := inode{Attr: signet.Attr{
		Ino: signet.RootIno, Mode: signet.ModeDir | c.Mode&modeBits, Nlink: 2, UID: c.UID, GID: c.GID,
		Atime: c.Time, Mtime: c.Time, Ctime: c.Time, Btime: c.Time,
	}, Parent: signet.RootIno, Flags: flagPolicy}
	t.volumes.set(t.group, counters{Counters: Counters{Inodes: 1, NextIno: signet.RootIno + 1}})
	t.putInode(&root)
	write(t, numKey(t.group, tablePolicies, signet.RootIno), codePolicy,
		&Policy{Copies: c.Copies, Layout: LayoutSpread})
	for i := range c.Slots {
		t.putSlot(&c.Slots[i])
	}
	write(t, smallKey(0, tableFeatures, FeatureBase), codeFeature, &Feature{Since: t.index})
	t.changed(signet.RootIno, signet.ChangedAttr)
	return signet.Result{Attr: root.Attr}
}
