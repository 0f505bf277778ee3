package fs

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
)

// publish makes what is dirty in n at this moment part of the file for everybody. It
// is the way of a write, from top to bottom: nothing is named in the log before it is
// durable. It returns when the change is applied here; released waits for the rest.
func (f *FS) publish(ctx context.Context, n *node) error {
	if err := n.flushing.take(ctx); err != nil {
		return err
	}
	defer n.flushing.give()
	return f.publishLocked(ctx, n)
}

// settle publishes what is dirty in n and waits until everybody sees it.
func (f *FS) settle(ctx context.Context, n *node) error {
	return f.seen(ctx, n, f.publish(ctx, n))
}

// settleLocked is settle for who holds n.flushing.
func (f *FS) settleLocked(ctx context.Context, n *node) error {
	return f.seen(ctx, n, f.publishLocked(ctx, n))
}

// seen waits until everybody sees what a publication, which ended with err, has named: all
// there is, or all but what was given up. If the file was taken away there is nothing to wait for.
func (f *FS) seen(ctx context.Context, n *node, err error) error {
	if err != nil && (!hopeless(err) || signet.KindOf(err) == signet.Ended) {
		return err
	}
	return cmp.Or(n.released(ctx), err)
}

// publishLocked is publish for who holds n.flushing. An error for which there is no hope
// (hopeless) was told to the handles, and the rest of the file is published.
func (f *FS) publishLocked(ctx context.Context, n *node) error {
	if f.locks.lost(n.ino, f.names.Session) {
		f.loseOld() // what was written under a lock that is gone is not published
	}
	pk, lost := f.durable(ctx, n) //                      cut and packed: fs/extent; sealed: crypto; put: Objects
	if pk == nil {
		return lost
	}
	if err := f.killPriv(ctx, n); err != nil {
		return err
	}
	for most, stale := everything, 0; ; { //              durable; now name it all: Names
		w, named := n.fly(pk, most, f.index())
		if w == nil {
			f.clean(n)
			return lost
		}
		res, ticket, err := f.apply(ctx, n.ino, w)
		jobs, freed := n.landed(res, ticket, err)
		f.memory.add(-freed)
		if err == nil && res.Err != signet.OK {
			err = res.Err
		}
		switch {
		case err == nil:
			pk.pieces = pk.pieces[named:]
		case res.Err == signet.TooBig && most.halve(w): // too many small extents to replace at once
		case res.Err == signet.Busy: // the file came to be another host's
			other, err := f.ask(ctx, n.ino, signet.RecallWrite)
			if err != nil {
				return f.unpublished(n, err)
			}
			n.asked(other)
		case res.Err == signet.Stale && stale < maxStale:
			stale++
			if err := f.reputAll(ctx, n, jobs); err != nil {
				return f.unpublished(n, err)
			}
		default:
			return f.unpublished(n, err)
		}
	}
}

// unpublished gives up what cannot be published, if trying again would only fail
// again.
func (f *FS) unpublished(n *node, err error) error {
	if hopeless(err) {
		f.discard(n, err)
	}
	return signet.Wrap("publish", inodeText(n.ino), err)
}

// portion is the most that one Write names.
type portion struct {
	extents int
	bytes   uint64
}

// everything is the largest portion.
var everything = portion{maxExtents, math.MaxUint64}

// halve makes the portion half of what w names, if w can be halved.
func (p *portion) halve(w *signet.Write) bool {
	n := uint64(w.Extents[0].Len)
	switch {
	case len(w.Extents) > 1:
		p.extents = len(w.Extents) / 2
	case n > 1:
		p.bytes = n / 2
	default:
		return false
	}
	return true
}

