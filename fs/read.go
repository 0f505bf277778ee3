package fs

import (
	"context"
	"math"
	"syscall"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
	"github.com/signetfs/signet/internal/clock"
)

// Read fills dst from off on and returns how much there was: less than len(dst) only
// at the end of the file. flags are the file's flags as the READ request has them (0
// if it has none); with O_DIRECT no page of the kernel waits for the bytes.
//
// It keeps the rules of answer.go, with one difference: pages have no lifetime, so if
// the answer is not the newest at the gate it is read anew. That stops after a few
// rounds, because an old answer does no harm: the change feed that made it old has not
// been able to drop the pages, which this READ holds locked, and drops them as soon as
// the answer is there, before it acknowledges (reads.go). What the READ says was
// released when it began, so it is linearizable.
func (f *FS) Read(r *Request, id Handle, off int64, dst []byte, flags uint32) (int, error) {
	h, err := f.handles.file(id, false)
	if err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, signet.Errorf(signet.Invalid, "read", inodeText(h.node.ino), "before the beginning")
	}
	if uint64(off) >= signet.MaxFileSize {
		return 0, nil
	}
	ctx, cancel := f.begin(r)
	defer cancel()
	n, err := f.read(ctx, r, h, uint64(off), dst, flags)
	if err != nil {
		return 0, signet.Wrap("read", inodeText(h.node.ino), err)
	}
	return n, nil
}

func (f *FS) read(ctx context.Context, r *Request, h *handle, off uint64, dst []byte, flags uint32) (int, error) {
	var in *reading
	if flags&syscall.O_DIRECT == 0 {
		in = f.reads.begin(h.node.ino, off, off+uint64(len(dst)))
		r.onDone(func() { f.reads.end(in) })
	}
	streaming := h.streams(off, uint64(len(dst)))
	before := h.node.kernelKnows()
	t := try{r: r, h: h, in: in, off: off, dst: dst, flags: flags, streaming: streaming}
	for round := 0; ; round++ {
		got, verdict, err := f.tryRead(ctx, &t)
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case verdict == readAgain && err == nil, verdict == readOld && round < maxRereads:
			continue
		case err != nil:
			return 0, err
		}
		if streaming {
			f.readAhead(h, off+uint64(got))
		}
		now := h.node.kernelKnows()
		short := got < len(dst) && now.more && now.drops != before.drops
		if in != nil && !h.direct && (short || t.passing) {
			f.unkept(r, h.node)
		}
		return got, nil
	}
}

// unkept has the kernel forget what a READ fills its pages with, as soon as it has it.
// Either the READ met the end of the file, and the kernel may have missed that the file is
// shorter than it thinks (known.go); or the file's bytes may change without notice. It
// forgets all of the file, so that it has nothing to forget when the next change comes.
func (f *FS) unkept(r *Request, n *node) {
	r.onDone(func() { f.work.Go(func() { f.dropAll(n) }) })
}

// What came of one round of a READ.
type verdict int

const (
	readStands verdict = iota
	readOld            // it was right when it began
	readAgain          // it is not right, or took too long
)

// try is a READ that is tried, maybe more than once.
type try struct {
	r         *Request
	h         *handle
	in        *reading // nil if no page waits for it
	off       uint64
	dst       []byte
	flags     uint32
	streaming bool
	asked     signet.SessionID // the owner that has published the file for it
	stale     bool             // it could not be asked: this host is cut off
	passing   bool             // its bytes may be others at any moment: they are not for the kernel to keep
	failed    bool             // what programs here wrote cannot be published
}

func (f *FS) tryRead(ctx context.Context, t *try) (int, verdict, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := f.names.Ready(ctx); err != nil {
		return 0, readStands, err
	}
	n, in := t.h.node, t.in
	v := f.names.View()
	defer v.Close()
	at, err := v.Attr(n.ino)
	switch {
	case err != nil && v.Fresh():
		return 0, readStands, err
	case err != nil:
		return 0, readOld, err
	}
	if f.foreign(at.Owner) && at.Owner != t.asked || f.unsettled(n) && !t.failed {
		return 0, readAgain, f.readied(ctx, t, at.Owner)
	}
	if in != nil {
		f.reads.from(in, v.Index(), cancel)
	}
	got, seen, err := f.readView(ctx, v, t, at)
	if err == nil {
		err = v.Settle(ctx)
	}
	switch {
	case t.stale && !f.isCutOff(): // not any more
		t.asked, t.stale = 0, false
		return 0, readAgain, nil
	case ctx.Err() != nil || err == nil && n.moved(seen, v.Index()):
		return 0, readAgain, nil
	case err != nil && !v.Fresh():
		return 0, readOld, err // what it was to read may be gone by now
	case err != nil, in == nil:
		return got, readStands, err
	}
	if !t.h.direct {
		if got == 0 {
			f.lastOf(ctx, in, at.Size)
		}
		n.keepsPages()
	}
	leave := f.gate.enter()
	if !v.Fresh() {
		leave()
		return got, readOld, nil
	}
	t.r.onDone(leave)
	return got, readStands, nil
}

