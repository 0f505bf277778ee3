package consensus

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/signetfs/signet"
)

// members makes these hosts the voters and those the learners, and waits for it.
func (w *world) members(at signet.HostID, voters, learners []signet.HostID) {
	w.t.Helper()
	n := w.node(at)
	select {
	case <-w.settled: // else they would be changed back
	case <-w.ctx().Done():
		w.t.Fatal("the hosts did not become voters")
	}
	w.until("the members to change", func() bool {
		m := n.Members()
		if slices.Equal(m.Voters, voters) && slices.Equal(m.Learners, learners) && !m.Changing {
			return true
		}
		if n.leadership().self {
			_ = n.Change(w.ctx(), voters, learners)
		}
		return false
	})
}

// A host that does not vote says what leaders and candidates say: nobody listens.
func TestLearnersDoNotLead(t *testing.T) {
	w := newWorld(t, 4)
	ctx := w.ctx()
	w.votersAre(4)
	w.members(1, []signet.HostID{1, 2, 3}, []signet.HostID{4})
	for id := signet.HostID(1); id <= 4; id++ {
		w.until("all to know", func() bool { return !w.node(id).Votes(4) })
	}
	_, term, _ := w.node(1).Lead()
	for i := range uint64(30) {
		for to := signet.HostID(1); to <= 3; to++ {
			for _, kind := range []raftpb.MessageType{
				raftpb.MsgHeartbeat, raftpb.MsgApp, raftpb.MsgVote, raftpb.MsgPreVote,
				raftpb.MsgAppResp, raftpb.MsgHeartbeatResp, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp, raftpb.MsgSnap,
			} {
				from, at, high, index := uint64(4), uint64(to), term+100+i, uint64(1<<40)
				m := &raftpb.Message{Type: kind.Enum(), From: &from, To: &at, Term: &high, LogTerm: &high, Index: &index}
				if kind == raftpb.MsgSnap {
					m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: &index, Term: &high, ConfState: &raftpb.ConfState{Voters: []uint64{4}}}}
				}
				b, err := proto.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				if err := w.node(to).StepRaft(4, [][]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if k, _, err := w.create(ctx, signet.HostID(i%3+1), fmt.Sprint("f", i)); err != nil || k != signet.OK {
			t.Fatal(k, err)
		}
	}
	for id := signet.HostID(1); id <= 3; id++ {
		if _, now, _ := w.node(id).Lead(); now != term {
			t.Errorf("host %d is in term %d, not in %d", id, now, term)
		}
	}
}

// A host that lags behind the change that made its leader a voter follows it all the same.
func TestLaggingHostFollowsNewVoter(t *testing.T) {
	w := newWorld(t, 4)
	ctx := w.ctx()
	w.votersAre(4)
	w.members(1, []signet.HostID{1, 2, 3}, []signet.HostID{4})
	w.until("host 3 to know", func() bool { return !w.node(3).Votes(4) })
	w.isolate(3, true)
	w.members(1, []signet.HostID{4}, []signet.HostID{1, 2, 3})
	w.until("host 4 to lead", func() bool { return w.node(4).leadership().self })
	if w.node(3).Votes(4) {
		t.Fatal("host 3 was to lag")
	}
	w.isolate(3, false)
	began := time.Now()
	k, ino, err := w.create(ctx, 4, "after")
	if err != nil || k != signet.OK {
		t.Fatal(k, err)
	}
	w.until("host 3 to follow", func() bool {
		got, err := w.lookup(ctx, 3, "after")
		return err == nil && got == ino
	})
	t.Logf("after %v", time.Since(began))
}

// A change of members is not proposed again while it is on its way: each would be an entry.
func TestChangeIsProposedOnce(t *testing.T) {
	w := newWorld(t, 3)
	w.votersAre(3)
	leader, _, _ := w.node(1).Lead()
	w.isolate(leader, true) // so that it stays on its way
	voters, learners := []signet.HostID{leader, leader%3 + 1}, []signet.HostID{(leader+1)%3 + 1}
	n := w.node(leader)
	if err := n.Change(w.ctx(), voters, learners); err != nil {
		t.Fatal(err)
	}
	if err := n.Change(w.ctx(), voters, learners); signet.KindOf(err) != signet.Busy {
		t.Errorf("proposed again: %v", err)
	}
}
