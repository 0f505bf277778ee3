package fs

import (
	"context"

	"github.com/signetfs/signet"
)

// Flags of Write.
const (
	WriteFromCache = 1 << iota // the kernel writes back pages of a mapping: it must not wait for memory
	WriteKillPriv              // the kernel asks to clear set-uid and set-gid
	WriteAppend                // to the end of the file. Not of the handle: fcntl(2) changes it
)

// Write takes data, which it does not keep, and returns how much of it: all, or none
// and why. Under a delegation the data is in memory then; an error of what happens to it
// later comes out of the next Write, Fsync or Flush of each handle of the file. Through a
// cached handle it may wait for memory, so for puts, but never for a release: the kernel
// holds pages locked meanwhile, and the change feed may have to wait for those (reads.go,
// delegation.go). With WriteAppend the data goes to the end of the file, whatever off is.
func (f *FS) Write(r *Request, id Handle, off int64, data []byte, flags uint32) (int, error) {
	h, err := f.handles.file(id, true)
	if err != nil {
		return 0, err
	}
	if off < 0 || uint64(len(data)) > signet.MaxFileSize-uint64(off) {
		return 0, signet.Errorf(signet.TooBig, "write", inodeText(h.node.ino), "past the largest file")
	}
	ctx, cancel := f.begin(r)
	defer cancel()
	if err := f.names.Writable(ctx); err != nil {
		return 0, signet.Wrap("write", inodeText(h.node.ino), err)
	}
	w := writing{h: h, off: uint64(off), data: data, fromCache: flags&WriteFromCache != 0, now: f.now()}
	w.append = flags&WriteAppend != 0 && !w.fromCache
	w.kill = flags&WriteKillPriv != 0 || r.UID != 0 && !w.fromCache
	if err := f.reserve(ctx, h, int64(len(data)), w.fromCache); err != nil {
		return 0, signet.Wrap("write", inodeText(h.node.ino), err)
	}
	err = f.write(ctx, &w)
	f.memory.add(w.grew - int64(len(data)))
	if err != nil {
		return 0, signet.Wrap("write", inodeText(h.node.ino), err)
	}
	f.unlike(h, &w)
	return len(data), nil
}

// writing is one write under way.
type writing struct {
	h         *handle
	off       uint64 // where it goes; with append: where it went
	append    bool
	data      []byte
	fromCache bool
	kill      bool // clear set-uid, set-gid and capabilities
	now       signet.Time
	grew      int64 // memory that it took in the overlay
}

// write carries a write out as the host's right to the file allows.
func (f *FS) write(ctx context.Context, w *writing) error {
	for {
		way, err := f.lay(w)
		if err != nil {
			return err
		}
		switch way {
		case wayBuffer:
			f.buffered(w)
			return nil
		case wayThrough:
			f.soil(w.h.node)
			return f.writeThrough(ctx, w.h)
		case wayUnwatch:
			if err := f.unwatch(ctx, w.h.node); err != nil && signet.KindOf(err) != signet.Busy {
				return err
			}
			continue // Busy: it was taken away, and the change feed is about to say so
		case wayAppend:
			return f.append(ctx, w)
		case wayNone:
			return signet.Errorf(signet.Ended, "write back pages of", inodeText(w.h.node.ino), "another host writes the file, and whole pages would undo that")
		}
		if done, err := f.writeAsGuest(ctx, w); done || err != nil {
			return err
		}
	}
}

// The ways of a write.
type way int

const (
	wayBuffer  way = iota // it is in the overlay, and that is all
	wayThrough            // it is there, and has to be published before it returns
	wayAppend             // Apply has to say where the file ends
	wayGuest              // the file is not this host's
	wayUnwatch            // it need not be published once the others have forgotten their pages
	wayNone               // whole pages of a mapping, made after another host began to write the file
)

// lay puts the data into the overlay if the file is this host's, and says what else has
// to be done.
func (f *FS) lay(w *writing) (way, error) {
	n, session := w.h.node, f.names.Session()
	if w.append {
		end, err := f.lockAtEnd(n)
		if err != nil {
			return wayNone, err
		}
		w.off = end
	} else {
		n.mu.Lock()
	}
	defer n.mu.Unlock()
	if err := w.h.intact(); err != nil {
		return wayNone, err // its locks were lost since the write began; what is laid before that is discarded
	}
	way := f.wayOf(w, session)
	if w.h.closing {
		w.h.closing = false
		n.right.closing--
	}
	if way == wayBuffer || way == wayThrough {
		n.lay(w)
		if !w.h.direct {
			n.known.getPages()
		}
	}
	return way, nil
}

