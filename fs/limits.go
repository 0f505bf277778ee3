package fs

import "github.com/signetfs/signet"

// Limits bound what one mount holds in memory and does at once.
type Limits struct {
	// Dirty is how many bytes programs may have written that are not durable yet;
	// writers wait beyond. Larger hides slower hosts and is lost with this one.
	Dirty int64
	// Puts is how many objects are sealed and put at once. Each takes two buffers of
	// the size of an object.
	Puts int
	// Cache is how many sealed bytes are kept that were read ahead.
	Cache int64
	// Fetches is how many pieces of one read are fetched at once.
	Fetches int
}

// DefaultLimits suit a host with 300 MiB for the daemon.
func DefaultLimits() Limits {
	return Limits{Dirty: 64 << 20, Puts: 4, Cache: 32 << 20, Fetches: 4}
}

// Fixed limits.
const (
	maxExtents  = 512   // extents named by one Write: with what they replace well below signet.MaxRows
	maxUnnamed  = 64    // objects of one file put but not named yet: 256 MiB of file
	maxPieces   = 16384 // dirty pieces of one file before it is published
	maxStale    = 8     // times a Write is put again because the ring moved
	maxDrains   = 1 << 20
	chunk       = signet.MaxObject
	xattrListIs = 64 << 10 // bytes that listxattr(2) can return
)
