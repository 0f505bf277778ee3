package integration

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/ring"
)

// A file as the checker knows it: registers of a few bytes, several to a page, each of
// which programs on all hosts write and read with the file open.
const (
	registers    = 6
	registerSize = 12
	registerGap  = 1500 // from one to the next, so that two or three share a page
)

type registerOp struct {
	write    bool
	register int
	value    int // to write
}

type registerResult struct {
	value   int  // read
	unknown bool // of a write: it failed, so it may be carried out or not, now or later
}

var registerModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, registers)
		for _, o := range history {
			r := o.Input.(registerOp).register
			parts[r] = append(parts[r], o)
		}
		return parts
	},
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		in, out := input.(registerOp), output.(registerResult)
		if in.write {
			return true, in.value
		}
		return out.value == state.(int), state
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}

// registerFile is a file of registers and what is done with it.
type registerFile struct {
	t    *testing.T
	path string
	sync bool // a write is a write and an fsync

	mu  sync.Mutex
	ops []porcupine.Operation // guarded by mu
}

func (f *registerFile) note(client int, r *ring.Reply, from, to time.Duration, in registerOp, out registerResult) {
	if r != nil {
		from, to = r.From, r.To
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if out.unknown {
		to = 1 << 62
	}
	f.ops = append(f.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(from), Return: int64(to)})
}

// client writes and reads through descriptors of its own until stop is closed. An error
// ends a descriptor.
func (f *registerFile) client(n int, h *ring.Host, rnd *rand.Rand, stop <-chan struct{}) {
	fd := -1
	value := n * 1_000_000
	for {
		select {
		case <-stop:
			if fd >= 0 {
				_, _ = h.Do(ring.Call{Op: ring.OpClose, FD: fd})
			}
			return
		default:
		}
		if fd >= 0 && rnd.IntN(25) == 0 {
			_, _ = h.Do(ring.Call{Op: ring.OpClose, FD: fd})
			fd = -1
		}
		if fd < 0 {
			r, err := h.Do(ring.Call{Op: ring.OpOpen, Path: f.path, Flags: unix.O_RDWR})
			if err != nil {
				time.Sleep(10 * time.Millisecond) // a host without a majority
				continue
			}
			fd = r.FD
		}
		in := registerOp{register: rnd.IntN(registers), write: rnd.IntN(3) == 0}
		from := ring.Now()
		off := int64(in.register * registerGap)
		if !in.write {
			r, err := h.Do(ring.Call{Op: ring.OpRead, FD: fd, Off: off, Len: registerSize})
			if err != nil {
				_, _ = h.Do(ring.Call{Op: ring.OpClose, FD: fd})
				fd = -1
				continue
			}
			got := 0
			if _, err := fmt.Sscanf(string(r.Data), "%d", &got); err != nil {
				f.t.Errorf("%s: register %d holds %q", h.Name(), in.register, r.Data)
			}
			f.note(n, r, 0, 0, in, registerResult{value: got})
			continue
		}
		value++
		in.value = value
		r, err := h.Do(ring.Call{Op: ring.OpWrite, FD: fd, Off: off, Data: fmt.Appendf(nil, "%0*d", registerSize, value)})
		if err == nil {
			from = r.From
			if f.sync {
				r, err = h.Do(ring.Call{Op: ring.OpSync, FD: fd})
			}
		}
		if err != nil {
			f.note(n, nil, from, 0, in, registerResult{unknown: true})
			_, _ = h.Do(ring.Call{Op: ring.OpClose, FD: fd})
			fd = -1
			continue
		}
		f.note(n, nil, from, r.To, in, registerResult{})
	}
}

