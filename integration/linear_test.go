package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/ring"
)

// writersPerHost is how many programs work on each of two hosts in one directory.
const writersPerHost = 8

// playground is a directory in which programs of two hosts work at once.
type playground struct {
	t     *testing.T
	r     *ring.Ring
	dir   string
	h     *history
	tags  atomic.Uint32
	bound time.Duration
	stop  chan struct{}   // closed when the time is over
	out   [3]atomic.Int64 // of each host, how often its daemon stopped or began to run: odd while it does not
}

// without runs fn, in which the daemon of h does not run. Its kernel goes on answering
// from its caches meanwhile, which nobody can keep it from: what is promised holds
// where the daemon runs.
func (p *playground) without(h *ring.Host, fn func()) {
	p.out[h.Index()].Add(1)
	defer p.out[h.Index()].Add(1)
	fn()
}

// fewChanges is less than 16 programs get done in two seconds, whatever one of three hosts
// has to suffer meanwhile.
const fewChanges = 10

// play has writers work in a directory of its own for a time, each pausing for at most
// pace between two operations, while trouble makes trouble; then it checks the history.
func play(t *testing.T, r *ring.Ring, dir string, seed uint64, length, pace time.Duration, trouble func(p *playground, rnd *rand.Rand)) *history {
	t.Helper()
	r.Host(0).Mkdir(dir)
	p := &playground{t: t, r: r, dir: dir, h: newHistory(), bound: ring.Bound + 5*time.Second, stop: make(chan struct{})}
	var writers, evil sync.WaitGroup
	for c := range 2 * writersPerHost {
		writers.Go(func() { p.write(c, rand.New(rand.NewPCG(seed, uint64(c+1))), pace) })
	}
	evil.Go(func() { trouble(p, rand.New(rand.NewPCG(seed, 0))) })
	from := ring.Now()
	time.Sleep(length)
	to := ring.Now()
	close(p.stop)
	writers.Wait()
	evil.Wait()
	// What both hosts see in the end belongs to the history too.
	for c := range 2 {
		for g := range p.h.unknown {
			for n := range groupNames {
				in := dirOp{kind: "stat", group: g, name: n}
				p.do(c, r.Host(c), in)
			}
		}
	}
	p.h.check(t)
	// What had trouble before must go on being put to the test.
	third := (to - from) / 3
	early, middle, late := p.h.changes(from, from+third), p.h.changes(from+third, from+2*third), p.h.changes(from+2*third, to)
	t.Logf("changes in each third of the time: %d, %d, %d", early, middle, late)
	if min(early, middle, late) < fewChanges {
		t.Errorf("changes in each third of the time: %d, %d, %d; that is too few", early, middle, late)
	}
	return p.h
}

func (p *playground) path(group, name int) string {
	return p.dir + "/" + nameOf(group, name)
}

// write is what one program does.
func (p *playground) write(client int, rnd *rand.Rand, pace time.Duration) {
	host := p.r.Host(client % 2)
	kinds := []string{"create", "create", "remove", "rename", "stat", "stat", "list"}
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		in := dirOp{kind: kinds[rnd.IntN(len(kinds))], group: p.h.group(rnd.IntN(groups)), name: rnd.IntN(groupNames), to: rnd.IntN(groupNames)}
		if in.kind == "create" {
			tag := p.tags.Add(1)
			if tag > maxTag {
				return
			}
			in.tag = uint16(tag)
		}
		wait := time.Duration(0)
		if pace > 0 {
			wait = time.Duration(rnd.Int64N(int64(pace)))
		}
		if p.do(client, host, in) == unknown {
			wait = 250 * time.Millisecond // whatever it was will still be there
		}
		select {
		case <-p.stop:
		case <-time.After(wait):
		}
	}
}

// do makes one operation and notes it.
func (p *playground) do(client int, h *ring.Host, in dirOp) int {
	q := ring.Call{Path: p.path(in.group, in.name)}
	switch in.kind {
	case "create":
		q.Op, q.Flags, q.Mode = ring.OpOpen, os.O_CREATE|os.O_EXCL|os.O_WRONLY, uint32(in.tag)
	case "remove":
		q.Op = ring.OpUnlink
	case "rename":
		q.Op, q.To = ring.OpRename, p.path(in.group, in.to)
	case "stat":
		q.Op = ring.OpStat
	case "list":
		q.Op, q.Path = ring.OpNames, p.dir
	}
	from, out := ring.Now(), p.out[h.Index()].Load()
	r, err := h.DoWithin(q, p.bound)
	ran := out%2 == 0 && out == p.out[h.Index()].Load()
	to := ring.Now()
	if r != nil {
		from, to = r.From, r.To // without the way to the agent and back
	}
	res := dirResult{outcome: outcomeOf(err)}
	if res.outcome == unknown {
		res.err = err.Error()
	}
	switch {
	case in.kind == "stat" && res.outcome == missing:
		res.outcome = done
	case in.kind == "stat" && err == nil:
		res.seen[in.name] = uint16(r.Stat.Mode & 0o7777)
	case in.kind == "list" && err == nil:
		for n := range groupNames {
			if slices.Contains(r.Names, nameOf(in.group, n)) {
				res.seen[n] = 1
			}
		}
	case in.kind == "create" && err == nil:
		_, _ = h.DoWithin(ring.Call{Op: ring.OpClose, FD: r.FD}, p.bound)
	}
	switch {
	case errors.Is(err, syscall.EROFS): // promised: nothing was done, nor will be
	case errors.Is(err, syscall.ENOTCONN): // the kernel had nobody to ask
	case !ran && !in.changes(): // from the kernel's cache, maybe
	default:
		p.h.add(client, in, res, from, to)
	}
	return res.outcome
}

