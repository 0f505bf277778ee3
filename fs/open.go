package fs

import (
	"context"
	"syscall"

	"github.com/signetfs/signet"
)

// Open opens a regular file; flags are those of open(2).
func (f *FS) Open(r *Request, ino signet.Ino, flags uint32) (Handle, OpenFlags, error) {
	ctx, cancel := f.begin(r)
	defer cancel()
	h, of, err := f.open(ctx, r, ino, flags)
	if err != nil {
		return 0, of, err
	}
	return h.id, of, nil
}

func (f *FS) open(ctx context.Context, r *Request, ino signet.Ino, flags uint32) (*handle, OpenFlags, error) {
	n, err := f.hold(ctx, ino, false)
	if err != nil {
		return nil, OpenFlags{}, signet.Wrap("open", inodeText(ino), err)
	}
	h := f.handles.add(n, flags, nil)
	if flags&syscall.O_TRUNC != 0 { // with O_RDONLY too, if the caller may write: so the kernel has decided
		if _, err := f.setAttr(ctx, r, ino, AttrChange{Set: signet.SetSize}); err != nil {
			f.letGo(h.id)
			return nil, OpenFlags{}, err
		}
	}
	return h, OpenFlags{KeepCache: f.kept.open(ino), NoFlush: !h.writes()}, nil
}

// hold returns the node of ino, held for a handle.
func (f *FS) hold(ctx context.Context, ino signet.Ino, dir bool) (*node, error) {
	wasOpen := f.nodes.peek(ino) != nil
	// Held before it is looked at: from here on the change feed tells if it becomes an
	// orphan; if it is one already, the view says so.
	n := f.nodes.get(ino, true)
	var at *signet.Attr
	err := f.settled(ctx, func(a *answer) (err error) {
		at, err = a.attr(ino)
		return err
	})
	switch {
	case err != nil:
	case dir && !at.IsDir():
		err = signet.NotDir
	case !dir && at.IsDir():
		err = signet.IsDir
	case !dir && !at.IsRegular():
		err = signet.Invalid // the kernel opens devices, FIFOs and sockets itself
	case at.Nlink == 0 && !wasOpen:
		// The last name was removed since the kernel looked it up. The host may have
		// told the others already that nobody here has it open.
		err = signet.NotFound
	case at.Nlink == 0:
		f.nodes.orphaned(ino, true)
	}
	if err != nil {
		f.nodes.put(n, true)
		return nil, err
	}
	f.shown.opened(f.kernel.get(), ino)
	return n, nil
}

// Release ends a handle. It never fails and never waits: what is still dirty, because
// the program was killed within close(2), is published in the background.
func (f *FS) Release(_ *Request, id Handle) { f.letGo(id) }

func (f *FS) letGo(id Handle) {
	h := f.handles.remove(id)
	if h == nil {
		return
	}
	if f.nodes.put(h.node, true) {
		f.discard(h.node, nil) // nobody can ever read it
		return
	}
	if h.writes() && h.node.isDirty() {
		f.publishSoon(h.node)
	}
}
