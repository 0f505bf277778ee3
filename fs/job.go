package fs

import (
	"context"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
	"github.com/signetfs/signet/internal/clock"
)

// job is what becomes one object, or one piece of inline data: dirty bytes of one
// node on their way to being durable. size, cost and inline do not change; the rest
// is guarded by the node's mu.
type job struct {
	size   uint32
	cost   int64 // memory that it holds until it is paid
	inline bool

	plain   [][]byte // the bytes; nil once they are in an object
	row     signet.Object
	sealed  []byte   // inline data, once it is sealed
	durable bool     // it may be named
	named   bool     // the log knows the object
	try     *attempt // the newest; nil: none yet
}

// attempt is one try to make a job durable.
type attempt struct {
	done chan struct{} // closed at the end
	err  error         // set before
}

func (j *job) running() bool {
	if j.try == nil {
		return false
	}
	select {
	case <-j.try.done:
		return false
	default:
		return true
	}
}

// freeze turns loose pieces into jobs: all, or only those that will hardly grow.
// What is small enough becomes inline data if that is wanted. n.mu is held.
func (n *node) freeze(all bool, inlineMax uint32) {
	for _, g := range extent.Pack(n.over.spans(all), chunk, inlineMax) {
		j := &job{size: g.Size, inline: g.Inline}
		j.cost = n.over.assign(j, g.Parts)
		n.unpaid = append(n.unpaid, j)
	}
}

// jobs returns the jobs that the overlay's pieces belong to, in order. n.mu is held.
func (n *node) jobs() []*job {
	var list []*job
	seen := map[*job]bool{}
	for i := range n.over.pieces {
		if j := n.over.pieces[i].job; j != nil && !seen[j] {
			seen[j] = true
			list = append(list, j)
		}
	}
	return list
}

// sweep returns the memory of jobs that no byte of the file depends on any more.
// n.mu is held.
func (n *node) sweep() (freed int64) {
	if len(n.unpaid) == 0 {
		return 0
	}
	needed := map[*job]bool{}
	for _, j := range n.jobs() {
		needed[j] = true
	}
	kept := n.unpaid[:0]
	for _, j := range n.unpaid {
		if needed[j] || j.running() || n.flight != nil && n.flight.jobs[j] {
			kept = append(kept, j)
			continue
		}
		freed += j.pay()
	}
	clear(n.unpaid[len(kept):])
	n.unpaid = kept
	return freed
}

// pay lets go of the job's bytes. n.mu is held.
func (j *job) pay() int64 {
	for _, b := range j.plain {
		recycle(b)
	}
	j.plain = nil
	return j.cost
}

// start makes a job durable in the background, unless it is or is being made so. It
// returns the attempt to wait for. n.mu is held.
func (f *FS) start(n *node, j *job) *attempt {
	if j.durable || j.running() {
		return j.try
	}
	t := &attempt{done: make(chan struct{})}
	j.try = t
	if j.inline {
		t.err = f.sealInline(n, j)
		close(t.done)
		return t
	}
	plain := j.plain
	f.work.Go(func() { f.run(n, j, t, plain) })
	return t
}

// pinned keeps the objects of a file from being collected before they have a name: an
// open view makes this host say that it still depends on the state from before they
// were put. n.mu is not held: nothing of the ports is called under it.
func (f *FS) pinned(n *node) {
	n.mu.Lock()
	has := n.pin != nil
	n.mu.Unlock()
	if has {
		return
	}
	v := f.names.View()
	n.mu.Lock()
	if n.pin == nil {
		n.pin, v = v, nil
	}
	n.mu.Unlock()
	if v != nil {
		v.Close()
	}
}

// unpin lets the collection go on if every object put for the file has its name.
func (n *node) unpin() {
	n.mu.Lock()
	var v signet.View
	if n.over.empty() && len(n.unpaid) == 0 {
		v, n.pin = n.pin, nil
	}
	n.mu.Unlock()
	if v != nil {
		v.Close()
	}
}

