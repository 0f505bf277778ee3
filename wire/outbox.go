package wire

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/signetfs/signet"
)

// copyBelow is the size of payloads that are copied into the frame's write instead
// of being written by themselves: two TLS records cost more than the copy.
const copyBelow = 32 << 10

// keepAbove is the size of an outbox's memory that is not kept for the next batch.
const keepAbove = 1 << 20

// outbox holds what is to be written on a connection, in order. Frames that fit are
// put together, so that one write takes all that came while the last one ran.
type outbox struct {
	limit int // bytes of one-way messages

	mu      sync.Mutex
	filled  sync.Cond
	next    batch
	waiting int   // bytes in next, payloads included
	err     error // set once: nothing more is taken
	drained bool  // with err: what is in next is still to be written
}

// batch is a run of frames. The bytes of large payloads lie outside of it.
type batch struct {
	bytes []byte
	large []large
}

// large is a payload that is written from where it is.
type large struct {
	start, end int // its frame's header in batch.bytes; the payload comes after
	payload    []byte
	release    func()
	skip       func() bool // says that nobody wants the frame any more; may be nil
}

func newOutbox(limit int) *outbox {
	o := &outbox{limit: limit}
	o.filled.L = &o.mu
	return o
}

// put adds a frame and takes over its payload: release is called when it has been
// copied, written or dropped, but not if put fails. Only frames that may be refused
// are so when too much is waiting; calls are bounded by their number.
func (o *outbox) put(frame, payload []byte, release func(), skip func() bool, mayRefuse bool) error {
	small := len(payload) < copyBelow
	if err := o.add(frame, payload, release, skip, mayRefuse, small); err != nil {
		return err
	}
	if release != nil && small {
		release()
	}
	return nil
}

func (o *outbox) add(frame, payload []byte, release func(), skip func() bool, mayRefuse, small bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	n := len(frame) + len(payload)
	if mayRefuse && o.waiting > 0 && o.waiting+n > o.limit {
		return signet.Errorf(signet.TooBusy, "send", "", "%d bytes wait to be sent already", o.waiting)
	}
	start := len(o.next.bytes)
	o.next.bytes = append(o.next.bytes, frame...)
	if small {
		o.next.bytes = append(o.next.bytes, payload...)
	} else {
		o.next.large = append(o.next.large, large{start, len(o.next.bytes), payload, release, skip})
	}
	if o.waiting == 0 {
		o.filled.Signal()
	}
	o.waiting += n
	return nil
}

// take waits for frames and exchanges them for b, which has been written. It
// returns false when there will be none any more.
func (o *outbox) take(b *batch) bool {
	b.clear()
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.waiting == 0 {
		if o.err != nil {
			return false
		}
		o.filled.Wait()
	}
	if o.err != nil && !o.drained {
		return false
	}
	*b, o.next = o.next, *b
	o.waiting = 0
	return true
}

// close refuses further frames with err. Those that wait are dropped, or written
// first if drain is set.
func (o *outbox) close(err error, drain bool) {
	o.mu.Lock()
	if o.err == nil {
		o.err, o.drained = err, drain
	} else if !drain {
		o.drained = false
	}
	var dropped batch
	if !o.drained {
		dropped, o.next, o.waiting = o.next, batch{}, 0
	}
	o.filled.Broadcast()
	o.mu.Unlock()
	dropped.clear()
}

// clear releases the payloads that were not written and keeps the memory.
func (b *batch) clear() {
	for i := range b.large {
		b.large[i].done()
	}
	clear(b.large)
	b.large = b.large[:0]
	b.bytes = b.bytes[:0]
	if cap(b.bytes) > keepAbove {
		b.bytes = nil
	}
}

func (l *large) done() {
	if l.release != nil {
		l.release()
		l.release = nil
	}
	l.payload = nil
}

// writeTo writes the frames and releases their payloads. What was skipped is
// counted in skipped, so that tests can see it.
func (b *batch) writeTo(w io.Writer, skipped *atomic.Int64) error {
	from := 0
	for i := range b.large {
		l := &b.large[i]
		if l.skip != nil && l.skip() {
			if err := write(w, b.bytes[from:l.start]); err != nil {
				return err
			}
			skipped.Add(1)
		} else {
			if err := write(w, b.bytes[from:l.end]); err != nil {
				return err
			}
			if err := write(w, l.payload); err != nil {
				return err
			}
		}
		from = l.end
		l.done()
	}
	return write(w, b.bytes[from:])
}

func write(w io.Writer, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := w.Write(b)
	return err
}
