package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
)

// Times of the leader's care for the members.
const (
	// stewardEvery is how often the leader looks after members. Joining waits for it.
	stewardEvery = 100 * time.Millisecond
	// downAfter is the silence after which a host counts as down: puts go round it. Several
	// lost requests for a lease; a host that is back is up again at once.
	downAfter = time.Second
	// replaceVoterAfter is the silence after which a voter gives way to a learner. Longer
	// than a restart: a change of voters costs more than waiting for one.
	replaceVoterAfter = 10 * time.Second
	// readyLag is how many entries a learner may lack and still count as caught up.
	readyLag = 64
)

// steward does a leader's duties towards members while this host leads: who is up, who
// votes, whose session is over. The state of all that is in the log, so a new leader
// goes on where the last one stopped.
func (n *Node) steward() {
	for n.ctx.Err() == nil {
		leader, _, moved := n.log.Lead()
		if leader == n.self.host {
			n.lead(moved)
			continue
		}
		select {
		case <-n.ctx.Done():
			return
		case <-moved:
		}
	}
}

// lead does the duties of one term.
func (n *Node) lead(moved <-chan struct{}) {
	ctx, cancel := context.WithCancel(n.ctx)
	done := make(chan struct{})
	go func() { // ends with the term
		defer close(done)
		n.keeper.Run(ctx)
	}()
	defer func() { cancel(); <-done }()
	go func() { // a duty that waits for the log ends with the term too: it knows only what was
		select {
		case <-moved:
			cancel()
		case <-ctx.Done():
		}
	}()
	since := n.clock.Now()
	ticker := n.clock.NewTicker(stewardEvery)
	defer ticker.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-moved:
			return
		case <-ticker.C():
		}
		if err := n.look(ctx, since); err != nil && ctx.Err() == nil {
			n.logger.Debug("a leader's duty waits", "err", err)
		}
	}
}

// look compares the host table with what the hosts report and proposes what differs.
func (n *Node) look(ctx context.Context, since time.Time) error {
	r := n.log.Reader(signet.ClusterGroup)
	hosts, err := r.Hosts()
	if err == nil {
		var sessions []meta.Session
		if sessions, err = r.Sessions(); err == nil {
			r.Close()
			return n.lookAt(ctx, since, hosts, sessions)
		}
	}
	r.Close()
	return err
}

func (n *Node) lookAt(ctx context.Context, since time.Time, hosts []meta.Host, sessions []meta.Session) error {
	now := n.clock.Now()
	status := n.log.Status()
	progress, err := n.log.Progress(ctx)
	if err != nil {
		return err
	}
	// Silence counts from when this leader began to listen. Of its own it does not know.
	silence := func(h signet.HostID) time.Duration {
		if h == n.self.host {
			return 0
		}
		heard := since
		if r, ok := status.Hosts[h]; ok && r.At.After(heard) {
			heard = r.At
		}
		return now.Sub(heard)
	}
	for _, h := range hosts {
		if err := n.lookAtState(ctx, h, silence(h.ID), status, progress); err != nil {
			return err
		}
	}
	for _, s := range sessions {
		over := silence(s.Host) > n.times.Session
		// A report may be from before the session was opened, so only a later one replaces it.
		replaced := status.Hosts[s.Host].Session > s.ID
		if s.Ended || over || replaced {
			for more := true; more; { // others may wait for its locks
				a, err := n.propose(ctx, signet.ClusterGroup, &meta.EndSession{Session: s.ID})
				if err != nil {
					return err
				}
				more = a.Result.More
			}
		}
	}
	return n.lookAtVoters(ctx, hosts, silence, status, progress)
}

// lookAtState notes in the log that a host answers, or does not.
func (n *Node) lookAtState(ctx context.Context, h meta.Host, silent time.Duration, status consensus.Status, progress map[signet.HostID]signet.Index) error {
	var want meta.HostState
	_, heard := status.Hosts[h.ID]
	switch h.State {
	case meta.HostJoining:
		if heard && silent < downAfter && caughtUp(h.ID, status, progress) {
			want = meta.HostUp
		}
	case meta.HostUp:
		if silent >= downAfter {
			want = meta.HostDown
		}
	case meta.HostDown:
		if heard && silent < downAfter {
			want = meta.HostUp
		}
	}
	if want == 0 {
		return nil
	}
	n.logger.Info("host state", "host", uint64(h.ID), "from", h.State, "to", want)
	_, err := n.propose(ctx, signet.ClusterGroup, &meta.SetHostState{Host: h.ID, State: want})
	return err
}

// caughtUp says whether a host has nearly all entries, and has applied what it has.
func caughtUp(h signet.HostID, status consensus.Status, progress map[signet.HostID]signet.Index) bool {
	return progress[h]+readyLag >= status.Applied && status.Hosts[h].Acked+readyLag >= status.Applied
}

// lookAtVoters makes members of hosts that joined, removes those that left, and changes
// the voters as member.Plan says.
func (n *Node) lookAtVoters(ctx context.Context, hosts []meta.Host, silence func(signet.HostID) time.Duration, status consensus.Status, progress map[signet.HostID]signet.Index) error {
	if status.Members.Changing {
		return nil
	}
	var candidates []member.Candidate
	var all []signet.HostID
	for _, h := range hosts {
		if h.State == meta.HostRemoved {
			continue
		}
		all = append(all, h.ID)
		candidates = append(candidates, member.Candidate{
			ID: h.ID, Zone: h.Zone, May: h.Roles&meta.RoleVote != 0 && h.State != meta.HostDraining,
			Alive:  silence(h.ID) < replaceVoterAfter,
			Ready:  h.State == meta.HostUp && silence(h.ID) < downAfter && caughtUp(h.ID, status, progress),
			Voting: slices.Contains(status.Members.Voters, h.ID),
		})
	}
	if len(all) == 0 {
		return nil
	}
	voters := member.Plan(candidates)
	var learners []signet.HostID
	for _, h := range all {
		if !slices.Contains(voters, h) {
			learners = append(learners, h)
		}
	}
	if slices.Equal(voters, status.Members.Voters) && slices.Equal(learners, status.Members.Learners) {
		return nil
	}
	err := n.log.Change(ctx, voters, learners)
	if err == nil {
		n.logger.Info("members change", "voters", voters, "learners", learners)
	}
	return err
}

// propose proposes a command of this host and fails if it is refused.
func (n *Node) propose(ctx context.Context, g signet.Group, c any) (meta.Answer, error) {
	a, _, err := n.log.Do(ctx, g, c)
	if err == nil && a.Result.Err != signet.OK {
		err = signet.Errorf(a.Result.Err, "propose", "", "refused: %v", a.Result.Err)
	}
	return a, err
}

func timeOf(t time.Time) signet.Time {
	return signet.Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())}
}
