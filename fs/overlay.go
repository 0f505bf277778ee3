package fs

import (
	"sort"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
)

// overlay is the bytes of a file that the log does not know yet, as disjoint pieces
// in order, none of which crosses a multiple of chunk. It is not safe for concurrent
// use: node.mu guards it.
//
// A piece is loose at first: its buffer is its own and is written to in place. Then
// it becomes part of a job (job.go), which seals it and makes it durable; from then on
// its bytes never change, and what is written over it takes its place.
type overlay struct {
	pieces []piece
	loose  int64 // bytes of memory of the loose pieces
}

type piece struct {
	off  uint64
	size uint32
	data []byte // size bytes; nil if only the job's object has them
	job  *job   // nil while loose
	at   uint32 // where the piece is in the job's bytes
}

// pieceCost is what a loose piece costs beside its buffer: many small writes cost more
// to keep track of than they hold.
const pieceCost = 128

// memory is what a loose piece is counted as.
func (p *piece) memory() int64 { return int64(cap(p.data)) + pieceCost }

func (p *piece) end() uint64 { return p.off + uint64(p.size) }

func (o *overlay) empty() bool { return len(o.pieces) == 0 }

// end returns the offset just past the last byte.
func (o *overlay) end() uint64 {
	if len(o.pieces) == 0 {
		return 0
	}
	return o.pieces[len(o.pieces)-1].end()
}

// bytes returns how many bytes there are.
func (o *overlay) bytes() uint64 {
	var n uint64
	for i := range o.pieces {
		n += uint64(o.pieces[i].size)
	}
	return n
}

// first returns the position of the first piece that ends after off.
func (o *overlay) first(off uint64) int {
	if n := len(o.pieces); n > 0 && o.pieces[n-1].end() <= off {
		return n // appending is what happens most
	}
	return sort.Search(len(o.pieces), func(i int) bool { return o.pieces[i].end() > off })
}

// write lays data over the file at off and returns by how much the memory of loose
// pieces grew. data is copied.
func (o *overlay) write(off uint64, data []byte) int64 {
	before := o.loose
	for len(data) > 0 {
		n := min(uint64(len(data)), chunk-off%chunk)
		o.cut(off, n, false)
		o.lay(off, data[:n])
		off, data = off+n, data[n:]
	}
	return o.loose - before
}

// lay writes into [off, off+len(data)), which has only loose pieces and gaps and does
// not cross a multiple of chunk.
func (o *overlay) lay(off uint64, data []byte) {
	for len(data) > 0 {
		i := o.first(off)
		if i < len(o.pieces) && o.pieces[i].off <= off {
			p := &o.pieces[i]
			n := copy(p.data[off-p.off:], data)
			off, data = off+uint64(n), data[n:]
			continue
		}
		gap := uint64(len(data))
		if i < len(o.pieces) {
			gap = min(gap, o.pieces[i].off-off)
		}
		o.fill(i, off, data[:gap])
		off, data = off+gap, data[gap:]
	}
}

// fill puts data into the gap before piece i: to the end of the loose piece that it
// continues, or as a piece of its own.
func (o *overlay) fill(i int, off uint64, data []byte) {
	var before *piece
	if i > 0 && o.pieces[i-1].end() == off {
		before = &o.pieces[i-1]
	}
	if before != nil && before.job == nil && off%chunk != 0 {
		o.loose -= int64(cap(before.data))
		before.data = extend(before.data, data, int(chunk-before.off%chunk))
		before.size = uint32(len(before.data))
		o.loose += int64(cap(before.data))
		return
	}
	var buf []byte
	if before != nil && before.size >= chunk/2 {
		buf = append(chunkBuffer(), data...) // a stream: it will fill the whole chunk
	} else {
		buf = append(make([]byte, 0, len(data)), data...)
	}
	o.pieces = append(o.pieces, piece{})
	copy(o.pieces[i+1:], o.pieces[i:])
	o.pieces[i] = piece{off: off, size: uint32(len(buf)), data: buf}
	o.loose += o.pieces[i].memory()
}

// extend appends data to buf, which never gets longer than room.
func extend(buf, data []byte, room int) []byte {
	if len(buf)+len(data) <= cap(buf) {
		return append(buf, data...)
	}
	want := min(max(2*cap(buf), len(buf)+len(data)), room)
	var bigger []byte
	if want > chunk/2 {
		bigger = chunkBuffer()
	} else {
		bigger = make([]byte, 0, want)
	}
	bigger = append(append(bigger, buf...), data...)
	recycle(buf)
	return bigger
}

// cut takes [off, off+n) out of the overlay: of pieces in jobs always, of loose ones
// only if wanted.
func (o *overlay) cut(off, n uint64, loose bool) {
	to := off + n
	if to < off {
		to = ^uint64(0)
	}
	i := o.first(off)
	if i == len(o.pieces) || o.pieces[i].off >= to {
		return
	}
	var kept []piece
	j := i
	for ; j < len(o.pieces) && o.pieces[j].off < to; j++ {
		p := o.pieces[j]
		if p.job == nil && !loose {
			kept = append(kept, p)
			continue
		}
		if p.job == nil {
			o.loose -= p.memory()
		}
		if p.off < off {
			kept = append(kept, o.part(p, p.off, off))
		}
		if p.end() > to {
			kept = append(kept, o.part(p, to, p.end()))
		}
		if p.job == nil {
			recycle(p.data)
		}
	}
	o.splice(i, j, kept)
}