// wayOf decides about a write. n.mu is held.
func (f *FS) wayOf(w *writing, session signet.SessionID) way {
	n := w.h.node
	switch crowded := f.isCrowded(n); {
	case !n.right.held(session):
		return wayGuest
	case crowded && w.fromCache:
		return wayNone
	case crowded && w.append:
		return wayAppend
	case !n.right.watched || w.fromCache || crowded && !w.h.direct:
		return wayBuffer
	case !crowded && n.right.asking == 0 && f.clock.Now().Sub(n.right.since) > watchFor:
		return wayUnwatch
	default:
		return wayThrough
	}
}

// lay puts data into the overlay. n.mu is held.
func (n *node) lay(w *writing) {
	w.grew = n.over.write(w.off, w.data)
	n.mtime = w.now
	n.killPriv = n.killPriv || w.kill
}

// buffered has written data published when it is time to.
func (f *FS) buffered(w *writing) {
	n := w.h.node
	f.soil(n)
	n.mu.Lock()
	pieces := len(n.over.pieces)
	n.mu.Unlock()
	switch {
	case pieces > maxPieces:
		f.publishSoon(n)
	case w.off%chunk+uint64(len(w.data)) >= chunk:
		if f.startAll(n, false) > maxUnnamed {
			f.publishSoon(n)
		}
	}
}

// writeThrough publishes what is in the overlay and waits until everybody sees it.
func (f *FS) writeThrough(ctx context.Context, h *handle) error {
	return h.firstFailure(f.settle(ctx, h.node))
}

// unlike has the kernel forget pages that a write through a direct handle has passed by.
// (The kernel drops them before it asks; another program here may have had them read
// again since.)
func (f *FS) unlike(h *handle, w *writing) {
	n := h.node
	n.mu.Lock()
	is := h.direct && !w.fromCache && n.right.cached > 0
	n.mu.Unlock()
	if is {
		f.kernel.get().DropPages(n.ino, int64(w.off), int64(len(w.data)))
	}
}

// reserve waits until there is memory for size bytes, and makes some.
func (f *FS) reserve(ctx context.Context, h *handle, size int64, now bool) error {
	if now {
		err := h.failed()
		if err == nil {
			f.memory.add(size)
		}
		return err
	}
	for {
		broken := h.node.fails.watch()
		if err := h.failed(); err != nil {
			return err
		}
		if f.memory.over(1, 2) {
			f.relieve()
		}
		if ok, err := f.memory.take(ctx, size, broken); ok || err != nil {
			return err
		}
	}
}

// lockAtEnd locks n.mu and returns the size of the file as this host knows it, which
// stays until n.mu is unlocked: the kernel may send several writes at once.
func (f *FS) lockAtEnd(n *node) (uint64, error) {
	for {
		v := f.names.View()
		at, err := v.Attr(n.ino)
		index := v.Index()
		v.Close()
		if err != nil {
			return 0, err
		}
		n.mu.Lock()
		if n.overlayLocked(&at, index) {
			return at.Size, nil
		}
		n.mu.Unlock()
	}
}

// Flush is a close(2) of one of the descriptors of a handle: what was written is
// published, so that it is durable and named. Then what the process (owner) has locked of
// the file with fcntl(2) is unlocked.
func (f *FS) Flush(r *Request, id Handle, owner uint64) error {
	h, err := f.handles.get(id)
	if err != nil {
		return err
	}
	h.closed.Store(f.clock.Now().UnixNano())
	if h.writes() {
		err = f.flush(r, h)
		h.node.flushed(h)
	}
	f.unlockOwner(r, h, owner)
	return err
}

// Fsync publishes what is dirty and waits until nothing can take it away.
func (f *FS) Fsync(r *Request, id Handle) error {
	h, err := f.handles.get(id)
	if err != nil {
		return err
	}
	if h.dir != nil {
		return nil // changes of a directory are durable when their calls return
	}
	if err := f.flush(r, h); err != nil {
		return err
	}
	return h.intact()
}

func (f *FS) flush(r *Request, h *handle) error {
	ctx, cancel := f.begin(r)
	defer cancel()
	return f.writeThrough(ctx, h)
}
