package consensus

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/signetfs/signet"
)

func digestOf(b byte) signet.Digest { return signet.Digest{b} }

func TestChain(t *testing.T) {
	var c chain
	c.add(3, []signet.Digest{digestOf(1), digestOf(2), digestOf(3)})
	for i, want := range map[signet.Index]byte{1: 1, 2: 2, 3: 3} {
		if d, ok := c.at(i); !ok || d != digestOf(want) {
			t.Errorf("%d: %x, %v", i, d[0], ok)
		}
	}
	for i := signet.Index(4); i < 3*maxChain; i++ {
		c.add(i, []signet.Digest{digestOf(byte(i))})
	}
	for i, want := range map[signet.Index]bool{0: false, 3*maxChain - 1: true, 3 * maxChain: false, 2 * maxChain: true, 2*maxChain - 1: false} {
		if d, ok := c.at(i); ok != want || ok && d != digestOf(byte(i)) {
			t.Errorf("%d: %x, %v", i, d[0], ok)
		}
	}
	c.add(1<<20, []signet.Digest{digestOf(9)}) // after a snapshot
	if _, ok := c.at(1<<20 - 1); ok {
		t.Error("a digest from before the jump")
	}
	if d, ok := c.at(1 << 20); !ok || d != digestOf(9) {
		t.Error("none after the jump")
	}
}

// Who is right: docs/decisions/0011-who-is-right.md, as a table. Host 1 leads.
func TestJury(t *testing.T) {
	const same, other = 1, 2
	for _, c := range []struct {
		name     string
		voters   []signet.HostID
		said     map[signet.HostID]byte
		want     map[signet.HostID]verdict
		outvoted bool
	}{
		{"all agree", []signet.HostID{1, 2, 3}, map[signet.HostID]byte{2: same, 3: same}, map[signet.HostID]verdict{2: agreed, 3: agreed}, false},
		{"one of three", []signet.HostID{1, 2, 3}, map[signet.HostID]byte{2: same, 3: other}, map[signet.HostID]verdict{2: agreed, 3: wrong}, false},
		{"the leader is the odd one", []signet.HostID{1, 2, 3}, map[signet.HostID]byte{2: other, 3: other}, nil, true},
		{"one is away", []signet.HostID{1, 2, 3}, map[signet.HostID]byte{3: other}, map[signet.HostID]verdict{3: doubtful}, false},
		{"two alone", []signet.HostID{1, 2}, map[signet.HostID]byte{2: other}, map[signet.HostID]verdict{2: wrong}, false},
		{"a learner", []signet.HostID{1, 2, 3}, map[signet.HostID]byte{2: same, 4: other}, map[signet.HostID]verdict{4: wrong}, false},
		{"a learner has no say", []signet.HostID{1, 2, 3}, map[signet.HostID]byte{4: other, 5: other, 6: other}, map[signet.HostID]verdict{4: doubtful}, false},
		{"only the leader votes", []signet.HostID{1}, map[signet.HostID]byte{4: other}, map[signet.HostID]verdict{4: wrong}, false},
		{"voters change", nil, map[signet.HostID]byte{2: other}, map[signet.HostID]verdict{2: doubtful}, false},
		{"five, two differ", []signet.HostID{1, 2, 3, 4, 5}, map[signet.HostID]byte{2: same, 3: same, 4: other, 5: other}, map[signet.HostID]verdict{4: wrong, 5: wrong}, false},
		{"five, two differ, two away", []signet.HostID{1, 2, 3, 4, 5}, map[signet.HostID]byte{4: other, 5: other}, map[signet.HostID]verdict{4: doubtful, 5: doubtful}, false},
	} {
		j := jury{self: 1, said: map[signet.HostID]testimony{}}
		j.chain.add(1, []signet.Digest{digestOf(same)})
		for h, d := range c.said {
			j.hear(Ack{Host: h, Start: 1, Acked: 1, Digest: digestOf(d)})
		}
		for h, want := range c.want {
			if got := j.judge(h, c.voters); got != want {
				t.Errorf("%s: host %d is %d, want %d", c.name, h, got, want)
			}
		}
		if got := j.outvoted(c.voters); got != c.outvoted {
			t.Errorf("%s: outvoted %v", c.name, got)
		}
	}
}

// Who agreed before another went wrong says nothing about that.
func TestOldAgreementDecidesNothing(t *testing.T) {
	j := jury{self: 1, said: map[signet.HostID]testimony{}}
	j.chain.add(2, []signet.Digest{digestOf(1), digestOf(2)})
	j.hear(Ack{Host: 2, Start: 1, Acked: 1, Digest: digestOf(1)})
	j.hear(Ack{Host: 3, Start: 1, Acked: 2, Digest: digestOf(9)})
	voters := []signet.HostID{1, 2, 3}
	if v := j.judge(3, voters); v != doubtful {
		t.Errorf("%d", v)
	}
	j.hear(Ack{Host: 2, Start: 1, Acked: 2, Digest: digestOf(2)})
	if v := j.judge(3, voters); v != wrong {
		t.Errorf("%d", v)
	}
	// The message of a process that is no more changes nothing.
	j.hear(Ack{Host: 3, Start: 0, Acked: 2, Digest: digestOf(2)})
	if v := j.judge(3, voters); v != wrong {
		t.Errorf("%d", v)
	}
}

