package extent

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/signetfs/signet"
	"pgregory.net/rapid"
)

// The dumb model: a window of a file as one cell per byte. A cell says which byte of
// which object (or inline data, objects below 0) is there; the zero cell is a hole.
// Windows lie anywhere in a file, up to its very end.
const window = 64

type cell struct {
	source int
	at     uint32
}

type model [window]cell

var bases = []uint64{0, 1, 1 << 32, signet.MaxFileSize - window, 1<<62 - 3}

func address(source int) signet.Address {
	return signet.NewAddress(signet.DigestSHA256, 0, signet.Digest{byte(source), byte(source >> 8)})
}

// lay writes an extent into the model and returns it.
func (m *model) lay(base uint64, at, n, source int, objectOff uint32) signet.Extent {
	for i := range n {
		m[at+i] = cell{source, objectOff + uint32(i)}
	}
	e := signet.Extent{Off: base + uint64(at), Len: uint32(n), ObjectOff: objectOff}
	if source < 0 {
		e.Inline = []byte{byte(-source)}
	} else {
		e.Object = address(source)
	}
	return e
}

// read is the model's view of a list of extents.
func read(t fataler, list []signet.Extent, base uint64) (m model) {
	if err := Check(list); err != nil {
		t.Fatalf("not a list of extents: %v", err)
	}
	for _, e := range list {
		for i := range e.Len {
			c := cell{at: e.ObjectOff + i}
			if e.Inline != nil {
				c.source = -int(e.Inline[0])
			} else {
				d := e.Object.Digest()
				c.source = int(d[0]) | int(d[1])<<8
			}
			at := e.Off - base + uint64(i)
			if at >= window {
				t.Fatalf("extent at %d is outside of the window at %d", e.Off, base)
			}
			m[at] = c
		}
	}
	return m
}

type fataler interface {
	Fatalf(format string, args ...any)
}

// checkRemoved compares removed with the cells of the model that are gone.
func (m *model) checkRemoved(t fataler, removed Removed, gone func(i int) bool) {
	want := make(map[signet.Address]uint64)
	var bytes uint64
	for i, c := range m {
		if c.source == 0 || !gone(i) {
			continue
		}
		bytes++
		if c.source > 0 {
			want[address(c.source)]++
		}
	}
	if removed.Bytes != bytes || len(removed.Objects) != len(want) {
		t.Fatalf("removed %+v, want %d bytes of %d objects", removed, bytes, len(want))
	}
	for _, r := range removed.Objects {
		if want[r.Object] != r.Bytes {
			t.Fatalf("removed %d of %s, want %d", r.Bytes, r.Object, want[r.Object])
		}
	}
}

// byteSource returns a number in [0, n), n at most 256.
type byteSource func(n int) int

// list builds a random list of extents and its model.
func list(next byteSource, base uint64, firstSource int) (out []signet.Extent, m model) {
	for at := next(8); at < window; at += next(6) {
		n := min(1+next(12), window-at)
		source := firstSource + next(20)
		if next(4) == 0 {
			source = -source
		}
		out = append(out, m.lay(base, at, n, source, uint32(next(100))))
		at += n
	}
	return out, m
}

// step runs every function once on random lists and compares with the model.
func step(t fataler, next byteSource) {
	base := bases[next(len(bases))]
	lower, was := list(next, base, 1)
	if got := read(t, lower, base); got != was {
		t.Fatalf("the model does not read its own list")
	}
	before := fmt.Sprint(lower)
	at, n := next(window), next(window+1)
	length := uint64(n)
	if at+n > window {
		n = window - at
		if base+window >= signet.MaxFileSize { // "to the end" and wrapping lengths
			length = math.MaxUint64 - uint64(next(3))
		} else {
			length = uint64(n)
		}
	}
	in := func(i int) bool { return i >= at && i < at+n }

	kept, removed := Cut(lower, base+uint64(at), length)
	cut := was
	for i := range n {
		cut[at+i] = cell{}
	}
	if got := read(t, kept, base); got != cut {
		t.Fatalf("Cut(%v, %d, %d) = %v", lower, base+uint64(at), length, kept)
	}
	was.checkRemoved(t, removed, in)

	upper, over := list(next, base, 15)
	merged, removed := Overlay(lower, upper)
	both := was
	for i, c := range over {
		if c.source != 0 {
			both[i] = c
		}
	}
	if got := read(t, merged, base); got != both {
		t.Fatalf("Overlay(%v, %v) = %v", lower, upper, merged)
	}
	was.checkRemoved(t, removed, func(i int) bool { return over[i].source != 0 })

	part := Clip(lower, base+uint64(at), length)
	clipped := model{}
	copy(clipped[at:at+n], was[at:at+n])
	if got := read(t, part, base); got != clipped {
		t.Fatalf("Clip(%v, %d, %d) = %v", lower, base+uint64(at), length, part)
	}
	if moved, err := Move(part, base, 7); err != nil || read(t, moved, 7) != clipped {
		t.Fatalf("Move(%v) = %v, %v", part, moved, err)
	}
	checkPlan(t, lower, base+uint64(at), length, base, clipped)

	if Bytes(lower) != Bytes(kept)+Bytes(part) {
		t.Fatalf("Cut and Clip do not add up")
	}
	if fmt.Sprint(lower) != before {
		t.Fatalf("an argument was changed")
	}
}

