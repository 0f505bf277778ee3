package consensus

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signetfs/signet"
)

// until waits for a condition that several goroutines bring about.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.After(30 * time.Second)
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-deadline:
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// fill makes n files through a host.
func (w *world) fill(id signet.HostID, from, n int) {
	w.t.Helper()
	ctx := w.ctx()
	for i := range n {
		if k, _, err := w.create(ctx, id, fmt.Sprint("f", from+i)); err != nil || k != signet.OK {
			w.t.Fatal(from+i, k, err)
		}
	}
}

// same waits until all hosts have applied the same and compares their states.
func (w *world) same() {
	w.t.Helper()
	w.until("all hosts to be at the same index", func() bool {
		a, b, c := w.node(1).State().Position(), w.node(2).State().Position(), w.node(3).State().Position()
		return a.Index == b.Index && b.Index == c.Index
	})
	a, b, c := w.node(1).State().Position(), w.node(2).State().Position(), w.node(3).State().Position()
	if a != b || b != c {
		w.t.Errorf("states differ: %v, %v, %v", a, b, c)
	}
}

// few makes logs so short that a host that was away needs a snapshot.
var few = LogLimits{ReplayEntries: 20, ReplayBytes: 1 << 20, KeepEntries: 10}

func (w *world) votersAre(n int) {
	w.until("the voters", func() bool { m := w.node(1).Members(); return len(m.Voters) == n && !m.Changing })
}

// A host that was away for longer than the log reaches back gets a snapshot, and what it
// has then is what the others have.
func TestSnapshot(t *testing.T) {
	w := newWorldOf(t, 3, few)
	w.votersAre(3)
	w.fill(1, 0, 30)
	w.hosts[3].crash()
	w.fill(1, 100, 200)
	w.until("the log to be cut", func() bool { return w.node(1).Status().LogFirst > 100 })
	w.hosts[3].boot()
	ctx := w.ctx()
	w.until("host 3 to catch up", func() bool {
		ino, err := w.lookup(ctx, 3, "f299")
		return err == nil && ino != 0
	})
	w.same()
	if seqs, err := w.node(3).tablesDirs(); err != nil || len(seqs) == 0 || seqs[len(seqs)-1] == 0 {
		t.Errorf("tables %v, %v: host 3 has caught up without a snapshot", seqs, err)
	}
	w.fill(3, 500, 5)
	w.same()
}

// The receiving host dies at each step of taking a snapshot over; the next start goes on.
func TestSnapshotCrash(t *testing.T) {
	for _, label := range []string{"snapshot.fetched", "snapshot.installed", "tables.flushed"} {
		t.Run(label, func(t *testing.T) {
			w := newWorldOf(t, 3, few)
			w.votersAre(3)
			h := w.hosts[3]
			h.crash()
			w.fill(1, 0, 150)
			w.until("the log to be cut", func() bool { return w.node(1).Status().LogFirst > 50 })
			reached := make(chan struct{}, 1)
			var passed atomic.Bool
			h.step = func(l string) {
				if l == label && passed.CompareAndSwap(false, true) {
					reached <- struct{}{}
				}
			}
			h.boot()
			if label == "tables.flushed" {
				w.fill(1, 1000, 40)
			}
			select {
			case <-reached:
			case <-time.After(30 * time.Second):
				t.Fatalf("%s was never reached", label)
			}
			h.crash()
			w.fill(2, 2000, 20)
			h.boot()
			ctx := w.ctx()
			w.until("host 3 to catch up", func() bool {
				ino, err := w.lookup(ctx, 3, "f2019")
				return err == nil && ino != 0
			})
			w.same()
		})
	}
}

// All three die at once, again and again, at random moments. What was answered is there.
func TestAllDieAtOnce(t *testing.T) {
	w := newWorldOf(t, 3, few)
	w.votersAre(3)
	r := rand.New(rand.NewPCG(seedOf(t), 0))
	ctx := w.ctx()
	for round := range 8 {
		var last atomic.Int64
		last.Store(-1)
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ; i++ {
				k, _, err := w.create(ctx, signet.HostID(i%3+1), fmt.Sprintf("r%d-%d", round, i))
				if err != nil || k != signet.OK {
					return
				}
				last.Store(int64(i))
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
		pause(stop, time.Duration(r.IntN(300))*time.Millisecond)
		for _, id := range r.Perm(3) {
			w.hosts[signet.HostID(id+1)].crash()
		}
		close(stop)
		for _, id := range r.Perm(3) {
			w.hosts[signet.HostID(id+1)].boot()
		}
		<-done
		for i := range last.Load() + 1 {
			name := fmt.Sprintf("r%d-%d", round, i)
			if ino, err := w.lookup(ctx, signet.HostID(i%3+1), name); err != nil || ino == 0 {
				t.Fatalf("round %d: %s was answered and is gone: %v", round, name, err)
			}
		}
	}
	w.same()
}

// While a host fetches a checkpoint the log keeps what comes after it.
func TestTheCutWaitsForWhoFetches(t *testing.T) {
	w := newWorldOf(t, 1, few)
	w.fill(1, 0, 30)
	n := w.node(1)
	offer, err := n.OfferSnapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	w.fill(1, 100, 100)
	if err := n.compact(); err != nil {
		t.Fatal(err)
	}
	if first := n.Status().LogFirst; first > uint64(offer.Index)+1 {
		t.Errorf("the log begins at %d, the checkpoint is at %d", first, offer.Index)
	}
	// Not for ever: the log must not fill the disk for one slow host.
	w.fill(1, 1000, maxHeld*int(few.KeepEntries))
	w.until("the log to be cut", func() bool { return n.Status().LogFirst > uint64(offer.Index)+1 })
	n.withdraw(offer.Index)
	w.fill(1, 5000, 30)
	w.until("all of it to be cut", func() bool { s := n.Status(); return s.LogLast-s.LogFirst < 60 })
}
