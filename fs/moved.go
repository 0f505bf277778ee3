package fs

import (
	"sync"
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
	// maxMoved bounds the inodes remembered. Beyond it the race has two winners again.
	maxMoved = 4096
)

// moved are the inodes that other hosts have moved just now.
type moved struct {
	mu    sync.Mutex
	at    map[signet.Ino]*move // guarded by mu
	order []signet.Ino         // guarded by mu; oldest first
}

type move struct {
	when time.Time
	told map[uint32]bool // threads
}

// note notes that another host has taken names away, and which inodes changed with that.
func (m *moved) note(inos []signet.Ino, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	if m.at == nil {
		m.at = make(map[signet.Ino]*move)
	}
	for _, ino := range inos {
		if len(m.at) >= maxMoved {
			return
		}
		if m.at[ino] == nil {
			m.order = append(m.order, ino)
		}
		m.at[ino] = &move{when: now, told: map[uint32]bool{}}
	}
}

func (m *moved) expire(now time.Time) {
	for len(m.order) > 0 {
		old := m.at[m.order[0]]
		if old != nil && now.Sub(old.when) < movedFor {
			return
		}
		delete(m.at, m.order[0])
		m.order = m.order[1:]
	}
}

// stale says whether a thread that found ino is to walk its path once more.
func (m *moved) stale(ino signet.Ino, thread uint32, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.at[ino]
	if at == nil || now.Sub(at.when) >= movedFor || at.told[thread] {
		return false
	}
	at.told[thread] = true
	return true
}
