package extent

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/signetfs/signet"
	"pgregory.net/rapid"
)

func TestCutOfInlineKeepsTheSealedBytesWhole(t *testing.T) {
	sealed := []byte("sealed")
	kept, removed := Cut([]signet.Extent{{Off: 100, Len: 50, ObjectOff: 3, Inline: sealed}}, 110, 20)
	want := []signet.Extent{
		{Off: 100, Len: 10, ObjectOff: 3, Inline: sealed},
		{Off: 130, Len: 20, ObjectOff: 33, Inline: sealed},
	}
	if !reflect.DeepEqual(kept, want) || removed.Bytes != 20 || removed.Objects != nil {
		t.Fatalf("kept %+v, removed %+v", kept, removed)
	}
}

func TestRemovedCountsManyObjects(t *testing.T) {
	var in []signet.Extent
	for i := range 300 { // every object twice
		in = append(in, signet.Extent{Off: uint64(i) * 10, Len: 10, Object: address(1 + i%150)})
	}
	_, removed := Cut(in, 0, math.MaxUint64)
	if removed.Bytes != 3000 || len(removed.Objects) != 150 {
		t.Fatalf("removed %d bytes of %d objects", removed.Bytes, len(removed.Objects))
	}
	for i, r := range removed.Objects {
		if r.Object != address(1+i) || r.Bytes != 20 {
			t.Fatalf("object %d: %+v", i, r)
		}
	}
	if !reflect.DeepEqual(Refs(in), removed.Objects) {
		t.Fatal("Refs differs from what a cut of everything removes")
	}
}

