package fs

import (
	"context"
	"fmt"
	"sync"

	"github.com/signetfs/signet"
)

// apply proposes a command and carries out what it leaves to be drained. It returns
// when it is applied here; its refusal, if any, is in Result.Err.
func (f *FS) apply(ctx context.Context, ino signet.Ino, c signet.Command) (signet.Result, signet.Ticket, error) {
	for {
		res, ticket, err := f.names.Do(ctx, c)
		if err != nil {
			return res, nil, signet.Wrap(opOf(c), inodeText(ino), err)
		}
		if res.Err == signet.OK && !res.More {
			return res, ticket, nil
		}
		if res.Err != signet.Draining && !res.More {
			return res, ticket, nil
		}
		if res.Attr.Ino != 0 {
			ino = res.Attr.Ino
		}
		last, err := f.drain(ctx, ino)
		if err != nil {
			return res, nil, err
		}
		if res.Err == signet.OK {
			return res, last, nil // released with the last step, so all of it is
		}
	}
}

// drain carries out the rest of a large change of ino.
func (f *FS) drain(ctx context.Context, ino signet.Ino) (signet.Ticket, error) {
	for {
		res, ticket, err := f.names.Do(ctx, &signet.Drain{Ino: ino})
		if err == nil && res.Err != signet.OK {
			err = res.Err
		}
		if err != nil {
			return nil, signet.Wrap("finish a large change", inodeText(ino), err)
		}
		if !res.More {
			return ticket, nil
		}
	}
}

// commit carries out a command and waits until it is released. A refusal comes back
// as an error, after the state that it tells of is released.
func (f *FS) commit(ctx context.Context, ino signet.Ino, c signet.Command) (signet.Result, error) {
	res, ticket, err := f.apply(ctx, ino, c)
	if err != nil {
		return res, err
	}
	if err := released(ctx, ticket); err != nil {
		return res, signet.Wrap(opOf(c), inodeText(ino), err)
	}
	if res.Err != signet.OK {
		return res, signet.Wrap(opOf(c), inodeText(ino), res.Err)
	}
	return res, nil
}

func released(ctx context.Context, t signet.Ticket) error {
	if t == nil {
		return nil
	}
	return t.Wait(ctx)
}

// commitData is commit for a change of a file's bytes that the kernel makes to its
// pages only when the call has succeeded. Until then, and for good if nobody knows how
// it ended, the change feed does not take the kernel's pages for right.
func (f *FS) commitData(ctx context.Context, ino signet.Ino, c signet.Command) (signet.Result, error) {
	done := f.doubts.begin(ino)
	res, err := f.commit(ctx, ino, c)
	kind := signet.KindOf(err)
	done(kind == signet.OK || res.Err != signet.OK || kind == signet.ReadOnly || kind == signet.TooBusy)
	return res, err
}

// commitAsked is commitData for a change of bytes that was not buffered: if the file is
// delegated to another host, that one is asked first.
func (f *FS) commitAsked(ctx context.Context, w *signet.Write) (signet.Result, error) {
	for {
		var err error
		if w.Asked, err = f.ask(ctx, w.Ino, signet.RecallWrite); err != nil {
			return signet.Result{}, err
		}
		res, err := f.commitData(ctx, w.Ino, w)
		if signet.KindOf(err) != signet.Busy {
			return res, err
		}
	}
}

// doubts are the inodes whose bytes may differ from their pages in the kernel
// although the change is this host's own.
type doubts struct {
	mu       sync.Mutex
	underWay map[signet.Ino]int      // guarded by mu; calls that change bytes
	forGood  map[signet.Ino]struct{} // guarded by mu; a call failed, and what it did may still come
	all      bool                    // guarded by mu; there were too many of those
}

// begin says that a call is under way. The returned function says that it is over,
// and whether it is known what it did.
func (d *doubts) begin(ino signet.Ino) (done func(known bool)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.underWay == nil {
		d.underWay, d.forGood = make(map[signet.Ino]int), make(map[signet.Ino]struct{})
	}
	d.underWay[ino]++
	return func(known bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.underWay[ino]--; d.underWay[ino] == 0 {
			delete(d.underWay, ino)
		}
		if !known {
			d.forGood[ino] = struct{}{}
			d.all = d.all || len(d.forGood) > maxDoubts
		}
	}
}

// about says whether a call that changes bytes is under way, and whether one has
// failed in the past.
func (d *doubts) about(ino signet.Ino) (underWay, forGood bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, forGood = d.forGood[ino]
	return d.underWay[ino] > 0, forGood || d.all
}

func inodeText(ino signet.Ino) string { return fmt.Sprintf("inode %d", ino) }

// opOf names a command in errors.
func opOf(c signet.Command) string {
	switch c.(type) {
	case *signet.Create:
		return "create"
	case *signet.Link:
		return "link"
	case *signet.Remove:
		return "remove"
	case *signet.Rename:
		return "rename"
	case *signet.SetAttr:
		return "set attributes"
	case *signet.Write:
		return "write"
	case *signet.SetXattr:
		return "set attribute"
	case *signet.RemoveXattr:
		return "remove attribute"
	case *signet.Delegate, *signet.HandBack, *signet.Revoke:
		return "delegate"
	case *signet.SetACL:
		return "set ACL"
	case *signet.SetAtimes:
		return "set times of access"
	}
	return "change"
}
