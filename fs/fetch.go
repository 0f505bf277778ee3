package fs

import (
	"context"
	"sync"

	"github.com/signetfs/signet"
)

// want is a part of a file to be fetched and opened straight to where it belongs.
type want struct {
	extent signet.Extent
	row    signet.Object // of extent.Object; unset if the extent is inline
	dst    []byte        // extent.Len bytes
}

func wantOf(e signet.Extent, row signet.Object, dst []byte) want {
	return want{extent: e, row: row, dst: dst}
}

// fetch fills everything that is wanted, several pieces at once.
func (f *FS) fetch(ctx context.Context, ino signet.Ino, list []want, streaming bool) error {
	if len(list) == 1 {
		return f.fetchOne(ctx, ino, &list[0], streaming)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	room := make(chan struct{}, f.limits.Fetches)
	for i := range list {
		w := &list[i]
		if w.extent.Inline != nil {
			if err := f.fetchOne(ctx, ino, w, streaming); err != nil {
				once.Do(func() { first = err })
				break
			}
			continue
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			once.Do(func() { first = ctx.Err() })
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-room }()
			if err := f.fetchOne(ctx, ino, w, streaming); err != nil {
				once.Do(func() { first = err })
				cancel()
			}
		})
	}
	wg.Wait()
	return first
}

// origin is the place that inline data is sealed for.
func origin(e *signet.Extent) uint64 {
	if e.Floating != 0 {
		return e.Floating
	}
	return e.Off - uint64(e.ObjectOff)
}

func (f *FS) fetchOne(ctx context.Context, ino signet.Ino, w *want, streaming bool) error {
	e := &w.extent
	if e.Inline == nil {
		return f.readObject(ctx, &w.row, e.ObjectOff, w.dst, streaming)
	}
	var buf [signet.MaxInline]byte
	plain, err := f.seal.OpenInline(buf[:0], ino, origin(e), e.Inline)
	if err != nil {
		return err
	}
	if uint64(e.ObjectOff)+uint64(e.Len) > uint64(len(plain)) {
		return signet.Errorf(signet.Corrupt, "read inline data", inodeText(ino), "%d bytes, its extent says more", len(plain))
	}
	copy(w.dst, plain[e.ObjectOff:])
	return nil
}

// readObject fills dst with the object's bytes at off. What was read ahead is used;
// with streaming, what was not is fetched in whole blocks, because more will be asked
// for. Otherwise no more is fetched than opening takes.
func (f *FS) readObject(ctx context.Context, row *signet.Object, off uint32, dst []byte, streaming bool) error {
	o, err := f.seal.Opener(row)
	if err != nil {
		return err
	}
	for len(dst) > 0 {
		n := min(uint32(len(dst)), blockSize-off%blockSize)
		if uint64(off)+uint64(n) > uint64(row.Size) {
			return signet.Errorf(signet.Corrupt, "read object", row.Address.String(), "%d bytes, its extent says more", row.Size)
		}
		if err := f.readBlock(ctx, o, row, off, dst[:n], streaming); err != nil {
			return err
		}
		off, dst = off+n, dst[n:]
	}
	return nil
}

// readBlock is readObject within one block.
func (f *FS) readBlock(ctx context.Context, o Opener, row *signet.Object, off uint32, dst []byte, streaming bool) error {
	at, length, err := o.Range(off, uint32(len(dst)))
	if err != nil {
		return err
	}
	b := f.ahead.find(blockOf(row, off))
	if b == nil && streaming {
		b = f.fetchBlock(o, row, off)
	}
	if b != nil {
		if sealed, ok := b.wait(ctx, at, length); ok {
			if o.OpenRange(dst, off, sealed) == nil {
				return nil
			}
			f.ahead.remove(b)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	sealed, err := f.objects.Get(ctx, *row, at, length)
	if err == nil && uint32(len(sealed)) == length {
		if err = o.OpenRange(dst, off, sealed); err == nil {
			return nil
		}
	}
	if err != nil && signet.KindOf(err) != signet.Corrupt {
		return err
	}
	// A part that does not verify tells nobody which copy is bad. The whole object is
	// verified by its address on the way, so a good copy of it will be found if there
	// is one, and the bad one noticed.
	if sealed, err = f.objects.Get(ctx, *row, 0, row.Sealed); err != nil {
		return err
	}
	if uint64(at)+uint64(length) > uint64(len(sealed)) {
		return signet.Errorf(signet.Corrupt, "read object", row.Address.String(), "%d sealed bytes, its row says %d", len(sealed), row.Sealed)
	}
	return o.OpenRange(dst, off, sealed[at:at+length])
}
