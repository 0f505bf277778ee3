package integration

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/disk"
)

// logSteps are the steps of the log and the tables at which a daemon can be killed. The
// others are disk.Steps.
var logSteps = []disk.Label{
	"log.appended", "apply.prepared", "apply.published", "tables.flushed", "snapshot.fetched", "snapshot.installed",
}

// shortLog makes hosts flush their tables and cut their logs often, so that these steps
// are taken at all, and a host that is away for a moment needs a snapshot.
const shortLog = "SIGNET_LOG_KEEP=64"

// TestKillAtSteps kills a daemon at each step that is labelled, in the middle of a load
// on all hosts.
func TestKillAtSteps(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 3, Env: []string{shortLog}})
	rnd := crash.Random(t)
	l := startLoad(t, r, "/steps", rnd.Uint64())
	for i, label := range slices.Concat(disk.Steps(), logSteps) {
		// The n-th time: those that are passed all the time in the middle of something,
		// the rare ones early.
		n := 1
		switch name := string(label); {
		case strings.HasPrefix(name, "put."):
			n += rnd.IntN(10)
		case name == "log.appended", strings.HasPrefix(name, "apply."):
			n += rnd.IntN(100)
		}
		o := l.hosts[i%len(l.hosts)]
		if slices.Contains(disk.Steps(), label) && r.Leader() == o.h {
			// Only who has led for a minute has dead objects deleted.
			o = l.hosts[(i+1)%len(l.hosts)]
		}
		l.killAt(o, label, n)
		if t.Failed() {
			break
		}
	}
	l.end()
	t.Log(l.check())
	r.WantWhole()
}

// stepBound is how long a host under load may take to come to a step. The first deletion
// takes more than a minute.
const stepBound = 120 * time.Second

// armed has a host away for as long as the others need for some operations, which they
// may forget before it is back, and then lets it run until its daemon dies at a step. died
// is nil if it does not.
func (l *load) armed(o *loaded, label disk.Label, n int, bound time.Duration, away int64) (booted, died error) {
	l.t.Helper()
	o.dies()
	killHost(o)
	l.wantProgress(away)
	o.doomed.Store(true)
	booted = l.back(o, crash.At(string(label), n)...)
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	p := o.h.Daemon()
	select {
	case <-p.Done():
		died = p.Wait(context.Background())
	case <-ctx.Done():
	}
	o.dies()
	return booted, died
}

// killAt has a host's daemon die at the n-th passing of a step.
func (l *load) killAt(o *loaded, label disk.Label, n int) {
	l.t.Helper()
	began := time.Now()
	bound, tries := stepBound, 1
	if strings.HasPrefix(string(label), "snapshot.") {
		bound, tries = stepBound/8, 8
	}
	var end error
	var late bool
	for try := 1; try <= tries; try++ {
		if booted, died := l.armed(o, label, n, bound, int64((tries-1)*try*6)); died != nil {
			end, late = died, false
			break
		} else if late = true; booted != nil {
			l.t.Fatalf("%s: boot: %v", o.h.Name(), booted)
		}
	}
	switch {
	case late:
		l.t.Errorf("%s: the daemon did not come to %s for the %d. time, in %d times %v", o.h.Name(), label, n, tries, bound)
	case !crash.Killed(end):
		l.t.Errorf("%s: at %s the daemon ended with %v", o.h.Name(), label, end)
	}
	died := time.Since(began)
	l.wantProgress(2)
	killHost(o)
	o.doomed.Store(false)
	if err := l.back(o); err != nil {
		l.t.Fatalf("after %s:%d: %v", label, n, err)
	}
	l.wantProgress(2)
	l.r.WantVoters(3)
	l.t.Logf("%s: killed at %s:%d after %v; all well after %v", o.h.Name(), label, n, died.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}
