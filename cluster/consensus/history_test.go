package consensus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/signetfs/signet"
)

// What programs do in one directory, as the checker knows it.
type dirOp struct {
	kind     string // create, remove, rename, lookup
	name, to string
	ino      signet.Ino // that create wants to use
}

type dirResult struct {
	unknown bool // the call failed: it may or may not have been carried out
	err     signet.Kind
	ino     signet.Ino // that lookup found, 0: none
}

// dirState is a directory: name to inode. Encoded as a string so that states compare.
type dirState string

func (s dirState) parse() map[string]signet.Ino {
	m := map[string]signet.Ino{}
	for len(s) > 0 {
		var name string
		var ino uint64
		n, _ := fmt.Sscanf(string(s), "%1s%d;", &name, &ino)
		if n != 2 {
			panic("state " + string(s))
		}
		m[name] = signet.Ino(ino)
		for s[0] != ';' {
			s = s[1:]
		}
		s = s[1:]
	}
	return m
}

func encodeDir(m map[string]signet.Ino) dirState {
	out := ""
	for _, n := range names {
		if m[n] != 0 {
			out += fmt.Sprintf("%s%d;", n, m[n])
		}
	}
	return dirState(out)
}

var names = []string{"a", "b", "c", "d"}

// step applies op and says whether the result fits.
func (o dirOp) step(m map[string]signet.Ino, r dirResult) bool {
	var err signet.Kind
	switch o.kind {
	case "create":
		if m[o.name] != 0 {
			err = signet.Exists
		} else {
			m[o.name] = o.ino
		}
	case "remove":
		if m[o.name] == 0 {
			err = signet.NotFound
		}
		delete(m, o.name)
	case "rename":
		switch {
		case m[o.name] == 0:
			err = signet.NotFound
		case o.name != o.to:
			m[o.to] = m[o.name]
			delete(m, o.name)
		}
	case "lookup":
		return r.ino == m[o.name]
	}
	return r.err == err
}

var dirModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{dirState("")} },
	Step: func(state, input, output any) []any {
		s, o, r := state.(dirState), input.(dirOp), output.(dirResult)
		m := s.parse()
		fits := o.step(m, r)
		switch {
		case r.unknown:
			return []any{s, encodeDir(m)}
		case fits:
			return []any{encodeDir(m)}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
	DescribeOperation: func(input, output any) string {
		return fmt.Sprintf("%+v -> %+v", input, output)
	},
}

// history is what happened, with the times at which it was called for and came back.
type history struct {
	mu    sync.Mutex
	start time.Time
	ops   []porcupine.Operation
}

func (h *history) do(client int, in dirOp, f func() dirResult) dirResult {
	call := time.Since(h.start)
	r := f()
	back := time.Since(h.start)
	if r.unknown {
		if in.kind == "lookup" {
			return r // it changed nothing and told nothing
		}
		back = time.Hour // it may take effect at any time from here on
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: r, Call: int64(call), Return: int64(back)})
	return r
}

func (h *history) check(t *testing.T) {
	t.Helper()
	m := dirModel.ToModel()
	res, info := porcupine.CheckOperationsVerbose(m, h.ops, 60*time.Second)
	known := 0
	for _, o := range h.ops {
		if !o.Output.(dirResult).unknown {
			known++
		}
	}
	t.Logf("%d operations, %d with a known result: %v", len(h.ops), known, res)
	if res == porcupine.Ok {
		return
	}
	f := filepath.Join(os.TempDir(), "signet-history-"+strconv.Itoa(os.Getpid())+".html")
	if err := porcupine.VisualizePath(m, info, f); err == nil {
		t.Logf("see %s", f)
	}
	t.Errorf("the history is not linearizable: %v", res)
}

