package fs

import (
	"context"
	"slices"
	"sync"

	"github.com/signetfs/signet"
)

// locks are what programs of this mount have locked, or are about to. Which ranges is in
// the log alone; here is through which handles, so that nothing stays locked when they are
// closed, and under which session, so that it is known when it is lost.
type locks struct {
	mu    sync.Mutex
	of    map[signet.Ino]map[lockKey]*holding // guarded by mu
	waits map[uint64]*lockWait                // guarded by mu; by the number that the log knows
	last  uint64                              // guarded by mu
}

// lockKey names an owner's locks of one kind.
type lockKey struct {
	kind  signet.LockKind
	owner uint64
}

// holding is what one owner has of one inode.
type holding struct {
	ino signet.Ino
	key lockKey

	turn turn          // held by who sends a command for it
	gone chan struct{} // closed when nothing is left of it

	// Guarded by locks.mu.
	handles map[*handle]bool // through which it was asked for
	users   int              // requests and background work
	asked   uint64           // requests so far
	flushes uint64           // descriptors that the owner has closed
	has     bool             // something is locked, or may be
	session signet.SessionID // in which
	since   signet.Index     // of the newest that was locked
}

// lockWait is a request that waits for a lock.
type lockWait struct {
	hold    *holding
	wait    uint64
	session signet.SessionID
	asked   uint64        // of the holding, when this was
	flushes uint64        // the same
	granted chan struct{} // closed when it has it
	index   signet.Index  // at which; to be read after granted
	ended   chan struct{} // closed when the session is over
	settled chan struct{} // closed when the program has its answer
	got     bool          // which was that it has the lock; to be read after settled
}

// enter returns the holding of an owner for a request made through h. It must be left.
func (l *locks) enter(h *handle, k lockKey) *holding {
	l.mu.Lock()
	defer l.mu.Unlock()
	ino := h.node.ino
	if l.of == nil {
		l.of = make(map[signet.Ino]map[lockKey]*holding)
	}
	if l.of[ino] == nil {
		l.of[ino] = make(map[lockKey]*holding)
	}
	o := l.of[ino][k]
	if o == nil {
		o = &holding{ino: ino, key: k, turn: make(turn, 1), gone: make(chan struct{}), handles: make(map[*handle]bool)}
		l.of[ino][k] = o
	}
	o.handles[h] = true
	o.users++
	o.asked++
	return o
}

// leave is the end of what enter, find, flushed, closed or all began.
func (l *locks) leave(o *holding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.users--; o.users > 0 || o.has {
		return
	}
	delete(l.of[o.ino], o.key)
	if len(l.of[o.ino]) == 0 {
		delete(l.of, o.ino)
	}
	close(o.gone)
}

// find returns the holding of an owner, nil if it has none. It must be left.
func (l *locks) find(ino signet.Ino, k lockKey) *holding {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.of[ino][k]
	if o != nil {
		o.users++
	}
	return o
}

// flushed is find for an owner that has closed a descriptor.
func (l *locks) flushed(ino signet.Ino, k lockKey) *holding {
	o := l.find(ino, k)
	if o != nil {
		l.mu.Lock()
		o.flushes++
		l.mu.Unlock()
	}
	return o
}

// closed takes a handle out of the holdings of its inode and returns those that have no
// other. They must be left.
func (l *locks) closed(h *handle) (alone []*holding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.of[h.node.ino] {
		if !o.handles[h] {
			continue
		}
		delete(o.handles, h)
		if len(o.handles) == 0 && o.has {
			o.users++
			alone = append(alone, o)
		}
	}
	return alone
}

// all returns every holding. They must be left.
func (l *locks) all() (list []*holding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, of := range l.of {
		for _, o := range of {
			o.users++
			list = append(list, o)
		}
	}
	return list
}

// closing says whether a holding of this host is being given up, or is about to be because
// its last handle seems to have been closed a moment ago.
func (l *locks) closing(o *holding, recent func(*handle) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for h := range o.handles {
		if !recent(h) {
			return false
		}
	}
	return true
}

// begin notes in which session an owner is about to lock something. It returns false if it
// has something from another one, which is lost then, and whether it may have something.
func (l *locks) begin(o *holding, s signet.SessionID) (had, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.has && o.session != s {
		return true, false
	}
	o.session = s
	return o.has, true
}

