package consensus

import "time"

// Times says how long this package waits for what. They stand together because they
// depend on each other; Validate checks how.
type Times struct {
	// Tick is the unit in which the Raft library counts. Small, because a lease must
	// end a whole tick before an election may begin.
	Tick time.Duration
	// HeartbeatTicks is how often a leader tells its followers that it lives. Each
	// heartbeat that a majority confirms lets the leader grant leases for a while.
	HeartbeatTicks int
	// ElectionTicks is the shortest silence after which a host may vote for another
	// leader. The library draws the longest at random, up to twice this.
	ElectionTicks int
	// Lease is how long a host may answer from its own copy without hearing from the
	// leader. A change waits at most about this long for a host that died.
	Lease time.Duration
	// Renew is how often a host asks for its lease: several times per Lease, so that
	// one lost message costs nothing.
	Renew time.Duration
	// Drift is added on the leader's side wherever it waits for a lease to end: clocks
	// of two machines may run at different speeds, by far less than this in a second.
	Drift time.Duration
	// Lag is how long a host may leave an index unacknowledged before its lease is not
	// renewed: a host that cannot keep up must not hold up the others.
	Lag time.Duration
	// StaleAfter is how long a reader waits for a lost lease to come back before the
	// mount's policy decides: longer than an election.
	StaleAfter time.Duration
	// Session is how long a host may be silent before its sessions end, and with them
	// what it owns.
	Session time.Duration
	// Call is the longest that any filesystem call waits for the cluster.
	Call time.Duration
	// NoLeader is how long a change waits for a leader to appear before it fails with
	// ReadOnly: several elections.
	NoLeader time.Duration
	// Resend is how long a forwarded command may go unanswered before it is sent again.
	Resend time.Duration
}

// DefaultTimes returns the times of DESIGN.md, section 9.
func DefaultTimes() Times {
	return Times{
		Tick:           50 * time.Millisecond,
		HeartbeatTicks: 2,
		ElectionTicks:  10,
		Lease:          400 * time.Millisecond,
		Renew:          100 * time.Millisecond,
		Drift:          20 * time.Millisecond,
		Lag:            2 * time.Second,
		StaleAfter:     3 * time.Second,
		Session:        10 * time.Second,
		Call:           30 * time.Second,
		NoLeader:       10 * time.Second,
		Resend:         time.Second,
	}
}

// grantWindow is how long after the sending of a heartbeat that a majority confirmed a
// leader may grant leases. No other leader can be elected within ElectionTicks of the
// confirmation; two ticks less, because a follower's ticks are not aligned with the
// heartbeat's arrival and one tick may be late and the next early.
func (t Times) grantWindow() time.Duration {
	return time.Duration(t.ElectionTicks-2) * t.Tick
}

// leaderlessAfter is how long a host that has heard from a leader takes no other from among
// those who do not vote, see driver.foreign: the longest election timeout, and the time for
// an election.
func (t Times) leaderlessAfter() time.Duration {
	return 4 * time.Duration(t.ElectionTicks) * t.Tick
}

// quietAfterStart is how long a voter that has just started gives no vote: it does not
// remember which leader it heard from before, and that leader may still grant leases
// because of it.
func (t Times) quietAfterStart() time.Duration {
	return time.Duration(t.ElectionTicks) * t.Tick
}
