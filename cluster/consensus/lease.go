package consensus

import (
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/clock"
)

// leadershipChanged implements driverEvents.
func (n *Node) leadershipChanged(l leadership) {
	now := n.clock.Now()
	n.mu.Lock()
	if n.halted != nil {
		n.mu.Unlock()
		return
	}
	was := n.lead
	n.lead = l
	if l.self && (!was.self || was.term != l.term) {
		n.ledger.lead(l.term, now)
		n.reports = map[signet.HostID]Report{} // what was heard in an earlier term may be long over
		n.jury.said = map[signet.HostID]testimony{}
	} else if !l.self {
		n.ledger.follow()
	}
	close(n.leadMoved)
	n.leadMoved = make(chan struct{})
	n.mu.Unlock()
	n.logger.Info("leadership", "term", l.term, "leader", uint64(l.leader))
	n.proposer.leaderMoved()
	n.askLease()
}

// heartbeatConfirmed implements driverEvents.
func (n *Node) heartbeatConfirmed(sent time.Time) {
	n.mu.Lock()
	if sent.After(n.ledger.confirmed) && n.ledger.leading {
		n.ledger.confirmed = sent
	}
	// The leader's own lease counts from the heartbeat, like everybody's from the question.
	if n.ledger.leading && n.ledger.floor > 0 && n.acked.Index >= n.ledger.floor {
		n.leaseUntil(sent.Add(n.times.Lease))
	}
	n.mu.Unlock()
}

// leaseUntil notes a lease. The caller holds n.mu.
func (n *Node) leaseUntil(t time.Time) {
	if n.halted != nil || !t.After(n.lease) {
		return
	}
	n.lease = t
	close(n.leased)
	n.leased = make(chan struct{})
}

// notePublished tells the ledger what the leader has published.
func (n *Node) notePublished(step *meta.Step, batch []meta.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.jury.noteDigests(step)
	end := step.End
	l := n.ledger
	if l.leading && l.floor == 0 && end.Term == l.term {
		for _, e := range batch {
			if e.Term == l.term {
				l.floor = e.Index
				break
			}
		}
	}
	l.publish(end.Index)
}

// ackedUpTo notes that this host has acked all up to end, and tells the leader.
func (n *Node) ackedUpTo(end meta.Position) {
	n.mu.Lock()
	n.acked = end
	lead := n.lead
	ack := n.ack()
	n.mu.Unlock()
	switch {
	case lead.self:
		n.Acked(ack)
	case lead.leader != 0:
		n.config.Transport.SendAck(lead.leader, ack)
	}
}

// ack returns what this host has acked. The caller holds n.mu.
func (n *Node) ack() Ack {
	return Ack{Host: n.host, Start: n.config.Start, Acked: n.acked.Index, Digest: n.acked.Digest}
}

// Acked takes a host's acknowledgement. It has an effect on the leader only. What was
// acked is committed, so it does not matter in which term.
func (n *Node) Acked(a Ack) {
	n.hear(a)
	n.mu.Lock()
	if n.ledger.leading {
		n.ledger.ack(a.Host, a.Start, a.Acked, n.clock.Now())
	}
	n.mu.Unlock()
	n.releaseMore()
}

// releaseMore releases what may be released and tells every host.
func (n *Node) releaseMore() {
	now := n.clock.Now()
	n.mu.Lock()
	if !n.ledger.leading {
		n.mu.Unlock()
		return
	}
	before := n.ledger.released
	released, again := n.ledger.release(n.known, now)
	if !again.IsZero() {
		n.releaseTimer.Reset(again.Sub(now))
	}
	term, known, passed := n.ledger.term, n.known, n.ledger.passedOver()
	n.mu.Unlock()
	for _, h := range passed {
		n.logger.Info("a lease ran out before its host acknowledged", "host", uint64(h), "released", released)
	}
	if released <= before {
		return
	}
	n.rows.release(released)
	r := Release{Term: term, Leader: n.host, Released: released}
	for _, h := range known {
		if h != n.host {
			n.config.Transport.SendRelease(h, r)
		}
	}
}

// releaseLoop releases what only had to wait for a lease to end.
func (n *Node) releaseLoop() {
	for {
		select {
		case <-n.stop:
			return
		case <-n.releaseTimer.C():
			n.releaseMore()
		}
	}
}

// Released takes the leader's word of what is released. A deposed leader's word is as
// good: it releases only what every lease holder has acked. The word of a host that
// does not vote is not: it never led.
func (n *Node) Released(r Release) {
	if n.leadership().leader == r.Leader || n.Votes(r.Leader) {
		n.rows.release(r.Released)
	}
}

