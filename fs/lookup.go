package fs

import (
	"context"
	"time"

	"github.com/signetfs/signet"
)

// Lookup finds a name in a directory. That it is not there has no lifetime.
func (f *FS) Lookup(r *Request, parent signet.Ino, name string) (Entry, error) {
	ctx, cancel := f.begin(r)
	defer cancel()
	e, err := f.lookup(ctx, r, parent, name)
	switch {
	case signet.KindOf(err) == signet.NotFound:
		f.moved.over(r.PID)
	case err == nil && f.justMoved(r, parent, name, e.Attr.Ino):
		return Entry{}, signet.Errorf(signet.Stale, "look up in", inodeText(parent), "another host has just moved it")
	}
	return e, err
}

func (f *FS) lookup(ctx context.Context, r *Request, parent signet.Ino, name string) (Entry, error) {
	var at *signet.Attr
	sealed, find, err := f.finder(parent, name, &at)
	if err != nil {
		return Entry{}, err
	}
	ttl, err := f.answer(ctx, r, find)
	if err != nil {
		return Entry{}, signet.Wrap("look up in", inodeText(parent), err)
	}
	e := Entry{Attr: *at, AttrTTL: ttl}
	if ttl > 0 {
		if f.keepsName(parent, sealed, at) {
			e.EntryTTL = ttl
		}
		f.shown.tell(at.Ino, e.EntryTTL > 0)
	}
	return e, nil
}

// keepsName is called inside the gate for a name in an answer with a lifetime. It says whether
// the name may have that too.
func (f *FS) keepsName(dir signet.Ino, sealed []byte, at *signet.Attr) bool {
	if sealed == nil || !f.kernel.epochs.Load() || !at.IsDir() && f.shown.isNew(at.Ino) {
		return false
	}
	return f.kernel.names.keep(dir, string(sealed), f.clock.Now())
}

// finder seals a name and returns what reads the inode under it into *at.
func (f *FS) finder(parent signet.Ino, name string, at **signet.Attr) (sealed []byte, find func(*answer) error, err error) {
	if name != "." && name != ".." {
		if sealed, err = f.seal.SealName(parent, name); err != nil {
			return nil, nil, signet.Wrap("look up", "", err)
		}
	}
	return sealed, func(a *answer) error {
		ino, err := parent, error(nil)
		switch name {
		case ".":
		case "..":
			ino, err = a.view.Parent(parent)
		default:
			var e signet.Entry
			e, err = a.view.Lookup(parent, sealed)
			ino = e.Ino
		}
		if err == nil {
			*at, err = a.attr(ino)
		}
		return err
	}, nil
}

// GetAttr returns an inode's attributes and for how long they may be believed.
func (f *FS) GetAttr(r *Request, ino signet.Ino) (signet.Attr, time.Duration, error) {
	ctx, cancel := f.begin(r)
	defer cancel()
	at, ttl, err := f.getAttr(ctx, r, ino)
	if err != nil {
		return signet.Attr{}, 0, signet.Wrap("stat", inodeText(ino), err)
	}
	return *at, ttl, nil
}

func (f *FS) getAttr(ctx context.Context, r *Request, ino signet.Ino) (*signet.Attr, time.Duration, error) {
	var at *signet.Attr
	ttl, err := f.answer(ctx, r, func(a *answer) (err error) {
		a.size = true
		at, err = a.attr(ino)
		return err
	})
	return at, ttl, err
}

// Readlink returns a symlink's target.
func (f *FS) Readlink(r *Request, ino signet.Ino) ([]byte, error) {
	ctx, cancel := f.begin(r)
	defer cancel()
	var sealed []byte
	err := f.settled(ctx, func(a *answer) error {
		at, err := a.view.Attr(ino)
		if err == nil && !at.IsSymlink() {
			err = signet.Invalid
		}
		if err == nil {
			f.accessed(&at, 0)
			sealed, err = a.view.Target(ino)
		}
		return err
	})
	if err == nil {
		sealed, err = f.seal.OpenTarget(ino, sealed)
	}
	return sealed, signet.Wrap("read symlink", inodeText(ino), err)
}

// Access is never asked of a mount with default_permissions: the kernel decides from
// the attributes, and nothing is decided twice.
func (f *FS) Access(*Request, signet.Ino, uint32) error { return signet.NotSupported }

// StatFs tells how large and how full the volume is, from local state.
func (f *FS) StatFs(r *Request) (Space, error) {
	ctx, cancel := f.begin(r)
	defer cancel()
	s, err := f.names.Space(ctx)
	return s, signet.Wrap("stat filesystem", "", err)
}
