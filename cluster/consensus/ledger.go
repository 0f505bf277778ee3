package consensus

import (
	"time"

	"github.com/signetfs/signet"
)

// ledger is the leader's book of leases and acknowledgements, from which follows what
// may be released. It is plain values: the caller locks, and hands in the time.
//
// The invariant is that nothing is released that a host with a running lease has not
// acked. Three rules keep it. A lease is only granted to a host that has acked all that
// was ever released. It is only granted while no other leader can exist (confirmed).
// And a new leader, who does not know its predecessor's grants, releases nothing until
// every known host has acked it or a whole lease has passed.
type ledger struct {
	times Times
	self  signet.HostID

	leading   bool
	term      uint64
	elected   time.Time
	floor     signet.Index // first entry of this term: all that predecessors released is below
	confirmed time.Time    // sending of the newest heartbeat that a majority confirmed
	released  signet.Index
	applied   signet.Index // newest published here
	hosts     map[signet.HostID]*holder
}

// holder is what the leader knows of one host.
type holder struct {
	start   uint64 // of the process that acked
	acked   signet.Index
	granted time.Time // of the newest lease; zero if none in this term
	heard   time.Time // newest message of any kind
	asked   time.Time // since when it has been behind what was published at that time
	behind  signet.Index
	passed  bool // it had a lease, which ran out before it acked what is released
}

func newLedger(self signet.HostID, t Times) *ledger {
	return &ledger{times: t, self: self, hosts: map[signet.HostID]*holder{}}
}

// lead begins a term as leader. Hosts heard in an earlier term are known no more.
func (l *ledger) lead(term uint64, now time.Time) {
	l.leading, l.term, l.elected = true, term, now
	l.confirmed, l.floor = time.Time{}, 0
	l.hosts = map[signet.HostID]*holder{}
}

// follow ends the term as leader.
func (l *ledger) follow() { l.leading = false }

func (l *ledger) holder(h signet.HostID) *holder {
	o := l.hosts[h]
	if o == nil {
		o = &holder{}
		l.hosts[h] = o
	}
	return o
}

// ack notes that the process of host h with that start counter has acked index. A
// process that started later may have gone back: what it had not flushed it applies
// again.
func (l *ledger) ack(h signet.HostID, start uint64, index signet.Index, now time.Time) {
	o := l.holder(h)
	switch {
	case start < o.start:
		return // a message of a process that is no more
	case start > o.start:
		*o = holder{start: start, granted: o.granted, passed: o.passed || !l.holds(o, now)}
	}
	o.acked = max(o.acked, index)
	o.heard = now
	o.passed = o.passed && o.acked < l.released
}

// publish notes that the leader itself has published index.
func (l *ledger) publish(index signet.Index) { l.applied = max(l.applied, index) }

// safe says whether no other leader can have been elected yet.
func (l *ledger) safe(now time.Time) bool {
	return l.leading && l.floor > 0 && !l.confirmed.IsZero() && before(now, l.confirmed.Add(l.times.grantWindow()))
}

// grant decides whether h, which has acked all up to acked, gets a lease from now on.
func (l *ledger) grant(h signet.HostID, start uint64, acked signet.Index, now time.Time) bool {
	l.ack(h, start, acked, now)
	o := l.hosts[h]
	if start < o.start || !l.safe(now) || o.acked < l.floor || o.acked < l.released || l.lagging(o, now) {
		return false
	}
	o.granted = now
	return true
}

// lagging says whether the host has not acked for Times.Lag what was published then.
func (l *ledger) lagging(o *holder, now time.Time) bool {
	if o.acked >= o.behind {
		if o.acked >= l.applied {
			o.asked, o.behind = time.Time{}, 0
			return false
		}
		o.asked, o.behind = now, l.applied
		return false
	}
	return now.Sub(o.asked) > l.times.Lag
}

// holds says whether o may still answer from its own copy.
func (l *ledger) holds(o *holder, now time.Time) bool {
	return !o.granted.IsZero() && now.Before(l.ends(o))
}

func (l *ledger) ends(o *holder) time.Time {
	return o.granted.Add(l.times.Lease + l.times.Drift)
}

// release advances the released index as far as the rules allow and returns it, with
// the time at which it may be able to advance further by time alone (zero: never).
// known are all hosts that a predecessor may have granted a lease.
func (l *ledger) release(known []signet.HostID, now time.Time) (signet.Index, time.Time) {
	if !l.leading || l.floor == 0 {
		return l.released, time.Time{}
	}
	target := l.applied
	var again time.Time
	later := func(t time.Time) {
		if again.IsZero() || t.Before(again) {
			again = t
		}
	}
	target = min(target, l.holder(l.self).acked)
	settled := l.elected.Add(l.times.Lease + l.times.Drift)
	if now.Before(settled) {
		for _, h := range known {
			if o := l.holder(h); o.acked < target {
				target = o.acked
				later(settled)
			}
		}
	}
	for _, o := range l.hosts {
		if o.acked < target && l.holds(o, now) {
			target = o.acked
			later(l.ends(o))
		}
	}
	l.released = max(l.released, target)
	return l.released, again
}

// passedOver returns the hosts whose lease a release had to wait for in vain, each once
// until it has caught up.
func (l *ledger) passedOver() []signet.HostID {
	var out []signet.HostID
	for h, o := range l.hosts {
		if !o.passed && !o.granted.IsZero() && o.acked < l.released {
			o.passed = true
			out = append(out, h)
		}
	}
	return out
}