// Grant answers a host's request for a lease. The error is Corrupt if the host's state is
// wrong, see jury.
func (n *Node) Grant(r LeaseRequest) (LeaseGrant, error) {
	if err := n.Halted(); err != nil {
		return LeaseGrant{}, signet.Errorf(signet.Unavailable, "grant lease", n.host.String(), "this host takes no part any more: %w", err)
	}
	verdict := n.hear(r.Ack)
	now := n.clock.Now()
	n.mu.Lock()
	g := LeaseGrant{Term: n.lead.term, Leader: n.lead.leader, Released: n.ledger.released}
	if !n.lead.self {
		g.Released = 0
		n.mu.Unlock()
		return g, nil
	}
	if verdict == agreed {
		g.Granted = n.ledger.grant(r.Host, r.Start, r.Acked, now)
	} else {
		n.ledger.ack(r.Host, r.Start, r.Acked, now)
	}
	if r.Start >= n.reports[r.Host].Start { // else it was under way when its process died
		n.reports[r.Host] = Report{LeaseRequest: r, At: now}
	}
	n.mu.Unlock()
	n.releaseMore()
	if verdict == wrong {
		return g, signet.Errorf(signet.Corrupt, "grant lease", r.Host.String(), "its state is not that of the others")
	}
	return g, nil
}

// HoldsLease says whether host h may answer from its own copy. Only the leader knows, and
// not before it has led for the length of a lease.
func (n *Node) HoldsLease(h signet.HostID) (leased, known bool) {
	now := n.clock.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.ledger
	if !l.safe(now) || now.Before(l.elected.Add(l.times.Lease+l.times.Drift)) {
		return false, false
	}
	return h == l.self || l.holds(l.holder(h), now), true
}

// leaseLoop asks for this host's lease, again and again.
func (n *Node) leaseLoop() {
	ticker := n.clock.NewTicker(n.times.Renew)
	defer ticker.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-ticker.C():
		case <-n.askNow:
		}
		n.renew()
	}
}

// askLease has the lease asked for at once.
func (n *Node) askLease() {
	select {
	case n.askNow <- struct{}{}:
	default:
	}
}

// renew asks the leader for a lease. Questions overlap: a leader that does not answer
// must not keep a new one from being asked.
func (n *Node) renew() {
	n.mu.Lock()
	lead := n.lead
	busy := n.asking >= maxAsking
	if !busy {
		n.asking++
	}
	n.mu.Unlock()
	if busy {
		return
	}
	ask := func() {
		defer func() {
			n.mu.Lock()
			n.asking--
			n.mu.Unlock()
		}()
		n.ask(lead)
	}
	if lead.leader == 0 || lead.self {
		ask() // nothing that could block
		return
	}
	n.spawn(ask)
}

// maxAsking bounds the questions for a lease that are under way.
const maxAsking = 4

func (n *Node) ask(lead leadership) {
	if lead.leader == 0 {
		return
	}
	asked := n.clock.Now()
	r := n.report()
	if lead.self {
		_, _ = n.Grant(r) // its own lease comes from confirmed heartbeats; this is the report
		return
	}
	ctx, cancel := clock.WithTimeout(n.ctx, n.clock, n.times.Lease)
	defer cancel()
	g, err := n.config.Transport.Lease(ctx, lead.leader, r)
	switch {
	case signet.KindOf(err) == signet.Corrupt && n.leadership() == lead:
		n.diverge(r.Acked, lead.leader.String()+", which leads, says so")
		return
	case err != nil:
		return
	}
	n.mu.Lock()
	if g.Granted {
		n.leaseUntil(asked.Add(n.times.Lease))
	}
	n.mu.Unlock()
	if g.Released > 0 {
		n.rows.release(g.Released)
	}
}

// report returns what this host tells the leader.
func (n *Node) report() LeaseRequest {
	r := LeaseRequest{Reader: n.rows.oldest(), Session: n.Session()}
	n.mu.Lock()
	r.Ack = n.ack()
	n.mu.Unlock()
	if n.config.Report != nil {
		n.config.Report(&r)
	}
	return r
}

// hostsMayHaveChanged reads anew which hosts may hold leases.
func (n *Node) hostsMayHaveChanged() {
	r := n.Reader(signet.ClusterGroup)
	defer r.Close()
	hosts, err := r.Hosts()
	if err != nil {
		n.failed(err)
		return
	}
	var known []signet.HostID
	for _, h := range hosts {
		if h.State != meta.HostRemoved {
			known = append(known, h.ID)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known = known
}

// Leased says until when this host may answer from its own copy, and whether it may now.
func (n *Node) Leased() (until time.Time, now bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lease, before(n.clock.Now(), n.lease)
}

// before says whether now is before t by both of this host's clocks. The monotonic one
// stands still while the machine sleeps; the other one may be set back, but not both
// at once. What is wrongly over costs a question for a lease.
func before(now, t time.Time) bool {
	return now.Before(t) && now.Round(0).Before(t.Round(0))
}
