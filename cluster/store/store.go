package store

import (
	"context"
	"math"

	"github.com/signetfs/signet"
)

// MaxSealed is the longest object that a store takes: the longest object there is
// and what sealing adds to it, amply.
const MaxSealed = signet.MaxObject + 64<<10

// ToEnd as the length of a Get means up to the object's end.
const ToEnd = math.MaxUint32

// Store keeps objects under their addresses, separately for each group. The same
// address always names the same bytes, so everything may be repeated.
type Store interface {
	// Put makes sealed durable under a. Corrupt: sealed is not what a names. NoSpace:
	// it would touch the reserve. If the object is there already and intact, nothing
	// is written but its mark; if it is there and damaged, it is replaced. sealed is
	// borrowed until Put returns; ctx is honoured until the disk is at work, so who
	// must not wait for a disk that hangs calls Put in a goroutine that owns sealed.
	// After an error the object may be there or not.
	Put(ctx context.Context, g signet.Group, a signet.Address, sealed []byte, m Meta) error
	// Get returns n sealed bytes from offset off, in a slice that is the caller's; n may
	// be ToEnd. NotFound: no such object. Invalid: it is shorter than that. Corrupt: it
	// is damaged. Only a read of the whole object is verified here; a part is by who
	// opens it.
	Get(ctx context.Context, g signet.Group, a signet.Address, off, n uint32) ([]byte, error)
	// Has says for each address whether the object is durably here. It does not look
	// at its bytes.
	Has(ctx context.Context, g signet.Group, as []signet.Address) ([]bool, error)
	// Delete removes objects and their marks for good; those that are not there are no
	// error. After an error some may be left.
	Delete(ctx context.Context, g signet.Group, as []signet.Address) error
	// Stat says what is used and what is left, without asking the disk each time.
	Stat() Usage
}

// Meta goes with a put.
type Meta struct {
	Session signet.SessionID // under which the object was put
	Index   signet.Index     // that the writer had applied before
	Named   bool             // the log names the object already, as it does when a copy is made: no mark
}

// Usage is how full a store is, in bytes of sealed objects.
type Usage struct {
	Objects  uint64 // how many there are
	Used     uint64 // their length
	Free     uint64 // what puts may still take
	Capacity uint64 // what it can hold: as configured, or what the disk has but for the reserve
}

// Item is one of several objects put at once.
type Item struct {
	Address signet.Address
	Sealed  []byte
	Meta    Meta
}

// Batcher puts several objects in one go. Small ones cost one sync together.
type Batcher interface {
	// PutAll is a Put of each item: all are durable if it returns nil; after an error
	// some may be.
	PutAll(ctx context.Context, g signet.Group, items []Item) error
}

// Marks are the objects that the log does not name yet.
type Marks interface {
	// Named clears the marks of objects that a command has named. Addresses that are
	// not here or not marked are no error. It does not wait for the disk: a crash may
	// bring marks back.
	Named(ctx context.Context, g signet.Group, as []signet.Address) error
	// Unnamed calls fn for every marked object from the first address not below from,
	// in order, until fn returns false. It holds nothing while fn runs, so fn may
	// change the store; what is put meanwhile may or may not be seen. A put that
	// failed may have left a mark without an object; Delete removes it.
	Unnamed(ctx context.Context, g signet.Group, from signet.Address, fn func(signet.Address, Meta) bool) error
}

// Lister lists what is there.
type Lister interface {
	// Addresses calls fn for every object and its sealed length from the first address
	// not below from, in order, until fn returns false, like Unnamed.
	Addresses(ctx context.Context, g signet.Group, from signet.Address, fn func(signet.Address, uint32) bool) error
}

// Local is a host's own store.
type Local interface {
	Store
	Batcher
	Marks
	Lister
	// Close ends the store after the calls under way. Later ones fail with Closed.
	Close() error
}

// objectKey names an object in this host's store.
type objectKey struct {
	group   signet.Group
	address signet.Address
}

// checkSize refuses objects that cannot be.
func checkSize(a signet.Address, sealed []byte) error {
	if len(sealed) == 0 {
		return signet.Errorf(signet.Invalid, "put object", a.String(), "an object has at least one byte")
	}
	if len(sealed) > MaxSealed {
		return signet.Errorf(signet.TooBig, "put object", a.String(), "%d bytes, at most %d are allowed", len(sealed), MaxSealed)
	}
	return nil
}

// span resolves the range [off, off+n) of an object of the given length.
func span(a signet.Address, off, n, length uint32) (uint32, error) {
	if n == ToEnd && off <= length {
		n = length - off
	}
	if uint64(off)+uint64(n) > uint64(length) {
		return 0, signet.Errorf(signet.Invalid, "get object", a.String(),
			"bytes [%d, %d) of an object of %d", off, uint64(off)+uint64(n), length)
	}
	return n, nil
}