// startAll begins to make durable what is dirty and has not begun yet: all of it, or
// only what will hardly grow. It returns how many objects of the file have no name.
func (f *FS) startAll(n *node, all bool) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.freeze(all, 0)
	jobs := n.jobs()
	for _, j := range jobs {
		if j.try == nil {
			f.start(n, j)
		}
	}
	return len(jobs)
}

// sealInline seals a job that travels in the command. n.mu is held.
func (f *FS) sealInline(n *node, j *job) error {
	for i := range n.over.pieces {
		if p := &n.over.pieces[i]; p.job == j {
			plain := make([]byte, 0, j.size)
			for _, b := range j.plain {
				plain = append(plain, b...)
			}
			sealed, err := f.seal.SealInline(nil, n.ino, p.off-uint64(p.at), plain)
			j.sealed, j.durable = sealed, err == nil
			return err
		}
	}
	return nil
}

// run seals the job and puts the object.
func (f *FS) run(n *node, j *job, t *attempt, plain [][]byte) {
	f.pinned(n)
	row, err := f.sealAndPut(j.size, plain)
	n.mu.Lock()
	var freed int64
	if t.err = err; err == nil {
		j.row, j.durable = row, true
		freed = n.paid(j)
	}
	n.mu.Unlock()
	if hopeless(err) {
		f.drop(n, j, err) // before who waits is told, so that each handle hears of it once
	}
	n.mu.Lock()
	close(t.done)
	freed += n.sweep() // its file may have been given up meanwhile
	n.mu.Unlock()
	n.unpin()
	f.memory.add(-freed)
}

// paid lets go of a durable job's bytes: who reads them before they are named reads
// the object. n.mu is held, so nobody reads them now.
func (n *node) paid(j *job) int64 {
	for i := range n.over.pieces {
		if p := &n.over.pieces[i]; p.job == j {
			p.data = nil
		}
	}
	for i, u := range n.unpaid {
		if u == j {
			n.unpaid = append(n.unpaid[:i], n.unpaid[i+1:]...)
			return j.pay()
		}
	}
	return 0
}

// sealAndPut makes one object of the pieces. It belongs to no request: a program that
// is killed must not take others' data with it.
func (f *FS) sealAndPut(size uint32, plain [][]byte) (signet.Object, error) {
	ctx, cancel := clock.WithTimeout(f.life, f.clock, callTimeout)
	defer cancel()
	if ok, err := f.puts.take(ctx, int64(size), nil); !ok {
		return signet.Object{}, err
	}
	buf := sealedBuffer(size)
	release := func() {
		sealedBuffers.Put(buf)
		f.puts.add(-int64(size))
	}
	sealed, row, err := f.seal.Seal((*buf)[:0], plain...)
	if err != nil {
		release()
		return row, signet.Wrap("seal", "", err)
	}
	at, err := f.objects.Put(ctx, row.Address, sealed, release)
	if err != nil {
		return row, signet.Wrap("put object", row.Address.String(), err)
	}
	row.Hosts, row.Ring, row.Put = at.Hosts, at.Ring, at.Put
	return row, nil
}

// reput makes a job durable once more, as a new object, after Apply refused to name
// the first: the ring or the collection has passed it.
func (f *FS) reput(ctx context.Context, n *node, j *job) error {
	n.mu.Lock()
	row := j.row
	n.mu.Unlock()
	plain := make([]byte, row.Size)
	if err := f.readObject(ctx, &row, 0, plain, false); err != nil {
		return err
	}
	row, err := f.sealAndPut(row.Size, [][]byte{plain})
	if err != nil {
		return err
	}
	n.mu.Lock()
	j.row, j.named = row, false
	n.mu.Unlock()
	return nil
}

// sealedBuffers keeps buffers for sealed objects. Sealing adds a header and a tag per
// 16 KiB; a buffer that turns out too small is replaced by a larger one of append.
var sealedBuffers = sync.Pool{New: func() any { return new([]byte) }}

func sealedBuffer(size uint32) *[]byte {
	b := sealedBuffers.Get().(*[]byte)
	if need := int(size) + int(size)/512 + 512; cap(*b) < need {
		*b = make([]byte, 0, need)
	}
	return b
}
