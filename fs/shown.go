package fs

import (
	"sync/atomic"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// This file closes a gap between a reply and its effect. The kernel versions the
// attributes of inodes that it has: an answer asked for before a DropAttr does not
// undo it. But when LOOKUP tells it of an inode that it does not have, that begins
// only when the program that asked runs again and makes the inode. A change in
// between finds nothing to drop, and the old attributes, which come with a long
// lifetime, would then stay.
//
// So the mount remembers for a while which inodes it has shown the kernel, and for
// which of those a DropAttr found nothing. For one of these all names are dropped, unless
// the name it was found by has no lifetime: either way that is looked up anew. And when
// it is opened, so that the kernel must have it by now, its attributes are dropped again.
// (Linux: fuse_lookup_name takes the version before it asks, fuse_iget compares it,
// fuse_reverse_inval_inode returns ENOENT for an inode that is not there.)

// shownFor is how long a program that got its answer may take to run again.
const shownFor = 5 * time.Second

// recent remembers inodes for shownFor. It may take one for another (so more is
// dropped than must be), but never forgets one early. The zero value is empty. Times are
// counted from one moment, with the monotonic clock: setting the date forgets nothing.
type recent struct {
	at [1 << 15]atomic.Int64 // when one of these inodes was noted last; 0: never
}

func (t *recent) slot(ino signet.Ino) *atomic.Int64 {
	const golden = 0x9e3779b97f4a7c15 // Fibonacci hashing, Knuth, TAOCP 3, 6.4
	return &t.at[uint64(ino)*golden>>(64-15)]
}

func (t *recent) note(ino signet.Ino, now time.Duration) { t.slot(ino).Store(int64(now)) }

func (t *recent) has(ino signet.Ino, now time.Duration) bool {
	at := t.slot(ino).Load()
	return at != 0 && now-time.Duration(at) < shownFor
}

// shown is what a mount remembers of inodes the kernel may be about to make.
type shown struct {
	clock  clock.Clock
	began  time.Time
	told   recent // in the answer to a LOOKUP
	kept   recent // likewise, and the name has a lifetime
	missed recent // changed, and the kernel did not have them yet
	fresh  recent // made here
}

func (s *shown) begin(c clock.Clock) { s.clock, s.began = c, c.Now() }

// now is never 0.
func (s *shown) now() time.Duration { return 1 + s.clock.Now().Sub(s.began) }

// tell is called inside the gate for an inode in an answer that has a lifetime. kept says
// whether the name that it was found by has one, too.
func (s *shown) tell(ino signet.Ino, kept bool) {
	now := s.now()
	s.told.note(ino, now)
	if kept {
		s.kept.note(ino, now)
	}
}

// drop makes the kernel forget the attributes of an inode. It returns false if the
// kernel may be about to make the inode with the old ones, and not look it up again.
func (s *shown) drop(k Kernel, ino signet.Ino) bool {
	if k.DropAttr(ino) {
		return true
	}
	now := s.now()
	if !s.told.has(ino, now) {
		return true
	}
	s.missed.note(ino, now)
	return !s.kept.has(ino, now)
}

// made notes an inode that was made here just now.
func (s *shown) made(ino signet.Ino) { s.fresh.note(ino, s.now()) }

// isNew says whether an inode was made here in the last shownFor.
func (s *shown) isNew(ino signet.Ino) bool { return s.fresh.has(ino, s.now()) }

// opened is called when the kernel opens an inode, so that it has it.
func (s *shown) opened(k Kernel, ino signet.Ino) {
	if s.missed.has(ino, s.now()) {
		k.DropAttr(ino)
	}
}
