package fs

import (
	"context"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
)

// CopyFileRange makes [outOff, outOff+n) of out the same as [inOff, inOff+n) of in by
// sharing extents, so no data moves. It returns how much it did, which may be less than
// asked for: up to the end of the source, or what one command can name.
func (f *FS) CopyFileRange(r *Request, in Handle, inOff uint64, out Handle, outOff, n uint64, flags uint64) (uint64, error) {
	src, err := f.handles.file(in, false)
	if err != nil {
		return 0, err
	}
	dst, err := f.handles.file(out, true)
	if err != nil {
		return 0, err
	}
	ino := dst.node.ino
	if flags != 0 {
		return 0, signet.Errorf(signet.Invalid, "copy range to", inodeText(ino), "flags %#x", flags)
	}
	if inOff > signet.MaxFileSize || outOff > signet.MaxFileSize {
		return 0, signet.Errorf(signet.TooBig, "copy range to", inodeText(ino), "past the largest file")
	}
	n = min(n, signet.MaxFileSize-inOff, signet.MaxFileSize-outOff)
	if src.node == dst.node && inOff < outOff+n && outOff < inOff+n {
		return 0, signet.Errorf(signet.Invalid, "copy range to", inodeText(ino), "the ranges overlap")
	}
	ctx, cancel := f.begin(r)
	defer cancel()
	if src.node != dst.node {
		if err := f.publish(ctx, src.node); err != nil {
			return 0, err
		}
		if _, err := f.ask(ctx, src.node.ino, signet.RecallRead); err != nil {
			return 0, err
		}
	}
	if err := dst.node.flushing.take(ctx); err != nil {
		return 0, signet.Wrap("copy range to", inodeText(ino), err)
	}
	defer dst.node.flushing.give()
	if err := f.publishLocked(ctx, dst.node); err != nil {
		return 0, err
	}
	if r.UID != 0 {
		if err := f.killCapabilities(ctx, ino); err != nil {
			return 0, err
		}
	}
	c := copying{from: src.node.ino, to: ino, inOff: inOff, outOff: outOff, kill: r.UID != 0, flags: src.flags}
	done, err := f.share(ctx, c, n)
	return done, signet.Wrap("copy range to", inodeText(ino), err)
}

// copying is a copy of a range.
type copying struct {
	from, to      signet.Ino
	inOff, outOff uint64
	kill          bool
	flags         uint32 // with which the source is open
}

// share copies up to n bytes. The source may change meanwhile, so that an object it
// read of is gone when the command is applied: then it reads again.
func (f *FS) share(ctx context.Context, c copying, n uint64) (uint64, error) {
	for try := 0; ; try++ {
		w, done, err := f.shared(ctx, c, n)
		if err != nil || done == 0 {
			return 0, err
		}
		_, err = f.commitAsked(ctx, w)
		switch kind := signet.KindOf(err); {
		case err == nil:
			return done, nil
		case kind == signet.TooBig && done > 1:
			n = done / 2 // it would replace too many small extents at once
		case kind != signet.Stale || try >= maxStale:
			return 0, err
		}
	}
}

// shared builds the command that copies up to n bytes, from one settled view.
func (f *FS) shared(ctx context.Context, c copying, n uint64) (*signet.Write, uint64, error) {
	if err := f.names.Ready(ctx); err != nil {
		return nil, 0, err
	}
	v := f.names.View()
	defer v.Close()
	at, err := v.Attr(c.from)
	if err != nil {
		return nil, 0, err
	}
	if f.accessed(&at, c.flags) {
		f.kernel.get().DropAttr(c.from) // with a READ it would know by itself
	}
	if c.inOff >= at.Size {
		return nil, 0, nil
	}
	n = min(n, at.Size-c.inOff)
	extents, err := v.Extents(c.from, c.inOff, n, maxExtents)
	if err != nil {
		return nil, 0, err
	}
	if err := v.Settle(ctx); err != nil {
		return nil, 0, err
	}
	if len(extents) == maxExtents {
		n = min(n, extents[maxExtents-1].End()-c.inOff)
	}
	w := &signet.Write{Ino: c.to, Mtime: f.now(), ClearSUID: c.kill}
	n, err = f.clone(w, c, extent.Plan(extents, c.inOff, n))
	w.Size = c.outOff + n
	return w, n, err
}

// clone adds the pieces to the command, at their new place, and returns how many bytes
// they are. Inline data is sealed for its place, so it is sealed anew; it stops where
// the command would carry too much of that.
func (f *FS) clone(w *signet.Write, c copying, pieces []extent.Piece) (uint64, error) {
	var done uint64
	inline := 0
	for _, p := range pieces {
		off := c.outOff + (p.Off - c.inOff)
		if p.Hole {
			w.Punch = append(w.Punch, signet.Hole{Off: off, Len: p.Len})
			done += p.Len
			continue
		}
		e := p.Extent
		e.Off = off
		if e.Inline != nil {
			if inline += int(e.Len); inline > signet.MaxInline && done > 0 {
				return done, nil
			}
			var buf [signet.MaxInline]byte
			plain := buf[:e.Len]
			if err := f.fetchOne(context.Background(), c.from, &want{extent: p.Extent, dst: plain}, false); err != nil {
				return done, err
			}
			sealed, err := f.seal.SealInline(nil, c.to, off, plain)
			if err != nil {
				return done, err
			}
			e.Inline, e.ObjectOff, e.Floating = sealed, 0, 0
		}
		w.Extents = append(w.Extents, e)
		done += p.Len
	}
	return done, nil
}
