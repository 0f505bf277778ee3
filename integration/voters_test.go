package integration

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
)

// votersOf returns the hosts that vote, as a host sees it.
func votersOf(h *ring.Host) (ids []uint64, err error) {
	s, err := h.Status()
	if err != nil {
		return nil, err
	}
	for _, o := range s.Hosts {
		if o.Voter {
			ids = append(ids, o.ID)
		}
	}
	return ids, nil
}

// without returns the members of all that are not in some.
func without[T comparable](all, some []T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return slices.Contains(some, x) })
}

// TestDeadVotersAreReplaced kills the leader and another voter of seven hosts: the two
// hosts that did not vote vote in their place. Then it kills two more, so that nothing
// could be changed any more without the new ones.
func TestDeadVotersAreReplaced(t *testing.T) {
	r := ring.Start(t, 7)
	before, err := votersOf(r.Host(0))
	if err != nil || len(before) != 5 {
		t.Fatalf("of seven hosts these vote: %d, %v", before, err)
	}
	leader := r.Leader()
	others := without(before, []uint64{leader.ID()})
	dead := []uint64{leader.ID(), others[0]}
	began := time.Now()
	for _, id := range dead {
		r.Host(int(id) - 1).Kill()
	}
	var up []*ring.Host
	for _, h := range r.Hosts() {
		if !slices.Contains(dead, h.ID()) {
			up = append(up, h)
		}
	}
	changes := 0
	// change makes a change on one host that lives and looks at it on the others.
	change := func(hosts []*ring.Host) {
		t.Helper()
		path := fmt.Sprintf("/%d", changes)
		hosts[changes%len(hosts)].WriteSync(path, path)
		for _, h := range hosts {
			h.WantFile(path, path)
		}
		changes++
	}
	change(up)
	t.Logf("host %d, which led, and host %d are dead; the first change after %v", dead[0], dead[1], time.Since(began).Round(time.Millisecond))

	var after []uint64
	r.Eventually(40*time.Second, "two others vote for the dead", func() error {
		change(up)
		after, err = votersOf(up[0])
		if err == nil && (len(after) != 5 || len(without(dead, after)) != 2) {
			err = fmt.Errorf("these vote: %d", after)
		}
		return err
	})
	fresh := without(after, before)
	if len(fresh) != 2 {
		t.Fatalf("%d voted, %d are dead, now %d vote", before, dead, after)
	}
	t.Logf("hosts %d vote in their place after %v and %d changes", fresh, time.Since(began).Round(time.Millisecond), changes)

	// Of five voters the two new ones and an old one are left, just a majority.
	old := without(after, fresh)
	for _, id := range old[:2] {
		r.Host(int(id) - 1).Kill()
	}
	up = slices.DeleteFunc(up, func(h *ring.Host) bool { return slices.Contains(old[:2], h.ID()) })
	for range 5 {
		change(up)
	}

	dead = append(dead, old[:2]...)
	errs := make(chan error)
	for _, id := range dead {
		go func() { errs <- r.Host(int(id) - 1).TryBoot() }()
	}
	for range dead {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.WantVoters(5)
	change(r.Hosts())
	for _, h := range r.Hosts() {
		for n := range changes {
			h.WantFile(fmt.Sprintf("/%d", n), fmt.Sprintf("/%d", n))
		}
	}
}
