package heal

import (
	"context"
	"slices"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cluster/store"
)

// rowScan looks through an arc that this host owns for what is missing here.
type rowScan struct {
	arc     signet.Arc
	version signet.Index // of the arc; the scan begins anew if it moves
	wanting bool         // the log waits for word that this host has everything
	group   int          // position: of Config.Groups,
	alg     int          // of algs,
	after   signet.Address
	ended   bool // every row has been looked at
	left    int  // pulls on which it waits
	failed  bool
}

// stepRows looks at a page of rows.
func (k *keeper) stepRows(ctx context.Context, now time.Time) (bool, error) {
	if len(k.wanted) >= maxWanted {
		return false, nil
	}
	for arc, f := range k.failing {
		if !f.at.After(now) {
			k.arcs.add(arc)
			f.at = now.Add(retryLast)
		}
	}
	if k.rows == nil {
		if k.arcs.len() == 0 {
			return false, nil
		}
		passed, err := k.passEmpty()
		if err != nil || passed {
			return passed, err
		}
		k.rows = &rowScan{arc: k.arcs.pop()}
	}
	s := k.rows
	g := k.Groups[s.group]
	group := s.group
	look, entries, err := k.readPage(g, s)
	if err != nil {
		return false, err
	}
	if s.group != group {
		return true, nil // it begins anew
	}
	if len(entries) > 0 {
		if err := k.seeWhatIsHere(ctx, g, entries); err != nil {
			return false, err
		}
		if err := k.act(ctx, look, entries, s); err != nil {
			return false, err
		}
	}
	if len(entries) == pageRows {
		s.after = entries[pageRows-1].address
		return true, nil
	}
	s.after = signet.Address{}
	if s.alg++; s.alg == len(algs) {
		s.alg = 0
		s.group++
	}
	if s.ended = s.ended || s.group == len(k.Groups); s.ended {
		k.rows = nil
		k.looked++
		k.scanned(s)
	}
	return true, nil
}

// maxPassed is how many arcs one reading passes over at most.
const maxPassed = 256