func (f *registerFile) check() {
	f.t.Helper()
	began := time.Now()
	res := porcupine.CheckOperationsTimeout(registerModel, f.ops, time.Minute)
	unknown := 0
	for _, o := range f.ops {
		if o.Output.(registerResult).unknown {
			unknown++
		}
	}
	for _, what := range []registerOp{{write: true}, {}} { // a history of nothing proves nothing
		for client := 1; client <= 3; client++ {
			n := 0
			for _, o := range f.ops {
				if o.ClientId == client && o.Input.(registerOp).write == what.write && !o.Output.(registerResult).unknown {
					n++
				}
			}
			if n < 20 {
				f.t.Errorf("%s: client %d got done only %d operations (write: %v)", f.path, client, n, what.write)
			}
		}
	}
	f.t.Logf("%s: %d operations, %d of unknown outcome: %v after %v", f.path, len(f.ops), unknown, res, time.Since(began).Round(time.Millisecond))
	if res == porcupine.Ok {
		return
	}
	f.t.Errorf("%s: the history is not linearizable: %v", f.path, res)
	for _, ops := range registerModel.Partition(f.ops) {
		if porcupine.CheckOperations(registerModel, ops) {
			continue
		}
		slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
		n, _ := slices.BinarySearchFunc(ops, true, func(o porcupine.Operation, _ bool) int {
			var known []porcupine.Operation
			for _, x := range ops {
				if x.Call <= o.Return && (x.Return <= o.Return || x.Input.(registerOp).write) {
					known = append(known, x)
				}
			}
			if porcupine.CheckOperations(registerModel, known) {
				return -1
			}
			return 0
		})
		bad := ops[min(n, len(ops)-1)]
		for _, o := range ops {
			if o.Return > bad.Call-int64(30*time.Millisecond) && o.Call <= bad.Return {
				f.t.Logf("client %2d  %9.3f to %9.3f ms  %+v: %+v", o.ClientId, float64(o.Call-bad.Call)/1e6, float64(min(o.Return, bad.Return+1e9)-bad.Call)/1e6, o.Input, o.Output)
			}
		}
		return
	}
}

// playRegisters has a program on each host work on a file for a time, while trouble
// makes trouble, and checks the history.
func playRegisters(t *testing.T, r *ring.Ring, path string, seed uint64, length time.Duration, synced bool, trouble func(rnd *rand.Rand, stop <-chan struct{})) {
	t.Helper()
	var zero []byte
	for range registers {
		zero = append(zero, fmt.Appendf(nil, "%-*s", registerGap, fmt.Sprintf("%0*d", registerSize, 0))...)
	}
	r.Host(0).WriteSync(path, string(zero))
	f := &registerFile{t: t, path: path, sync: synced}
	stop := make(chan struct{})
	var wg, evil sync.WaitGroup
	for n := range 3 {
		wg.Go(func() { f.client(n+1, r.Host(n%3), rand.New(rand.NewPCG(seed, uint64(n+1))), stop) })
	}
	evil.Go(func() { trouble(rand.New(rand.NewPCG(seed, 0)), stop) })
	time.Sleep(length)
	close(stop)
	evil.Wait()
	wg.Wait()
	f.check()
}

// TestRegistersInPeace checks that what programs on three hosts read and write in one file,
// which all have open, is linearizable, also of what is not synced. There is one on each
// host: what a write(2) that is under way has put into the kernel's pages a second one would
// see before anybody else can (docs/posix.md).
func TestRegistersInPeace(t *testing.T) {
	r := ring.Start(t, 3)
	rnd := crash.Random(t)
	for n := range 3 {
		playRegisters(t, r, fmt.Sprintf("/registers%d", n), rnd.Uint64(), 3*time.Second, false, func(*rand.Rand, <-chan struct{}) {})
	}
}

// TestRegistersInTrouble does so while hosts are cut off, on mounts that fail then instead
// of showing an older state. What a program has synced is never lost; what it was told has
// failed may come or not.
func TestRegistersInTrouble(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 3, Mount: "cutoff=eio"})
	rnd := crash.Random(t)
	playRegisters(t, r, "/registers", rnd.Uint64(), 12*time.Second, true, func(rnd *rand.Rand, stop <-chan struct{}) {
		for {
			select {
			case <-stop:
				return
			case <-time.After(crash.Moment(rnd, 300*time.Millisecond, 1500*time.Millisecond)):
			}
			h := r.Host(rnd.IntN(3))
			h.Cut()
			select {
			case <-stop:
			case <-time.After(crash.Moment(rnd, 100*time.Millisecond, 3*time.Second)):
			}
			r.Heal()
		}
	})
}