// part returns [from, to) of p. Of a loose piece it is a copy, because each has a
// buffer of its own.
func (o *overlay) part(p piece, from, to uint64) piece {
	skip := uint32(from - p.off)
	q := piece{off: from, size: uint32(to - from), job: p.job, at: p.at + skip}
	if p.data != nil {
		q.data = p.data[skip : skip+q.size]
	}
	if p.job == nil {
		q.at = 0
		q.data = append(make([]byte, 0, q.size), q.data...)
		o.loose += q.memory()
	}
	return q
}

// splice replaces pieces[i:j].
func (o *overlay) splice(i, j int, with []piece) {
	tail := o.pieces[j:]
	if len(with) <= j-i {
		copy(o.pieces[i:], with)
		left := append(o.pieces[:i+len(with)], tail...)
		clear(o.pieces[len(left):])
		o.pieces = left
		return
	}
	o.pieces = append(o.pieces[:i:i], append(with, tail...)...)
}

// splitAt has no frozen piece cross an offset.
func (o *overlay) splitAt(off uint64) {
	if i := o.first(off); i < len(o.pieces) && o.pieces[i].off < off && o.pieces[i].job != nil {
		o.split(i, uint32(off-o.pieces[i].off))
	}
}

// split makes two pieces of the first, frozen, so that the first has n bytes.
func (o *overlay) split(i int, n uint32) {
	p := o.pieces[i]
	o.splice(i, i+1, []piece{o.part(p, p.off, p.off+uint64(n)), o.part(p, p.off+uint64(n), p.end())})
}

// take removes and returns the pieces of the given jobs that lie in [off, to).
func (o *overlay) take(off, to uint64, jobs map[*job]bool) []piece {
	var taken []piece
	kept := o.pieces[:0]
	for _, p := range o.pieces {
		if p.off >= off && p.end() <= to && jobs[p.job] {
			taken = append(taken, p)
			continue
		}
		kept = append(kept, p)
	}
	clear(o.pieces[len(kept):])
	o.pieces = kept
	return taken
}

// restore puts taken pieces back where nothing was written meanwhile.
func (o *overlay) restore(taken []piece) {
	for _, p := range taken {
		from := p.off
		for from < p.end() {
			i := o.first(from)
			to := p.end()
			if i < len(o.pieces) {
				if o.pieces[i].off <= from {
					from = o.pieces[i].end()
					continue
				}
				to = min(to, o.pieces[i].off)
			}
			o.splice(i, i, []piece{o.part(p, from, to)})
			from = to
		}
	}
}

// spans returns the loose pieces: all, or only those that will hardly grow, because
// they reach to the end of their chunk.
func (o *overlay) spans(all bool) []extent.Span {
	var spans []extent.Span
	for i := range o.pieces {
		p := &o.pieces[i]
		if p.job == nil && (all || p.end()%chunk == 0 && p.size >= chunk/2) {
			spans = append(spans, extent.Span{Off: p.off, Len: uint64(p.size)})
		}
	}
	return spans
}

// assign makes the loose pieces in a group's parts part of the job. It returns the
// memory they hold.
func (o *overlay) assign(j *job, parts []extent.Part) int64 {
	var memory int64
	for _, part := range parts {
		end := part.Off + uint64(part.Len)
		for i := o.first(part.Off); i < len(o.pieces) && o.pieces[i].off < end; i++ {
			p := &o.pieces[i]
			memory += p.memory()
			j.plain = append(j.plain, p.data)
			p.job, p.at = j, part.ObjectOff+uint32(p.off-part.Off)
		}
	}
	o.loose -= memory
	return memory
}

// copyInto copies what the overlay has of [off, off+len(dst)) to dst. What it has not
// in memory comes back in inObjects, what it has not at all in rest.
func (o *overlay) copyInto(dst []byte, off uint64) (inObjects []piece, rest []extent.Range) {
	end := off + uint64(len(dst))
	at := off
	for i := o.first(off); i < len(o.pieces) && o.pieces[i].off < end; i++ {
		p := o.pieces[i]
		if p.off > at {
			rest = append(rest, extent.Range{Off: at, Len: p.off - at})
		}
		from, to := max(p.off, off), min(p.end(), end)
		if p.data != nil {
			copy(dst[from-off:to-off], p.data[from-p.off:to-p.off])
		} else {
			inObjects = append(inObjects, o.part(p, from, to))
		}
		at = to
	}
	if at < end {
		rest = append(rest, extent.Range{Off: at, Len: end - at})
	}
	return inObjects, rest
}

// next returns the first range at or after off that the overlay has bytes of.
func (o *overlay) next(off uint64) (r extent.Range, ok bool) {
	i := o.first(off)
	if i == len(o.pieces) {
		return r, false
	}
	r.Off = max(off, o.pieces[i].off)
	end := o.pieces[i].end()
	for i++; i < len(o.pieces) && o.pieces[i].off == end; i++ {
		end = o.pieces[i].end()
	}
	r.Len = end - r.Off
	return r, true
}

// chunkBuffers keeps the buffers of full chunks, which a stream needs one after the
// other. Reuse spares clearing 4 MiB each time.
var chunkBuffers = sync.Pool{New: func() any { return new([chunk]byte) }}

func chunkBuffer() []byte { return chunkBuffers.Get().(*[chunk]byte)[:0] }

// recycle takes back a buffer that nobody uses any more.
func recycle(buf []byte) {
	if cap(buf) == chunk {
		chunkBuffers.Put((*[chunk]byte)(buf[:chunk]))
	}
}

const _ = uint(signet.MaxObject - chunk) // a chunk fits into an object
