package extent

const (
	// MaxParts is how many parts of files one object holds at most, so that naming
	// an object stays well within what one command may touch.
	MaxParts = 1024
	// maxInlineParts is how many parts are inlined at most where together they
	// would be small enough: each is sealed on its own and has its own row.
	maxInlineParts = 16
)

// Span is a range of dirty bytes of one of several files. File is whatever number
// the caller knows the file by.
type Span struct {
	File uint64
	Off  uint64
	Len  uint64
}

// Part is a range of a file and where in an object's (or the inline data's) unsealed
// bytes it lies.
type Part struct {
	File      uint64
	Off       uint64
	Len       uint32
	ObjectOff uint32
}

// Group is what becomes one object, or one piece of inline data: its parts in the
// order of their bytes.
type Group struct {
	Inline bool // then there is exactly one part
	Size   uint32
	Parts  []Part
}

// Pack decides how dirty spans become objects of at most maxObject bytes. Spans of a
// file must be sorted and disjoint and follow each other; files that may not share
// objects (layout "whole") are packed by calls of their own.
//
// A span is cut where its file offset is a multiple of maxObject, so that writing a
// region again later replaces whole objects instead of leaving remainders of many.
// A piece of at least half of maxObject is an object of its own; smaller ones are
// packed together in the order given (pieces of one span that meet again in an
// object become one part). What would make an object of at most inlineMax bytes and
// few parts becomes inline data, one part each; an inlineMax of 0 means never.
//
// The result is proportional to the bytes in the spans: these are bytes in memory.
func Pack(spans []Span, maxObject, inlineMax uint32) []Group {
	if maxObject == 0 {
		return nil
	}
	var groups []Group
	var small Group
	for _, s := range spans {
		for off, to := s.Off, end(s.Off, s.Len); off < to; {
			stop := to
			if left := uint64(maxObject) - off%uint64(maxObject); left < to-off {
				stop = off + left
			}
			part := Part{File: s.File, Off: off, Len: uint32(stop - off)}
			off = stop
			if uint64(part.Len)*2 >= uint64(maxObject) && part.Len > inlineMax {
				groups = append(groups, Group{Size: part.Len, Parts: []Part{part}})
				continue
			}
			if !small.fits(part, maxObject) {
				groups = append(groups, small)
				small = Group{}
			}
			small.add(part)
		}
	}
	if small.Size == 0 {
		return groups
	}
	if small.Size > inlineMax || len(small.Parts) > maxInlineParts {
		return append(groups, small)
	}
	for _, p := range small.Parts {
		p.ObjectOff = 0
		groups = append(groups, Group{Inline: true, Size: p.Len, Parts: []Part{p}})
	}
	return groups
}

// fits says whether p can be added. An empty group takes any part.
func (g *Group) fits(p Part, maxObject uint32) bool {
	return g.Size == 0 || len(g.Parts) < MaxParts && uint64(g.Size)+uint64(p.Len) <= uint64(maxObject)
}

// add appends p, as a continuation of the last part if it is one.
func (g *Group) add(p Part) {
	p.ObjectOff = g.Size
	g.Size += p.Len
	if n := len(g.Parts); n > 0 {
		if last := &g.Parts[n-1]; last.File == p.File && last.Off+uint64(last.Len) == p.Off {
			last.Len += p.Len
			return
		}
	}
	g.Parts = append(g.Parts, p)
}