func TestCheck(t *testing.T) {
	a := address(1)
	good := []signet.Extent{
		{Off: 0, Len: 1, Object: a}, {Off: 1, Len: 9, Inline: []byte{1}, ObjectOff: 7},
		{Off: signet.MaxFileSize - 1, Len: 1, Object: a},
	}
	if err := Check(good); err != nil {
		t.Fatal(err)
	}
	bad := map[string][]signet.Extent{
		"empty":      {{Off: 5, Object: a}},
		"unsorted":   {{Off: 5, Len: 1, Object: a}, {Off: 1, Len: 1, Object: a}},
		"overlap":    {{Off: 5, Len: 2, Object: a}, {Off: 6, Len: 1, Object: a}},
		"too far":    {{Off: signet.MaxFileSize, Len: 1, Object: a}},
		"too long":   {{Off: signet.MaxFileSize - 1, Len: 2, Object: a}},
		"wraps":      {{Off: math.MaxUint64, Len: 2, Object: a}},
		"object end": {{Len: 2, ObjectOff: signet.MaxObject - 1, Object: a}},
		"nothing":    {{Len: 2}},
		"both":       {{Len: 2, Object: a, Inline: []byte{1}}},
	}
	for name, list := range bad {
		if err := Check(list); !errors.Is(err, signet.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMoveStaysInTheFile(t *testing.T) {
	in := []signet.Extent{{Off: 10, Len: 10, Object: address(1)}}
	for _, to := range []uint64{signet.MaxFileSize - 9, signet.MaxFileSize, math.MaxUint64} {
		if _, err := Move(in, 10, to); !errors.Is(err, signet.TooBig) {
			t.Errorf("to %d: %v", to, err)
		}
	}
	if _, err := Move(in, 11, 0); !errors.Is(err, signet.TooBig) {
		t.Errorf("from behind: %v", err)
	}
	if out, err := Move(in, 10, signet.MaxFileSize-10); err != nil || out[0].End() != signet.MaxFileSize {
		t.Errorf("to the end: %v, %v", out, err)
	}
}

func TestJoin(t *testing.T) {
	a := signet.Extent{Off: 10, Len: 10, Object: address(1), ObjectOff: 5}
	next := signet.Extent{Off: 20, Len: 5, Object: address(1), ObjectOff: 15}
	if got, ok := Join(a, next); !ok || got.Len != 15 || got.Off != 10 || got.ObjectOff != 5 {
		t.Fatalf("%+v, %v", got, ok)
	}
	for name, b := range map[string]signet.Extent{
		"gap":           {Off: 21, Len: 5, Object: address(1), ObjectOff: 15},
		"other object":  {Off: 20, Len: 5, Object: address(2), ObjectOff: 15},
		"other place":   {Off: 20, Len: 5, Object: address(1), ObjectOff: 16},
		"inline":        {Off: 20, Len: 5, Inline: []byte{1}, ObjectOff: 15},
		"length no fit": {Off: 20, Len: math.MaxUint32, Object: address(1), ObjectOff: 15},
	} {
		if _, ok := Join(a, b); ok {
			t.Errorf("%s: joined", name)
		}
	}
}

func TestRangesAreLimited(t *testing.T) {
	var s Ranges
	for i := range uint64(MaxRanges) {
		if !s.Add(i*10, 5) {
			t.Fatalf("full at %d", i)
		}
	}
	if s.Add(7, 1) || s.Remove(1, 1) {
		t.Fatal("the limit is not kept")
	}
	if s.Bytes() != MaxRanges*5 || s.Count() != MaxRanges {
		t.Fatalf("a refusal changed the set: %d bytes, %d ranges", s.Bytes(), s.Count())
	}
	// What makes no further range still works.
	if !s.Add(5, 5) || !s.Remove(0, 3) || !s.Add(0, math.MaxUint64) || s.Count() != 1 || s.Bytes() != signet.MaxFileSize {
		t.Fatalf("%d ranges, %d bytes", s.Count(), s.Bytes())
	}
	s.Clear()
	if s.Count() != 0 || s.Bytes() != 0 || s.Overlaps(0, math.MaxUint64) {
		t.Fatal("not empty")
	}
}

func TestPackExamples(t *testing.T) {
	const obj, inl = 4096, 64
	for _, c := range []struct {
		name string
		in   []Span
		want []Group
	}{
		{"nothing", []Span{{1, 5, 0}}, nil},
		{"one small file", []Span{{1, 0, 10}}, []Group{{true, 10, []Part{{1, 0, 10, 0}}}}},
		{"two small files", []Span{{1, 0, 10}, {2, 0, 50}},
			[]Group{{true, 10, []Part{{1, 0, 10, 0}}}, {true, 50, []Part{{2, 0, 50, 0}}}}},
		{"too much to be inline", []Span{{1, 0, 60}, {2, 3, 60}},
			[]Group{{false, 120, []Part{{1, 0, 60, 0}, {2, 3, 60, 60}}}}},
		{"a big file, aligned", []Span{{1, 4096, 8192}},
			[]Group{{false, 4096, []Part{{1, 4096, 4096, 0}}}, {false, 4096, []Part{{1, 8192, 4096, 0}}}}},
		{"head and tail share an object", []Span{{1, 4000, 96 + 4096 + 100}},
			[]Group{{false, 4096, []Part{{1, 4096, 4096, 0}}}, {false, 196, []Part{{1, 4000, 96, 0}, {1, 8192, 100, 96}}}}},
		{"a small span over a boundary stays whole", []Span{{1, 4000, 500}},
			[]Group{{false, 500, []Part{{1, 4000, 500, 0}}}}},
		{"the end of the largest file", []Span{{1, signet.MaxFileSize - 80, math.MaxUint64}},
			[]Group{{false, 80, []Part{{1, signet.MaxFileSize - 80, 80, 0}}}}},
	} {
		if got := Pack(c.in, obj, inl); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := Pack([]Span{{1, 0, 1}}, 0, 0); got != nil {
		t.Errorf("objects of no size: %v", got)
	}
}

// TestPack: every dirty byte goes to exactly one place, objects are full but not
// over-full, what is aligned stays whole.
func TestPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxObject := rapid.Uint32Range(1, 64).Draw(t, "maxObject")
		inlineMax := rapid.Uint32Range(0, 32).Draw(t, "inlineMax")
		var spans []Span
		for file := range rapid.Uint64Range(0, 5).Draw(t, "files") {
			off := rapid.SampledFrom([]uint64{0, 1 << 33, signet.MaxFileSize - 300}).Draw(t, "off")
			for range rapid.IntRange(0, 4).Draw(t, "spans") {
				off += rapid.Uint64Range(0, 40).Draw(t, "gap")
				n := rapid.Uint64Range(0, 200).Draw(t, "n")
				spans = append(spans, Span{file, off, n})
				off = end(off, n)
			}
		}
		groups := Pack(spans, maxObject, inlineMax)
		checkCovered(t, spans, groups)
		var small []uint32
		for _, g := range groups {
			checkGroup(t, g, maxObject, inlineMax)
			if !g.Inline && g.Size*2 < maxObject {
				small = append(small, g.Size)
			}
		}
		if len(small) > 1 && inlineMax*2 < maxObject {
			t.Fatalf("more than one object is less than half full: %v", small)
		}
	})
}

func checkGroup(t fataler, g Group, maxObject, inlineMax uint32) {
	var at uint32
	for _, p := range g.Parts {
		if p.Len == 0 || p.ObjectOff != at {
			t.Fatalf("part %+v at %d", p, at)
		}
		at += p.Len
	}
	if at != g.Size || at > maxObject || len(g.Parts) > MaxParts {
		t.Fatalf("group %+v of objects of %d", g, maxObject)
	}
	if g.Inline && (len(g.Parts) != 1 || g.Size > inlineMax) {
		t.Fatalf("inline group %+v", g)
	}
}

// checkCovered checks that the groups hold the spans' bytes, each once.
func checkCovered(t fataler, spans []Span, groups []Group) {
	type at struct{ file, off uint64 }
	bytes := make(map[at]bool)
	for _, s := range spans {
		for off := s.Off; off < end(s.Off, s.Len); off++ {
			bytes[at{s.File, off}] = true
		}
	}
	for _, g := range groups {
		for _, p := range g.Parts {
			for i := range uint64(p.Len) {
				if !bytes[at{p.File, p.Off + i}] {
					t.Fatalf("byte %d of %+v is not dirty or is packed twice", i, p)
				}
				delete(bytes, at{p.File, p.Off + i})
			}
		}
	}
	if len(bytes) != 0 {
		t.Fatalf("%d dirty bytes are packed nowhere", len(bytes))
	}
}

func TestPackBoundsThePartsOfAnObject(t *testing.T) {
	var spans []Span
	for i := range uint64(MaxParts + 1) {
		spans = append(spans, Span{File: i, Len: 1})
	}
	groups := Pack(spans, signet.MaxObject, signet.MaxInline)
	sizes := make([]int, 0, 2)
	for _, g := range groups {
		sizes = append(sizes, len(g.Parts))
	}
	if !slices.Equal(sizes, []int{MaxParts, 1}) {
		t.Fatalf("groups of %v parts", sizes)
	}
}

func BenchmarkRangesAppend(b *testing.B) {
	var s Ranges
	var off uint64
	for b.Loop() {
		s.Add(off, 4096)
		off += 4096
	}
}

func BenchmarkRangesRandom(b *testing.B) {
	var s Ranges
	x := uint64(1)
	for b.Loop() {
		x = x*6364136223846793005 + 1442695040888963407
		if !s.Add(x>>48<<13, 4096) {
			s.Clear()
		}
	}
}

func BenchmarkCut(b *testing.B) {
	var in []signet.Extent
	for i := range 16 {
		in = append(in, signet.Extent{Off: uint64(i) * 100, Len: 100, Object: address(i + 1)})
	}
	b.ReportAllocs()
	for b.Loop() {
		Cut(in, 550, 200)
	}
}
