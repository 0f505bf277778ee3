package fs

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/signetfs/signet"
)

// node is what all open handles of one inode on this host share: what was written
// through them and is not published, and what went wrong.
type node struct {
	ino    signet.Ino
	refs   int  // guarded by nodes.mu; handles, and the write-back while it is dirty
	opens  int  // guarded by nodes.mu; handles
	orphan bool // guarded by nodes.mu; it has no name any more

	flushing turn // held by who publishes the node's data or cuts it

	mu        sync.Mutex
	over      overlay       // guarded by mu; what is not published
	mtime     signet.Time   // guarded by mu; of the last write into over
	killPriv  bool          // guarded by mu; a write in over clears set-uid and set-gid
	published signet.Index  // guarded by mu; newest own Write that was taken out of over
	foreign   signet.Index  // guarded by mu; newest change of the data by others since then
	unpaid    []*job        // guarded by mu; those whose memory is not given back
	flight    *flight       // guarded by mu; the Write under way, if any
	ticket    signet.Ticket // guarded by mu; of the newest Write, until it is released
	pin       signet.View   // guarded by mu; keeps objects without a name from being collected
	lives     int           // guarded by mu; how often what was dirty was given up
	right     right         // guarded by mu; to buffer what is written
	known     known         // guarded by mu; to the kernel
	fails     failures
}

// overlay lays what is not published over the attributes, which were read at index.
// It returns false if some of that has been published later than index.
func (n *node) overlay(at *signet.Attr, index signet.Index) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.overlayLocked(at, index)
}

// overlayLocked is overlay for who holds n.mu.
func (n *node) overlayLocked(at *signet.Attr, index signet.Index) bool {
	if n.published > index {
		return false
	}
	if n.over.empty() {
		return true
	}
	at.Size = max(at.Size, n.over.end())
	at.Bytes = min(at.Bytes+n.over.bytes(), at.Size) // or so: what it replaces is not known here
	at.Mtime = n.mtime
	if at.Ctime.Before(n.mtime) { // else it was renamed or the like since
		at.Ctime = n.mtime
	}
	if n.killPriv {
		at.Mode = withoutPriv(at.Mode)
	}
	return true
}

// withoutPriv clears what a write by an ordinary user clears. Set-gid without group
// execution means something else and stays.
func withoutPriv(mode uint32) uint32 {
	mode &^= signet.ModeSetUID
	if mode&0o010 != 0 {
		mode &^= signet.ModeSetGID
	}
	return mode
}

// isDirty says whether anything is not published.
func (n *node) isDirty() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.over.empty()
}

// nodes are the inodes open here.
type nodes struct {
	mu sync.RWMutex
	of map[signet.Ino]*node // guarded by mu
}

// get returns the node of ino and holds it. open says whether for a handle.
func (t *nodes) get(ino signet.Ino, open bool) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = make(map[signet.Ino]*node)
	}
	n := t.of[ino]
	if n == nil {
		n = &node{ino: ino, flushing: make(turn, 1), known: known{attrs: true, pages: true}}
		t.of[ino] = n
	}
	n.refs++
	if open {
		n.opens++
	}
	return n
}

// put lets go of a node. It says whether it was the last handle of an orphan.
func (t *nodes) put(n *node, open bool) (unreachable bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.refs--
	if open {
		n.opens--
	}
	if n.refs == 0 {
		delete(t.of, n.ino)
	}
	return open && n.opens == 0 && n.orphan
}

// peek returns the node of ino, or nil if it is not open here.
func (t *nodes) peek(ino signet.Ino) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.of[ino]
}

// isOpen says whether there is a handle of ino.
func (t *nodes) isOpen(ino signet.Ino) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := t.of[ino]
	return n != nil && n.opens > 0
}

// orphaned notes that an inode has lost its last name, or (named) got one again.
func (t *nodes) orphaned(ino signet.Ino, is bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.of[ino]; n != nil {
		n.orphan = is
	}
}

// open returns the inodes with handles.
func (t *nodes) open(only func(*node) bool) []signet.Ino {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var list []signet.Ino
	for ino, n := range t.of {
		if n.opens > 0 && only(n) {
			list = append(list, ino)
		}
	}
	return list
}

// all returns the nodes that are held, for handles or not.
func (t *nodes) all() []*node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Values(t.of))
}

// Orphans returns the inodes without a name that are open here: their rows and
// objects must stay.
func (f *FS) Orphans() []signet.Ino {
	return f.nodes.open(func(n *node) bool { return n.orphan })
}

// turn is a lock that is waited for no longer than a context lasts.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	default:
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// failures are the errors of work that no call waited for. Each handle open at the
// time hears of the newest once.
type failures struct {
	mu    sync.Mutex
	count uint64        // guarded by mu
	last  error         // guarded by mu
	next  chan struct{} // guarded by mu; closed at the next failure; may be nil
}

func (e *failures) add(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count++
	e.last = err
	if e.next != nil {
		close(e.next)
		e.next = nil
	}
}

// since returns the newest error if there is one after the first *seen, and notes in
// seen that it was told.
func (e *failures) since(seen *uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if *seen == e.count {
		return nil
	}
	*seen = e.count
	return e.last
}

// watch returns a channel that is closed at the next failure.
func (e *failures) watch() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.next == nil {
		e.next = make(chan struct{})
	}
	return e.next
}

func (e *failures) total() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count
}
