package fs

import (
	"context"
	"syscall"

	"github.com/signetfs/signet"
)

// Open opens a regular file; flags are those of open(2).
func (f *FS) Open(r *Request, ino signet.Ino, flags uint32) (Handle, OpenFlags, error) {
	f.moved.over(r.PID)
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
	var direct bool
	if writes := flags&syscall.O_ACCMODE != syscall.O_RDONLY; writes {
		direct, err = f.openToWrite(ctx, r, n, flags)
	} else {
		direct, err = f.openToRead(ctx, r, ino, flags)
	}
	if err != nil {
		f.nodes.put(n, true)
		return nil, OpenFlags{}, signet.Wrap("open", inodeText(ino), err)
	}
	h := f.handles.add(n, flags, nil, direct)
	if !h.writes() {
		n.opened(h)
	}
	return h, OpenFlags{KeepCache: f.kept.open(ino), DirectIO: direct}, nil
}

// openToRead truncates the file if that is wanted: by who may write it, so the kernel has
// decided. It says whether the handle has to be direct: whoever writes the file may be done
// with it, else its pages are not for us to keep.
func (f *FS) openToRead(ctx context.Context, r *Request, ino signet.Ino, flags uint32) (direct bool, err error) {
	if flags&syscall.O_TRUNC != 0 {
		if _, err := f.setAttr(ctx, r, ino, AttrChange{Set: signet.SetSize, KillPriv: r.KillPriv}); err != nil {
			return false, err
		}
	}
	other, err := f.ask(ctx, ino, signet.RecallOpen)
	return other != 0, f.cutOff(ctx, err)
}

// openToWrite makes this host the owner of the file, if no other is, and truncates it if
// that is wanted. It says whether the handle has to be direct. The handle is counted.
func (f *FS) openToWrite(ctx context.Context, r *Request, n *node, flags uint32) (direct bool, err error) {
	if err := n.flushing.take(ctx); err != nil {
		return false, err
	}
	defer n.flushing.give()
	take, truncated := f.delegate(ctx, n), false
	if flags&syscall.O_TRUNC != 0 {
		take = func() (signet.Result, error) {
			res, err := f.setAttrLocked(ctx, r, n, AttrChange{Set: signet.SetSize, KillPriv: r.KillPriv, own: true})
			truncated = err == nil
			return res, err
		}
	}
	now := f.names.Session()
	n.mu.Lock()
	held := n.right.held(now)
	n.mu.Unlock()
	var other signet.SessionID
	if !held {
		if other, err = f.claim(ctx, n, signet.RecallShare, take); err != nil {
			return false, err
		}
	}
	if flags&syscall.O_TRUNC != 0 && !truncated {
		if _, err := f.setAttrLocked(ctx, r, n, AttrChange{Set: signet.SetSize, KillPriv: r.KillPriv}); err != nil {
			return false, err
		}
	}
	direct = other != 0 || flags&syscall.O_APPEND != 0
	n.opened(&handle{flags: flags, direct: direct})
	return direct, nil
}

// cutOff returns err unless it says that this host has no lease and may show what it has.
func (f *FS) cutOff(ctx context.Context, err error) error {
	if signet.KindOf(err) == signet.Unavailable {
		return f.names.Ready(ctx)
	}
	return err
}

// hold returns the node of ino, held for a handle.
func (f *FS) hold(ctx context.Context, ino signet.Ino, dir bool) (*node, error) {
	wasOpen := f.nodes.isOpen(ino)
	// Held before it is looked at: from here on the change feed tells if it becomes an
	// orphan; if it is one already, the view says so.
	n := f.nodes.get(ino, true)
	var at *signet.Attr
	err := f.settled(ctx, func(a *answer) error {
		now, err := a.view.Attr(ino) // not what its owner knows: its type and links are in the log
		at = &now
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
	defer f.unlockHandle(h)
	h.node.closed(h)
	f.rest(h.node)
	if f.nodes.put(h.node, true) {
		f.discard(h.node, nil) // nobody can ever read it
		return
	}
	if h.writes() && h.node.isDirty() {
		f.publishSoon(h.node)
	}
}
