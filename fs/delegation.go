package fs

import (
	"context"
	"time"

	"github.com/signetfs/signet"
)

// A host buffers what is written to a file under a delegation: the log says that the file
// is this session's, so every other host asks here before it tells of the file's bytes,
// size or times (Recalled), and keeps no pages of it meanwhile. This file is the owner's
// side and the way to become one; guest.go is the side of those who come second.
//
// What a program writes through a cached handle the kernel keeps in pages that it may
// hold locked until the WRITE is answered, and the change feed may have to drop those
// pages before it acknowledges. So a WRITE through such a handle must never wait for the
// log. Hence the rules:
//
//   - Who opens a file for writing becomes its owner, unless another host is. Only an owner
//     gets a cached handle; a guest's is direct, and what is done through it may wait.
//   - An owner stays one as long as it has the file open for writing.
//   - Handles with O_APPEND are direct: where the file ends may have to be left to Apply.
//
// Two things make an owner publish each write before it returns. Another host reads the
// file from pages of its kernel, through a handle from before the delegation (watched).
// And another host writes to it (crowded); then only direct handles wait, because that
// host's changes are what the feed drops pages for.
type right struct {
	session signet.SessionID // that the file is delegated to; 0: none of ours
	writers int              // handles open for writing, through which it must be kept
	closing int              // of them, those that were flushed and not written through since
	gone    chan struct{}    // closed when there are no writers any more; nil: nobody waits
	cached  int              // handles whose pages the kernel caches
	watched bool             // somebody elsewhere may have pages of it
	watches int              // how often somebody has asked for pages
	asking  int              // those who ask for pages now
	since   time.Time        // when the newest did
	crowded time.Time        // until when somebody elsewhere may be changing it
	asked   signet.SessionID // the owner that was asked, by a guest
}

// held says whether the file is delegated to this host, whose session is now.
func (r *right) held(now signet.SessionID) bool { return r.session != 0 && r.session == now }

// isCrowded says whether another host may be changing the file. n.mu is held.
func (f *FS) isCrowded(n *node) bool {
	return !n.right.crowded.IsZero() && f.clock.Now().Before(n.right.crowded)
}

// foreign says whether a file is delegated to another host.
func (f *FS) foreign(owner signet.SessionID) bool { return owner != 0 && !f.names.Own(owner) }

// ownerOf returns the session that a file is delegated to.
func (f *FS) ownerOf(ino signet.Ino) (signet.SessionID, error) {
	v := f.names.View()
	defer v.Close()
	at, err := v.Attr(ino)
	return at.Owner, err
}

// ask has the owner of a file, if that is another host, do what why says. It returns that
// owner if it keeps the file.
func (f *FS) ask(ctx context.Context, ino signet.Ino, why signet.Recall) (signet.SessionID, error) {
	for {
		owner, err := f.ownerOf(ino)
		if err != nil || !f.foreign(owner) {
			return 0, err
		}
		r, err := f.names.Recall(ctx, owner, ino, why)
		if err != nil {
			return 0, signet.Wrap("ask for", inodeText(ino), err)
		}
		if r.Held {
			return owner, nil
		}
	}
}

// claim makes this host the owner of n's file, unless another one is and has it open for
// writing; then it returns that one, which has done what why says. take is the command
// that makes this host the owner. n.flushing is held.
func (f *FS) claim(ctx context.Context, n *node, why signet.Recall, take func() (signet.Result, error)) (signet.SessionID, error) {
	for {
		other, err := f.ask(ctx, n.ino, why)
		if err != nil || other != 0 {
			n.asked(other)
			return other, err
		}
		res, err := take()
		switch {
		case signet.KindOf(err) == signet.Busy:
			continue // somebody was faster
		case err != nil:
			return 0, err
		}
		n.own(res.Attr.Owner)
		return 0, nil
	}
}

// delegate is how a file is claimed that exists already.
func (f *FS) delegate(ctx context.Context, n *node) func() (signet.Result, error) {
	return func() (signet.Result, error) {
		return f.commit(ctx, n.ino, &signet.Delegate{Ino: n.ino})
	}
}

// own notes that the file is delegated to a session of this host, 0: not any more. Who has
// asked for it while it was on its way to us stays noted.
func (n *node) own(s signet.SessionID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.right.session, n.right.asked = s, 0
	if s == 0 {
		n.right.watched, n.right.crowded = false, time.Time{}
	}
}

// unwatch has the others forget their pages of a file that this host owns, so that it may
// buffer again, unless somebody has asked for some just now.
func (f *FS) unwatch(ctx context.Context, n *node) error {
	if err := n.flushing.take(ctx); err != nil {
		return err
	}
	defer n.flushing.give()
	if !n.isWritten() || !n.owned() {
		return signet.Busy // it is handed back, or taken away
	}
	n.mu.Lock()
	watches := n.right.watches
	n.mu.Unlock()
	if _, err := f.delegate(ctx, n)(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.right.watches == watches && n.right.asking == 0 {
		n.right.watched = false
	}
	return nil
}

// asked notes the owner that was asked before a change of the file.
func (n *node) asked(owner signet.SessionID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.right.asked = owner
}

// opened and closed count a handle.
func (n *node) opened(h *handle) { n.count(h, 1) }
func (n *node) closed(h *handle) { n.count(h, -1) }

func (n *node) count(h *handle, by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.writes() {
		n.right.writers += by
		if by < 0 && h.closing {
			n.right.closing--
		}
		if n.right.writers == 0 && n.right.gone != nil {
			close(n.right.gone)
			n.right.gone = nil
		}
	}
	if h.dir == nil && !h.direct {
		n.right.cached += by
	}
}

// flushed notes that a descriptor of a handle was closed.
func (n *node) flushed(h *handle) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !h.closing {
		h.closing = true
		n.right.closing++
	}
}

