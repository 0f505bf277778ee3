package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/signetfs/signet/integration/ring"
)

// A history of what programs on several mounts did in one directory, checked for
// linearizability. A name is free or leads to an inode. Renames touch two names; they stay
// within pairs, so that the history of each pair can be checked by itself: the checker's
// work grows exponentially with what goes on at the same time.

const pairs = 6

type nameOp struct {
	op       ring.Op
	pair     int
	name, to int // 0 or 1: of the pair
}

func (o nameOp) path(dir string, name int) string {
	return fmt.Sprintf("%s/%c%d", dir, 'a'+o.pair, name)
}

type nameResult struct {
	unknown bool // lost with its host, or failed as a cut-off host's calls do: it may have been carried out
	errno   syscall.Errno
	ino     uint64 // of what was created, or found
}

// names is the state of a pair: an inode, or 0, for each name.
type names [2]uint64

// step says whether the result fits the state, and what the state is afterwards.
func (o nameOp) step(s names, r nameResult) (names, bool) {
	var want syscall.Errno
	switch o.op {
	case ring.OpOpen: // O_CREAT|O_EXCL
		if s[o.name] != 0 {
			want = syscall.EEXIST
		} else {
			s[o.name] = r.ino
		}
	case ring.OpUnlink:
		if s[o.name] == 0 {
			want = syscall.ENOENT
		}
		s[o.name] = 0
	case ring.OpRename:
		switch {
		case s[o.name] == 0:
			want = syscall.ENOENT
		case o.name != o.to:
			s[o.to], s[o.name] = s[o.name], 0
		}
	case ring.OpStat:
		if s[o.name] == 0 {
			want = syscall.ENOENT
		} else if r.errno == 0 && r.ino != s[o.name] {
			return s, false
		}
	}
	return s, r.errno == want
}

var nameModel = porcupine.NondeterministicModel{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		out := make([][]porcupine.Operation, pairs)
		for _, o := range all {
			p := o.Input.(nameOp).pair
			out[p] = append(out[p], o)
		}
		return out
	},
	Init: func() []any { return []any{names{}} },
	Step: func(state, input, output any) []any {
		s, r := state.(names), output.(nameResult)
		after, fits := input.(nameOp).step(s, r)
		switch {
		case r.unknown:
			return []any{s, after}
		case fits:
			return []any{after}
		}
		return nil
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// unclear says whether a call that ended with this errno may have been carried out.
func unclear(err error) bool {
	return ring.Lost(err) || errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ENOTCONN) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EROFS)
}

// history collects operations of many writers.
type history struct {
	mu      sync.Mutex
	ops     []porcupine.Operation
	unknown int
	longest time.Duration
}

// maxUnknown bounds the operations of unknown result: each may be anywhere in what
// follows, and doubles the checker's work.
const maxUnknown = 24

// act does one operation and notes it. It says whether the writer should go on.
func (h *history) act(client int, host *ring.Host, dir string, in nameOp, seq uint64) bool {
	call := ring.Call{Op: in.op, Path: in.path(dir, in.name), To: in.path(dir, in.to)}
	if in.op == ring.OpOpen {
		call.Flags, call.Mode = syscall.O_CREAT|syscall.O_EXCL|syscall.O_WRONLY, 0o644
	}
	from := ring.Now()
	reply, err := host.DoWithin(call, 2*ring.Bound)
	to := ring.Now()
	var r nameResult
	switch {
	case err != nil && unclear(err):
		r.unknown = true
	case err != nil:
		errors.As(err, &r.errno)
	}
	if in.op == ring.OpOpen && err == nil {
		if st, err := host.DoWithin(ring.Call{Op: ring.OpStatFD, FD: reply.FD}, 2*ring.Bound); err == nil {
			r.ino = st.Stat.Ino
		} else {
			r.unknown = true
		}
		_, _ = host.DoWithin(ring.Call{Op: ring.OpClose, FD: reply.FD}, 2*ring.Bound)
	}
	if in.op == ring.OpStat && err == nil {
		r.ino = reply.Stat.Ino
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.longest = max(h.longest, to-from)
	if r.unknown {
		if in.op == ring.OpStat {
			return true // changed nothing, told nothing
		}
		if in.op == ring.OpOpen && r.ino == 0 {
			r.ino = seq // what it made, if it did, has a number that nobody knows: see forget
		}
		h.unknown++
		to = time.Duration(1 << 62)
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: r, Call: int64(from), Return: int64(to)})
	return h.unknown < maxUnknown
}

// forget replaces inode numbers by whether there is one: after a create of unknown result
// a name may lead to an inode whose number nobody was told.
func (h *history) forget() {
	for i := range h.ops {
		r := h.ops[i].Output.(nameResult)
		if r.ino != 0 {
			r.ino = 1
		}
		h.ops[i].Output = r
	}
}

