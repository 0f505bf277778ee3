package fs

import (
	"context"

	"github.com/signetfs/signet"
)

// Ways of Lseek, as in lseek(2).
const (
	SeekData = 3
	SeekHole = 4
)

// Lseek finds the next data or hole at or after off. The end of the file is a hole.
// PastEnd if there is none.
func (f *FS) Lseek(r *Request, id Handle, off uint64, whence uint32) (uint64, error) {
	h, err := f.handles.get(id)
	if err != nil {
		return 0, err
	}
	ino := h.node.ino
	if h.dir != nil || whence != SeekData && whence != SeekHole {
		return 0, signet.Errorf(signet.Invalid, "seek", inodeText(ino), "whence %d", whence)
	}
	ctx, cancel := f.begin(r)
	defer cancel()
	_, err = f.ask(ctx, ino, signet.RecallRead)
	if err := f.cutOff(ctx, err); err != nil {
		return 0, err
	}
	for {
		if err := f.names.Ready(ctx); err != nil {
			return 0, err
		}
		v := f.names.View()
		to, ok, err := f.seek(ctx, v, h.node, off, whence == SeekData)
		v.Close()
		if err != nil {
			return 0, signet.Wrap("seek", inodeText(ino), err)
		}
		if ok {
			return to, nil
		}
	}
}

// seek is one round; it is not ok if what it did not find in the view was published
// meanwhile.
func (f *FS) seek(ctx context.Context, v signet.View, n *node, off uint64, data bool) (to uint64, ok bool, err error) {
	at, err := v.Attr(n.ino)
	if err != nil {
		return 0, false, err
	}
	committed := at.Size
	if !n.overlay(&at, v.Index()) {
		return 0, false, nil
	}
	if off >= at.Size {
		return 0, true, signet.PastEnd
	}
	for to = off; to < at.Size; {
		from, end, err := f.nextData(v, n, to, committed, at.Size)
		if err != nil {
			return 0, false, err
		}
		if data {
			to = from
			break
		}
		if from > to {
			break // a hole
		}
		to = end
	}
	if err := v.Settle(ctx); err != nil {
		return 0, false, err
	}
	n.mu.Lock()
	ok = n.published <= v.Index()
	n.mu.Unlock()
	switch {
	case !ok:
		return 0, false, nil
	case data && to >= at.Size:
		return 0, true, signet.PastEnd
	}
	return min(to, at.Size), true, nil
}

// nextData returns the first range of bytes at or after off, committed or not; it
// begins at size if there is none.
func (f *FS) nextData(v signet.View, n *node, off, committed, size uint64) (from, end uint64, err error) {
	from, end = size, size
	var extents []signet.Extent
	if off < committed {
		if extents, err = v.Extents(n.ino, off, committed-off, maxExtents); err != nil {
			return 0, 0, err
		}
	}
	for i, e := range extents {
		if i == 0 {
			from, end = max(off, e.Off), e.End()
		} else if e.Off == end {
			end = e.End()
		} else {
			break
		}
	}
	n.mu.Lock()
	dirty, ok := n.over.next(off)
	n.mu.Unlock()
	if ok && dirty.Off < from {
		from, end = dirty.Off, dirty.End()
	}
	return from, end, nil
}