// released waits until everything published of n so far is released.
func (n *node) released(ctx context.Context) error {
	n.mu.Lock()
	t := n.ticket
	n.mu.Unlock()
	if t == nil {
		return nil
	}
	if err := t.Wait(ctx); err != nil {
		return signet.Wrap("publish", inodeText(n.ino), err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ticket == t {
		n.ticket = nil
	}
	return nil
}

// packed is what was dirty in a node at a moment, which is to be published whatever is
// written over it meanwhile: who waits for the publication may have waited for just that.
type packed struct {
	pieces []piece // without their bytes, in order; those that are not named yet
	tries  []*attempt
	lives  int // node.lives at the time
}

// pack makes jobs of everything that is dirty and starts those that are not durable.
func (f *FS) pack(n *node) *packed {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.freeze(true, signet.MaxInline)
	pk := &packed{lives: n.lives}
	for _, j := range n.jobs() {
		if t := f.start(n, j); t != nil {
			pk.tries = append(pk.tries, t)
		}
	}
	for _, p := range n.over.pieces {
		p.data = nil
		pk.pieces = append(pk.pieces, p)
	}
	return pk
}

// durable packs what is dirty in n, all of it durable but for what can never be put: that is
// given up, and the error is about it.
func (f *FS) durable(ctx context.Context, n *node) (pk *packed, lost error) {
	told := n.fails.total()
	for {
		pk = f.pack(n)
		err := pk.wait(ctx)
		switch {
		case err == nil:
			return pk, n.fails.since(&told)
		case !hopeless(err):
			return nil, err
		}
		for j, err := range n.broken() {
			f.drop(n, j, err)
		}
	}
}

// broken returns the jobs that never can be made durable, and why.
func (n *node) broken() map[*job]error {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := map[*job]error{}
	for _, j := range n.jobs() {
		if j.try != nil && !j.running() && hopeless(j.try.err) {
			list[j] = j.try.err
		}
	}
	return list
}

// wait returns when each of its jobs is durable or could not be made so. An error with hope
// comes before one without.
func (pk *packed) wait(ctx context.Context) (lost error) {
	for _, t := range pk.tries {
		err := t.wait(ctx)
		if err != nil && !hopeless(err) {
			return err
		}
		lost = cmp.Or(lost, err)
	}
	return lost
}

func (t *attempt) wait(ctx context.Context) error {
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flight is a Write under way.
type flight struct {
	off, to uint64        // the range of the file that it names pieces of
	jobs    map[*job]bool // whose
	taken   []piece       // out of the overlay, since the change feed brought the Write
	gone    bool          // the file was given up meanwhile
	after   signet.Index  // it is applied after this
}

// index returns up to where the log is applied here.
func (f *FS) index() signet.Index {
	v := f.names.View()
	defer v.Close()
	return v.Index()
}

// fly builds the command that names the first of the pieces, at most a portion, says how
// many they are, and notes that it is under way. It returns nil if there are none left, or
// the file was given up.
func (n *node) fly(pk *packed, most portion, after signet.Index) (w *signet.Write, named int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lives != pk.lives {
		return nil, 0
	}
	w = &signet.Write{Ino: n.ino, Mtime: n.mtime, ClearSUID: n.killPriv, Owned: n.right.session != 0, Asked: n.right.asked}
	fl := &flight{jobs: map[*job]bool{}, after: after}
	for ; named < len(pk.pieces) && most.bytes > 0; named++ {
		if uint64(pk.pieces[named].size) > most.bytes {
			pk.split(named, uint32(most.bytes))
			n.over.splitAt(pk.pieces[named].end())
		}
		p := &pk.pieces[named]
		if !add(w, p.extent(), most.extents) {
			break
		}
		if len(fl.jobs) == 0 {
			fl.off = p.off
		}
		fl.to = p.end()
		most.bytes -= uint64(p.size)
		if !fl.jobs[p.job] {
			fl.jobs[p.job] = true
			if !p.job.inline && !p.job.named {
				w.Objects = append(w.Objects, p.job.row)
			}
		}
	}
	if named == 0 {
		return nil, 0
	}
	w.Size = fl.to
	n.flight = fl
	return w, named
}

// split makes two pieces of the i-th, so that the first has size bytes.
func (pk *packed) split(i int, size uint32) {
	first, rest := pk.pieces[i], pk.pieces[i]
	first.size = size
	rest.off, rest.size, rest.at = rest.off+uint64(size), rest.size-size, rest.at+size
	pk.pieces = slices.Replace(pk.pieces, i, i+1, first, rest)
}

// add appends an extent, or joins it to the last one. It returns false if there would
// be more than most.
func add(w *signet.Write, e signet.Extent, most int) bool {
	if last := len(w.Extents) - 1; last >= 0 {
		if joined, ok := extent.Join(w.Extents[last], e); ok {
			w.Extents[last] = joined
			return true
		}
	}
	if len(w.Extents) >= most {
		return false
	}
	w.Extents = append(w.Extents, e)
	return true
}

func (p *piece) extent() signet.Extent {
	e := signet.Extent{Off: p.off, Len: p.size, ObjectOff: p.at}
	if p.job.inline {
		e.Inline = p.job.sealed
	} else {
		e.Object = p.job.row.Address
	}
	return e
}

// land takes the pieces of the Write under way out of the overlay: it was applied at
// index. What others write from then on is on top of it. The change feed calls it too,
// because it may bring another host's later change before Do returns. n.mu is held.
func (n *node) land(index signet.Index) {
	if fl := n.flight; fl != nil {
		fl.taken = append(fl.taken, n.over.take(fl.off, fl.to, fl.jobs)...)
		n.published = max(n.published, index)
	}
}

// landed notes how the Write under way ended. If it was not applied, or nobody knows,
// its pieces stay dirty and are named again: that does no harm. It returns the jobs
// that it named and how much memory became free.
func (n *node) landed(res signet.Result, t signet.Ticket, err error) (named map[*job]bool, freed int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fl := n.flight
	if err == nil && res.Err == signet.OK {
		n.land(res.Index)
		n.ticket = t
		for j := range fl.jobs {
			j.named = true
		}
	} else if !fl.gone {
		n.over.restore(fl.taken)
	}
	n.flight = nil
	return fl.jobs, n.sweep()
}

// reputAll puts the objects of jobs again.
func (f *FS) reputAll(ctx context.Context, n *node, jobs map[*job]bool) error {
	for j := range jobs {
		if !j.inline {
			if err := f.reput(ctx, n, j); err != nil {
				return err
			}
		}
	}
	return nil
}

// hopeless says whether trying again would only fail again.
func hopeless(err error) bool {
	switch signet.KindOf(err) {
	case signet.NoSpace, signet.TooBig, signet.NoKey, signet.NotFound, signet.Ended,
		signet.Invalid, signet.NotPermitted, signet.WrongVersion, signet.NotSupported:
		return true
	}
	return false
}

// drop gives up what a job was to make durable. err is told to each handle once. What else
// was written to the file stays, as on a local disk.
func (f *FS) drop(n *node, j *job, err error) {
	n.mu.Lock()
	pieces := n.over.take(0, math.MaxUint64, map[*job]bool{j: true})
	clean := n.over.empty()
	n.mu.Unlock()
	if len(pieces) == 0 {
		return // written over since
	}
	if clean {
		f.clean(n)
	}
	f.gaveUp(n, err)
	f.work.Go(func() {
		for _, p := range pieces {
			f.kernel.get().DropPages(n.ino, int64(p.off), int64(p.size))
		}
		f.kernel.get().DropAttr(n.ino)
	})
}

// gaveUp tells of an error that cost what was written.
func (f *FS) gaveUp(n *node, err error) {
	n.fails.add(err)
	f.report(signet.Wrap("give up what was written to", inodeText(n.ino), err))
}

// discard gives up what is dirty in n, all of it: it is not known which of it the log would
// take. err, if not nil, is told to each handle once.
func (f *FS) discard(n *node, err error) {
	n.mu.Lock()
	lost := !n.over.empty()
	freed := n.over.loose
	for i := range n.over.pieces {
		if p := &n.over.pieces[i]; p.job == nil {
			recycle(p.data)
		}
	}
	n.over = overlay{}
	n.lives++
	if n.flight != nil {
		n.flight.gone = true
	}
	freed += n.sweep()
	n.mu.Unlock()
	f.memory.add(-freed)
	f.clean(n)
	if !lost || err == nil {
		return
	}
	f.gaveUp(n, err)
	// The kernel's pages have bytes that the file never got. A Write whose outcome is
	// unknown may still come, so the inode stays in doubt.
	f.doubts.begin(n.ino)(false)
	f.work.Go(func() {
		f.kernel.get().DropPages(n.ino, 0, -1)
		f.kernel.get().DropAttr(n.ino)
	})
}
