package storetest

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
)

// testConcurrent has many write, read and delete the same few objects at once.
func testConcurrent(t *testing.T, s store.Store) {
	const objects, workers, rounds = 8, 8, 12
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for r := range rounds {
				seed := uint64(w*7+r) % objects
				a, b := Object(seed, []int{500, 70_000}[seed%2])
				switch (w + r) % 4 {
				case 0, 1:
					if err := s.Put(t.Context(), Group, a, b, store.Meta{Session: 1}); err != nil {
						t.Error(err)
					}
				case 2:
					got, err := s.Get(t.Context(), Group, a, 0, store.ToEnd)
					if signet.KindOf(err) != signet.NotFound && (err != nil || !bytes.Equal(got, b)) {
						t.Error(err)
					}
				case 3:
					if err := s.Delete(t.Context(), Group, []signet.Address{a}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	var count, bytes uint64
	for seed := range uint64(objects) {
		a, b := Object(seed, []int{500, 70_000}[seed%2])
		has, err := s.Has(t.Context(), Group, []signet.Address{a})
		must(t, err)
		if has[0] {
			want(t, s, a, b)
			count, bytes = count+1, bytes+uint64(len(b))
		}
	}
	if u := s.Stat(); u.Objects != count || u.Used != bytes {
		t.Errorf("%+v, but %d objects of %d bytes are there", u, count, bytes)
	}
}

// testGivenUp checks that an ended context is honoured.
func testGivenUp(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a, b := Object(1, 100)
	wantKind(t, s.Put(ctx, Group, a, b, store.Meta{}), signet.Interrupted)
	_, err := s.Get(ctx, Group, a, 0, 1)
	wantKind(t, err, signet.Interrupted)
	_, err = s.Has(ctx, Group, []signet.Address{a})
	wantKind(t, err, signet.Interrupted)
	wantKind(t, s.Delete(ctx, Group, []signet.Address{a}), signet.Interrupted)
}

func testPutAll(t *testing.T, s store.Local) {
	var items []store.Item
	for i := range uint64(10) {
		a, b := Object(i, 100+int(i%4/3)*100_000)
		items = append(items, store.Item{Address: a, Sealed: b, Meta: store.Meta{Session: 5, Index: signet.Index(i)}})
	}
	must(t, s.PutAll(t.Context(), Group, append(items[:3:3], items[0]))) // one twice
	must(t, s.PutAll(t.Context(), Group, items))
	must(t, s.PutAll(t.Context(), Group, nil))
	for _, it := range items {
		want(t, s, it.Address, it.Sealed)
	}
	if got := marks(t, s); len(got) != 10 || got[items[7].Address].Index != 7 {
		t.Error(got)
	}
	if u := s.Stat(); u.Objects != 10 {
		t.Errorf("%+v", u)
	}
	bad := slices.Clone(items[9].Sealed)
	bad[0] ^= 1
	a, b := Object(77, 50)
	err := s.PutAll(t.Context(), Group, []store.Item{{Address: a, Sealed: b}, {Address: items[9].Address, Sealed: bad}})
	wantKind(t, err, signet.Corrupt)
}

func marks(t *testing.T, s store.Local) map[signet.Address]store.Meta {
	t.Helper()
	got := make(map[signet.Address]store.Meta)
	must(t, s.Unnamed(t.Context(), Group, signet.Address{}, func(a signet.Address, m store.Meta) bool {
		got[a] = m
		return true
	}))
	return got
}

func testMarks(t *testing.T, s store.Local) {
	for _, n := range []int{100, 100_000} {
		a, b := Object(uint64(n), n)
		first, second := store.Meta{Session: 3, Index: 40}, store.Meta{Session: 4, Index: 50}
		must(t, s.Put(t.Context(), Group, a, b, first))
		if got := marks(t, s); len(got) != 1 || got[a] != first {
			t.Errorf("marks after a put: %v", got)
		}
		must(t, s.Put(t.Context(), Group, a, b, second))
		if got := marks(t, s); got[a] != second {
			t.Errorf("the later put's mark does not show: %v", got)
		}
		never, _ := Object(9, 9)
		must(t, s.Named(t.Context(), Group, []signet.Address{a, never, a}))
		if got := marks(t, s); len(got) != 0 {
			t.Errorf("marks after the object was named: %v", got)
		}
		must(t, s.Put(t.Context(), Group, a, b, first))
		if got := marks(t, s); len(got) != 0 {
			t.Errorf("a named object got a mark: %v", got)
		}
		must(t, s.Delete(t.Context(), Group, []signet.Address{a}))
		must(t, s.Put(t.Context(), Group, a, b, first))
		must(t, s.Delete(t.Context(), Group, []signet.Address{a}))
		if got := marks(t, s); len(got) != 0 {
			t.Errorf("a deleted object has a mark: %v", got)
		}
	}
}

func testMarkOfCopy(t *testing.T, s store.Local) {
	for _, n := range []int{100, 100_000} {
		a, b := Object(uint64(n), n)
		must(t, s.Put(t.Context(), Group, a, b, store.Meta{Named: true}))
		if got := marks(t, s); len(got) != 0 {
			t.Errorf("a copy of a named object has a mark: %v", got)
		}
		a, b = Object(uint64(n)+1, n)
		must(t, s.Put(t.Context(), Group, a, b, store.Meta{Session: 1}))
		must(t, s.Put(t.Context(), Group, a, b, store.Meta{Named: true}))
		if got := marks(t, s); len(got) != 0 {
			t.Errorf("the mark stays although the log names the object: %v", got)
		}
	}
}

func testAddresses(t *testing.T, s store.Local) {
	const count = 1300
	lengths := make(map[signet.Address]uint32)
	var items []store.Item
	for i := range uint64(count) {
		n := 1 + int(i%7)
		if i%200 == 0 {
			n = 70_000
		}
		a, b := Object(i, n)
		lengths[a] = uint32(n)
		items = append(items, store.Item{Address: a, Sealed: b})
	}
	must(t, s.PutAll(t.Context(), Group, items))
	elsewhere, b := Object(count, 5)
	must(t, s.Put(t.Context(), Group-1, elsewhere, b, store.Meta{}))
	must(t, s.Put(t.Context(), Group+1, elsewhere, b, store.Meta{}))

	var got []signet.Address
	must(t, s.Addresses(t.Context(), Group, signet.Address{}, func(a signet.Address, n uint32) bool {
		if lengths[a] != n {
			t.Errorf("%v is said to have %d bytes, not %d", a, n, lengths[a])
		}
		got = append(got, a)
		return true
	}))
	if len(got) != count || !slices.IsSortedFunc(got, func(a, b signet.Address) int { return slices.Compare(a[:], b[:]) }) {
		t.Fatalf("%d addresses, sorted or not", len(got))
	}
	var tail []signet.Address
	must(t, s.Addresses(t.Context(), Group, got[count-3], func(a signet.Address, _ uint32) bool {
		tail = append(tail, a)
		return len(tail) < 2
	}))
	if !slices.Equal(tail, got[count-3:count-1]) {
		t.Error("wrong part of the list:", tail)
	}
}

func testChangeWhileListing(t *testing.T, s store.Local) {
	for i := range uint64(20) {
		put(t, s, i, 1+int(i%2)*100_000)
	}
	seen := 0
	must(t, s.Unnamed(t.Context(), Group, signet.Address{}, func(a signet.Address, _ store.Meta) bool {
		seen++
		must(t, s.Delete(t.Context(), Group, []signet.Address{a}))
		return true
	}))
	if u := s.Stat(); seen != 20 || u.Objects != 0 {
		t.Error(seen, u)
	}
}

// testNamedWhilePut checks that a mark does not outlive a Named that comes while
// further puts of the same object are under way.
func testNamedWhilePut(t *testing.T, s store.Local) {
	for i := range uint64(20) {
		a, b := Object(i, 1+int(i%2)*100_000)
		must(t, s.Put(t.Context(), Group, a, b, store.Meta{Session: 1}))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := s.Put(t.Context(), Group, a, b, store.Meta{Session: 1}); err != nil {
					t.Error(err)
				}
			})
		}
		must(t, s.Named(t.Context(), Group, []signet.Address{a}))
		wg.Wait()
	}
	if got := marks(t, s); len(got) != 0 {
		t.Errorf("%d marks are left", len(got))
	}
}

func testClosed(t *testing.T, s store.Local) {
	a := put(t, s, 1, 10)
	must(t, s.Close())
	must(t, s.Close())
	_, err := s.Get(t.Context(), Group, a, 0, 1)
	wantKind(t, err, signet.Closed)
	_, b := Object(1, 10)
	wantKind(t, s.Put(t.Context(), Group, a, b, store.Meta{}), signet.Closed)
	wantKind(t, s.Named(t.Context(), Group, []signet.Address{a}), signet.Closed)
	wantKind(t, s.Addresses(t.Context(), Group, a, func(signet.Address, uint32) bool { return true }), signet.Closed)
}
