package store

import (
	"context"
	"slices"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/digest"
)

// Memory is a store that forgets: for tests, and the model that the other one is
// compared with.
type Memory struct {
	capacity uint64

	mu      sync.RWMutex
	closed  bool
	objects map[objectKey][]byte
	marks   map[objectKey]Meta
	used    uint64
}

var _ Local = (*Memory)(nil)

// NewMemory returns an empty store that holds capacity bytes; 0: 1 TiB.
func NewMemory(capacity uint64) *Memory {
	if capacity == 0 {
		capacity = 1 << 40
	}
	return &Memory{capacity: capacity, objects: map[objectKey][]byte{}, marks: map[objectKey]Meta{}}
}

func (s *Memory) check(ctx context.Context) error {
	if s.closed {
		return signet.Errorf(signet.Closed, "use store", "", "it is closed")
	}
	return signet.Wrap("use store", "", ctx.Err())
}

// Put keeps a copy of an object.
func (s *Memory) Put(ctx context.Context, g signet.Group, a signet.Address, sealed []byte, m Meta) error {
	return s.PutAll(ctx, g, []Item{{Address: a, Sealed: sealed, Meta: m}})
}

// PutAll keeps copies of several objects.
func (s *Memory) PutAll(ctx context.Context, g signet.Group, items []Item) error {
	for _, it := range items {
		if err := checkSize(it.Address, it.Sealed); err != nil {
			return err
		}
		if err := digest.Verify(it.Address, it.Sealed); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return err
	}
	for _, it := range items {
		if err := s.put(objectKey{g, it.Address}, it); err != nil {
			return err
		}
	}
	return nil
}

func (s *Memory) put(k objectKey, it Item) error {
	old, there := s.objects[k]
	_, marked := s.marks[k]
	if there && digest.Verify(k.address, old) != nil {
		s.remove(k)
		there = false
	}
	if n := uint64(len(it.Sealed)); !there {
		if s.used+n > s.capacity {
			return signet.Errorf(signet.NoSpace, "put object", k.address.String(), "the capacity of %d bytes is used up", s.capacity)
		}
		s.objects[k] = slices.Clone(it.Sealed)
		s.used += n
	}
	switch {
	case it.Meta.Named:
		delete(s.marks, k)
	case !there || marked:
		s.marks[k] = it.Meta
	}
	return nil
}

// Get returns a copy of a part of an object.
func (s *Memory) Get(ctx context.Context, g signet.Group, a signet.Address, off, n uint32) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	b, there := s.objects[objectKey{g, a}]
	if !there {
		return nil, signet.Errorf(signet.NotFound, "get object", a.String(), "not here")
	}
	n, err := span(a, off, n, uint32(len(b)))
	if err != nil {
		return nil, err
	}
	if int(n) == len(b) {
		if err := digest.Verify(a, b); err != nil {
			return nil, err
		}
	}
	return slices.Clone(b[off : off+n]), nil
}

// Has says which objects are here.
func (s *Memory) Has(ctx context.Context, g signet.Group, as []signet.Address) ([]bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	there := make([]bool, len(as))
	for i, a := range as {
		_, there[i] = s.objects[objectKey{g, a}]
	}
	return there, nil
}

// Delete removes objects.
func (s *Memory) Delete(ctx context.Context, g signet.Group, as []signet.Address) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return err
	}
	for _, a := range as {
		s.remove(objectKey{g, a})
	}
	return nil
}

func (s *Memory) remove(k objectKey) {
	s.used -= uint64(len(s.objects[k]))
	delete(s.objects, k)
	delete(s.marks, k)
}

// Damage changes the stored bytes of an object by f, for tests of what finds that. It
// says whether the object is here.
func (s *Memory) Damage(g signet.Group, a signet.Address, f func([]byte)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, there := s.objects[objectKey{g, a}]
	if there {
		f(b)
	}
	return there
}

// Named clears marks.
func (s *Memory) Named(ctx context.Context, g signet.Group, as []signet.Address) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return err
	}
	for _, a := range as {
		delete(s.marks, objectKey{g, a})
	}
	return nil
}

// Unnamed lists the marked objects.
func (s *Memory) Unnamed(ctx context.Context, g signet.Group, from signet.Address, fn func(signet.Address, Meta) bool) error {
	s.mu.RLock()
	err := s.check(ctx)
	keys := sortedFrom(s.marks, g, from)
	metas := make([]Meta, len(keys))
	for i, k := range keys {
		metas[i] = s.marks[k]
	}
	s.mu.RUnlock()
	for i, k := range keys {
		if err != nil || !fn(k.address, metas[i]) {
			break
		}
	}
	return err
}

// Addresses lists the objects that are here.
func (s *Memory) Addresses(ctx context.Context, g signet.Group, from signet.Address, fn func(signet.Address, uint32) bool) error {
	s.mu.RLock()
	err := s.check(ctx)
	keys := sortedFrom(s.objects, g, from)
	lengths := make([]uint32, len(keys))
	for i, k := range keys {
		lengths[i] = uint32(len(s.objects[k]))
	}
	s.mu.RUnlock()
	for i, k := range keys {
		if err != nil || !fn(k.address, lengths[i]) {
			break
		}
	}
	return err
}

func sortedFrom[V any](m map[objectKey]V, g signet.Group, from signet.Address) []objectKey {
	var keys []objectKey
	for k := range m {
		if k.group == g && slices.Compare(k.address[:], from[:]) >= 0 {
			keys = append(keys, k)
		}
	}
	return sortKeys(keys)
}

// Stat says what is used.
func (s *Memory) Stat() Usage {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Usage{Objects: uint64(len(s.objects)), Used: s.used, Free: s.capacity - s.used, Capacity: s.capacity}
}

// Close ends the store.
func (s *Memory) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