func outcomeOf(err error) int {
	switch {
	case err == nil:
		return done
	case errors.Is(err, syscall.EEXIST):
		return exists
	case errors.Is(err, syscall.ENOENT):
		return missing
	}
	return unknown
}

// slowCall is longer than a call takes that waits for no lease, on a machine that is busy
// with 16 programs and three hosts but not stalled. A host that answers, but does not
// acknowledge, holds up the others for longer.
const slowCall = time.Second

// TestLinearizableInPeace has nothing go wrong: then no call waits for a lease to run
// out, and none fails. A machine that stalls is no peace; a canary tells.
func TestLinearizableInPeace(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 3, Mount: "cutoff=eio"})
	c, since, zero := startCanary(t), time.Now(), ring.Now()
	h := play(t, r, "/d", crash.Random(t).Uint64(), 5*time.Second, 0, func(*playground, *rand.Rand) {})
	stalls := c.stalls()
	slices.Sort(h.times)
	t.Logf("%d operations in 5 s, the median took %v; the machine stalled %d times", len(h.times), h.times[len(h.times)/2], len(stalls))
	if len(h.errs) > 0 {
		t.Errorf("calls failed: %v", h.errs)
	}
	var slow []span
	for _, o := range h.ops {
		if to, from := time.Duration(o.Return), time.Duration(o.Call); to-from > slowCall {
			slow = append(slow, span{since.Add(from - zero), since.Add(to - zero)})
		}
	}
	wantExplained(t, "a call took long", slow, stalls)
	// Whoever leads says when a change had to wait for a lease to run out.
	for _, h := range r.Hosts() {
		for what, message := range map[string]string{
			"a change had to wait for a lease": "a lease ran out before its host acknowledged", "another host leads": "msg=leadership",
		} {
			var spans []span
			for _, at := range logged(t, h, message, since) {
				spans = append(spans, span{at.Add(-time.Second), at})
			}
			wantExplained(t, h.Name()+": "+what, spans, stalls)
		}
	}
}

// pause waits for a random time and says whether to go on.
func pause(rnd *rand.Rand, stop <-chan struct{}, from, to time.Duration) bool {
	select {
	case <-stop:
		return false
	case <-time.After(crash.Moment(rnd, from, to)):
		return true
	}
}

// TestLinearizableInTrouble kills, freezes and cuts off hosts meanwhile, one at a time.
func TestLinearizableInTrouble(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 3, Mount: "cutoff=eio"})
	rnd := crash.Random(t)
	const ms = time.Millisecond
	for i, c := range []struct {
		name    string
		trouble func(p *playground, rnd *rand.Rand, h *ring.Host)
	}{
		{"kill", func(p *playground, rnd *rand.Rand, h *ring.Host) {
			h.Kill()
			pause(rnd, p.stop, 0, 2000*ms)
			h.Boot()
		}},
		{"kill the daemon", func(p *playground, rnd *rand.Rand, h *ring.Host) {
			p.without(h, func() {
				h.KillDaemon()
				pause(rnd, p.stop, 0, 1000*ms)
				h.Boot()
			})
		}},
		{"freeze", func(p *playground, rnd *rand.Rand, h *ring.Host) {
			p.without(h, func() {
				h.Freeze()
				pause(rnd, p.stop, 50*ms, 2500*ms)
				h.Thaw()
			})
		}},
		{"cut", func(p *playground, rnd *rand.Rand, h *ring.Host) {
			h.Cut()
			pause(rnd, p.stop, 50*ms, 5000*ms)
			r.Heal()
		}},
		{"cut pairs", func(p *playground, rnd *rand.Rand, h *ring.Host) {
			a, b := h.Index(), (h.Index()+1+rnd.IntN(2))%3
			if rnd.IntN(2) == 0 {
				r.Lab().CutPair(a, b)
			} else {
				r.Lab().CutOneWay(a, b)
			}
			pause(rnd, p.stop, 50*ms, 3000*ms)
			r.Heal()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			length := 8 * time.Second
			h := play(t, r, fmt.Sprintf("/d%d", i), rnd.Uint64(), length, 150*ms, func(p *playground, rnd *rand.Rand) {
				for pause(rnd, p.stop, 100*ms, 700*ms) {
					h := r.Host(rnd.IntN(3))
					t.Logf("%s: %s", c.name, h.Name())
					c.trouble(p, rnd, h)
				}
			})
			if h.longest > ring.Bound {
				t.Errorf("a call took %v", h.longest)
			}
		})
		if t.Failed() {
			return
		}
		r.WantVoters(3)
	}
}
