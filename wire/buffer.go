package wire

import (
	"sync"
	"sync/atomic"
)

// Buffer is a received frame in memory that is used again: whoever is handed one
// calls Release when done with the payload and everything that refers into it.
type Buffer struct {
	mem     []byte // of the size of its pool
	head    int    // header bytes in front
	size    int    // header and payload
	held    atomic.Bool
	release func() // gives back the receive budget; may be nil
}

// Payload returns the payload, valid until Release.
func (b *Buffer) Payload() []byte {
	if b == nil {
		return nil
	}
	return b.mem[b.head:b.size:b.size]
}

// Release gives the memory back. It may be called on nil, and once.
func (b *Buffer) Release() {
	if b == nil {
		return
	}
	if !b.held.CompareAndSwap(true, false) {
		panic("wire: buffer released twice")
	}
	if b.release != nil {
		b.release()
		b.release = nil
	}
	if i := sizeClass(len(b.mem)); i >= 0 {
		pools[i].Put(b)
	}
}

// bufferSizes are the sizes that are kept: small calls, inline data, segments,
// objects, the largest payload; each with room for its header.
var bufferSizes = [...]int{512, 8 << 10, 80 << 10, 1<<20 + 8<<10, MaxObject + MaxHeader, MaxPayload + MaxHeader}

// pools hold memory only, no state; sync.Pool is safe to share by all hosts of a
// process.
var pools [len(bufferSizes)]sync.Pool

func sizeClass(n int) int {
	for i, size := range bufferSizes {
		if n <= size {
			return i
		}
	}
	return -1
}

// newBuffer returns a buffer for a frame. Both lengths have been checked.
func newBuffer(head, payload int) *Buffer {
	i := sizeClass(head + payload)
	b, _ := pools[i].Get().(*Buffer)
	if b == nil {
		b = &Buffer{mem: make([]byte, bufferSizes[i])}
	}
	b.head, b.size = head, head+payload
	b.held.Store(true)
	return b
}

func (b *Buffer) bytes() []byte { return b.mem[:b.size] }