// rot changes what a stopped host's tables remember, as a broken disk or memory could.
func (h *testHost) rot() {
	t := h.world.t
	t.Helper()
	db, err := pebble.Open("state/tables.0", &pebble.Options{FS: h.disk, FormatMajorVersion: pebble.FormatTableFormatV6, DisableWAL: true})
	if err != nil {
		t.Fatal(err)
	}
	position := []byte{0, 0, 0, 0, 1, 1}
	v, closer, err := db.Get(position)
	if err != nil {
		t.Fatal(err)
	}
	v = append([]byte{}, v...)
	v[len(v)-1]++ // of the digest
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Set(position, v, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// halts waits until a host has stopped taking part, and checks what that means.
func (w *world) halts(id signet.HostID) {
	t := w.t
	t.Helper()
	n := w.node(id)
	select {
	case <-n.stop:
	case <-w.ctx().Done():
		t.Fatalf("host %d goes on", id)
	}
	if s := n.Status(); signet.KindOf(s.Halted) != signet.Corrupt || s.Leased || s.Leader != 0 {
		t.Errorf("status %+v", s)
	}
	if err := n.Ready(w.ctx(), CutoffStale); signet.KindOf(err) != signet.Corrupt {
		t.Errorf("it serves: %v", err)
	}
	if _, _, err := n.Do(w.ctx(), signet.DefaultVolume, &signet.Create{}); signet.KindOf(err) != signet.Corrupt {
		t.Errorf("it changes: %v", err)
	}
	if err := n.Propose(w.ctx(), nil); signet.KindOf(err) != signet.NotLeader {
		t.Errorf("it takes commands: %v", err)
	}
	if _, err := n.OfferSnapshot(1); err == nil {
		t.Error("it offers its state")
	}
}

// One of three hosts has another state than the rest, be it the leader: that one stops,
// the others go on, and it is stopped after a restart too.
func TestTheOddOneHalts(t *testing.T) {
	for _, leads := range []bool{false, true} {
		t.Run(map[bool]string{false: "follower", true: "leader"}[leads], func(t *testing.T) {
			w := newWorld(t, 3)
			ctx := w.ctx()
			if k, _, err := w.create(ctx, 3, "before"); err != nil || k != signet.OK {
				t.Fatal(k, err)
			}
			w.allVote(3)
			for id := signet.HostID(1); id <= 3; id++ {
				w.hosts[id].stop()
			}
			w.hosts[3].rot()
			first := signet.HostID(1)
			if leads {
				first = 3
			}
			w.hosts[first].boot()
			w.hosts[2].boot()
			w.lead(first)
			if leads {
				// Two differ, and the third is away: nobody knows, so one of them serves.
				if k, _, err := w.create(ctx, 3, "undecided"); err != nil || k != signet.OK {
					t.Fatal(k, err)
				}
				if _, leased := w.node(2).Leased(); leased || w.node(2).Halted() != nil {
					t.Errorf("host 2 in doubt: leased %v, %v", leased, w.node(2).Halted())
				}
			}
			w.hosts[4-first].boot()
			w.halts(3)
			for _, id := range []signet.HostID{1, 2} {
				if k, _, err := w.create(ctx, id, string(rune('a'+id))); err != nil || k != signet.OK {
					t.Errorf("host %d: %v, %v", id, k, err)
				}
			}
			w.hosts[3].stop()
			w.hosts[3].boot()
			w.halts(3)
			if w.node(1).Halted() != nil || w.node(2).Halted() != nil {
				t.Error("one that is right has stopped")
			}
		})
	}
}

// allVote waits until n hosts vote, by the word of each.
func (w *world) allVote(n int) {
	w.t.Helper()
	for id := range w.hosts {
		w.until("all to vote", func() bool { m := w.node(id).Members(); return len(m.Voters) == n && !m.Changing })
	}
}

// lead has a host become leader of those that run.
func (w *world) lead(id signet.HostID) {
	w.t.Helper()
	n := w.node(id)
	w.until("the host to lead", func() bool {
		for o := range w.hosts {
			if other := w.node(o); o != id && other != nil && other.leadership().self {
				w.hosts[o].stop() // it was quicker
				w.hosts[o].boot()
			}
		}
		n.driver.post(func() { _ = n.driver.raw.Campaign() })
		return n.leadership().self
	})
}
