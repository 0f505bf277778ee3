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
// and why. The data is in memory then; an error of what happens to it later comes out
// of the next Write, Fsync or Flush of each handle of the file. It may wait for memory,
// so for puts, but never for a release: the kernel holds the pages locked meanwhile,
// and the change feed may have to wait for those (reads.go). With WriteAppend the data
// goes to the end of the file, whatever off is.
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
	fromCache := flags&WriteFromCache != 0
	if err := f.reserve(ctx, h, int64(len(data)), fromCache); err != nil {
		return 0, signet.Wrap("write", inodeText(h.node.ino), err)
	}
	n := h.node
	kill := flags&WriteKillPriv != 0 || r.UID != 0 && !fromCache
	to, err := uint64(off), error(nil)
	if flags&WriteAppend != 0 && !fromCache {
		to, err = f.lockAtEnd(n)
	} else {
		n.mu.Lock()
	}
	if err != nil {
		f.memory.add(-int64(len(data)))
		return 0, signet.Wrap("write", inodeText(n.ino), err)
	}
	grew := n.over.write(to, data)
	n.mtime = f.now()
	n.killPriv = n.killPriv || kill
	pieces := len(n.over.pieces)
	n.mu.Unlock()
	f.memory.add(grew - int64(len(data)))
	f.soil(n)
	if to != uint64(off) {
		f.misplaced(r, n.ino)
	}
	switch {
	case pieces > maxPieces:
		f.publishSoon(n)
	case to%chunk+uint64(len(data)) >= chunk:
		if f.startAll(n, false) > maxUnnamed {
			f.publishSoon(n)
		}
	}
	return len(data), nil
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

// misplaced is called when data went elsewhere than where the kernel put it into its
// pages: the file had grown or shrunk elsewhere. The kernel must forget those once it
// has the reply.
func (f *FS) misplaced(r *Request, ino signet.Ino) {
	r.onDone(func() {
		f.work.Go(func() {
			f.kernel.get().DropPages(ino, 0, -1)
			f.kernel.get().DropAttr(ino)
		})
	})
}

// Flush is a close(2) of one of the descriptors of a handle: what was written is
// published, so that whoever opens the file next, anywhere, reads it.
func (f *FS) Flush(r *Request, id Handle) error {
	h, err := f.handles.get(id)
	if err != nil {
		return err
	}
	if !h.writes() {
		return nil
	}
	return f.flush(r, h)
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
	return f.flush(r, h)
}

func (f *FS) flush(r *Request, h *handle) error {
	ctx, cancel := f.begin(r)
	defer cancel()
	err := f.publish(ctx, h.node)
	if err == nil {
		err = h.node.released(ctx)
	}
	if failed := h.failed(); failed != nil {
		return failed // once, and not again as an error of the background
	}
	return err
}
