package fs

import (
	"container/list"
	"context"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

const (
	// blockSize is how much of an object is fetched and kept at once when a file is
	// read in order. It is a divisor of chunk and a multiple of what is sealed together.
	blockSize = 1 << 20

	// aheadMax is how far ahead of a program a stream is read. The kernel reads ahead
	// too, but at most 1 MiB, which does not hide a round trip.
	aheadMax = 4 << 20

	// aheadMin is how far at first.
	aheadMin = 1 << 20
)

// blocks keeps sealed blocks of objects that were read ahead, the last used ones
// within a limit. Objects never change, so what is kept is never wrong. Sealed bytes
// are kept rather than opened ones: they are opened straight to where they go, and
// less of what people wrote lies around in memory.
type blocks struct {
	limit int64

	mu   sync.Mutex
	used int64                      // guarded by mu; sealed bytes, fetched or under way
	of   map[blockKey]*list.Element // guarded by mu
	lru  list.List                  // guarded by mu; of *block, last used first
}

type blockKey struct {
	object signet.Address
	block  uint32
}

func blockOf(row *signet.Object, off uint32) blockKey {
	return blockKey{row.Address, off / blockSize}
}

// block is the sealed bytes [at, at+size) of an object, fetched or being fetched.
type block struct {
	key    blockKey
	at     uint32
	size   uint32
	ready  chan struct{}
	sealed []byte // set before ready is closed; nil: it could not be had
}

func newBlocks(limit int64) *blocks {
	return &blocks{limit: limit, of: make(map[blockKey]*list.Element)}
}

// wait returns the bytes [at, at+n) of the object out of the block.
func (b *block) wait(ctx context.Context, at, n uint32) ([]byte, bool) {
	select {
	case <-b.ready:
	case <-ctx.Done():
		return nil, false
	}
	if at < b.at || uint64(at)+uint64(n) > uint64(b.at)+uint64(len(b.sealed)) {
		return nil, false
	}
	return b.sealed[at-b.at : at-b.at+n], true
}

// find returns a block that is there or on its way.
func (c *blocks) find(k blockKey) *block {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.of[k]
	if e == nil {
		return nil
	}
	c.lru.MoveToFront(e)
	return e.Value.(*block)
}

// add returns the block, and whether it is new, so that the caller must fetch it.
func (c *blocks) add(k blockKey, at, size uint32) (b *block, isNew bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.of[k]; e != nil {
		c.lru.MoveToFront(e)
		return e.Value.(*block), false
	}
	b = &block{key: k, at: at, size: size, ready: make(chan struct{})}
	c.of[k] = c.lru.PushFront(b)
	c.used += int64(size)
	for c.used > c.limit && c.lru.Len() > 1 {
		c.evict(c.lru.Back())
	}
	return b, true
}

// remove forgets a block, so that it is fetched anew.
func (c *blocks) remove(b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.of[b.key]; e != nil && e.Value == b {
		c.evict(e)
	}
}

// evict is called with mu held. Who waits for the block still gets it.
func (c *blocks) evict(e *list.Element) {
	b := c.lru.Remove(e).(*block)
	delete(c.of, b.key)
	c.used -= int64(b.size)
}

// fetchBlock returns the block of the object that off lies in; if it is not there it
// is fetched in the background, so that it does not depend on one reader's patience.
func (f *FS) fetchBlock(o Opener, row *signet.Object, off uint32) *block {
	from := off - off%blockSize
	at, size, err := o.Range(from, min(blockSize, row.Size-from))
	if err != nil {
		b := &block{ready: make(chan struct{})}
		close(b.ready)
		return b
	}
	b, isNew := f.ahead.add(blockOf(row, off), at, size)
	if isNew {
		object := *row
		f.work.Go(func() {
			ctx, cancel := clock.WithTimeout(f.life, f.clock, callTimeout)
			defer cancel()
			sealed, err := f.objects.Get(ctx, object, at, size)
			if err != nil || uint32(len(sealed)) != size {
				f.ahead.remove(b)
			} else {
				b.sealed = sealed
			}
			close(b.ready)
		})
	}
	return b
}

// stream is how a handle is read: in order or not, and how far ahead was read.
type stream struct {
	from  uint64 // where reading in order began
	next  uint64 // where a reader in order would go on
	got   uint64 // bytes read in between
	run   int    // reads in order so far
	ahead uint64 // up to where was read ahead
	busy  bool   // reading ahead
}

// streams notes a read and says whether the file is being read in order. The kernel
// sends what it reads ahead in parallel, so a little disorder is order, but most of
// what is passed over must have been read.
func (h *handle) streams(off, n uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &h.stream
	const slack = blockSize
	if off+slack < s.next || off > s.next+slack {
		s.from, s.next, s.got = off, off+n, n
		s.run, s.ahead = 1, 0
		return false
	}
	s.run++
	s.got += n
	s.next = max(s.next, off+n)
	return s.run > 1 && s.got*2 >= s.next-s.from
}

// readAhead fetches what a reader in order will want after pos, in the background.
func (f *FS) readAhead(h *handle, pos uint64) {
	h.mu.Lock()
	s := &h.stream
	window := min(uint64(aheadMin)<<min(max(s.run-2, 0), 8), aheadMax)
	from := max(pos, s.ahead)
	to := pos + window
	if s.busy || to < from+window/2 {
		h.mu.Unlock()
		return
	}
	s.busy, s.ahead = true, to
	h.mu.Unlock()
	f.work.Go(func() {
		f.fetchAhead(h.node.ino, from, to)
		h.mu.Lock()
		s.busy = false
		h.mu.Unlock()
	})
}

// fetchAhead brings the objects under [from, to) of a file nearer. It tells nobody
// anything, so its view need not settle; what cannot be had is not its business.
func (f *FS) fetchAhead(ino signet.Ino, from, to uint64) {
	v := f.names.View()
	defer v.Close()
	extents, err := v.Extents(ino, from, to-from, aheadMax/blockSize*4)
	if err != nil {
		return
	}
	for _, e := range extents {
		if e.Inline != nil {
			continue
		}
		row, err := v.Object(e.Object)
		if err != nil {
			continue
		}
		o, err := f.seal.Opener(&row)
		if err != nil {
			continue
		}
		first := e.ObjectOff + uint32(max(from, e.Off)-e.Off)
		last := e.ObjectOff + uint32(min(to, e.End())-e.Off)
		for off := first; off < last && off < row.Size; off += blockSize - off%blockSize {
			f.fetchBlock(o, &row, off)
		}
	}
}