// checkPlan checks that the pieces of a plan cover [off, off+n) exactly, in order,
// without two holes in a row, and show what the model shows.
func checkPlan(t fataler, in []signet.Extent, off, n, base uint64, want model) {
	at, to, hole := off, end(off, n), false
	var parts []signet.Extent
	for _, p := range Plan(in, off, n) {
		if p.Off != at || p.Len == 0 || p.Hole && hole {
			t.Fatalf("Plan(%v, %d, %d): piece %+v at %d", in, off, n, p, at)
		}
		if !p.Hole {
			if p.Extent.Off != p.Off || uint64(p.Extent.Len) != p.Len {
				t.Fatalf("Plan(%v, %d, %d): piece %+v", in, off, n, p)
			}
			parts = append(parts, p.Extent)
		}
		at, hole = at+p.Len, p.Hole
	}
	if at != to || read(t, parts, base) != want {
		t.Fatalf("Plan(%v, %d, %d) ends at %d, want %d", in, off, n, at, to)
	}
}

// fromBytes draws from data, and zeros when that is used up.
func fromBytes(data []byte) byteSource {
	return func(n int) int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b) % n
	}
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step(t, fromBytes(rapid.SliceOfN(rapid.Byte(), 0, 150).Draw(t, "data")))
	})
}

func FuzzExtents(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 200, 100, 3, 60, 63})
	f.Fuzz(func(t *testing.T, data []byte) { step(t, fromBytes(data)) })
}

// TestRangesAgainstModel lets a set and a row of booleans live the same life.
func TestRangesAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Ranges
		var m [window]bool
		base := rapid.SampledFrom(bases).Draw(t, "base")
		draw := func(t *rapid.T) (off, n uint64, at, to int) {
			at = rapid.IntRange(0, window-1).Draw(t, "at")
			to = rapid.IntRange(at, window).Draw(t, "to")
			return base + uint64(at), uint64(to - at), at, to
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				off, n, at, to := draw(t)
				if !s.Add(off, n) {
					t.Fatalf("full")
				}
				for i := at; i < to; i++ {
					m[i] = true
				}
			},
			"remove": func(t *rapid.T) {
				off, n, at, to := draw(t)
				if !s.Remove(off, n) {
					t.Fatalf("full")
				}
				for i := at; i < to; i++ {
					m[i] = false
				}
			},
			"clone": func(*rapid.T) { s = s.Clone() },
			"": func(t *rapid.T) {
				off, n, at, to := draw(t)
				some, all := slices.Contains(m[at:to], true), !slices.Contains(m[at:to], false)
				if s.Overlaps(off, n) != some || s.Contains(off, n) != all {
					t.Fatalf("%v in %v: overlaps %v contains %v", off, s.list, some, all)
				}
				checkRanges(t, &s, base, m[:])
				within := make([]bool, window)
				for r := range s.Within(off, n) {
					for i := range r.Len {
						within[r.Off-base+i] = true
					}
				}
				want := slices.Concat(make([]bool, at), m[at:to], make([]bool, window-to))
				if !slices.Equal(within, want) {
					t.Fatalf("Within(%d, %d) of %v", off, n, s.list)
				}
			},
		})
	})
}

// checkRanges checks that the set is in normal form and holds what the model holds,
// walking it with Next as a flush does.
func checkRanges(t fataler, s *Ranges, base uint64, m []bool) {
	got := make([]bool, window)
	var bytes uint64
	off, count := uint64(0), 0
	for r, ok := s.Next(off); ok; r, ok = s.Next(off) {
		if r.Len == 0 || count > 0 && r.Off == off {
			t.Fatalf("not in normal form: %v", s.list)
		}
		for i := range r.Len {
			got[r.Off-base+i] = true
		}
		off, bytes, count = r.End(), bytes+r.Len, count+1
	}
	if !slices.Equal(got, m) || bytes != s.Bytes() || count != s.Count() {
		t.Fatalf("set %v (%d bytes), model %v", s.list, s.Bytes(), m)
	}
}
