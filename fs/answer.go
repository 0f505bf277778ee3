package fs

import (
	"context"
	"time"

	"github.com/signetfs/signet"
)

// An answer is what a request tells of the state. This file has the rules by which
// every answer but a READ's (read.go) comes about:
//
//  1. It reads everything from one view, opened at its start.
//  2. It waits until what it read is released (Settle): then every other host would
//     answer the same. It never waits for changes made after it began.
//  3. What programs here wrote and did not publish yet is laid over it. Of a file that is
//     delegated to another host, that one is asked (newest).
//  4. Just before it goes to the kernel it enters the gate and asks whether it is still
//     the newest (Fresh). Only then may the kernel keep it. It leaves the gate when the
//     reply has been written (Request.Done).
type answer struct {
	view  signet.View
	attrs []*signet.Attr // those in the answer, to be overlaid
	once  bool           // another host may change it without telling: not to be kept
	size  bool           // the kernel asks for the size of a file
}

// attr reads an inode for the answer.
func (a *answer) attr(ino signet.Ino) (*signet.Attr, error) {
	at, err := a.view.Attr(ino)
	if err != nil {
		return nil, err
	}
	p := &at
	a.attrs = append(a.attrs, p)
	return p, nil
}

// answer has read tell what the answer is made of and carries out the rules above. It
// returns for how long the kernel may keep the answer. read may be called more than
// once; the last call counts.
//
// It is the last thing a request does: who waits for anything inside the gate may wait
// for the change feed, which waits at the gate.
func (f *FS) answer(ctx context.Context, r *Request, read func(*answer) error) (ttl time.Duration, err error) {
	err = f.look(ctx, read, func(a *answer) {
		r.pass(&f.gate)
		if ttl = lifetime(a.view); a.once {
			ttl = 0
		}
		for i := 0; i < len(a.attrs) && ttl > 0; i++ {
			f.keepsAttrs(a.attrs[i].Ino)
		}
	})
	return ttl, err
}

// settled is answer for what the kernel does not keep, or what is only a step.
func (f *FS) settled(ctx context.Context, read func(*answer) error) error {
	return f.look(ctx, read, func(*answer) {})
}

func (f *FS) look(ctx context.Context, read func(*answer) error, pass func(*answer)) error {
	for {
		stands, err := f.tryLook(ctx, read, pass)
		if stands || err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// tryLook is one round. The answer does not stand if what it lacks of this host's own
// writes was published after its view was opened.
func (f *FS) tryLook(ctx context.Context, read func(*answer) error, pass func(*answer)) (stands bool, err error) {
	if err := f.names.Ready(ctx); err != nil {
		return false, err
	}
	a := &answer{view: f.names.View()}
	defer a.view.Close()
	failed := read(a)
	if err := a.view.Settle(ctx); err != nil {
		return false, err
	}
	if failed != nil {
		return false, failed // settled too: that nothing is there is an answer
	}
	for _, at := range a.attrs {
		if ok, err := f.newest(ctx, a, at); !ok || err != nil {
			return false, err
		}
	}
	if a.size {
		f.tellSize(ctx, a.attrs[0])
	}
	pass(a)
	return true, nil
}

// newest makes attributes that were read those that programs here are to see. They do not
// stand if something was published meanwhile, or the file has come to be another's.
func (f *FS) newest(ctx context.Context, a *answer, at *signet.Attr) (ok bool, err error) {
	if !at.IsRegular() || !f.foreign(at.Owner) {
		if n := f.nodes.peek(at.Ino); n != nil && f.unsettled(n) {
			if err := f.settle(ctx, n); err == nil || ctx.Err() != nil {
				return false, err
			} // else it cannot be published now, and its programs know what they wrote
		}
		return f.overlaid(at, a.view.Index()), nil
	}
	a.once = true
	r, err := f.names.Recall(ctx, at.Owner, at.Ino, signet.RecallAttr)
	if err := f.cutOff(ctx, err); err != nil {
		return false, err
	}
	if r.Held && r.Attr.Ino == at.Ino {
		uid, gid := at.UID, at.GID // that mount may show others than there are
		*at = r.Attr
		at.UID, at.GID = uid, gid
	}
	f.atimes.lay(at)
	f.squash.show(at)
	return r.Held || err != nil && f.isCutOff(), nil // else it can be asked again
}

// isCutOff says whether this host has no lease now: then no view is fresh.
func (f *FS) isCutOff() bool {
	v := f.names.View()
	defer v.Close()
	return !v.Fresh()
}

// lifetime is called inside the gate.
func lifetime(v signet.View) time.Duration {
	if v.Fresh() {
		return cacheFor
	}
	return 0
}

// overlaid changes the attributes of an inode, read at index, to what programs on
// this host see. It returns false if what they wrote has been published since.
func (f *FS) overlaid(at *signet.Attr, index signet.Index) bool {
	f.atimes.lay(at)
	f.squash.show(at)
	if !at.IsRegular() {
		return true
	}
	n := f.nodes.peek(at.Ino)
	return n == nil || n.overlay(at, index)
}

// made makes an answer to a change. The kernel takes attributes from these without
// asking whether they were dropped since it asked, as it does with a LOOKUP's or a
// GETATTR's; so they are for once, and asked for when they are wanted. So is the name: what is
// made is often taken away soon (names.go).
func made(at *signet.Attr) Entry { return Entry{Attr: *at} }

// outcome is the answer to a change: the inode at, as the released command left it,
// under a name in parent unless name is nil. If that is still the newest here, which
// it nearly always is, nothing needs to be settled again.
func (f *FS) outcome(ctx context.Context, r *Request, parent signet.Ino, name []byte, res signet.Result) (Entry, error) {
	at := res.Attr
	if name != nil {
		f.shown.made(at.Ino)
	}
	if f.overlaid(&at, res.Index) {
		v := f.names.View()
		defer v.Close()
		if unchanged(v, parent, name, &res.Attr) {
			r.pass(&f.gate)
			return made(&at), nil
		}
	}
	var now *signet.Attr
	_, err := f.answer(ctx, r, func(a *answer) error {
		if name != nil {
			if e, err := a.view.Lookup(parent, name); err != nil || e.Ino != at.Ino {
				return signet.Stale
			}
		}
		var err error
		now, err = a.attr(at.Ino)
		return err
	})
	switch signet.KindOf(err) {
	case signet.OK:
		return made(now), nil
	case signet.Stale, signet.NotFound:
		// Somebody has removed it meanwhile. It was there when our change was made.
		r.pass(&f.gate)
		return made(&at), nil
	}
	return Entry{}, err
}

func unchanged(v signet.View, parent signet.Ino, name []byte, at *signet.Attr) bool {
	if name != nil {
		e, err := v.Lookup(parent, name)
		if err != nil || e.Ino != at.Ino {
			return false
		}
	}
	now, err := v.Attr(at.Ino)
	return err == nil && now == *at
}
