package meta

import (
	"bytes"
	"encoding/binary"

	"github.com/signetfs/signet"
)

// Orphans lists the inodes without a name, from the first greater than after.
func (r *Reader) Orphans(after signet.Ino, fn func(Orphan) bool) error {
	p := prefix(r.group, tableOrphans)
	return listRows(r, numKey(r.group, tableOrphans, after+1), next(p), len(p), codeOrphan, func(rest []byte, o *Orphan) bool {
		o.Ino = number[signet.Ino](rest)
		return fn(*o)
	})
}

// Cuts lists the inodes with a pending cut, from the first greater than after. Orphans that
// are being freed are not among them.
func (r *Reader) Cuts(after signet.Ino, fn func(PendingCut) bool) error {
	p := prefix(r.group, tableCuts)
	return listRows(r, numKey(r.group, tableCuts, after+1), next(p), len(p), codeCut, func(rest []byte, c *PendingCut) bool {
		c.Ino = number[signet.Ino](rest)
		return fn(*c)
	})
}

// Dead lists dead objects in the order in which they died, those at or before upTo.
func (r *Reader) Dead(upTo signet.Index, fn func(DeadObject) bool) error {
	p := prefix(r.group, tableDead)
	end := next(numKey(r.group, tableDead, upTo))
	return listRows(r, p, end, len(p), codeDead, func(rest []byte, d *DeadObject) bool {
		d.Died = number[signet.Index](rest)
		copy(d.Address[:], rest[8:])
		return fn(*d)
	})
}

// ObjectsOfArc lists the live objects of an arc of one digest algorithm by address,
// from the first greater than after. Holders says who has one.
func (r *Reader) ObjectsOfArc(alg signet.DigestAlg, arc signet.Arc, after signet.Address, fn func(signet.Object) bool) error {
	cluster, err := r.Cluster()
	if err != nil {
		return err
	}
	p := prefix(r.group, tableObjects)
	from, to := arcRange(r.group, alg, arc, cluster.Arcs)
	if past := append(addressKey(r.group, tableObjects, after), 0); !after.IsZero() && bytes.Compare(past, from) > 0 {
		from = past
	}
	return listRows(r, from, to, len(p), codeObject, func(rest []byte, o *object) bool {
		copy(o.Address[:], rest)
		return o.Died != 0 || fn(o.Object)
	})
}

// Short lists the live objects whose hosts differ from their arc's owners, by address,
// from the first greater than after.
func (r *Reader) Short(after signet.Address, fn func(signet.Object) bool) error {
	p := prefix(r.group, tableShort)
	from := p
	if !after.IsZero() {
		from = append(addressKey(r.group, tableShort, after), 0)
	}
	var failed error
	err := listRows(r, from, next(p), len(p), codeShort, func(rest []byte, _ *struct{}) bool {
		o, err := r.Object(signet.Address(rest))
		if err != nil {
			failed = err
			return false
		}
		return fn(o)
	})
	if err == nil {
		err = failed
	}
	return err
}

// Counters returns the volume's sums.
func (r *Reader) Counters() (Counters, error) {
	c, err := fetch(r, metaKey(r.group, rowCounters), codeCounters)
	return c.Counters, err
}

// Policy returns what was set for the tree below ino, NotFound if nothing was.
func (r *Reader) Policy(ino signet.Ino) (Policy, error) {
	return fetch(r, numKey(r.group, tablePolicies, ino), codePolicy)
}

// Slots returns the volume's key slots by number.
func (r *Reader) Slots() ([]Slot, error) {
	var out []Slot
	p := prefix(r.group, tableSlots)
	err := listRows(r, p, next(p), len(p), codeSlot, func(rest []byte, s *Slot) bool {
		s.ID = binary.BigEndian.Uint32(rest)
		out = append(out, *s)
		return true
	})
	return out, err
}

// Cluster returns the cluster's row, NotFound before Init.
func (r *Reader) Cluster() (Cluster, error) {
	return fetch(r, metaKey(0, rowCluster), codeCluster)
}