func (h *history) check(t *testing.T) {
	t.Helper()
	if h.unknown > 0 {
		h.forget()
	}
	m := nameModel.ToModel()
	res, info := porcupine.CheckOperationsVerbose(m, h.ops, 2*time.Minute)
	t.Logf("%d operations, %d of them with an unknown result, the longest took %v: %v", len(h.ops), h.unknown, h.longest.Round(time.Millisecond), res)
	if res == porcupine.Ok {
		return
	}
	f := filepath.Join(os.TempDir(), "signet-linear-"+strconv.Itoa(os.Getpid())+".html")
	if err := porcupine.VisualizePath(m, info, f); err == nil {
		t.Logf("see %s", f)
	}
	t.Errorf("the history is not linearizable: %v", res)
}

func linearSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SIGNET_SEED"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = v
	}
	t.Logf("SIGNET_SEED=%d", seed)
	return seed
}

// work has eight writers on each of two hosts do ops operations in one directory while
// nemesis does its worst.
func work(t *testing.T, r *ring.Ring, ops int, pace time.Duration, nemesis func(r *rand.Rand, stop <-chan struct{})) {
	seed := linearSeed(t)
	h := &history{}
	r.Host(0).Mkdir("/work")
	stop := make(chan struct{})
	var writers, evil sync.WaitGroup
	evil.Go(func() { nemesis(rand.New(rand.NewPCG(seed, 0)), stop) })
	for c := range 16 {
		writers.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(c+1)))
			kinds := []ring.Op{ring.OpOpen, ring.OpUnlink, ring.OpRename, ring.OpStat, ring.OpStat}
			for i := range ops {
				in := nameOp{op: kinds[rnd.IntN(len(kinds))], pair: rnd.IntN(pairs), name: rnd.IntN(2), to: rnd.IntN(2)}
				if !h.act(c, r.Host(c%2), "/work", in, uint64(1<<40+c<<20+i)) {
					return
				}
				if pace > 0 {
					wait(stop, time.Duration(rnd.Int64N(int64(pace))))
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	evil.Wait()
	h.check(t)
}

// wait lets time pass, unless stop comes first.
func wait(stop <-chan struct{}, d time.Duration) bool {
	select {
	case <-stop:
		return false
	case <-time.After(d):
		return true
	}
}

// Two hosts, eight writers each, one directory, nothing goes wrong: no call waits for
// another host's lease, which it would for 400 ms.
func TestLinearInPeace(t *testing.T) {
	r := ring.Start(t, 3)
	work(t, r, 40, 0, func(*rand.Rand, <-chan struct{}) {})
}

// The same while hosts are cut off from the others, by turns.
func TestLinearWhileCut(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 3, Mount: "cutoff=eio"})
	work(t, r, 40, time.Second, func(rnd *rand.Rand, stop <-chan struct{}) {
		for wait(stop, time.Duration(1000+rnd.IntN(2000))*time.Millisecond) {
			r.Host(rnd.IntN(3)).Cut()
			wait(stop, time.Duration(rnd.IntN(3000))*time.Millisecond)
			r.Heal()
		}
	})
}

// The same while host 3 is killed and started again, and the leader among them.
func TestLinearWhileKilled(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 3, Mount: "cutoff=eio"})
	work(t, r, 40, time.Second, func(rnd *rand.Rand, stop <-chan struct{}) {
		for wait(stop, time.Duration(1000+rnd.IntN(2000))*time.Millisecond) {
			r.Host(2).Kill()
			wait(stop, time.Duration(rnd.IntN(2000))*time.Millisecond)
			r.Host(2).Boot()
		}
	})
}

// Host 3 is away while the others write; back, it catches up; then it alone shows all.
func TestAwayAndBack(t *testing.T) {
	r := ring.Start(t, 3)
	contents := map[string]string{}
	write := func(h *ring.Host, from, n int) {
		for i := from; i < from+n; i++ {
			body := make([]byte, 100<<(i%12)) // inline, one object, several segments
			for k := range body {
				body[k] = byte(i + k/1000)
			}
			p := fmt.Sprintf("/f%d", i)
			h.WriteSync(p, string(body))
			contents[p] = string(body)
		}
	}
	write(r.Host(2), 0, 12)
	r.Host(2).Kill()
	write(r.Host(0), 100, 24)
	write(r.Host(1), 200, 24)
	r.Host(2).Boot()
	r.WantWhole()
	r.Host(0).Kill()
	r.Host(1).Kill()
	for p, body := range contents {
		r.Host(2).WantFile(p, body)
	}
}

// The same while host 3's daemon is stopped and goes on, as the leader too: it accepts
// connections and answers nothing.
func TestLinearWhileFrozen(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 3, Mount: "cutoff=eio"})
	work(t, r, 30, time.Second, func(rnd *rand.Rand, stop <-chan struct{}) {
		for wait(stop, time.Duration(1000+rnd.IntN(1500))*time.Millisecond) {
			r.Host(2).Freeze()
			wait(stop, time.Duration(rnd.IntN(3000))*time.Millisecond)
			r.Host(2).Thaw()
		}
	})
}
