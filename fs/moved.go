package fs

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/signetfs/signet"
)

// This file gives a race of two hosts that rename the same file to the same name one
// winner. The kernel looks up the old name, then the new one, and if both lead to one
// inode it tells the program that all is done, without asking us (vfs_rename). So if
// another host has renamed the file between the two lookups, both would be told that they
// did it. Therefore a thread that finds an inode which another host has just moved is told
// once that its path is stale: the kernel then walks the path anew, from the old name on,
// which is not there any more. A path of any other call is walked twice, and succeeds.

const (
	// movedFor is how long a thread may take between the two lookups.
	movedFor = time.Second
	// walkFor is how long a thread may be on its second walk. Not every call ends with a request
	// by which we would know.
	walkFor = 100 * time.Millisecond
	// maxMoved bounds the names remembered. Beyond it the race has two winners again.
	maxMoved = 4096
)

// moved are the names that other hosts have moved inodes to just now.
type moved struct {
	mu    sync.Mutex
	at    map[place]*move // guarded by mu
	order []place         // guarded by mu; oldest first
	// walks are the threads that were told, and when. Such a thread walks its path for the
	// second time, and the kernel makes no third walk, so until that is over nothing else is
	// stale for the thread. It is over when a name is not there, or something is done to
	// what was found.
	walks   map[uint32]time.Time // guarded by mu
	walking atomic.Int32         // how many there are
}

// over notes that a thread walks no path any more.
func (m *moved) over(thread uint32) {
	if m.walking.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(thread)
}

func (m *moved) forget(thread uint32) {
	delete(m.walks, thread)
	m.walking.Store(int32(len(m.walks)))
}

// place is an inode under one of its names. Of an inode that is moved on at once, or gets
// and loses other names, a thread is not told again: the kernel walks a path twice, no more.
type place struct {
	ino, dir signet.Ino
	name     string // sealed
}

type move struct {
	when time.Time
	told map[uint32]bool // threads
}

// movedBy returns where the changes of other hosts in a batch have moved inodes. A rename
// is the old name, the new one, and the inode, one after the other; if two were exchanged
// the other inode is next.
func (f *FS) movedBy(changes []signet.Change) (to []place) {
	for i := 2; i < len(changes); i++ {
		from, c, in := &changes[i-2], &changes[i-1], &changes[i]
		if from.What&signet.RemovedName == 0 || c.What&(signet.AddedName|signet.RemovedName) == 0 || in.What != signet.ChangedAttr || f.names.Own(in.Session) {
			continue
		}
		to = append(to, place{in.Ino, c.Ino, string(c.Name)})
		if i+1 < len(changes) && c.What&signet.RemovedName != 0 {
			to = append(to, place{changes[i+1].Ino, from.Ino, string(from.Name)})
		}
	}
	return to
}

// note notes where other hosts have moved inodes.
func (m *moved) note(to []place, now time.Time) {
	if len(to) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	if m.at == nil {
		m.at = make(map[place]*move)
	}
	for _, p := range to {
		if m.at[p] == nil {
			if len(m.at) >= maxMoved {
				return
			}
			m.order = append(m.order, p)
		}
		m.at[p] = &move{when: now, told: map[uint32]bool{}}
	}
}

func (m *moved) expire(now time.Time) {
	for thread, told := range m.walks {
		if now.Sub(told) >= walkFor {
			m.forget(thread)
		}
	}
	for len(m.order) > 0 {
		old := m.at[m.order[0]]
		if old != nil && now.Sub(old.when) < movedFor {
			return
		}
		delete(m.at, m.order[0])
		m.order = m.order[1:]
	}
}

func (m *moved) none() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.at) == 0
}

// stale says whether a thread that found an inode there is to walk its path once more.
func (m *moved) stale(p place, thread uint32, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if told, ok := m.walks[thread]; ok && now.Sub(told) < walkFor {
		return false
	}
	at := m.at[p]
	if at == nil || now.Sub(at.when) >= movedFor || at.told[thread] {
		return false
	}
	at.told[thread] = true
	if m.walks == nil {
		m.walks = make(map[uint32]time.Time)
	}
	m.walks[thread] = now
	m.walking.Store(int32(len(m.walks)))
	return true
}

// justMoved says whether the thread that asks is to walk its path once more: another host
// has just moved to that name what is found there.
func (f *FS) justMoved(r *Request, parent signet.Ino, name string, ino signet.Ino) bool {
	if f.moved.none() || name == "." || name == ".." {
		return false
	}
	sealed, err := f.seal.SealName(parent, name)
	return err == nil && f.moved.stale(place{ino, parent, string(sealed)}, r.PID, f.clock.Now())
}
