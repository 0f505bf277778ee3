package consensus

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signetfs/signet"
)

var epoch = time.Unix(1_000_000, 0)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

// led returns the ledger of a leader elected at 0 ms whose first entry is 10 and whose
// first heartbeat was confirmed at once.
func led() *ledger {
	l := newLedger(1, DefaultTimes())
	l.lead(3, at(0))
	l.floor, l.confirmed = 10, at(0)
	return l
}

func TestNoLeaseBehindTheFloor(t *testing.T) {
	l := led()
	if l.grant(2, 1, 9, at(1)) {
		t.Error("a host that has not acked the term's first entry got a lease")
	}
	if !l.grant(2, 1, 10, at(1)) {
		t.Error("a host that has acked everything got no lease")
	}
}

func TestNoLeaseWithoutConfirmedHeartbeat(t *testing.T) {
	l := led()
	if l.grant(2, 1, 10, at(400)) {
		t.Error("a lease 400 ms after the last confirmed heartbeat: another leader may exist by then")
	}
	l.confirmed = at(399)
	if !l.grant(2, 1, 10, at(400)) {
		t.Error("no lease although just confirmed")
	}
}

func TestReleaseWaitsForHoldersOnly(t *testing.T) {
	l := led()
	l.grant(1, 1, 10, at(500))
	l.confirmed = at(500)
	l.grant(2, 1, 10, at(500))
	l.publish(20)
	l.ack(1, 1, 20, at(501))
	if got, again := l.release([]signet.HostID{1, 2, 3}, at(502)); got != 10 || again != at(920) {
		t.Errorf("released %d, again at %v; host 2 holds a lease at 10 until 920 ms", got, again.Sub(epoch))
	}
	if got := l.passedOver(); len(got) != 0 {
		t.Errorf("passed over %v, which hold leases", got)
	}
	if got, _ := l.release(nil, at(920)); got != 20 {
		t.Errorf("released %d after host 2's lease ran out", got)
	}
	if got := l.passedOver(); len(got) != 1 || got[0] != 2 || len(l.passedOver()) != 0 {
		t.Errorf("passed over %v, want host 2, once", got)
	}
	l.confirmed = at(900)
	if l.grant(2, 1, 10, at(921)) {
		t.Error("a lease for a host that has not acked what was released")
	}
}

func TestNewLeaderWaitsForPredecessorsLeases(t *testing.T) {
	l := led()
	l.publish(12)
	l.ack(1, 1, 12, at(1))
	known := []signet.HostID{1, 2}
	if got, again := l.release(known, at(100)); got != 0 || again != at(420) {
		t.Errorf("released %d, again %v", got, again.Sub(epoch))
	}
	l.ack(2, 1, 12, at(110))
	if got, _ := l.release(known, at(110)); got != 12 {
		t.Errorf("released %d although all known hosts have acked", got)
	}
}

func TestLaggingHostIsNotWaitedForForEver(t *testing.T) {
	l := led()
	l.publish(20)
	l.ack(1, 1, 20, at(0))
	refused := 0
	for ms := 500; ms < 6000; ms += 100 {
		l.confirmed = at(ms)
		if !l.grant(2, 1, 10, at(ms)) {
			refused = ms
			break
		}
	}
	if refused == 0 {
		t.Fatal("a host that acks nothing keeps its lease for ever")
	}
	if got, _ := l.release(nil, at(refused+420)); got != 20 {
		t.Errorf("released %d once the laggard's lease ran out", got)
	}
	l.confirmed = at(refused + 500)
	if !l.grant(2, 1, 20, at(refused+500)) {
		t.Error("a host that caught up gets no lease")
	}
}

// Two leaders in turn, random hosts, delays and clocks: a host that believes to hold a
// lease has acked everything that either leader ever released.
func TestLeasesAndReleasesNeverMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := DefaultTimes()
		leaders := []*ledger{newLedger(1, times), newLedger(2, times)}
		hosts := []signet.HostID{1, 2, 3, 4}
		acked := map[signet.HostID]signet.Index{}
		until := map[signet.HostID]time.Time{}
		var released, log signet.Index
		term, leader := uint64(1), leaders[0]
		leader.lead(term, at(0))
		leader.floor, log = 1, 1
		now := at(0)
		for range 300 {
			now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "ms")) * time.Millisecond)
			h := rapid.SampledFrom(hosts).Draw(t, "host")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0: // the leader commits and publishes
				log++
				leader.publish(log)
			case 1: // a host acks some of it; the message may arrive or not
				acked[h] = max(acked[h], min(log, acked[h]+signet.Index(rapid.IntRange(0, 3).Draw(t, "n"))))
				if rapid.Bool().Draw(t, "arrives") {
					leader.ack(h, 1, acked[h], now)
				}
			case 2: // a heartbeat sent a while ago is confirmed by a majority
				sent := now.Add(-time.Duration(rapid.IntRange(0, 100).Draw(t, "ago")) * time.Millisecond)
				if sent.After(leader.elected) && sent.After(leader.confirmed) {
					leader.confirmed = sent
				}
			case 3: // a host asked a while ago; either leader answers, as one may not know that it is deposed
				asked := now.Add(-time.Duration(rapid.IntRange(0, 50).Draw(t, "ago")) * time.Millisecond)
				l := rapid.SampledFrom(leaders).Draw(t, "leader")
				if l.leading && l.grant(h, 1, acked[h], now) && rapid.Bool().Draw(t, "arrives") {
					if u := asked.Add(times.Lease); u.After(until[h]) {
						until[h] = u
					}
				}
			case 4: // the other is elected: never within the shortest election timeout of a confirmation
				if now.Sub(leader.confirmed) < time.Duration(times.ElectionTicks-1)*times.Tick || now.Sub(leader.elected) < 50*time.Millisecond {
					continue
				}
				other := leaders[0]
				if leader == other {
					other = leaders[1]
				}
				term++
				log++
				other.lead(term, now)
				other.floor = log
				other.applied = log
				leader = other
			case 5:
				leader.ack(leader.self, 1, acked[leader.self], now)
				r, _ := leader.release(hosts, now)
				released = max(released, r)
			}
			for _, h := range hosts {
				if now.Before(until[h]) && acked[h] < released {
					t.Fatalf("%v answers from %d until %v, now %v, while %d is released",
						h, acked[h], until[h].Sub(epoch), now.Sub(epoch), released)
				}
			}
		}
	})
}
