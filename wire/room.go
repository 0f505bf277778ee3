package wire

import (
	"sync"

	"github.com/signetfs/signet"
)

// room bounds the bytes of large payloads that are held at once. Who finds none
// waits in the order of arrival.
type room struct {
	mu    sync.Mutex
	left  int64
	queue []*waiter
}

type waiter struct {
	need  int64
	ready chan struct{}
}

// take waits for n bytes of room and returns the function that gives them back. It
// fails when dead is closed first.
func (r *room) take(n int, dead <-chan struct{}) (func(), error) {
	give := func() { r.give(int64(n)) }
	r.mu.Lock()
	if len(r.queue) == 0 && r.left >= int64(n) {
		r.left -= int64(n)
		r.mu.Unlock()
		return give, nil
	}
	w := &waiter{int64(n), make(chan struct{})}
	r.queue = append(r.queue, w)
	r.mu.Unlock()
	select {
	case <-w.ready:
		return give, nil
	case <-dead:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, q := range r.queue {
		if q == w {
			r.queue = append(r.queue[:i], r.queue[i+1:]...)
			r.wake()
			return nil, errNoRoom()
		}
	}
	r.left += int64(n) // it was given at the same time
	r.wake()
	return nil, errNoRoom()
}

func (r *room) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += n
	r.wake()
}

// wake lets the first ones in that fit. The lock is held.
func (r *room) wake() {
	for len(r.queue) > 0 && r.queue[0].need <= r.left {
		w := r.queue[0]
		r.queue = r.queue[1:]
		r.left -= w.need
		close(w.ready)
	}
}

func errNoRoom() error {
	return signet.Errorf(signet.Unavailable, "", "", "connection lost while it waited for room")
}
