package extent

import (
	"math"
	"strconv"

	"github.com/signetfs/signet"
)

// Removed is what a change took away from a list of extents.
type Removed struct {
	Bytes   uint64        // of all extents, inline ones too
	Objects []ObjectBytes // bytes that no longer refer to an object, in order of first appearance
}

// ObjectBytes is a number of bytes of one object.
type ObjectBytes struct {
	Object signet.Address
	Bytes  uint64
}

// end returns off+n, at most signet.MaxFileSize. A range that begins beyond that is
// empty: its end is its offset.
func end(off, n uint64) uint64 {
	if off >= signet.MaxFileSize {
		return off
	}
	return off + min(n, signet.MaxFileSize-off)
}

// clip returns the part of e in [from, to), which must not be empty.
func clip(e signet.Extent, from, to uint64) signet.Extent {
	if from > e.Off {
		e.ObjectOff += uint32(from - e.Off)
		e.Len -= uint32(from - e.Off)
		e.Off = from
	}
	if to < e.End() {
		e.Len = uint32(to - e.Off)
	}
	return e
}

// Check returns an error of kind Invalid unless the list is what the other functions
// take: sorted, disjoint, no extent empty, none past signet.MaxFileSize or past the
// end of the largest object, each either inline or in an object.
func Check(list []signet.Extent) error {
	var last uint64
	for i := range list {
		e := &list[i]
		var why string
		switch {
		case e.Len == 0:
			why = "is empty"
		case e.Off >= signet.MaxFileSize || uint64(e.Len) > signet.MaxFileSize-e.Off:
			why = "ends past the largest file"
		case e.Off < last:
			why = "begins before the end of the one before it"
		case uint64(e.ObjectOff)+uint64(e.Len) > signet.MaxObject:
			why = "ends past the largest object"
		case e.Object.IsZero() && len(e.Inline) == 0:
			why = "has neither object nor inline data"
		case !e.Object.IsZero() && len(e.Inline) != 0:
			why = "has both object and inline data"
		}
		if why != "" {
			return signet.Errorf(signet.Invalid, "check extent", strconv.Itoa(i), "at %d, %d bytes: %s", e.Off, e.Len, why)
		}
		last = e.End()
	}
	return nil
}

// Cut takes the range [off, off+n) out of a list of extents. An extent that only
// partly lies in it is shortened or split; what is kept of it still refers to the
// same bytes of its object or inline data.
func Cut(list []signet.Extent, off, n uint64) (kept []signet.Extent, removed Removed) {
	to := end(off, n)
	var c counter
	kept = make([]signet.Extent, 0, len(list)+1)
	for _, e := range list {
		if off >= to || e.End() <= off || e.Off >= to {
			kept = append(kept, e)
			continue
		}
		if e.Off < off {
			kept = append(kept, clip(e, e.Off, off))
		}
		if e.End() > to {
			kept = append(kept, clip(e, to, e.End()))
		}
		gone := clip(e, max(e.Off, off), min(e.End(), to))
		c.add(gone.Object, uint64(gone.Len))
	}
	return kept, c.Removed
}

// Overlay lays one list of extents over another: where both have bytes, those of the
// upper list count. removed is what the upper list took away from the lower one.
func Overlay(lower, upper []signet.Extent) (merged []signet.Extent, removed Removed) {
	var c counter
	merged = make([]signet.Extent, 0, len(lower)+2*len(upper))
	u := 0
	for _, e := range lower {
		rest := e
		for {
			// What lies wholly before the rest of this extent goes first.
			for u < len(upper) && upper[u].End() <= rest.Off {
				merged = append(merged, upper[u])
				u++
			}
			if u == len(upper) || upper[u].Off >= rest.End() {
				merged = append(merged, rest)
				break
			}
			over := &upper[u]
			if over.Off > rest.Off {
				merged = append(merged, clip(rest, rest.Off, over.Off))
			}
			gone := clip(rest, max(rest.Off, over.Off), min(rest.End(), over.End()))
			c.add(gone.Object, uint64(gone.Len))
			if over.End() >= rest.End() {
				break // the next lower extent may lie under it too
			}
			rest = clip(rest, over.End(), rest.End())
		}
	}
	return append(merged, upper[u:]...), c.Removed
}

// Clip returns the parts of the extents that lie in [off, off+n).
func Clip(list []signet.Extent, off, n uint64) []signet.Extent {
	to := end(off, n)
	var in []signet.Extent
	for _, e := range list {
		if off < to && e.End() > off && e.Off < to {
			in = append(in, clip(e, max(e.Off, off), min(e.End(), to)))
		}
	}
	return in
}

// Move returns the extents as they are when what was at file offset from is at to:
// with Clip, the way to share a range with another place or file. Extents that would
// begin before offset 0 or end past signet.MaxFileSize are an error of kind TooBig.
func Move(list []signet.Extent, from, to uint64) ([]signet.Extent, error) {
	moved := make([]signet.Extent, len(list))
	for i, e := range list {
		if e.Off < from || e.Off-from > signet.MaxFileSize-min(to, signet.MaxFileSize) ||
			uint64(e.Len) > signet.MaxFileSize-min(to+(e.Off-from), signet.MaxFileSize) {
			return nil, signet.Errorf(signet.TooBig, "move extent", strconv.Itoa(i), "from %d to %d: outside of any file", from, to)
		}
		e.Off = to + (e.Off - from)
		moved[i] = e
	}
	return moved, nil
}

// Join returns one extent for two of which the second continues the first, in the
// file and in the same object. ok is false if it does not, or if the two are inline.
func Join(a, b signet.Extent) (joined signet.Extent, ok bool) {
	if a.Object.IsZero() || a.Object != b.Object || a.End() != b.Off ||
		uint64(a.ObjectOff)+uint64(a.Len) != uint64(b.ObjectOff) ||
		uint64(a.Len)+uint64(b.Len) > math.MaxUint32 {
		return signet.Extent{}, false
	}
	a.Len += b.Len
	return a, true
}

// Bytes returns how many bytes the extents cover.
func Bytes(list []signet.Extent) uint64 {
	var n uint64
	for i := range list {
		n += uint64(list[i].Len)
	}
	return n
}

// Refs returns how many bytes of the list refer to each object, in order of first
// appearance.
func Refs(list []signet.Extent) []ObjectBytes {
	var c counter
	for i := range list {
		c.add(list[i].Object, uint64(list[i].Len))
	}
	return c.Objects
}

// counter sums bytes per object. at finds an object's sum once there are more than
// a look through all of them is worth.
type counter struct {
	Removed
	at map[signet.Address]int
}

func (c *counter) add(object signet.Address, n uint64) {
	const fewObjects = 8
	c.Bytes += n
	if object.IsZero() {
		return
	}
	i, ok := 0, false
	if c.at != nil {
		i, ok = c.at[object]
	} else {
		for i = range c.Objects {
			if ok = c.Objects[i].Object == object; ok {
				break
			}
		}
	}
	if ok {
		c.Objects[i].Bytes += n
		return
	}
	c.Objects = append(c.Objects, ObjectBytes{object, n})
	switch {
	case c.at != nil:
		c.at[object] = len(c.Objects) - 1
	case len(c.Objects) > fewObjects:
		c.at = make(map[signet.Address]int)
		for i := range c.Objects {
			c.at[c.Objects[i].Object] = i
		}
	}
}
