package heal

import (
	"context"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/internal/clock"
)

// pull is an object to be fetched. Workers only read it.
type pull struct {
	item
	sources []signet.HostID
	force   bool       // what is here is damaged
	scans   []*rowScan // who waits for it; the keeper's
}

// pulled is the end of a pull.
type pulled struct {
	*pull
	err  error
	lost bool // every host that may have it says that it has not
}

// want has an object pulled. One that nobody had a moment ago is let be unless a whole arc
// is looked through: hosts that ask each other for it tell each other that they lack it.
func (k *keeper) want(e *entry, look *glance, scan *rowScan) {
	p := k.wanted[e.item]
	if p == nil {
		if at, lost := k.nowhere[e.item]; lost && scan == nil && k.Clock.Now().Sub(at) < retryLast {
			return
		}
		p = &pull{item: e.item, sources: k.sources(&e.object, e.arc, look), force: e.damaged}
		k.wanted[e.item] = p
		k.queue = append(k.queue, p)
	}
	if scan != nil {
		p.scans = append(p.scans, scan)
		scan.left++
	}
}

// fetch gets an object from the first host that has it and keeps it. It runs in a worker.
func (h *Healer) fetch(ctx context.Context, p *pull) pulled {
	if !p.force {
		if has, err := h.Store.Has(ctx, p.group, []signet.Address{p.address}); err == nil && has[0] {
			return pulled{pull: p} // a put came, late
		}
	}
	var unsure error
	for _, from := range p.sources {
		sealed, err := h.fetchFrom(ctx, from, p)
		if err == nil {
			if err = h.Store.Put(ctx, p.group, p.address, sealed, store.Meta{Named: true}); err == nil {
				return pulled{pull: p}
			}
			if signet.KindOf(err) != signet.Corrupt {
				return pulled{pull: p, err: err} // our own disk's fault
			}
		}
		switch signet.KindOf(err) {
		case signet.NotFound, signet.Corrupt:
			h.Logger.Debug("no good copy", "object", p.address, "host", uint64(from), "err", err)
		default:
			unsure = err
		}
		if ctx.Err() != nil {
			return pulled{pull: p, err: ctx.Err()}
		}
	}
	if unsure == nil {
		return pulled{pull: p, lost: true}
	}
	return pulled{pull: p, err: unsure}
}

func (h *Healer) fetchFrom(ctx context.Context, from signet.HostID, p *pull) ([]byte, error) {
	ctx, cancel := clock.WithTimeout(ctx, h.Clock, pullTimeout)
	defer cancel()
	return h.Peers.Get(ctx, from, p.group, p.address, 0, store.ToEnd)
}

// settlePulls judges what pulls have brought: by now the object may have been collected,
// or belong elsewhere.
func (k *keeper) settlePulls(ctx context.Context) error {
	n := min(len(k.finished), pageRows)
	var good []item
	for _, r := range k.finished[:n] {
		if r.err == nil && !r.lost {
			good = append(good, r.item)
		}
	}
	for g, as := range byGroup(good) {
		look, entries, err := k.readRows(g, as)
		if err != nil {
			return err
		}
		var doomed []signet.Address
		for i := range entries {
			entries[i].has = true
			if entries[i].row == noRow {
				doomed = append(doomed, entries[i].address)
			}
		}
		if err := k.act(ctx, look, entries, nil); err != nil {
			return err
		}
		// Without a row it was collected meanwhile: a late put keeps its mark, and is left
		// to the look at the marks.
		if err := k.dropCollected(ctx, g, doomed); err != nil {
			return err
		}
	}
	for _, r := range take(&k.finished, n) {
		k.conclude(r)
	}
	return nil
}

// conclude tells those who wait for a pull what became of it.
func (k *keeper) conclude(r pulled) {
	delete(k.wanted, r.item)
	k.pulls++
	arc := signet.ArcOf(r.address.ArcKey(), k.ring)
	switch {
	case r.lost:
		k.Logger.Error("no host has the object", "object", r.address)
		if len(k.nowhere) >= maxEvents {
			clear(k.nowhere)
		}
		k.nowhere[r.item] = k.Clock.Now()
	case r.err != nil:
		k.Logger.Debug("pull fails", "object", r.address, "err", r.err)
		if len(r.scans) == 0 {
			k.fails(arc)
		}
	}
	for _, s := range r.scans {
		s.left--
		s.failed = s.failed || r.err != nil
		k.scanned(s)
	}
}

// dropCollected deletes copies that have neither a row nor a mark: see the package
// comment. The copies were seen before the call.
func (k *keeper) dropCollected(ctx context.Context, g signet.Group, as []signet.Address) error {
	var unmarked []signet.Address
	for _, a := range as {
		marked := false
		err := k.Store.Unnamed(ctx, g, a, func(b signet.Address, _ store.Meta) bool {
			marked = b == a
			return false
		})
		if err != nil {
			return err
		}
		if !marked {
			unmarked = append(unmarked, a)
		}
	}
	if len(unmarked) == 0 {
		return nil
	}
	// A reading that is newer than the look at the marks.
	_, entries, err := k.readRows(g, unmarked)
	if err != nil {
		return err
	}
	var doomed []signet.Address
	for i := range entries {
		if entries[i].row == noRow {
			doomed = append(doomed, entries[i].address)
		}
	}
	if len(doomed) == 0 {
		return nil
	}
	return k.delete(ctx, g, doomed)
}
