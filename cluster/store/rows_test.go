package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/signetfs/signet"
)

func TestRowsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := indexRow{
			length: rapid.Uint32Range(0, MaxSealed).Draw(t, "length"),
			place:  place(rapid.IntRange(0, 1).Draw(t, "place")),
			shard:  rapid.Uint8().Draw(t, "shard"),
		}
		if got, err := decodeIndex(i.encode()); got != i || err != nil {
			t.Fatal(got, err)
		}
		m := markRow{
			doubt:  doubt(rapid.IntRange(0, 1).Draw(t, "doubt")),
			meta:   Meta{signet.SessionID(rapid.Uint64().Draw(t, "session")), signet.Index(rapid.Uint64().Draw(t, "index")), rapid.Bool().Draw(t, "named")},
			length: i.length, place: i.place, shard: i.shard,
		}
		if got, err := decodeMark(m.encode()); got != m || err != nil {
			t.Fatal(got, err)
		}
		s := sumRow{rapid.Int64().Draw(t, "objects"), rapid.Int64().Draw(t, "bytes")}
		if got, err := decodeSum(s.encode()); got != s || err != nil {
			t.Fatal(got, err)
		}
		k := objectKey{group: signet.Group(rapid.Uint32().Draw(t, "group"))}
		copy(k.address[:], rapid.SliceOfN(rapid.Byte(), 35, 35).Draw(t, "address"))
		key := rowKey(indexTable, k)
		if got, err := parseKey(key); got != k || err != nil {
			t.Fatal(got, err)
		}
		if bytes.Compare(key, tableKey(indexTable, k.group)) < 0 || bytes.Compare(key, tableEnd(indexTable, k.group)) >= 0 {
			t.Fatal("a key outside of its table")
		}
	})
}

// TestGoldenRows pins the layout: a store must open what an older program wrote.
func TestGoldenRows(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"index", indexRow{length: 70_000, place: inFile, shard: 9}.encode(), "\x93\xce\x00\x01\x11\x70\x01\x09"},
		{"mark", markRow{meta: Meta{Session: 300, Index: 7}, length: 5}.encode(), "\x97\x00\xcd\x01\x2c\x07\xc2\x05\x00\x00"},
		{"mark of a deletion", markRow{doubt: beingDeleted, meta: Meta{Named: true}, length: 5, place: inFile, shard: 1}.encode(), "\x97\x01\x00\x00\xc3\x05\x01\x01"},
		{"sum", sumRow{-1, -70_000}.encode(), "\x92\xff\xd2\xff\xfe\xee\x90"},
		{"key", rowKey(indexTable, objectKey{1, signet.Address{2, 3}})[:8], "i\x00\x00\x00\x01\x02\x03\x00"},
		{"end of the last table", tableEnd(markTable, 1<<32-1), "n"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s is % x", c.name, c.got)
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add(indexRow{length: 1}.encode())
	f.Add(markRow{length: 1}.encode())
	f.Add(sumRow{1, 2}.encode())
	f.Add([]byte("\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := decodeIndex(b)
		sameOrCorrupt(t, b, i.encode(), err)
		m, err := decodeMark(b)
		sameOrCorrupt(t, b, m.encode(), err)
		s, err := decodeSum(b)
		sameOrCorrupt(t, b, s.encode(), err)
	})
}

func sameOrCorrupt(t *testing.T, in, again []byte, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, signet.Corrupt) {
		t.Fatal(err)
	}
	if err == nil && !bytes.Equal(in, again) {
		t.Fatalf("% x came back as % x", in, again)
	}
}

func TestSumMerger(t *testing.T) {
	m := sumMerger()
	v, err := m.Merge(nil, sumRow{1, 10}.encode())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.MergeNewer(sumRow{2, 5}.encode()), v.MergeOlder(sumRow{-4, -30}.encode())); err != nil {
		t.Fatal(err)
	}
	b, _, err := v.Finish(true)
	if got, derr := decodeSum(b); got != (sumRow{-1, -15}) || err != nil || derr != nil {
		t.Error(got, err, derr)
	}
	if _, err := m.Merge(nil, []byte("x")); err == nil {
		t.Error("garbage was added")
	}
	if v.MergeNewer(nil) == nil {
		t.Error("nothing was added")
	}
}

// TestRoundsAreShared checks the promise of join: the run began after the call.
func TestRoundsAreShared(t *testing.T) {
	var r rounds
	var began, runs int
	entered, let := make(chan bool), make(chan bool)
	f := func() error {
		runs++
		entered <- true
		<-let
		return io.EOF
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.join(f) })
	<-entered // the first run is under way: those who come now share the second
	for range 5 {
		wg.Go(func() {
			if err := r.join(func() error { began++; return f() }); err != io.EOF {
				t.Error(err)
			}
		})
	}
	let <- true
	<-entered
	let <- true
	go func() { // a late one may need a third run
		for range entered {
			let <- true
		}
	}()
	wg.Wait()
	close(entered)
	if runs < 2 || runs > 6 || began != runs-1 {
		t.Errorf("%d runs, %d of them began for the late ones", runs, began)
	}
}

func TestLocksGiveBackWhatTheyGot(t *testing.T) {
	l := newLocks()
	a, b := objectKey{address: signet.Address{1}}, objectKey{address: signet.Address{2}}
	if err := l.acquire(t.Context(), []objectKey{b}, true); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.acquire(ctx, []objectKey{a, b}, false); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(l.held) != 1 {
		t.Errorf("%d are held", len(l.held))
	}
	if free := l.tryName([]objectKey{a, b}); len(free) != 1 || free[0] != a {
		t.Error(free)
	}
	if named := l.release([]objectKey{a, b}); len(named) != 1 || named[0] != b {
		t.Error(named)
	}
	if named := l.release([]objectKey{b}); len(named) != 0 || len(l.held) != 0 {
		t.Error(named, len(l.held))
	}
}

// TestGivingUpIsAnError checks that the database's expecting the process to end
// becomes an error, and nothing else does.
func TestGivingUpIsAnError(t *testing.T) {
	s := &Disk{log: discard()}
	err := apply(func() error { pebbleLog{s}.Fatalf("no %s", "more"); return nil })
	var up *gaveUp
	if !errors.As(err, &up) || up.Error() != "no more" || s.alive() == nil || !s.stuck.Load() {
		t.Error(err, s.alive())
	}
	defer func() {
		if recover() != "other" {
			t.Error("another panic was swallowed")
		}
	}()
	_ = apply(func() error { panic("other") })
}