// passEmpty is done with the arcs at the head of the queue that hold no objects, and says
// whether there were any. In a new cluster all do, and a host that joins looks through all
// of them: one reading for many costs a tenth of one or two for each.
func (k *keeper) passEmpty() (bool, error) {
	if len(k.Groups) > 1 {
		return false, nil // one reading shows one volume
	}
	var empty []*rowScan
	err := k.Log.Read(k.Groups[0], func(r *meta.Reader) error {
		for _, arc := range k.arcs.next(maxPassed) {
			s := &rowScan{arc: arc, ended: true}
			row, err := r.Arc(arc)
			if err != nil {
				return err
			}
			if slices.Contains(row.Owners, k.Self) {
				s.version, s.wanting = row.Version, k.awaited(&row)
				for _, alg := range algs {
					any := false
					err := r.ObjectsOfArc(alg, arc, signet.Address{}, func(signet.Object) bool { any = true; return false })
					if err != nil || any {
						return err
					}
				}
			}
			empty = append(empty, s)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, s := range empty {
		k.arcs.pop()
		k.looked++
		k.scanned(s)
	}
	return len(empty) > 0, nil
}

// awaited says whether the log waits for word that this host has all of an arc.
func (k *keeper) awaited(arc *meta.Arc) bool {
	return arc.Moving() && !slices.Contains(arc.Done, k.Self)
}

// readPage reads the next rows of a scan.
func (k *keeper) readPage(g signet.Group, s *rowScan) (look *glance, entries []entry, err error) {
	err = k.Log.Read(g, func(r *meta.Reader) error {
		arc, err := r.Arc(s.arc)
		if err != nil {
			return err
		}
		if !slices.Contains(arc.Owners, k.Self) {
			s.ended, s.wanting = true, false
			return nil
		}
		if arc.Version != s.version {
			moved := s.group != 0
			s.version, s.after, s.group, s.alg = arc.Version, signet.Address{}, 0, 0
			if moved {
				return nil // this reading is of another volume than the first
			}
		}
		s.wanting = k.awaited(&arc)
		if look, err = k.look(r); err != nil {
			return err
		}
		return r.ObjectsOfArc(algs[s.alg], s.arc, s.after, func(o signet.Object) bool {
			entries = append(entries, entry{item: item{g, o.Address}, object: o, arc: &arc, row: liveRow})
			return len(entries) < pageRows
		})
	})
	return look, entries, err
}

// scanned is called when a scan has ended or something that it waited for has.
func (k *keeper) scanned(s *rowScan) {
	switch {
	case !s.ended || s.left > 0:
	case s.failed:
		k.fails(s.arc)
	default:
		delete(k.failing, s.arc)
		if s.wanting {
			k.claimDone(meta.ArcVersion{Arc: s.arc, Version: s.version})
		}
	}
}

// stockScan looks through a part of the store for what is surplus.
type stockScan struct {
	span
	next  signet.Address
	group int
}

// stepStock looks at a page of copies.
func (k *keeper) stepStock(ctx context.Context, now time.Time) (bool, error) {
	if len(k.wanted) >= maxWanted {
		return false, nil
	}
	if k.held == nil {
		due := k.stock.due(now, 1)
		if len(due) == 0 {
			return false, nil
		}
		k.held = &stockScan{span: due[0], next: due[0].from}
		k.stock.drop(1)
	}
	s := k.held
	g := k.Groups[s.group]
	var as []signet.Address
	err := k.Store.Addresses(ctx, g, s.next, func(a signet.Address, _ uint32) bool {
		if compare(a, s.to) > 0 {
			return false
		}
		as = append(as, a)
		return len(as) < pageRows
	})
	if err == nil {
		err = k.review(ctx, g, as)
	}
	if err != nil {
		return false, err
	}
	if len(as) == pageRows {
		if next, ok := past(as[pageRows-1]); ok {
			s.next = next
			return true, nil
		}
	}
	s.next = s.from
	if s.group++; s.group == len(k.Groups) {
		k.held = nil
	}
	return true, nil
}

// review decides about copies that were seen here.
func (k *keeper) review(ctx context.Context, g signet.Group, as []signet.Address) error {
	if len(as) == 0 {
		return nil
	}
	look, entries, err := k.readRows(g, as)
	if err != nil {
		return err
	}
	var unknown []signet.Address
	for i := range entries {
		entries[i].has = true
		if entries[i].row == noRow {
			unknown = append(unknown, entries[i].address)
		}
	}
	if err := k.act(ctx, look, entries, nil); err != nil {
		return err
	}
	return k.dropCollected(ctx, g, unknown)
}

func compare(a, b signet.Address) int { return slices.Compare(a[:], b[:]) }

// markScan looks at the copies that wait for a name.
type markScan struct {
	next    signet.Address
	group   int
	timed   bool // not for a horizon that rose
	waiting bool // there are copies above the horizon that nobody has named
}

// stepMarks looks at a page of marks.
func (k *keeper) stepMarks(ctx context.Context, now time.Time) (bool, error) {
	if k.marks == nil {
		timed := !now.Before(k.marksAt)
		if !k.sweep && !timed {
			return false, nil
		}
		k.marks, k.sweep = &markScan{timed: timed}, false
		k.marksAt = now.Add(marksEvery)
	}
	if len(k.wanted) >= maxWanted {
		return false, nil
	}
	s := k.marks
	g := k.Groups[s.group]
	var as []signet.Address
	marks := map[signet.Address]store.Meta{}
	err := k.Store.Unnamed(ctx, g, s.next, func(a signet.Address, m store.Meta) bool {
		as = append(as, a)
		marks[a] = m
		return len(as) < pageRows
	})
	if err == nil {
		err = k.judgeMarks(ctx, g, as, marks)
	}
	if err != nil {
		return false, err
	}
	if len(as) == pageRows {
		if next, ok := past(as[pageRows-1]); ok {
			s.next = next
			return true, nil
		}
	}
	s.next = signet.Address{}
	if s.group++; s.group == len(k.Groups) {
		k.marks = nil
		if s.timed {
			return true, k.nudge(ctx, s.waiting)
		}
	}
	return true, nil
}

// nudge appends an entry to a log that has stood still while copies waited for the horizon
// to pass them: it rises to older entries only, and the last garbage of a cluster that does
// nothing more would stay. Where nothing waits nothing is appended.
func (k *keeper) nudge(ctx context.Context, waiting bool) error {
	var index signet.Index
	err := k.Log.Read(signet.ClusterGroup, func(r *meta.Reader) (err error) {
		index, err = r.Index()
		return err
	})
	if err != nil || !waiting {
		k.stood = 0
		return err
	}
	if index != k.stood {
		k.stood = index
		return nil
	}
	_, err = propose(ctx, k.Log, k.Groups[0], &meta.Placed{Host: k.Self})
	return err
}

// judgeMarks clears the marks of what has a row, and deletes what nobody can name any
// more. One reading decides both.
func (k *keeper) judgeMarks(ctx context.Context, g signet.Group, as []signet.Address, marks map[signet.Address]store.Meta) error {
	if len(as) == 0 {
		return nil
	}
	look, entries, err := k.examine(ctx, g, as)
	if err != nil {
		return err
	}
	var named, doomed []signet.Address
	for i := range entries {
		e := &entries[i]
		switch {
		case e.row != noRow:
			named = append(named, e.address)
		case look.horizon > marks[e.address].Index:
			doomed = append(doomed, e.address)
		case k.marks != nil:
			k.marks.waiting = true
		}
	}
	if len(named) > 0 {
		err = k.Store.Named(ctx, g, named)
	}
	if err == nil && len(doomed) > 0 {
		err = k.delete(ctx, g, doomed)
	}
	if err != nil {
		return err
	}
	return k.act(ctx, look, entries, nil)
}

// shortScan looks at the objects whose copies are not where they should be.
type shortScan struct {
	after signet.Address
	group int
}

// stepShort looks at a page of short objects: at those that concern this host.
func (k *keeper) stepShort(ctx context.Context, now time.Time) (bool, error) {
	if len(k.wanted) >= maxWanted {
		return false, nil
	}
	if k.short == nil {
		if now.Before(k.shortAt) {
			return false, nil
		}
		k.short = &shortScan{}
		k.shortAt = now.Add(shortEvery)
	}
	s := k.short
	g := k.Groups[s.group]
	n := 0
	var entries []entry
	var look *glance
	err := k.Log.Read(g, func(r *meta.Reader) error {
		var err error
		if look, err = k.look(r); err != nil {
			return err
		}
		var failed error
		err = r.Short(s.after, func(o signet.Object) bool {
			n++
			s.after = o.Address
			arc, err := look.arc(r, o.Address)
			if failed = err; err != nil {
				return false
			}
			if slices.Contains(arc.Owners, k.Self) || slices.Contains(o.Hosts, k.Self) {
				entries = append(entries, entry{item: item{g, o.Address}, object: o, arc: arc, row: liveRow})
			}
			return n < pageRows
		})
		if failed != nil {
			return failed
		}
		return err
	})
	if err == nil && len(entries) > 0 {
		if err = k.seeWhatIsHere(ctx, g, entries); err == nil {
			err = k.act(ctx, look, entries, nil)
		}
	}
	if err != nil {
		k.short = nil // from the beginning, next time
		return false, err
	}
	if n < pageRows {
		s.after = signet.Address{}
		if s.group++; s.group == len(k.Groups) {
			k.short = nil
		}
	}
	return true, nil
}
