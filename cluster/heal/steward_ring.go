package heal

import (
	"context"
	"slices"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cluster/ring"
)

// maxMove is how many arcs one command moves. A command may touch signet.MaxRows rows.
const maxMove = 2048

// ringState is what the log says of hosts and ring.
type ringState struct {
	hosts   []meta.Host
	copies  int
	version signet.Index
	table   ring.Table
}

// lookAtRing gives arcs to the hosts that are there, if these have changed.
func (t *term) lookAtRing(ctx context.Context, now time.Time) error {
	if t.ringAt.IsZero() || now.Before(t.ringAt) {
		return nil
	}
	t.ringAt = now.Add(ringEvery)
	if err := t.setRing(ctx, now); err != nil {
		t.hostsMoved() // once more, soon
		return signet.Wrap("change ring", "", err)
	}
	return nil
}

// setRing computes the ring and proposes what differs.
func (t *term) setRing(ctx context.Context, now time.Time) error {
	state, err := t.readRing()
	if err != nil || len(state.hosts) == 0 {
		return err
	}
	hosts := t.storing(state, now)
	if len(hosts) == 0 {
		return nil // better those who are down than nobody
	}
	next, err := ring.Compute(hosts, state.copies, len(state.table.Arcs), state.table)
	if err != nil {
		return err
	}
	changed := ring.Changed(state.table, next)
	if len(changed) == 0 {
		return nil
	}
	t.Logger.Info("ring changes", "hosts", len(hosts), "arcs", len(changed), "moves", ring.Moves(state.table, next))
	base := state.version
	for len(changed) > 0 {
		c := &meta.SetRing{Base: base}
		for _, arc := range take(&changed, maxMove) {
			c.Arcs = append(c.Arcs, meta.ArcOwners{Arc: arc, Owners: next.Owners(arc)})
		}
		a, err := propose(ctx, t.Log, signet.ClusterGroup, c)
		if err != nil {
			return err
		}
		base = a.Result.Index
	}
	return nil
}

func (t *term) readRing() (ringState, error) {
	var s ringState
	err := t.Log.Read(t.Groups[0], func(r *meta.Reader) error {
		cluster, err := r.Cluster()
		if signet.KindOf(err) == signet.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		s.version, s.copies = cluster.Ring, int(cluster.Copies)
		// The volume's own policy, which can be changed, comes before what Init said.
		p, err := r.Policy(signet.RootIno)
		switch {
		case err == nil && p.Copies > 0:
			s.copies = int(p.Copies)
		case err != nil && signet.KindOf(err) != signet.NotFound:
			return err
		}
		if s.hosts, err = r.Hosts(); err != nil {
			return err
		}
		return r.Arcs(func(a meta.Arc) bool {
			s.table.Arcs = append(s.table.Arcs, a.Owners)
			return true
		})
	})
	return s, err
}

// storing returns the hosts that are to own arcs: those that are up, and those that are
// down for so short a time that they may come back with what they have.
func (t *term) storing(s ringState, now time.Time) []ring.Host {
	owning := map[signet.HostID]bool{}
	for _, share := range s.table.Shares() {
		owning[share.Host] = true
	}
	var hosts []ring.Host
	for _, h := range s.hosts {
		if h.State != meta.HostDown {
			delete(t.down, h.ID)
		}
		if h.Roles&meta.RoleStore == 0 || h.Weight == 0 {
			continue
		}
		switch h.State {
		case meta.HostUp:
		case meta.HostDown:
			since, seen := t.down[h.ID]
			if !seen {
				since = now
				t.down[h.ID] = now
			}
			left := t.Grace - now.Sub(since)
			if !owning[h.ID] || left <= 0 {
				continue
			}
			if due := now.Add(left); due.Before(t.ringAt) {
				t.ringAt = due
			}
		default:
			continue
		}
		hosts = append(hosts, ring.Host{ID: h.ID, Weight: uint64(h.Weight), Zone: h.Zone})
	}
	return hosts
}

// forget takes the copies of removed hosts off the objects' rows, which they cannot do
// themselves any more.
func (t *term) forget(ctx context.Context, _ time.Time) error {
	gone := map[signet.HostID]bool{}
	err := t.Log.Read(signet.ClusterGroup, func(r *meta.Reader) error {
		hosts, err := r.Hosts()
		for _, h := range hosts {
			if h.State == meta.HostRemoved && !t.forgot[h.ID] {
				gone[h.ID] = true
			}
		}
		return err
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	settled := true
	for _, g := range t.Groups {
		more, err := t.forgetIn(ctx, g, gone)
		if err != nil {
			return err
		}
		settled = settled && !more
	}
	if settled {
		for h := range gone {
			t.forgot[h] = true
		}
	}
	return nil
}

// forgetIn does this for one volume. It says whether there may be more later: a host
// that owned an arc can still be counted among its objects' hosts until the arc moves.
func (t *term) forgetIn(ctx context.Context, g signet.Group, gone map[signet.HostID]bool) (more bool, err error) {
	err = t.Log.Read(g, func(r *meta.Reader) error {
		return r.Arcs(func(a meta.Arc) bool {
			for _, h := range slices.Concat(a.Owners, a.Previous) {
				more = more || gone[h]
			}
			return !more
		})
	})
	if err != nil {
		return more, err
	}
	var after signet.Address
	for {
		n := 0
		had := map[signet.HostID][]signet.Address{}
		err := t.Log.Read(g, func(r *meta.Reader) error {
			return r.Short(after, func(o signet.Object) bool {
				n++
				after = o.Address
				for _, h := range o.Hosts {
					if gone[h] {
						had[h] = append(had[h], o.Address)
					}
				}
				return n < meta.MaxPlaced
			})
		})
		if err != nil {
			return more, err
		}
		for h, as := range had {
			if _, err := propose(ctx, t.Log, g, &meta.Placed{Host: h, Gone: true, Addresses: as}); err != nil {
				return more, err
			}
		}
		if n < meta.MaxPlaced {
			return more, nil
		}
	}
}
