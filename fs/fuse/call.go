package fuse

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signetfs/signet/fs"
)

// call is one request in flight.
type call struct {
	req fs.Request
	ctx callCtx // what req.Ctx is
}

// callCtx is the context of one request. It ends when the kernel interrupts the
// request, when the mount ends, and when the answer has been written; deadlines are
// fs's affair. Most requests are answered from memory and never look at Done, so
// the channel comes into being with the first look, and contexts derived from this
// one hang on AfterFunc: a request costs no goroutine of its own.
type callCtx struct {
	mu    sync.Mutex
	err   error         // why it ended; set once
	done  chan struct{} // nil until somebody asked
	after []*func()     // what to start when it ends
}

var _ context.Context = (*callCtx)(nil)

// Deadline says that there is none.
func (c *callCtx) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value holds nothing: what a request carries is in fs.Request.
func (c *callCtx) Value(any) any { return nil }

func (c *callCtx) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

func (c *callCtx) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc starts f in a goroutine when the context ends. Package context looks for
// this method before it starts a goroutine that watches Done.
func (c *callCtx) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	p := &f
	c.after = append(c.after, p)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(c.after, p)
		if i < 0 {
			return false
		}
		c.after = slices.Delete(c.after, i, i+1)
		return true
	}
}

// end ends the context, unless it has ended before.
func (c *callCtx) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = context.Canceled
	if c.done != nil {
		close(c.done)
	}
	for _, f := range c.after {
		go (*f)()
	}
	c.after = nil
}

// calls finds the requests in flight by the kernel's number for them. It is sharded
// because every request passes through it twice.
type calls struct {
	ended  atomic.Bool // no call may begin to wait any more
	shards [16]struct {
		mu sync.Mutex
		m  map[uint64]*call
		_  [48]byte // one cache line each
	}
}

func newCalls() *calls {
	c := &calls{}
	for i := range c.shards {
		c.shards[i].m = make(map[uint64]*call)
	}
	return c
}

// The kernel counts requests by two: the lowest bit marks an INTERRUPT.
func (c *calls) shard(unique uint64) int { return int(unique >> 1 % uint64(len(c.shards))) }

func (c *calls) add(k *call) {
	s := &c.shards[c.shard(k.req.Unique)]
	s.mu.Lock()
	s.m[k.req.Unique] = k
	s.mu.Unlock()
	if c.ended.Load() { // endAll may have passed this shard before we came
		k.ctx.end()
	}
}

func (c *calls) remove(k *call) {
	s := &c.shards[c.shard(k.req.Unique)]
	s.mu.Lock()
	delete(s.m, k.req.Unique)
	s.mu.Unlock()
}

// get returns the call with that number, or nil.
func (c *calls) get(unique uint64) *call {
	s := &c.shards[c.shard(unique)]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[unique]
}

// endAll ends the contexts of all calls, and of those that are still to come.
func (c *calls) endAll() {
	c.ended.Store(true)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, k := range s.m {
			k.ctx.end()
		}
		s.mu.Unlock()
	}
}
