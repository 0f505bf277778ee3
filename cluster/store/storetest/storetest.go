package storetest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/internal/digest"
)

// Group is the group that the suite puts into.
const Group = signet.DefaultVolume

// Object makes n bytes that look like sealed ones and are the same for the same seed,
// and their address.
func Object(seed uint64, n int) (signet.Address, []byte) {
	b := make([]byte, n)
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	_, _ = rand.NewChaCha8(s).Read(b)
	return Address(seed, b), b
}

// Address returns an address of sealed bytes, at a place on the ring that seed gives.
func Address(seed uint64, sealed []byte) signet.Address {
	key := signet.ArcKey(seed * 0x9e3779b97f4a7c15 >> 48)
	return signet.NewAddress(digest.Default, key, digest.Sum(digest.Default, sealed))
}

// sizes are lengths on both sides of every border that an implementation may have.
var sizes = []int{1, 100, 4 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000, store.MaxSealed}

// Run checks that the stores that open returns are what a store.Store is to be. Each
// is empty and is closed by the test's cleanup, which is open's business.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"put and get", testPutGet},
		{"parts", testParts},
		{"missing", testMissing},
		{"wrong bytes", testWrongBytes},
		{"again", testAgain},
		{"groups", testGroups},
		{"nothing shared", testNothingShared},
		{"has", testHas},
		{"delete", testDelete},
		{"usage", testUsage},
		{"concurrent", testConcurrent},
		{"given up", testGivenUp},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Local)
	}{
		{"several at once", testPutAll},
		{"marks", testMarks},
		{"marks of a copy", testMarkOfCopy},
		{"addresses in order", testAddresses},
		{"change while listing", testChangeWhileListing},
		{"named while being put", testNamedWhilePut},
		{"closed", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, ok := open(t).(store.Local)
			if !ok {
				return // not a host's own store: there is nothing of this to check
			}
			c.test(t, s)
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, k signet.Kind) {
	t.Helper()
	if signet.KindOf(err) != k {
		t.Errorf("got %v, want an error of kind %q", err, k)
	}
}

// put puts the object of a seed and returns its address.
func put(t testing.TB, s store.Store, seed uint64, n int) signet.Address {
	t.Helper()
	a, b := Object(seed, n)
	must(t, s.Put(t.Context(), Group, a, b, store.Meta{Session: 1, Index: 2}))
	return a
}

func want(t testing.TB, s store.Store, a signet.Address, b []byte) {
	t.Helper()
	got, err := s.Get(t.Context(), Group, a, 0, store.ToEnd)
	must(t, err)
	if !bytes.Equal(got, b) {
		t.Fatalf("got %d bytes that are not the %d put", len(got), len(b))
	}
}

func testPutGet(t *testing.T, s store.Store) {
	for i, n := range sizes {
		put(t, s, uint64(i), n)
	}
	for i, n := range sizes {
		a, b := Object(uint64(i), n)
		want(t, s, a, b)
	}
}

func testParts(t *testing.T, s store.Store) {
	for _, n := range []uint32{100, 100_000} {
		a, b := Object(uint64(n), int(n))
		must(t, s.Put(t.Context(), Group, a, b, store.Meta{}))
		for _, p := range []struct{ off, n uint32 }{
			{0, 0}, {0, 1}, {0, n}, {1, n - 1}, {n - 1, 1}, {n, 0}, {n / 2, store.ToEnd}, {n, store.ToEnd},
		} {
			got, err := s.Get(t.Context(), Group, a, p.off, p.n)
			must(t, err)
			end := min(uint64(p.off)+uint64(p.n), uint64(n))
			if !bytes.Equal(got, b[p.off:end]) {
				t.Errorf("the part at %d of %d is wrong", p.off, p.n)
			}
		}
		for _, p := range []struct{ off, n uint32 }{{0, n + 1}, {n, 1}, {n + 1, 0}, {n + 1, store.ToEnd}, {1, store.ToEnd - 1}} {
			_, err := s.Get(t.Context(), Group, a, p.off, p.n)
			wantKind(t, err, signet.Invalid)
		}
	}
}

func testMissing(t *testing.T, s store.Store) {
	put(t, s, 1, 10)
	for _, n := range []int{10, 100_000} {
		a, _ := Object(2, n)
		_, err := s.Get(t.Context(), Group, a, 0, store.ToEnd)
		wantKind(t, err, signet.NotFound)
		_, err = s.Get(t.Context(), Group, a, 5, 1)
		wantKind(t, err, signet.NotFound)
	}
}

func testWrongBytes(t *testing.T, s store.Store) {
	for _, n := range []int{1, 1000, 100_000} {
		a, b := Object(uint64(n), n)
		b[n/2] ^= 1
		wantKind(t, s.Put(t.Context(), Group, a, b, store.Meta{}), signet.Corrupt)
		wantKind(t, s.Put(t.Context(), Group, a, b[:n-1], store.Meta{}), map[bool]signet.Kind{true: signet.Invalid, false: signet.Corrupt}[n == 1])
		_, err := s.Get(t.Context(), Group, a, 0, store.ToEnd)
		wantKind(t, err, signet.NotFound)
	}
	long := make([]byte, store.MaxSealed+1)
	wantKind(t, s.Put(t.Context(), Group, Address(1, long), long, store.Meta{}), signet.TooBig)
	unknown := signet.NewAddress(99, 1, signet.Digest{})
	wantKind(t, s.Put(t.Context(), Group, unknown, []byte{1}, store.Meta{}), signet.WrongVersion)
}

func testAgain(t *testing.T, s store.Store) {
	for _, n := range []int{1000, 100_000} {
		a, b := Object(uint64(n), n)
		for range 3 {
			must(t, s.Put(t.Context(), Group, a, b, store.Meta{}))
		}
		want(t, s, a, b)
	}
	if u := s.Stat(); u.Objects != 2 || u.Used != 101_000 {
		t.Errorf("%+v", u)
	}
}

func testGroups(t *testing.T, s store.Store) {
	other := Group + 1
	for _, n := range []int{1000, 100_000} {
		a, b := Object(uint64(n), n)
		must(t, s.Put(t.Context(), Group, a, b, store.Meta{}))
		_, err := s.Get(t.Context(), other, a, 0, store.ToEnd)
		wantKind(t, err, signet.NotFound)
		must(t, s.Put(t.Context(), other, a, b, store.Meta{}))
		must(t, s.Delete(t.Context(), other, []signet.Address{a}))
		want(t, s, a, b)
	}
}

// testNothingShared checks that no memory is shared with the caller.
func testNothingShared(t *testing.T, s store.Store) {
	for _, n := range []int{1000, 100_000} {
		a, b := Object(uint64(n), n)
		given := slices.Clone(b)
		must(t, s.Put(t.Context(), Group, a, given, store.Meta{}))
		clear(given)
		got, err := s.Get(t.Context(), Group, a, 0, store.ToEnd)
		must(t, err)
		clear(got)
		want(t, s, a, b)
	}
}

func testHas(t *testing.T, s store.Store) {
	var as []signet.Address
	for i := range uint64(20) {
		a, b := Object(i, 1+int(i%2)*100_000)
		as = append(as, a)
		if i%3 == 0 {
			must(t, s.Put(t.Context(), Group, a, b, store.Meta{}))
		}
	}
	has, err := s.Has(t.Context(), Group, as)
	must(t, err)
	for i, h := range has {
		if h != (i%3 == 0) {
			t.Errorf("object %d: %v", i, h)
		}
	}
	if has, err := s.Has(t.Context(), Group, nil); len(has) != 0 || err != nil {
		t.Error(has, err)
	}
}

func testDelete(t *testing.T, s store.Store) {
	for _, n := range []int{1000, 100_000} {
		a, b := Object(uint64(n), n)
		keep := put(t, s, uint64(n)+1, n)
		never, _ := Object(uint64(n)+2, n)
		for range 2 {
			must(t, s.Put(t.Context(), Group, a, b, store.Meta{}))
			must(t, s.Delete(t.Context(), Group, []signet.Address{never, a, a}))
			_, err := s.Get(t.Context(), Group, a, 0, store.ToEnd)
			wantKind(t, err, signet.NotFound)
		}
		if has, err := s.Has(t.Context(), Group, []signet.Address{a, keep}); err != nil || has[0] || !has[1] {
			t.Error(has, err)
		}
	}
	var many []signet.Address
	for i := range uint64(600) {
		many = append(many, put(t, s, 1000+i, 10))
	}
	must(t, s.Delete(t.Context(), Group, many))
	if u := s.Stat(); u.Objects != 2 {
		t.Errorf("%+v", u)
	}
}

func testUsage(t *testing.T, s store.Store) {
	if u := s.Stat(); u.Objects != 0 || u.Used != 0 || u.Free == 0 || u.Capacity < u.Free {
		t.Errorf("empty: %+v", u)
	}
	put(t, s, 1, 1000)
	big := put(t, s, 2, 100_000)
	if u := s.Stat(); u.Objects != 2 || u.Used != 101_000 {
		t.Errorf("%+v", u)
	}
	must(t, s.Delete(t.Context(), Group, []signet.Address{big}))
	if u := s.Stat(); u.Objects != 1 || u.Used != 1000 {
		t.Errorf("%+v", u)
	}
}
