package fs

import (
	"sync"

	"github.com/signetfs/signet"
)

// kept knows for which inodes the kernel's pages are right. That is all of them as
// long as the change feed has no gap. After one it is only those opened since: an
// opened inode begins with no pages.
type kept struct {
	mu    sync.Mutex
	gaps  bool                    // guarded by mu
	since map[signet.Ino]struct{} // guarded by mu; opened since the last gap
}

// maxKept bounds the memory of inodes after a gap. Those beyond are read anew at each
// open.
const maxKept = 1 << 16

// open says whether the pages of an inode that is being opened are right.
func (k *kept) open(ino signet.Ino) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.gaps {
		return true
	}
	if _, ok := k.since[ino]; ok {
		return true
	}
	if len(k.since) < maxKept {
		k.since[ino] = struct{}{}
	}
	return false
}

// lose notes a gap.
func (k *kept) lose() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gaps, k.since = true, make(map[signet.Ino]struct{})
}
