package fs

import (
	"context"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
	"github.com/signetfs/signet/internal/clock"
)

// A guest writes to a file that another host owns, through direct handles: it asks the
// owner to publish what it has, and then commits each write before it returns. When the
// owner is gone, the next write makes this host the owner.

// writeAsGuest writes to a file that is not this host's, or makes it this host's: then
// the write is not done.
func (f *FS) writeAsGuest(ctx context.Context, w *writing) (done bool, err error) {
	n := w.h.node
	if !w.h.direct {
		return false, f.reclaim(ctx, w)
	}
	if err := n.flushing.take(ctx); err != nil {
		return false, err
	}
	defer n.flushing.give()
	other, err := f.claim(ctx, n, signet.RecallWrite, f.delegate(ctx, n))
	if err != nil || other == 0 {
		return false, err
	}
	if w.append {
		return true, f.appendLocked(ctx, w)
	}
	n.mu.Lock()
	if err := w.h.intact(); err != nil {
		n.mu.Unlock()
		return true, err
	}
	n.lay(w)
	n.mu.Unlock()
	f.soil(n)
	return true, w.h.firstFailure(f.settleLocked(ctx, n))
}

// reclaim asks for a file that was taken away from this host while a program had it open,
// through a handle that must not wait for long. What was buffered then is lost, and its
// programs were told.
func (f *FS) reclaim(ctx context.Context, w *writing) error {
	n := w.h.node
	if w.fromCache {
		return signet.Errorf(signet.Ended, "write back pages of", inodeText(n.ino), "the file was taken away from this host")
	}
	ctx, cancel := clock.WithTimeout(ctx, f.clock, reclaimPatience)
	defer cancel()
	if err := n.flushing.take(ctx); err != nil {
		return err
	}
	defer n.flushing.give()
	other, err := f.claim(ctx, n, signet.RecallOpen, f.delegate(ctx, n))
	if err == nil && other != 0 {
		err = signet.Errorf(signet.Ended, "write", inodeText(n.ino), "another host has taken the file: open it again")
	}
	return err
}

// unsettled says whether the overlay has something that programs here may not see yet.
func (f *FS) unsettled(n *node) bool {
	now := f.names.Session()
	n.mu.Lock()
	defer n.mu.Unlock()
	private := n.right.held(now) && !n.right.watched // nobody elsewhere can tell without asking here
	return !private && (!n.over.empty() || n.ticket != nil)
}

// append adds data to the end of a file to which others may be adding too.
func (f *FS) append(ctx context.Context, w *writing) error {
	if err := w.h.node.flushing.take(ctx); err != nil {
		return err
	}
	defer w.h.node.flushing.give()
	return f.appendLocked(ctx, w)
}

// appendLocked has Apply choose where the data goes. What was written before goes before.
func (f *FS) appendLocked(ctx context.Context, w *writing) error {
	n := w.h.node
	if err := f.publishLocked(ctx, n); err != nil {
		return err
	}
	if w.kill {
		if err := f.killCapabilities(ctx, n.ino); err != nil {
			return err
		}
	}
	for stale := 0; ; stale++ {
		c, err := f.addition(n.ino, w)
		if err != nil {
			return err
		}
		res, err := f.commitAsked(ctx, c)
		switch {
		case err == nil:
			w.off = res.Attr.Size - uint64(len(w.data))
			return nil
		case signet.KindOf(err) != signet.Stale || stale >= maxStale:
			return err
		}
	}
}

// addition builds the command that adds data to the end of a file: inline if it is small,
// else as objects, which are durable then.
func (f *FS) addition(ino signet.Ino, w *writing) (*signet.Write, error) {
	c := &signet.Write{Ino: ino, Size: uint64(len(w.data)), Mtime: w.now, ClearSUID: w.kill, Append: true}
	if len(w.data) == 0 {
		return c, nil
	}
	for _, g := range extent.Pack([]extent.Span{{Len: uint64(len(w.data))}}, chunk, signet.MaxInline) {
		for _, p := range g.Parts {
			part := w.data[p.Off : p.Off+uint64(p.Len)]
			e := signet.Extent{Off: p.Off, Len: p.Len}
			if g.Inline {
				// Its place is not known yet; no file has one so high.
				e.Floating = uint64(f.clock.Now().UnixNano()) | 1<<63
				sealed, err := f.seal.SealInline(nil, ino, e.Floating, part)
				if err != nil {
					return nil, err
				}
				e.Inline = sealed
			} else {
				row, err := f.sealAndPut(p.Len, [][]byte{part})
				if err != nil {
					return nil, err
				}
				e.Object = row.Address
				c.Objects = append(c.Objects, row)
			}
			c.Extents = append(c.Extents, e)
		}
	}
	return c, nil
}