// got notes that an owner has something locked, or may have.
func (l *locks) got(o *holding, index signet.Index) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o.has, o.since = true, max(o.since, index)
}

// free notes that at an index an owner had nothing locked.
func (l *locks) free(o *holding, index signet.Index) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o.has = o.has && o.since > index
}

// held returns the session in which an owner may have something locked, 0 if there is none.
func (l *locks) held(o *holding) signet.SessionID {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !o.has {
		return 0
	}
	return o.session
}

// wait makes a waiting request known to the change feed, until done.
func (l *locks) wait(o *holding, s signet.SessionID) *lockWait {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waits == nil {
		l.waits = make(map[uint64]*lockWait)
	}
	l.last++
	w := &lockWait{hold: o, wait: l.last, session: s, asked: o.asked, flushes: o.flushes,
		granted: make(chan struct{}), ended: make(chan struct{}), settled: make(chan struct{})}
	l.waits[w.wait] = w
	o.users++
	return w
}

// done forgets a request that does not wait any more.
func (l *locks) done(w *lockWait) {
	l.mu.Lock()
	delete(l.waits, w.wait)
	l.mu.Unlock()
	l.leave(w.hold)
}

// waiting returns the requests that wait.
func (l *locks) waiting() (list []*lockWait) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waits {
		list = append(list, w)
	}
	return list
}

// grant notes that a request got its lock at an index.
func (l *locks) grant(s signet.SessionID, wait uint64, index signet.Index) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.waits[wait]; w != nil && w.session == s && !isClosed(w.granted) {
		w.hold.has, w.hold.session, w.index = true, s, index
		w.hold.since = max(w.hold.since, index)
		close(w.granted)
	}
}

// unwanted says whether nobody counts on the lock that w got when its program had turned
// away: the file is closed, or nobody has asked for the owner since and, if it is of a
// range, what the owner had before is gone too, because it has closed a descriptor.
func (l *locks) unwanted(w *lockWait) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := w.hold
	return len(o.handles) == 0 || o.asked == w.asked && (o.key.kind == signet.LockFlock || o.flushes != w.flushes)
}

// lose forgets what was locked in sessions that are over and returns the handles through
// which that was. Requests that wait in one are told.
func (l *locks) lose(over func(signet.SessionID) bool) (handles []*handle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ino, of := range l.of {
		for k, o := range of {
			if !o.has || !over(o.session) {
				continue
			}
			o.has = false
			for h := range o.handles {
				handles = append(handles, h)
				h.lost.Store(true) // before any waiting request hears of it
			}
			if o.users == 0 {
				delete(of, k)
				close(o.gone)
			}
		}
		if len(of) == 0 {
			delete(l.of, ino)
		}
	}
	for _, w := range l.waits {
		if over(w.session) && !isClosed(w.ended) {
			close(w.ended)
		}
	}
	return handles
}

// lost says whether something of ino was locked in another session than the current one.
func (l *locks) lost(ino signet.Ino, current func() signet.SessionID) bool {
	l.mu.Lock()
	var sessions []signet.SessionID
	for _, o := range l.of[ino] {
		if o.has {
			sessions = append(sessions, o.session)
		}
	}
	l.mu.Unlock()
	return len(sessions) > 0 && slices.ContainsFunc(sessions, func(s signet.SessionID) bool { return s != current() })
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// reached is how far the change feed has come.
type reached struct {
	mu    sync.Mutex
	index signet.Index  // guarded by mu
	more  chan struct{} // guarded by mu; closed when index rises; may be nil
}

func (p *reached) set(index signet.Index) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if index <= p.index {
		return
	}
	p.index = index
	if p.more != nil {
		close(p.more)
		p.more = nil
	}
}

// wait waits until the kernel of this host has forgotten what changed up to index.
func (p *reached) wait(ctx context.Context, index signet.Index) error {
	for {
		p.mu.Lock()
		if p.index >= index {
			p.mu.Unlock()
			return nil
		}
		if p.more == nil {
			p.more = make(chan struct{})
		}
		more := p.more
		p.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
