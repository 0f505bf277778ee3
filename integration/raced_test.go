package integration

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// TestRaces has daemons with the race detector do everything at once: programs on all
// hosts write, others look at what changes elsewhere, one host is killed and one is cut
// off. A report of the detector in the log of a daemon fails the test.
func TestRaces(t *testing.T) {
	need.Program(t, "python3")
	need.That(t, ring.Raced, "the race detector (go test -race)")
	r := ring.StartWith(t, ring.Config{Hosts: 3, Raced: true})
	rnd := crash.Random(t)
	l := startLoad(t, r, "/load", rnd.Uint64())
	var all sync.WaitGroup
	for i, p := range [][2]int{{0, 1}, {1, 2}, {2, 0}} {
		w := &watched{t: t, a: r.Host(p[0]), b: r.Host(p[1]), r: rand.New(rand.NewPCG(rnd.Uint64(), uint64(i))), name: fmt.Sprintf("/w%d", i)}
		all.Go(func() {
			for n := 0; n < 10 && !t.Failed(); n++ {
				w.round(n)
			}
		})
	}
	for _, kind := range []string{"flock", "fcntl"} {
		r.Host(0).Write("/counter-"+kind, "0")
		for _, h := range r.Hosts() {
			all.Go(func() {
				if out, err := h.Try(3*time.Minute, "python3", "-c", count, kind, "20"); err != nil {
					t.Errorf("%s: %v\n%s", h.Name(), err, out)
				}
			})
		}
	}
	all.Wait()
	for i, o := range l.hosts[:2] {
		o.dies()
		[]func(*loaded){killDaemon, killInSilence}[i](o)
		l.wantProgress(2)
		if err := l.back(o); err != nil {
			t.Fatal(err)
		}
		l.wantProgress(2)
	}
	l.end()
	t.Log(l.check())
	r.WantVoters(3)
	r.WantWhole()
	for _, h := range r.Hosts() {
		h.Must("daemon", "--stop") // what it does in the end is looked at too
	}
}
