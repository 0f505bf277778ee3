package integration

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/ring"
)

// killsEnv names the variable that says how many kills TestKill makes.
const killsEnv = "SIGNET_KILLS"

// killsPerLoad is after how many kills everything is checked and the programs begin
// anew with an empty directory.
const killsPerLoad = 20

func kills(t *testing.T) int {
	s := os.Getenv(killsEnv)
	if s == "" {
		return 20
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s", killsEnv, s)
	}
	return n
}

// TestKill kills one host after the other in the middle of a load from programs on all:
// the daemon, or the daemon and the programs, with or without resets that reach the
// others. The others go on, and nothing that was safe is lost.
func TestKill(t *testing.T) {
	r := ring.Start(t, 3)
	rnd := crash.Random(t)
	left := kills(t)
	for round := 0; left > 0 && !t.Failed(); round++ {
		dir := "/kill" + strconv.Itoa(round)
		l := startLoad(t, r, dir, rnd.Uint64())
		began := time.Now()
		n := min(left, killsPerLoad)
		for range n {
			time.Sleep(crash.Moment(rnd, 50*time.Millisecond, 500*time.Millisecond))
			o := l.hosts[rnd.IntN(len(l.hosts))]
			what, how := "daemon killed", killDaemon
			switch rnd.IntN(3) {
			case 1:
				what, how = "killed", killHost
			case 2:
				what, how = "cut off and killed", killInSilence
			}
			o.dies()
			how(o)
			died := time.Now()
			l.wantProgress(1)
			progress := time.Since(died)
			time.Sleep(crash.Moment(rnd, 0, 400*time.Millisecond))
			if err := l.back(o); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %s; the others got on after %v, it was back after %v", o.h.Name(), what, progress.Round(time.Millisecond), time.Since(died).Round(time.Millisecond))
			if t.Failed() {
				break
			}
		}
		left -= n
		l.wantProgress(1)
		l.end()
		t.Logf("%d kills in %v", n, time.Since(began).Round(time.Millisecond))
		t.Log(l.check())
		r.WantVoters(3)
		r.WantWhole()
	}
}

// TestKillAll kills all daemons at one moment, and starts them all.
func TestKillAll(t *testing.T) {
	r := ring.Start(t, 3)
	rnd := crash.Random(t)
	l := startLoad(t, r, "/all", rnd.Uint64())
	for round := range 3 {
		l.wantProgress(5)
		time.Sleep(crash.Moment(rnd, 0, time.Second))
		for _, o := range l.hosts {
			o.dies()
		}
		for _, o := range l.hosts {
			o.h.Daemon().Kill() // does not wait: all are dead within a millisecond
		}
		for _, o := range l.hosts {
			if round%2 == 0 {
				killDaemon(o)
			} else {
				killHost(o) // and its programs
			}
		}
		began := time.Now()
		errs := make([]error, len(l.hosts))
		var all sync.WaitGroup
		for i, o := range l.hosts {
			all.Go(func() { errs[i] = l.back(o) })
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		t.Logf("all are back after %v", time.Since(began).Round(time.Millisecond))
	}
	l.wantProgress(5)
	l.end()
	t.Log(l.check())
	r.WantVoters(3)
	r.WantWhole()
}
