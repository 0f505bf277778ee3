package heal

import (
	"context"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cluster/store"
)

// examine reads the rows of objects, and then whether they are here: a copy that a row
// counts on was here before the row.
func (k *keeper) examine(ctx context.Context, g signet.Group, as []signet.Address) (*glance, []entry, error) {
	look, entries, err := k.readRows(g, as)
	if err == nil {
		err = k.seeWhatIsHere(ctx, g, entries)
	}
	return look, entries, err
}

// readRows makes entries of addresses.
func (k *keeper) readRows(g signet.Group, as []signet.Address) (*glance, []entry, error) {
	entries := make([]entry, len(as))
	var look *glance
	err := k.Log.Read(g, func(r *meta.Reader) error {
		var err error
		if look, err = k.look(r); err != nil {
			return err
		}
		for i, a := range as {
			entries[i].item = item{g, a}
			if err := look.read(r, &entries[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return look, entries, err
}

func (k *keeper) seeWhatIsHere(ctx context.Context, g signet.Group, entries []entry) error {
	as := make([]signet.Address, len(entries))
	for i := range entries {
		as[i] = entries[i].address
	}
	has, err := k.Store.Has(ctx, g, as)
	if err != nil {
		return err
	}
	for i := range entries {
		entries[i].has = has[i]
	}
	return nil
}

// act carries out what follows for live objects of one group. scan is the look through
// an arc for which this is done, or nil.
func (k *keeper) act(ctx context.Context, look *glance, entries []entry, scan *rowScan) error {
	var doomed, parting []signet.Address
	var group signet.Group
	for i := range entries {
		e := &entries[i]
		if e.row != liveRow {
			continue
		}
		group = e.group
		v := judge(&e.object, e.arc, k.Self, e.has)
		switch v {
		case fine:
			k.unclaim(e.item) // what was to be said is no longer true
		case claimIt, goneIt:
			k.claim(e.item, v == goneIt)
		case lostIt:
			k.claim(e.item, true)
			k.want(e, look, scan)
		case pullIt:
			k.want(e, look, scan)
		case surplus:
			if look.settled {
				parting = append(parting, e.address)
			}
		case dropIt:
			if look.settled {
				doomed = append(doomed, e.address)
			}
		}
		if e.damaged && v != lostIt && v != pullIt {
			doomed = append(doomed, e.address) // nobody is served by it
		}
	}
	if len(parting) > 0 {
		more, err := k.part(ctx, group, parting)
		if err != nil {
			return err
		}
		doomed = append(doomed, more...)
	}
	if len(doomed) == 0 {
		return nil
	}
	return k.delete(ctx, group, doomed)
}

// part has the log count copies no more, and returns those that may be deleted then.
func (k *keeper) part(ctx context.Context, g signet.Group, as []signet.Address) ([]signet.Address, error) {
	for _, a := range as {
		k.claim(item{g, a}, true)
	}
	if err := k.report(ctx); err != nil {
		return nil, err
	}
	look, entries, err := k.readRows(g, as)
	if err != nil {
		return nil, err
	}
	var doomed []signet.Address
	for i := range entries {
		e := &entries[i]
		if e.row != liveRow {
			continue // dead ones go when they are collected
		}
		switch judge(&e.object, e.arc, k.Self, true) {
		case dropIt:
			if look.settled {
				doomed = append(doomed, e.address)
			}
		case claimIt:
			k.claim(e.item, false) // things have changed: it is needed after all
		}
	}
	return doomed, nil
}

// stepLacks looks at copies that are said to be missing or damaged.
func (k *keeper) stepLacks(ctx context.Context, _ time.Time) (bool, error) {
	if len(k.wanted) >= maxWanted {
		return false, nil
	}
	return k.eachGroup(ctx, &k.news.lacks, func(ctx context.Context, g signet.Group, as []signet.Address) error {
		look, entries, err := k.readRows(g, as)
		if err != nil {
			return err
		}
		for i := range entries {
			e := &entries[i]
			if e.row == noRow {
				continue
			}
			_, err := k.Store.Get(ctx, g, e.address, 0, store.ToEnd)
			switch signet.KindOf(err) {
			case signet.OK:
				e.has = true
			case signet.NotFound:
			case signet.Corrupt:
				e.damaged = true
			default:
				return err
			}
		}
		return k.act(ctx, look, entries, nil)
	})
}

// stepPlaced looks at copies that came when nobody counted on them.
func (k *keeper) stepPlaced(ctx context.Context, _ time.Time) (bool, error) {
	return k.eachGroup(ctx, &k.news.placed, k.attend)
}

// attend looks at objects, clears the marks of copies that have come although nobody
// counted on them, and does what follows.
func (k *keeper) attend(ctx context.Context, g signet.Group, as []signet.Address) error {
	look, entries, err := k.examine(ctx, g, as)
	if err != nil {
		return err
	}
	var came []signet.Address
	for i := range entries {
		if entries[i].has && entries[i].row != noRow {
			came = append(came, entries[i].address)
		}
	}
	if len(came) > 0 {
		if err := k.Store.Named(ctx, g, came); err != nil {
			return err
		}
	}
	return k.act(ctx, look, entries, nil)
}

// stepRecent looks at objects that were named a moment ago without a copy here.
func (k *keeper) stepRecent(ctx context.Context, now time.Time) (bool, error) {
	if len(k.wanted) >= maxWanted {
		return false, nil
	}
	items := k.recent.due(now, pageRows)
	if len(items) == 0 {
		return false, nil
	}
	for g, as := range byGroup(items) {
		if err := k.attend(ctx, g, as); err != nil {
			return false, err
		}
	}
	k.recent.drop(len(items))
	return true, nil
}
