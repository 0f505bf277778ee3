package heal

import (
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/ring"
)

// arcQueue is a queue in which each arc is once.
type arcQueue struct {
	list []signet.Arc
	in   map[signet.Arc]struct{}
}

func (q *arcQueue) add(a signet.Arc) {
	if q.in == nil {
		q.in = map[signet.Arc]struct{}{}
	}
	if _, there := q.in[a]; !there {
		q.in[a] = struct{}{}
		q.list = append(q.list, a)
	}
}

func (q *arcQueue) len() int { return len(q.list) }

// next returns up to n arcs from the front, which stay until they are popped.
func (q *arcQueue) next(n int) []signet.Arc { return q.list[:min(n, len(q.list))] }

func (q *arcQueue) pop() signet.Arc {
	a := q.list[0]
	q.list = q.list[1:]
	delete(q.in, a)
	return a
}

// later is a queue of things to do, each not before a time. Times are added in their
// order. What is in it already is not added again.
type later[T comparable] struct {
	list []timed[T]
	in   map[T]struct{}
}

type timed[T any] struct {
	at    time.Time
	value T
}

func (q *later[T]) add(at time.Time, values ...T) {
	if q.in == nil {
		q.in = map[T]struct{}{}
	}
	for _, v := range values {
		if _, there := q.in[v]; !there {
			q.in[v] = struct{}{}
			q.list = append(q.list, timed[T]{at, v})
		}
	}
}

func (q *later[T]) len() int { return len(q.list) }

// head returns when the first is due.
func (q *later[T]) head() (time.Time, bool) {
	if len(q.list) == 0 {
		return time.Time{}, false
	}
	return q.list[0].at, true
}

// due returns up to n things whose time has come, which stay until they are dropped.
func (q *later[T]) due(now time.Time, n int) []T {
	var out []T
	for i := 0; i < len(q.list) && len(out) < n && !q.list[i].at.After(now); i++ {
		out = append(out, q.list[i].value)
	}
	return out
}

// drop removes the first n.
func (q *later[T]) drop(n int) {
	for _, t := range take(&q.list, n) {
		delete(q.in, t.value)
	}
}

// span is a range of addresses, both ends in it.
type span struct{ from, to signet.Address }

// algs are the digest algorithms that addresses begin with, in the order of the numbers.
var algs = [...]signet.DigestAlg{signet.DigestSHA256, signet.DigestBLAKE3}

// everything is all addresses.
var everything = span{to: last(0xff, 0xffff)}

// last is the last address of an arc key.
func last(alg signet.DigestAlg, key signet.ArcKey) signet.Address {
	var d signet.Digest
	for i := range d {
		d[i] = 0xff
	}
	return signet.NewAddress(alg, key, d)
}

// arcSpans are the addresses of an arc.
func arcSpans(arc signet.Arc, arcs uint32) []span {
	first, end := ring.Keys(arc, arcs)
	spans := make([]span, 0, len(algs))
	for _, alg := range algs {
		spans = append(spans, span{signet.NewAddress(alg, first, signet.Digest{}), last(alg, end)})
	}
	return spans
}

// past returns the address after a; false if there is none.
func past(a signet.Address) (signet.Address, bool) {
	for i := len(a) - 1; i >= 0; i-- {
		if a[i]++; a[i] != 0 {
			return a, true
		}
	}
	return a, false
}

// failure is an arc of which something could not be pulled.
type failure struct {
	times int
	at    time.Time // of the next attempt
}

// fails notes that an arc has to be looked through again, later each time.
func (k *keeper) fails(arc signet.Arc) {
	f := k.failing[arc]
	if f == nil {
		f = &failure{}
		k.failing[arc] = f
	}
	d := retryLast
	if f.times < 6 {
		d = min(retryFirst<<f.times, retryLast)
	}
	f.times++
	f.at = k.Clock.Now().Add(d)
}
