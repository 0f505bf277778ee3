package fstest

import (
	"bytes"
	"context"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/internal/digest"
)

// Objects is a store of sealed objects in memory, shared by all hosts of a volume.
type Objects struct {
	mu       sync.Mutex
	of       map[signet.Address][]byte // guarded by mu
	puts     int                       // guarded by mu
	gets     int                       // guarded by mu
	got      int64                     // guarded by mu; bytes
	ring     signet.Index              // guarded by mu
	failPut  func(signet.Address) error
	failGet  func(context.Context, signet.Address) error
	blockPut chan struct{}
	rotten   bool
}

var _ fs.Objects = (*Objects)(nil)

// NewObjects returns an empty store.
func NewObjects() *Objects { return &Objects{of: map[signet.Address][]byte{}} }

// FailPut has every Put ask fn first, FailGet every Get; nil: nobody.
func (o *Objects) FailPut(fn func(signet.Address) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failPut = fn
}

// FailGet has every Get ask fn first.
func (o *Objects) FailGet(fn func(context.Context, signet.Address) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failGet = fn
}

// BlockPuts has every Put wait until the returned function is called.
func (o *Objects) BlockPuts() (release func()) {
	c := make(chan struct{})
	o.mu.Lock()
	defer o.mu.Unlock()
	o.blockPut = c
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.blockPut = nil
		close(c)
	}
}

// Rot has every Get of a part of an object return flipped bits, as from a bad copy;
// whole objects are verified on the way and so still good.
func (o *Objects) Rot(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rotten = on
}

// SetRing is the ring's version that objects are put under from now on.
func (o *Objects) SetRing(v signet.Index) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ring = v
}

// Counts returns how many puts and gets there were, and the bytes got.
func (o *Objects) Counts() (puts, gets int, got int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.puts, o.gets, o.got
}

// Put keeps a copy of sealed after checking its address.
func (o *Objects) Put(ctx context.Context, a signet.Address, sealed []byte, release func()) (signet.Object, error) {
	defer release()
	o.mu.Lock()
	fail, block := o.failPut, o.blockPut
	o.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return signet.Object{}, ctx.Err()
		}
	}
	if fail != nil {
		if err := fail(a); err != nil {
			return signet.Object{}, err
		}
	}
	if err := digest.Verify(a, sealed); err != nil {
		return signet.Object{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.puts++
	o.of[a] = bytes.Clone(sealed)
	return signet.Object{Address: a, Sealed: uint32(len(sealed)), Hosts: []signet.HostID{1}, Ring: o.ring, Put: 1}, nil
}

// Get returns a part of an object.
func (o *Objects) Get(ctx context.Context, row signet.Object, off, n uint32) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o.mu.Lock()
	fail := o.failGet
	o.mu.Unlock()
	if fail != nil {
		if err := fail(ctx, row.Address); err != nil {
			return nil, err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.of[row.Address]
	if !ok || uint64(off)+uint64(n) > uint64(len(b)) {
		return nil, signet.Errorf(signet.NotFound, "get", row.Address.String(), "%d bytes at %d of %d", n, off, len(b))
	}
	o.gets++
	o.got += int64(n)
	part := bytes.Clone(b[off : off+n])
	if o.rotten && int(n) < len(b) {
		part[n/2] ^= 1
	}
	return part, nil
}

// Empty forgets all objects.
func (o *Objects) Empty() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.of)
}
