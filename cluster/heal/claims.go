package heal

import (
	"context"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// claimTo says what sort of report a claim belongs to.
type claimTo struct {
	group signet.Group
	gone  bool
}

// claim has it reported that a copy is here, or is not. The last word counts.
func (k *keeper) claim(i item, gone bool) {
	k.unclaim(i)
	if !k.reporting() {
		k.claimAt = k.Clock.Now().Add(claimDelay)
	}
	to := claimTo{i.group, gone}
	if k.claims[to] == nil {
		k.claims[to] = map[item]struct{}{}
	}
	k.claims[to][i] = struct{}{}
	if len(k.claims[to]) >= meta.MaxPlaced {
		k.claimAt = time.Time{} // there is enough of it
	}
}

// unclaim takes back what was not reported yet.
func (k *keeper) unclaim(i item) {
	for _, gone := range []bool{false, true} {
		delete(k.claims[claimTo{i.group, gone}], i)
	}
}

// claimDone has it reported that this host has all of an arc.
func (k *keeper) claimDone(a meta.ArcVersion) {
	if !k.reporting() {
		k.claimAt = k.Clock.Now().Add(claimDelay)
	}
	if len(k.done) == 0 {
		k.doneAt = k.Clock.Now().Add(doneDelay)
	}
	k.done = append(k.done, a)
}

// reporting says whether there is anything to report.
func (k *keeper) reporting() bool {
	for _, c := range k.claims {
		if len(c) > 0 {
			return true
		}
	}
	return len(k.done) > 0
}

// stepReport reports what has waited long enough.
func (k *keeper) stepReport(ctx context.Context, now time.Time) (bool, error) {
	if !k.reporting() || now.Before(k.claimAt) || k.gathering(now) {
		return false, nil
	}
	return true, k.report(ctx)
}

// gathering says whether only arcs are to be reported and more of them are being looked
// through: thousands of a host that joins go into a few entries of the log.
func (k *keeper) gathering(now time.Time) bool {
	for _, c := range k.claims {
		if len(c) > 0 {
			return false
		}
	}
	more := k.rows != nil || k.arcs.len() > 0
	return more && len(k.done) > 0 && len(k.done) < meta.MaxArcsDone && now.Before(k.doneAt)
}

// report reports everything and waits for the answers: nothing is deleted while a claim
// of it may be on its way. Copies come before arcs, so that a row that names hosts names
// this one before the arc's previous owners are let go. What fails is found anew by a
// look through its arc.
func (k *keeper) report(ctx context.Context) error {
	var first error
	for to, claims := range k.claims {
		for len(claims) > 0 {
			c := &meta.Placed{Host: k.Self, Gone: to.gone}
			for i := range claims {
				if len(c.Addresses) == meta.MaxPlaced {
					break
				}
				c.Addresses = append(c.Addresses, i.address)
				delete(claims, i)
			}
			if _, err := propose(ctx, k.Log, to.group, c); err != nil {
				first = err
				for _, a := range c.Addresses {
					k.again(signet.ArcOf(a.ArcKey(), k.ring))
				}
			}
		}
	}
	done := k.done
	k.done = nil
	if first != nil {
		for _, d := range done {
			k.again(d.Arc)
		}
		return signet.Wrap("report copies", k.Self.String(), first)
	}
	return k.reportDone(ctx, done)
}

// again has an arc looked through once more, some time later.
func (k *keeper) again(arc signet.Arc) {
	if f := k.failing[arc]; f == nil || f.at.Before(k.Clock.Now()) {
		k.fails(arc)
	}
}

// reportDone reports arcs. Those that have moved again are passed over; of that we hear.
func (k *keeper) reportDone(ctx context.Context, done []meta.ArcVersion) error {
	for len(done) > 0 {
		some := take(&done, meta.MaxArcsDone)
		if _, err := propose(ctx, k.Log, signet.ClusterGroup, &meta.ArcsDone{Host: k.Self, Arcs: some}); err != nil {
			for _, a := range append(some, done...) {
				k.again(a.Arc)
			}
			return signet.Wrap("report arcs", k.Self.String(), err)
		}
	}
	return nil
}
