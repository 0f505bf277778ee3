package fs

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/signetfs/signet"
)

// This file keeps the kernel from being made to forget names more often than it must. When
// it is, it does more than asked: the next walk through a directory takes that directory out of
// the kernel's tree until the LOOKUP is answered, and meanwhile getcwd(2) fails in there with
// ENOENT, which programs do not expect. (Linux: d_invalidate after fuse_dentry_revalidate, d_unlinked
// in getcwd.) A name without a lifetime is looked up anew too, but stays where it is. So:
//
//   - What is taken away matters only if the name was given a lifetime.
//   - The answer that makes a name gives it none, nor do the LOOKUPs of a file made here in the
//     last seconds: most names that are taken away are those of temporary files.
//   - When the kernel was made to forget, names have no lifetime for namesRest. Whoever removes
//     a tree of old files has all names forgotten once in that time, and not for each file.

// keptNames are the names that the kernel need not ask for.
type keptNames struct {
	mu   sync.Mutex
	seed maphash.Seed  // guarded by mu
	era  uint32        // guarded by mu; how often names were forgotten
	told [1 << 16]mark // guarded by mu; names by their hash
	rest time.Time     // guarded by mu; until when none is
}

// mark is of names that were given a lifetime.
type mark struct {
	era uint32 // in which it was
	tag uint32 // more of the name's hash; 0: several names share the mark
}

// slot returns where the mark of a name is, and its tag. It is called with mu held.
func (n *keptNames) slot(dir signet.Ino, sealed string) (m *mark, tag uint32) {
	var h maphash.Hash
	h.SetSeed(n.seed)
	maphash.WriteComparable(&h, dir)
	h.WriteString(sealed)
	sum := h.Sum64()
	return &n.told[sum%uint64(len(n.told))], uint32(sum>>32) | 1
}

// begin is called when a kernel is attached.
func (n *keptNames) begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seed, n.era = maphash.MakeSeed(), 1
}

// keep says whether a name may have a lifetime now. It is called inside the gate.
func (n *keptNames) keep(dir signet.Ino, sealed string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Before(n.rest) {
		return false
	}
	m, tag := n.slot(dir, sealed)
	if m.era == n.era && m.tag != tag {
		tag = 0
	}
	*m = mark{n.era, tag}
	return true
}

// has says whether a name may have one. It is seldom wrong about names that have none.
func (n *keptNames) has(dir signet.Ino, sealed string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	m, tag := n.slot(dir, sealed)
	return m.era == n.era && (m.tag == tag || m.tag == 0)
}

// forget notes that the kernel is made to forget all names.
func (n *keptNames) forget(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.era++
	n.rest = now.Add(namesRest)
}
