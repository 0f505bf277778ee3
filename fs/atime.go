package fs

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/signetfs/signet"
)

// Times of access. A read must not wait for the log, so it only notes the new time; this
// host's programs see it at once, the others when it is published, some seconds later and
// many in one command. What cannot be published is forgotten.
//
// The log takes a time only if the inode still has the one that it had when it was read,
// so that who sets it on purpose (utimensat) wins.

// Atime says which reads move times of access: a mount option.
type Atime struct {
	Kind   AtimeKind
	NoDirs bool // nodiratime
}

// AtimeKind is one of the kinds below.
type AtimeKind uint8

// The kinds of Atime.
const (
	AtimeNever    AtimeKind = iota // noatime, ro
	AtimeRelative                  // relatime: if the time is not after the last change, or a day old
	AtimeStrict                    // strictatime: always
)

const (
	// atimeAfter is how long a time of access is kept back.
	atimeAfter = 5 * time.Second

	// relatimeDay is after how long relatime moves a time that nothing else moves.
	relatimeDay = 24 * 60 * 60

	// maxAtimes is how many inodes are remembered; reads of further ones are not noted.
	maxAtimes = 16_384
)

// atimes are the times of access that are not published.
type atimes struct {
	policy atomic.Pointer[Atime]
	count  atomic.Int32 // how many there are, to be looked at without mu

	sending turn // held by who publishes

	mu sync.RWMutex
	of map[signet.Ino]*pendingAtime // guarded by mu
}

// pendingAtime is the time of access of one inode.
type pendingAtime struct {
	was, now signet.Time
	since    time.Time
	sent     bool // it is in the log, and stays for who reads from an older view
}

// SetAtime says which reads count from now on.
func (f *FS) SetAtime(a Atime) { f.atimes.policy.Store(&a) }

// accessed notes a read of an inode, whose attributes are as the log has them, but for
// mtime and ctime, and says whether its time of access moves. flags are those of open(2).
func (f *FS) accessed(at *signet.Attr, flags uint32) (moved bool) {
	p := f.atimes.policy.Load()
	if p == nil || p.Kind == AtimeNever || flags&syscall.O_NOATIME != 0 || p.NoDirs && at.IsDir() {
		return false
	}
	shown := *at
	f.atimes.lay(&shown)
	now := f.now()
	if shown.Atime == now || p.Kind == AtimeRelative && !relatimeDue(&shown, now) {
		return false
	}
	f.atimes.note(at.Ino, at.Atime, now, f.clock.Now())
	return true
}

// relatimeDue is the kernel's rule.
func relatimeDue(at *signet.Attr, now signet.Time) bool {
	return !at.Mtime.Before(at.Atime) || !at.Ctime.Before(at.Atime) || now.Sec-at.Atime.Sec >= relatimeDay
}

func (t *atimes) note(ino signet.Ino, was, now signet.Time, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.of[ino]
	if p != nil && p.was == was && !p.sent {
		p.now = now
		return
	}
	if p == nil && len(t.of) >= maxAtimes {
		return
	}
	if t.of == nil {
		t.of = make(map[signet.Ino]*pendingAtime)
	}
	t.of[ino] = &pendingAtime{was: was, now: now, since: at}
	t.count.Store(int32(len(t.of)))
}

// lay lays the time of access over the attributes that the log has. It does nothing to
// those that have another one by now.
func (t *atimes) lay(at *signet.Attr) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p := t.of[at.Ino]; p != nil && p.was == at.Atime {
		at.Atime = p.now
	}
}

// forget takes back what was noted: somebody has set the time.
func (t *atimes) forget(ino signet.Ino) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, ino)
	t.count.Store(int32(len(t.of)))
}

// due takes what is to be published now: all, or what was noted before then.
func (t *atimes) due(all bool, then time.Time) (lists [][]signet.Atime) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ino, p := range t.of {
		switch {
		case p.sent:
			delete(t.of, ino)
		case all || !p.since.After(then):
			p.sent = true
			if n := len(lists); n == 0 || len(lists[n-1]) == signet.MaxAtimes {
				lists = append(lists, nil)
			}
			last := &lists[len(lists)-1]
			*last = append(*last, signet.Atime{Ino: ino, Was: p.was, Now: p.now})
		}
	}
	t.count.Store(int32(len(t.of)))
	return lists
}

// publishAtimes publishes times of access that are old enough, or all.
func (f *FS) publishAtimes(ctx context.Context, all bool) {
	if f.atimes.count.Load() == 0 {
		return
	}
	if all {
		if f.atimes.sending.take(ctx) != nil {
			return
		}
	} else {
		select {
		case f.atimes.sending <- struct{}{}:
		default:
			return
		}
	}
	defer f.atimes.sending.give()
	lists := f.atimes.due(all, f.clock.Now().Add(-atimeAfter))
	for _, list := range lists {
		err := f.names.Writable(ctx)
		if err == nil {
			_, _, err = f.names.Do(ctx, &signet.SetAtimes{List: list})
		}
		if err == nil {
			continue
		}
		for _, a := range list {
			f.atimes.forget(a.Ino)
			f.kernel.get().DropAttr(a.Ino)
		}
	}
}
