package member

import (
	"slices"
	"sync/atomic"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/wire"
)

// Host is what other rooms need to know of a member.
type Host struct {
	ID     signet.HostID
	Key    signet.HostKey
	Name   string
	Addrs  []string
	Zone   string
	Weight uint64
	Up     bool // answers the leader
	Stores bool // may be given objects
	Votes  bool // may vote
	Mounts bool // may mount volumes, and so change them
	Sealed bool // can be given the volume's key: it has a key to seal it to
}

// Directory is the hosts of a cluster at one moment, replaced as a whole. Its methods
// may be called from any goroutine.
type Directory struct {
	now atomic.Pointer[directory]
}

type directory struct {
	byID  map[signet.HostID]*Host
	byKey map[signet.HostKey]*Host
	all   []*Host // by ID
	gone  map[signet.HostKey]bool
}

// NewDirectory returns the directory of the given hosts, removed ones left out.
func NewDirectory(hosts []Host) *Directory {
	d := &Directory{}
	d.Replace(hosts)
	return d
}

// Replace makes hosts the content; removed are the keys of former members. It returns the
// keys that are no longer in it: their connections must end.
func (d *Directory) Replace(hosts []Host, removed ...signet.HostKey) (gone []signet.HostKey) {
	next := &directory{byID: map[signet.HostID]*Host{}, byKey: map[signet.HostKey]*Host{}, gone: map[signet.HostKey]bool{}}
	for _, k := range removed {
		next.gone[k] = true
	}
	for i := range hosts {
		h := hosts[i]
		h.Addrs = slices.Clone(h.Addrs)
		next.byID[h.ID], next.byKey[h.Key] = &h, &h
		next.all = append(next.all, &h)
	}
	slices.SortFunc(next.all, func(a, b *Host) int { return int(int64(a.ID) - int64(b.ID)) })
	if old := d.now.Swap(next); old != nil {
		for k := range old.byKey {
			if next.byKey[k] == nil {
				gone = append(gone, k)
			}
		}
	}
	return gone
}

// Host returns a member, false if there is none of that number.
func (d *Directory) Host(id signet.HostID) (Host, bool) {
	if h := d.now.Load().byID[id]; h != nil {
		return *h, true
	}
	return Host{}, false
}

// ByKey returns the member with that key.
func (d *Directory) ByKey(k signet.HostKey) (Host, bool) {
	if h := d.now.Load().byKey[k]; h != nil {
		return *h, true
	}
	return Host{}, false
}

// All returns the members by number. The slice is the caller's, the address lists are
// shared and not to be changed.
func (d *Directory) All() []Host {
	all := d.now.Load().all
	out := make([]Host, len(all))
	for i, h := range all {
		out[i] = *h
	}
	return out
}

// Authorize says whether the holder of a key is a member: NotPermitted if not, Ended if
// it was one and has been removed.
func (d *Directory) Authorize(k signet.HostKey) error {
	now := d.now.Load()
	switch {
	case now.byKey[k] != nil:
		return nil
	case now.gone[k]:
		return signet.Errorf(signet.Ended, "admit", wire.Short(k), "this host was removed from the cluster")
	}
	return signet.Errorf(signet.NotPermitted, "admit", wire.Short(k), "not a host of this cluster")
}

// Peer returns where and how to reach a member.
func (d *Directory) Peer(id signet.HostID) (wire.Peer, error) {
	h := d.now.Load().byID[id]
	if h == nil {
		return wire.Peer{}, signet.Errorf(signet.NotFound, "find", id.String(), "no such host in this cluster")
	}
	return wire.Peer{Key: h.Key, Addrs: h.Addrs}, nil
}