// awaitClose waits a moment for the end of handles that seem to be closed: close(2)
// returns when they are flushed, and the kernel tells of their end some time later.
func (f *FS) awaitClose(n *node) {
	n.mu.Lock()
	if n.right.writers == 0 || n.right.closing < n.right.writers {
		n.mu.Unlock()
		return
	}
	if n.right.gone == nil {
		n.right.gone = make(chan struct{})
	}
	gone := n.right.gone
	n.mu.Unlock()
	t := f.clock.NewTimer(closePatience)
	defer t.Stop()
	select {
	case <-gone:
	case <-t.C():
	}
}

// Recalled answers another host's question about a file that is delegated to this one.
func (f *FS) Recalled(ctx context.Context, ino signet.Ino, why signet.Recall) (signet.Recalled, error) {
	n := f.nodes.get(ino, false)
	defer f.nodes.put(n, false)
	if why == signet.RecallOpen || why == signet.RecallShare {
		f.awaitClose(n)
	}
	answered, err := f.prepare(ctx, n, why)
	if err != nil {
		return signet.Recalled{}, err
	}
	defer answered()
	if why == signet.RecallAttr {
		if at, ok, err := f.ownAttr(ctx, n); ok || err != nil {
			return signet.Recalled{Held: true, Attr: at}, err
		}
	}
	if !n.isWritten() {
		f.handBackOlder(ctx, 0) // who looks at one file looks at the next, too
	}
	if why == signet.RecallShare && n.isWritten() {
		// Not with the turn to publish: a program that is looked at may be closing the file.
		if err := f.unmapped(ctx, ino); err != nil {
			return signet.Recalled{}, err
		}
	}
	if err := n.flushing.take(ctx); err != nil {
		return signet.Recalled{}, err
	}
	defer n.flushing.give()
	if !n.isWritten() || why != signet.RecallOpen && why != signet.RecallShare {
		// What is given up is told to who wrote it, not to who asks.
		if err := f.settleLocked(ctx, n); err != nil && !hopeless(err) {
			return signet.Recalled{}, err
		}
	}
	if n.isWritten() && n.owned() {
		n.mu.Lock()
		defer n.mu.Unlock()
		return signet.Recalled{Held: true, Passing: f.isCrowded(n)}, nil
	}
	owner, err := f.ownerOf(ino)
	if err != nil || owner == 0 || f.foreign(owner) {
		return signet.Recalled{}, err
	}
	return signet.Recalled{}, f.handBack(ctx, []*node{n})
}

// unmapped fails if a program has the file mapped shared and writable.
func (f *FS) unmapped(ctx context.Context, ino signet.Ino) error {
	mapped, err := f.kernel.get().Mapped(ctx, ino)
	if err == nil && mapped {
		err = signet.Errorf(signet.Busy, "share", inodeText(ino), "a program has it mapped shared and writable")
	}
	return err
}

// prepare has later writes to the file be made with regard to who asks. The returned
// function says that the answer is given. Writes to a crowded file are not published at
// once, so who watched it so far has to forget its pages first.
func (f *FS) prepare(ctx context.Context, n *node, why signet.Recall) (answered func(), err error) {
	n.mu.Lock()
	watched := n.right.watched && n.right.session != 0 && !f.isCrowded(n)
	if why == signet.RecallPages {
		n.right.watched, n.right.since = true, f.clock.Now()
		n.right.watches++
		n.right.asking++
		n.mu.Unlock()
		return func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.right.asking--
		}, nil
	}
	n.mu.Unlock()
	if why != signet.RecallWrite {
		return func() {}, nil
	}
	if watched {
		if err := f.unwatch(ctx, n); err != nil && signet.KindOf(err) != signet.Busy {
			return nil, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.right.crowded = f.clock.Now().Add(crowdedFor)
	return func() {}, nil
}

// isWritten says whether the file is open for writing here.
func (n *node) isWritten() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.right.writers > 0
}

func (n *node) owned() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.right.session != 0
}

// ownAttr returns the attributes of a file that is being written here. It is not ok if it
// is not.
func (f *FS) ownAttr(ctx context.Context, n *node) (signet.Attr, bool, error) {
	if !n.isWritten() || !n.owned() {
		return signet.Attr{}, false, nil
	}
	var at *signet.Attr
	err := f.settled(ctx, func(a *answer) (err error) {
		at, err = a.attr(n.ino)
		return err
	})
	if err != nil {
		return signet.Attr{}, false, err
	}
	return *at, n.owned(), nil
}

// handBack gives files back. Each one's flushing is held, and nobody has it open for
// writing.
func (f *FS) handBack(ctx context.Context, list []*node) error {
	for len(list) > 0 {
		some := list[:min(len(list), signet.MaxHandBack)]
		list = list[len(some):]
		c := &signet.HandBack{}
		for _, n := range some {
			n.own(0) // whatever comes of it: who wants to write asks for it anew
			c.Inos = append(c.Inos, n.ino)
		}
		if _, err := f.commit(ctx, c.Inos[0], c); err != nil {
			return err
		}
	}
	return nil
}

// loseTaken is called when another host's change of the file was applied. If the file was
// taken away from this host, what is buffered is lost.
func (f *FS) loseTaken(n *node) {
	n.mu.Lock()
	session := n.right.session
	n.mu.Unlock()
	if session == 0 {
		return
	}
	if owner, err := f.ownerOf(n.ino); err == nil && owner == session {
		return
	}
	n.own(0)
	f.discard(n, signet.Errorf(signet.Ended, "write", inodeText(n.ino), "the file was taken away from this host, which did not answer"))
}