// act carries out one random operation on a host.
func (w *world) act(ctx context.Context, id signet.HostID, in dirOp) dirResult {
	unknown := dirResult{unknown: true}
	n := w.node(id)
	if n == nil {
		return unknown
	}
	if in.kind == "lookup" {
		ino, err := w.lookup(ctx, id, in.name)
		if err != nil {
			return unknown
		}
		return dirResult{ino: ino}
	}
	var cmd signet.Command
	switch in.kind {
	case "create":
		cmd = &signet.Create{Parent: signet.RootIno, Name: []byte(in.name), Ino: in.ino, Mode: signet.ModeRegular | 0o644}
	case "remove":
		cmd = &signet.Remove{Parent: signet.RootIno, Name: []byte(in.name)}
	case "rename":
		cmd = &signet.Rename{Parent: signet.RootIno, Name: []byte(in.name), NewParent: signet.RootIno, NewName: []byte(in.to)}
	}
	a, ticket, err := n.Do(ctx, signet.DefaultVolume, cmd)
	if err != nil || ticket.Wait(ctx) != nil {
		return unknown
	}
	return dirResult{err: a.Result.Err}
}

// run has clients on all hosts work in one directory while nemesis does its worst.
func (w *world) run(t *testing.T, seed uint64, clients, ops int, pace time.Duration, nemesis func(r *rand.Rand, stop <-chan struct{})) {
	h := &history{start: time.Now()}
	done := make(chan struct{})
	var workers, evil sync.WaitGroup
	evil.Go(func() { nemesis(rand.New(rand.NewPCG(seed, 0)), done) })
	for c := range clients {
		workers.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(c+1)))
			id := signet.HostID(c%len(w.hosts) + 1)
			for range ops {
				in := dirOp{kind: []string{"create", "remove", "rename", "lookup", "lookup"}[r.IntN(5)], name: names[r.IntN(len(names))], to: names[r.IntN(len(names))]}
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				if in.kind == "create" {
					if n := w.node(id); n != nil {
						in.ino, _ = n.NextIno(ctx, signet.DefaultVolume)
					}
					if in.ino == 0 {
						cancel()
						continue
					}
				}
				if res := h.do(c, in, func() dirResult { return w.act(ctx, id, in) }); res.unknown {
					// A client whose call failed may not go on as the same client: the call
					// may still be carried out. Its operations are concurrent with it then.
					select {
					case <-time.After(250 * time.Millisecond): // few of these: each doubles the checker's work
					case <-done:
					}
				}
				cancel()
				if pace > 0 {
					pause(done, time.Duration(r.Int64N(int64(pace))))
				}
			}
		})
	}
	workers.Wait()
	close(done)
	evil.Wait()
	h.check(t)
}

func seedOf(t *testing.T) uint64 {
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

func TestLinearizableInPeace(t *testing.T) {
	newWorld(t, 3).run(t, seedOf(t), 6, 150, 0, func(*rand.Rand, <-chan struct{}) {})
}

func pause(stop <-chan struct{}, d time.Duration) bool {
	select {
	case <-stop:
		return false
	case <-time.After(d):
		return true
	}
}

func TestLinearizableWhileCut(t *testing.T) {
	w := newWorld(t, 3)
	w.run(t, seedOf(t), 6, 120, 100*time.Millisecond, func(r *rand.Rand, stop <-chan struct{}) {
		for pause(stop, time.Duration(r.IntN(500))*time.Millisecond) {
			a, b := signet.HostID(r.IntN(3)+1), signet.HostID(r.IntN(3)+1)
			switch r.IntN(3) {
			case 0:
				w.isolate(a, true)
			case 1:
				w.cut(a, b, true) // one way
			case 2:
				w.cut(a, b, true)
				w.cut(b, a, true)
			}
			pause(stop, time.Duration(r.IntN(1500))*time.Millisecond)
			for id := range w.hosts {
				w.isolate(id, false)
			}
		}
	})
}

func TestLinearizableWhileKilled(t *testing.T) {
	w := newWorld(t, 3)
	w.run(t, seedOf(t), 6, 120, 100*time.Millisecond, func(r *rand.Rand, stop <-chan struct{}) {
		for pause(stop, time.Duration(r.IntN(800))*time.Millisecond) {
			h := w.hosts[signet.HostID(r.IntN(3)+1)]
			h.crash()
			pause(stop, time.Duration(r.IntN(600))*time.Millisecond)
			h.boot()
		}
	})
}
