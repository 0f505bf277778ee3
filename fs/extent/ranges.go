package extent

import (
	"iter"
	"slices"
	"sort"
)

// MaxRanges is how many ranges a Ranges holds at most. The limit bounds memory and
// the time to insert one in the middle (moving 16 bytes per range).
const MaxRanges = 16_384

// Range is the bytes [Off, Off+Len) of a file.
type Range struct{ Off, Len uint64 }

// End returns the offset just past the range.
func (r Range) End() uint64 { return r.Off + r.Len }

// Ranges is a set of bytes of a file, kept as sorted ranges that neither overlap nor
// touch: which bytes of a buffer are dirty. The zero value is empty. It is not safe
// for concurrent use.
type Ranges struct {
	list  []Range
	bytes uint64
}

// first returns the position of the first range that ends after off, or at off if
// touching counts.
func (s *Ranges) first(off uint64, touching bool) int {
	// Appending to a file is what happens most: look at the last range first.
	if n := len(s.list); n > 0 && s.list[n-1].Off <= off {
		if last := s.list[n-1].End(); last > off || touching && last == off {
			return n - 1
		}
		return n
	}
	return sort.Search(len(s.list), func(i int) bool {
		return s.list[i].End() > off || touching && s.list[i].End() == off
	})
}

// Add puts the range [off, off+n) into the set, joining it with what it overlaps or
// touches. It returns false and changes nothing if the set would have more than
// MaxRanges ranges: flush first.
func (s *Ranges) Add(off, n uint64) bool {
	to := end(off, n)
	if to <= off {
		return true
	}
	i := s.first(off, true)
	j, joined := i, Range{off, to - off}
	var had uint64
	for ; j < len(s.list) && s.list[j].Off <= to; j++ {
		had += s.list[j].Len
		from := min(joined.Off, s.list[j].Off)
		joined = Range{from, max(joined.End(), s.list[j].End()) - from}
	}
	if i == j && len(s.list) >= MaxRanges {
		return false
	}
	s.bytes += joined.Len - had
	if j == i+1 {
		s.list[i] = joined
	} else {
		s.list = slices.Replace(s.list, i, j, joined)
	}
	return true
}

// Remove takes the range [off, off+n) out of the set. It returns false and changes
// nothing if a range would have to be split in two and the set is full.
func (s *Ranges) Remove(off, n uint64) bool {
	to := end(off, n)
	if to <= off {
		return true
	}
	i := s.first(off, false)
	var keep [2]Range
	kept := keep[:0]
	j := i
	var had, has uint64
	for ; j < len(s.list) && s.list[j].Off < to; j++ {
		r := s.list[j]
		had += r.Len
		if r.Off < off {
			kept = append(kept, Range{r.Off, off - r.Off})
			has += off - r.Off
		}
		if r.End() > to {
			kept = append(kept, Range{to, r.End() - to})
			has += r.End() - to
		}
	}
	if len(kept) > j-i && len(s.list) >= MaxRanges {
		return false
	}
	s.bytes -= had - has
	s.list = slices.Replace(s.list, i, j, kept...)
	return true
}

// Overlaps says whether any byte of [off, off+n) is in the set.
func (s *Ranges) Overlaps(off, n uint64) bool {
	i, to := s.first(off, false), end(off, n)
	return i < len(s.list) && s.list[i].Off < to && off < to
}

// Contains says whether every byte of [off, off+n) is in the set.
func (s *Ranges) Contains(off, n uint64) bool {
	i, to := s.first(off, false), end(off, n)
	return off == to || i < len(s.list) && s.list[i].Off <= off && s.list[i].End() >= to
}

// Next returns the first range of the set with bytes at or after off, cut to begin
// at off at the earliest; ok is false if there is none.
func (s *Ranges) Next(off uint64) (r Range, ok bool) {
	i := s.first(off, false)
	if i == len(s.list) {
		return Range{}, false
	}
	r = s.list[i]
	if r.Off < off {
		r = Range{off, r.End() - off}
	}
	return r, true
}

// Within yields the parts of the set's ranges that lie in [off, off+n), in order.
// The set must not change meanwhile.
func (s *Ranges) Within(off, n uint64) iter.Seq[Range] {
	return func(yield func(Range) bool) {
		to := end(off, n)
		for i := s.first(off, false); i < len(s.list) && s.list[i].Off < to; i++ {
			from := max(off, s.list[i].Off)
			if !yield(Range{from, min(to, s.list[i].End()) - from}) {
				return
			}
		}
	}
}

// All yields the ranges in order. The set must not change meanwhile.
func (s *Ranges) All() iter.Seq[Range] { return slices.Values(s.list) }

// Count returns how many ranges there are.
func (s *Ranges) Count() int { return len(s.list) }

// Bytes returns how many bytes are in the set.
func (s *Ranges) Bytes() uint64 { return s.bytes }

// Clear empties the set and keeps its memory.
func (s *Ranges) Clear() { s.list, s.bytes = s.list[:0], 0 }

// Clone returns a copy.
func (s *Ranges) Clone() Ranges { return Ranges{slices.Clone(s.list), s.bytes} }