// Hosts returns the host table by number, removed hosts too.
func (r *Reader) Hosts() ([]Host, error) {
	var out []Host
	p := prefix(0, tableHosts)
	err := listRows(r, p, next(p), len(p), codeHost, func(rest []byte, h *Host) bool {
		h.ID = number[signet.HostID](rest)
		out = append(out, *h)
		return true
	})
	return out, err
}

// Host returns a host's row.
func (r *Reader) Host(id signet.HostID) (Host, error) {
	h, err := fetch(r, numKey(0, tableHosts, id), codeHost)
	h.ID = id
	return h, err
}

// HostByKey returns the row of the host with that public key.
func (r *Reader) HostByKey(k signet.HostKey) (Host, error) {
	row, err := fetch(r, digestKey(tableKeys, k), codeKey)
	if err != nil {
		return Host{}, err
	}
	return r.Host(row.Host)
}

// Arc returns an arc.
func (r *Reader) Arc(a signet.Arc) (Arc, error) {
	arc, err := fetch(r, smallKey(0, tableArcs, a), codeArc)
	if err == nil {
		arc.Arc = a
		return arc, nil
	}
	if err != signet.NotFound {
		return arc, err
	}
	cluster, err := r.Cluster()
	if err == nil && uint32(a) >= cluster.Arcs {
		err = signet.NotFound
	}
	if err != nil {
		return Arc{}, err
	}
	return unmoved(a, &cluster), nil
}

// Arcs lists all arcs of the ring in their order.
func (r *Reader) Arcs(fn func(Arc) bool) error {
	cluster, err := r.Cluster()
	if err != nil {
		return err
	}
	p := prefix(0, tableArcs)
	at, going := signet.Arc(0), true
	upTo := func(end signet.Arc) { // the arcs without a row
		for ; at < end && going; at++ {
			going = fn(unmoved(at, &cluster))
		}
	}
	err = listRows(r, p, next(p), len(p), codeArc, func(rest []byte, a *Arc) bool {
		a.Arc = signet.Arc(binary.BigEndian.Uint32(rest))
		upTo(a.Arc)
		if going {
			going = fn(*a)
			at = a.Arc + 1
		}
		return going
	})
	if err == nil {
		upTo(signet.Arc(cluster.Arcs))
	}
	return err
}

// Sessions returns the sessions by id, those too that have ended and of which answers
// are left to forget.
func (r *Reader) Sessions() ([]Session, error) {
	var out []Session
	p := prefix(0, tableSessions)
	err := listRows(r, p, next(p), len(p), codeSession, func(rest []byte, s *Session) bool {
		s.ID = number[signet.SessionID](rest)
		out = append(out, *s)
		return true
	})
	return out, err
}

// Session returns a session that has not ended.
func (r *Reader) Session(id signet.SessionID) (Session, error) {
	s, err := fetch(r, numKey(0, tableSessions, id), codeSession)
	if err == nil && s.Ended {
		err = signet.NotFound
	}
	s.ID = id
	return s, err
}

// Tokens returns the join tokens in the order of their digests.
func (r *Reader) Tokens() ([]Token, error) {
	var out []Token
	p := prefix(0, tableTokens)
	err := listRows(r, p, next(p), len(p), codeToken, func(rest []byte, t *Token) bool {
		copy(t.Digest[:], rest)
		out = append(out, *t)
		return true
	})
	return out, err
}

// Features returns what is switched on.
func (r *Reader) Features() ([]Feature, error) {
	var out []Feature
	p := prefix(0, tableFeatures)
	err := listRows(r, p, next(p), len(p), codeFeature, func(rest []byte, f *Feature) bool {
		f.Feature = binary.BigEndian.Uint32(rest)
		out = append(out, *f)
		return true
	})
	return out, err
}

// Members returns the newest Entry.Members, nil if there was none.
func (r *Reader) Members() ([]byte, error) {
	row, err := fetch(r, metaKey(0, rowMembers), codeBlob)
	if err == signet.NotFound {
		return nil, nil
	}
	return row.Data, err
}
