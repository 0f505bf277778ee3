package consensus

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/signetfs/signet"
)

// Members are the hosts that take part in the log.
type Members struct {
	Voters   []signet.HostID
	Learners []signet.HostID
	Changing bool // between two sets of voters (joint consensus)
}

// Members returns the members as of what this host has applied.
func (n *Node) Members() Members {
	c := n.conf.Load()
	return Members{ids(c.GetVoters()), ids(c.GetLearners()), len(c.GetVotersOutgoing()) > 0}
}

// Votes says whether a host is a voter, or still one while that changes.
func (n *Node) Votes(h signet.HostID) bool {
	c := n.conf.Load()
	return slices.Contains(c.GetVoters(), uint64(h)) || slices.Contains(c.GetVotersOutgoing(), uint64(h))
}

func ids(v []uint64) []signet.HostID {
	out := make([]signet.HostID, len(v))
	for i, id := range v {
		out[i] = signet.HostID(id)
	}
	slices.Sort(out)
	return out
}

// Change makes the given hosts voters and learners and removes all other members, in
// one step (joint consensus). It returns when the change is proposed, which only the
// leader can do; that it took effect shows in Members. Until then, for Times.Lease,
// another one is Busy.
func (n *Node) Change(ctx context.Context, voters, learners []signet.HostID) error {
	now := n.Members()
	if now.Changing {
		return signet.Errorf(signet.Busy, "change members", "", "another change is under way")
	}
	var changes []*raftpb.ConfChangeSingle
	add := func(t raftpb.ConfChangeType, h signet.HostID) {
		id := uint64(h)
		changes = append(changes, &raftpb.ConfChangeSingle{Type: t.Enum(), NodeId: &id})
	}
	for _, h := range voters {
		if !slices.Contains(now.Voters, h) {
			add(raftpb.ConfChangeAddNode, h)
		}
	}
	for _, h := range learners {
		if !slices.Contains(now.Learners, h) {
			add(raftpb.ConfChangeAddLearnerNode, h)
		}
	}
	for _, h := range slices.Concat(now.Voters, now.Learners) {
		if !slices.Contains(voters, h) && !slices.Contains(learners, h) {
			add(raftpb.ConfChangeRemoveNode, h)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	done := make(chan error, 1)
	n.driver.post(func() {
		if !n.driver.lead.self {
			done <- signet.Errorf(signet.NotLeader, "change members", n.host.String(), "%v leads", n.driver.lead.leader)
			return
		}
		done <- n.proposeChange(&raftpb.ConfChangeV2{Changes: changes})
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-n.stop:
		return n.whyStopped()
	}
}

// proposed is the change of members that was proposed last.
type proposed struct {
	before *raftpb.ConfState
	at     time.Time
}

// proposeChange proposes a change of members unless one is on its way: the library would
// make an empty entry of it, and on a slow cluster those pile up. Called on the driver's
// goroutine.
func (n *Node) proposeChange(c *raftpb.ConfChangeV2) error {
	now, conf := n.clock.Now(), n.conf.Load()
	if n.change.before == conf && now.Sub(n.change.at) < n.times.Lease {
		return signet.Errorf(signet.Busy, "change members", "", "another change is under way")
	}
	err := n.driver.raw.ProposeConfChange(c)
	if err == nil {
		n.change = proposed{conf, now}
	}
	return err
}

// Status is how this host sees the log.
type Status struct {
	Host     signet.HostID
	Term     uint64
	Leader   signet.HostID // 0: nobody
	Applied  signet.Index
	Released signet.Index
	Leased   bool
	Session  signet.SessionID
	Members  Members
	Hosts    map[signet.HostID]Report // on the leader: what each host reported, and when
	LogFirst uint64
	LogLast  uint64
	Halted   error // why this host takes no part any more
}

// Status returns how this host sees the log.
func (n *Node) Status() Status {
	_, leased := n.Leased()
	first, _ := n.log.FirstIndex()
	last, _ := n.log.LastIndex()
	at := n.State().Position()
	n.rows.mu.Lock()
	released := n.rows.released
	n.rows.mu.Unlock()
	s := Status{Host: n.host, Applied: at.Index, Released: released, Leased: leased, Session: n.Session(), Members: n.Members(), LogFirst: first, LogLast: last}
	n.mu.Lock()
	defer n.mu.Unlock()
	s.Term, s.Leader, s.Halted = n.lead.term, n.lead.leader, n.halted
	if n.lead.self {
		s.Hosts = make(map[signet.HostID]Report, len(n.reports))
		for h, r := range n.reports {
			r.Differs = n.jury.said[h].differs
			s.Hosts[h] = r
		}
	}
	return s
}

// Lead returns who leads as far as this host knows (0: nobody), in which term, and a
// channel that is closed when that changes.
func (n *Node) Lead() (leader signet.HostID, term uint64, moved <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lead.leader, n.lead.term, n.leadMoved
}

// Progress returns the last index that each member is known to have in its log, as the
// leader knows it.
func (n *Node) Progress(ctx context.Context) (map[signet.HostID]signet.Index, error) {
	done := make(chan map[signet.HostID]signet.Index, 1)
	n.driver.post(func() {
		out := map[signet.HostID]signet.Index{}
		if n.driver.lead.self {
			for id, p := range n.driver.raw.Status().Progress {
				out[signet.HostID(id)] = signet.Index(p.Match)
			}
		}
		done <- out
	})
	select {
	case p := <-done:
		return p, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.stop:
		return nil, n.whyStopped()
	}
}

// raftLogger passes the library's words on. What it calls a panic is a broken invariant
// of ours or of the disk: going on could lose data.
type raftLogger struct{ *slog.Logger }

var _ raft.Logger = raftLogger{}

func (l raftLogger) Debug(v ...any)              { l.Logger.Debug(fmt.Sprint(v...)) }
func (l raftLogger) Debugf(f string, v ...any)   { l.Logger.Debug(fmt.Sprintf(f, v...)) }
func (l raftLogger) Info(v ...any)               { l.Logger.Debug(fmt.Sprint(v...)) }
func (l raftLogger) Infof(f string, v ...any)    { l.Logger.Debug(fmt.Sprintf(f, v...)) }
func (l raftLogger) Warning(v ...any)            { l.Warn(fmt.Sprint(v...)) }
func (l raftLogger) Warningf(f string, v ...any) { l.Warn(fmt.Sprintf(f, v...)) }
func (l raftLogger) Error(v ...any)              { l.Logger.Error(fmt.Sprint(v...)) }
func (l raftLogger) Errorf(f string, v ...any)   { l.Logger.Error(fmt.Sprintf(f, v...)) }
func (l raftLogger) Fatal(v ...any)              { panic(fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(f string, v ...any)   { panic(fmt.Sprintf(f, v...)) }
func (l raftLogger) Panic(v ...any)              { panic(fmt.Sprint(v...)) }
func (l raftLogger) Panicf(f string, v ...any)   { panic(fmt.Sprintf(f, v...)) }