// lastOf is for a READ that finds the file's end, at size, before what it asks for: the kernel
// has the file for longer than it is. It waits for READs of what lies before. One of them meets
// the end itself, and the kernel takes a size only from the first of the READs in flight that
// come back short (Linux: fuse_read_update_size). The reader may be about to send that one.
func (f *FS) lastOf(ctx context.Context, in *reading, size uint64) {
	ctx, cancel := clock.WithTimeout(ctx, f.clock, readPatience)
	defer cancel()
	t := f.clock.NewTimer(sendPatience)
	defer t.Stop()
	select {
	case <-t.C():
	case <-ctx.Done():
	}
	for ctx.Err() == nil {
		b, ended := f.reads.before(in)
		if b == nil {
			return
		}
		select {
		case <-ended:
			if b.off < size { // it waits until the answer is taken in: the page is locked so long
				f.kernel.get().Grow(b.ino, b.off+1)
			}
		case <-ctx.Done():
		}
	}
}

// readied has what a READ must show published: by the file's owner, or by this host if
// it is none. The READ will open its view after that, so the change feed need not wait for
// it, and must not: the publication waits for the feed.
func (f *FS) readied(ctx context.Context, t *try, owner signet.SessionID) error {
	n := t.h.node
	if t.in != nil {
		f.reads.from(t.in, math.MaxUint64, nil)
		defer f.reads.from(t.in, 0, nil)
	}
	if !f.foreign(owner) {
		if err := f.settle(ctx, n); err != nil {
			t.failed = true // it cannot be published now, and its programs know what they wrote
		}
		return ctx.Err()
	}
	why := signet.RecallRead
	if t.in != nil && !t.h.direct {
		why = signet.RecallPages
	}
	r, err := f.names.Recall(ctx, owner, n.ino, why)
	if r.Held || signet.KindOf(err) == signet.Unavailable {
		t.asked, t.passing, t.stale = owner, r.Passing, !r.Held
	}
	return f.cutOff(ctx, err)
}

// moved says whether data laid over a view at index, when published was seen, may
// have hidden what another host wrote later, or may lack what was published meanwhile.
// It is called after the view has settled, so the change feed has told what there is.
func (n *node) moved(seen, index signet.Index) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return seen > index || n.published > seen && n.foreign > seen
}

// readView fills dst from the view and, over that, from what is not published. It
// returns how many bytes there are, and the node's newest publication at the time.
func (f *FS) readView(ctx context.Context, v signet.View, t *try, at signet.Attr) (int, signet.Index, error) {
	n := t.h.node
	n.mu.Lock()
	seen := n.published
	size := max(at.Size, n.over.end())
	if !n.over.empty() {
		at.Mtime, at.Ctime = n.mtime, n.mtime
	}
	f.accessed(&at, t.flags)
	if t.off >= size {
		n.mu.Unlock()
		return 0, seen, nil
	}
	dst := t.dst[:min(uint64(len(t.dst)), size-t.off)]
	inObjects, rest := n.over.copyInto(dst, t.off)
	var want []want
	for i := range inObjects {
		p := &inObjects[i]
		want = append(want, wantOf(p.extent(), p.job.row, dst[p.off-t.off:p.end()-t.off]))
	}
	n.mu.Unlock()

	for _, r := range rest {
		more, err := f.wants(v, n.ino, r, dst[r.Off-t.off:r.End()-t.off], at.Size)
		if err != nil {
			return 0, seen, err
		}
		want = append(want, more...)
	}
	return len(dst), seen, f.fetch(ctx, n.ino, want, t.streaming)
}

// wants says what filling dst with the range r of the committed file takes, and fills
// its holes with zeros. Bytes beyond size are zeros.
func (f *FS) wants(v signet.View, ino signet.Ino, r extent.Range, dst []byte, size uint64) ([]want, error) {
	var list []want
	for len(dst) > 0 {
		if r.Off >= size {
			clear(dst)
			return list, nil
		}
		n := min(r.Len, size-r.Off) // beyond lies at most what a truncation has yet to remove
		extents, err := v.Extents(ino, r.Off, n, maxExtents)
		if err != nil {
			return nil, err
		}
		if len(extents) == maxExtents {
			n = min(n, extents[maxExtents-1].End()-r.Off) // there may be more behind
		}
		for _, p := range extent.Plan(extents, r.Off, n) {
			part := dst[p.Off-r.Off : p.Off-r.Off+p.Len]
			if p.Hole {
				clear(part)
				continue
			}
			var row signet.Object
			if p.Extent.Inline == nil {
				if row, err = v.Object(p.Extent.Object); err != nil {
					return nil, signet.Wrap("find object", p.Extent.Object.String(), err)
				}
			}
			list = append(list, wantOf(p.Extent, row, part))
		}
		dst, r.Off, r.Len = dst[n:], r.Off+n, r.Len-n
	}
	return list, nil
}
