package heal

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// collect has dead objects forgotten that no live session can read any more, and raises
// the horizons below which nothing can be named: see the package comment.
func (t *term) collect(ctx context.Context, now time.Time) error {
	aged := t.older(now, putTime)
	if aged == 0 {
		return nil
	}
	var raised signet.Index
	for _, g := range t.Groups {
		index, err := t.collectIn(ctx, g, aged, now)
		if err != nil {
			return signet.Wrap("collect", "", err)
		}
		raised = max(raised, index)
	}
	if raised > 0 {
		t.raised, t.raisedAt = raised, now
	}
	return nil
}

// collectIn collects in one volume and returns the index of the last command, 0 if there
// was none.
func (t *term) collectIn(ctx context.Context, g signet.Group, aged signet.Index, now time.Time) (signet.Index, error) {
	var raised signet.Index
	for {
		c, last, err := t.garbage(g, aged, now)
		if err != nil || c == nil {
			return raised, err
		}
		a, err := propose(ctx, t.Log, g, c)
		if err != nil {
			return raised, err
		}
		raised = a.Result.Index
		if last {
			return raised, nil
		}
	}
}

// garbage makes the next Collect, nil if there is nothing to collect. It says whether it
// is the last for now.
func (t *term) garbage(g signet.Group, aged signet.Index, now time.Time) (c *meta.Collect, last bool, err error) {
	err = t.Log.Read(g, func(r *meta.Reader) error {
		counters, err := r.Counters()
		if signet.KindOf(err) == signet.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		oldest, _, all, err := t.passed(r)
		if err != nil || !all {
			return err
		}
		horizon := min(aged, oldest)
		c = &meta.Collect{Horizon: max(horizon, counters.Horizon)}
		err = r.Dead(horizon, func(d meta.DeadObject) bool {
			c.Addresses = append(c.Addresses, d.Address)
			return len(c.Addresses) < meta.MaxPlaced
		})
		last = len(c.Addresses) < meta.MaxPlaced
		if len(c.Addresses) == 0 && !t.worth(horizon, counters.Horizon, now) {
			c = nil
		}
		return err
	})
	return c, last, err
}

// worth says whether to raise a horizon although nothing has died: now and then, if the
// log went on by more than the raising. A put that was never named lies below a later
// entry then, or it is the last thing that happened and waits for the next.
func (t *term) worth(horizon, before signet.Index, now time.Time) bool {
	return horizon > before && horizon > t.raised && now.Sub(t.raisedAt) >= raiseEvery
}

// reap frees the orphans that nobody has open.
func (t *term) reap(ctx context.Context, now time.Time) error {
	made := t.older(now, openTime)
	if made == 0 {
		return nil
	}
	for _, g := range t.Groups {
		if err := t.reapIn(ctx, g, made); err != nil {
			return signet.Wrap("free orphans", "", err)
		}
	}
	return nil
}

func (t *term) reapIn(ctx context.Context, g signet.Group, made signet.Index) error {
	var after signet.Ino
	for {
		inos, next, err := t.closed(g, made, after)
		if err != nil {
			return err
		}
		for len(inos) > 0 {
			some := take(&inos, t.width)
			errs := make([]error, len(some))
			var all sync.WaitGroup
			for i, ino := range some {
				all.Go(func() { errs[i] = t.free(ctx, g, ino) })
			}
			all.Wait()
			if err := errors.Join(errs...); err != nil {
				return err
			}
		}
		if next == 0 {
			return nil
		}
		after = next
	}
}

// closed returns orphans after the given one that no live session has open, and where to
// go on; 0: that was all.
func (t *term) closed(g signet.Group, made signet.Index, after signet.Ino) (inos []signet.Ino, next signet.Ino, err error) {
	err = t.Log.Read(g, func(r *meta.Reader) error {
		oldest, reports, all, err := t.passed(r)
		if err != nil || !all {
			return err
		}
		open := map[signet.Ino]bool{}
		from, to := signet.Ino(0), ^signet.Ino(0) // what all reports cover
		for i := range reports {
			list := reports[i].Orphans
			for _, ino := range list {
				open[ino] = true
			}
			if !reports[i].OrphansMore {
				continue
			}
			if len(list) == 0 {
				return nil // nobody knows which
			}
			from, to = max(from, list[0]), min(to, list[len(list)-1])
		}
		n := 0
		return r.Orphans(after, func(o meta.Orphan) bool {
			// A report that was made after the last name went lists all who have it open.
			if o.Since <= made && o.Since <= oldest && !open[o.Ino] && from <= o.Ino && o.Ino <= to {
				inos = append(inos, o.Ino)
			}
			if n++; n == pageRows {
				next = o.Ino
			}
			return n < pageRows
		})
	})
	return inos, next, err
}

// free frees an orphan, step by step.
func (t *term) free(ctx context.Context, g signet.Group, ino signet.Ino) error {
	for {
		a, err := propose(ctx, t.Log, g, &meta.Reap{Ino: ino})
		if signet.KindOf(err) == signet.NotFound {
			return nil // freed already
		}
		if err != nil || !a.Result.More {
			return err
		}
	}
}
