package fs

import "github.com/signetfs/signet"

// Limits bound what one mount holds in memory and does at once.
type Limits struct {
	// Dirty is how many bytes programs may have written that are not durable yet;
	// writers wait beyond. More hides slower hosts, and is lost with this one.
	Dirty int64
	// Puts is how many full objects are sealed and put at once, or as many bytes in
	// smaller ones. Each takes a second buffer of its size while it is sealed.
	Puts int
	// Cache is how many sealed bytes are kept that were read ahead.
	Cache int64
	// Fetches is how many pieces of one read, or of one stream's read-ahead, are
	// fetched at once.
	Fetches int
}

// DefaultLimits suit a host that has 300 MiB for the daemon.
func DefaultLimits() Limits {
	return Limits{Dirty: 64 << 20, Puts: 4, Cache: 32 << 20, Fetches: 4}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	if l.Dirty <= 0 {
		l.Dirty = d.Dirty
	}
	if l.Puts <= 0 {
		l.Puts = d.Puts
	}
	if l.Cache <= 0 {
		l.Cache = d.Cache
	}
	if l.Fetches <= 0 {
		l.Fetches = d.Fetches
	}
	return l
}

// Fixed limits.
const (
	// chunk is what files are cut into: the most that one object holds.
	chunk = signet.MaxObject

	// maxExtents is how many extents one Write names. With what they replace they stay
	// well below signet.MaxRows.
	maxExtents = 512

	// maxPieces is how many dirty pieces a file has before it is published without being
	// asked to: scattered small writes cost more to keep track of than they hold.
	maxPieces = 16_384

	// maxUnnamed is how many objects of one file are durable but not named before they
	// are: 256 MiB. Names come in one command at the end, but a crash wastes all that
	// has none.
	maxUnnamed = 64

	// maxStale is how often a command is built anew because the ring or another host's
	// command moved what it was built on.
	maxStale = 8

	// maxRereads is how often a READ is read anew because the file changed meanwhile. See
	// Read for why stopping then is right.
	maxRereads = 4

	// maxDoubts is how many inodes are remembered as unlike their pages in the kernel.
	maxDoubts = 4096

	// backgroundFlushes is how many files are published in the background at once.
	backgroundFlushes = 8

	// maxXattrList is how many bytes of names listxattr(2) can return.
	maxXattrList = 64 << 10
)
