package replica

import (
	"context"
	"errors"
	"slices"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/digest"
)

// Get returns sealed bytes [off, off+n) of an object from the nearest host that has
// them. A part is not verified here, since the address covers the whole: the opening does
// that, and whoever cannot open a part asks for the whole object. That is verified against
// the address wherever it comes from, so one bad copy does not hide the good ones.
func (r *Replica) Get(ctx context.Context, g signet.Group, o signet.Object, off, n uint32) ([]byte, error) {
	var errs []error
	for _, h := range r.holders(o) {
		b, err := r.getFrom(ctx, h, g, o.Address, off, n)
		if err == nil && off == 0 && n >= o.Sealed && h != r.Self { // the own store has verified it
			err = digest.Verify(o.Address, b)
		}
		if err == nil {
			return b, nil
		}
		if ctx.Err() != nil {
			return nil, signet.Wrap("get object", o.Address.String(), ctx.Err())
		}
		if k := signet.KindOf(err); k == signet.NotFound || k == signet.Corrupt {
			r.Reports.Lacks(g, o.Address, h)
		}
		errs = append(errs, signet.Wrap("get from", h.String(), err))
	}
	return nil, signet.Errorf(signet.Unavailable, "get object", o.Address.String(), "no host has it within reach: %w", errors.Join(errs...))
}

// holders returns the hosts to ask, in this order: this one, those that are known to
// have it and are up, those that may have it, those that seem to be down.
func (r *Replica) holders(o signet.Object) []signet.HostID {
	w := r.Map.Where(o.Address)
	known := o.Hosts
	if len(known) == 0 {
		known = w.Owners
	}
	var out, down []signet.HostID
	add := func(list []signet.HostID) {
		for _, h := range list {
			switch {
			case slices.Contains(out, h) || slices.Contains(down, h):
			case h == r.Self:
				out = slices.Insert(out, 0, h)
			case r.Map.Up(h):
				out = append(out, h)
			default:
				down = append(down, h)
			}
		}
	}
	add(known)
	add(w.Owners)
	add(w.Previous)
	return append(out, down...)
}

func (r *Replica) getFrom(ctx context.Context, h signet.HostID, g signet.Group, a signet.Address, off, n uint32) ([]byte, error) {
	if h == r.Self {
		return r.Local.Get(ctx, g, a, off, n)
	}
	ctx, cancel := clock.WithTimeout(ctx, r.Clock, tryTimeout)
	defer cancel()
	return r.Peers.Get(ctx, h, g, a, off, n)
}
