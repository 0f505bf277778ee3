package cluster

import (
	"context"
	"fmt"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
)

// create makes a file through host i.
func (b *bench) create(ctx context.Context, i int, name string) error {
	v := b.hosts[i].Volume(signet.DefaultVolume, consensus.CutoffFail)
	ino, err := v.NextIno(ctx)
	if err != nil {
		return err
	}
	_, ticket, err := v.Do(ctx, &signet.Create{Parent: signet.RootIno, Name: []byte(name), Ino: ino, Mode: signet.ModeRegular | 0o644})
	if err != nil {
		return err
	}
	return ticket.Wait(ctx)
}

// Of two voters one is removed, be it the leader. The change needs the vote of the one
// that leaves; after it the other goes on alone, and the one that left is cut off.
func TestRemoveOneOfTwo(t *testing.T) {
	for _, gone := range []int{0, 1} {
		t.Run(fmt.Sprint("host-", gone+1), func(t *testing.T) {
			b := newBench(t, 2)
			b.votersAre(2)
			ctx := b.ctx()
			if err := b.create(ctx, 0, "before"); err != nil {
				t.Fatal(err)
			}
			stays := 1 - gone
			if _, err := b.hosts[stays].propose(ctx, signet.ClusterGroup, &meta.RemoveHost{Host: b.hosts[gone].ID()}); err != nil {
				t.Fatal(err)
			}
			b.until("one voter", func() bool {
				m := b.hosts[stays].log.Members()
				return len(m.Voters) == 1 && m.Voters[0] == b.hosts[stays].ID() && !m.Changing
			})
			if err := b.create(ctx, stays, "after"); err != nil {
				t.Error(err)
			}
			b.until("the door to close", func() bool { return b.hosts[stays].members.Authorize(b.hosts[gone].Key()) != nil })
			b.leaves(gone)
		})
	}
}

func TestWhoMayPropose(t *testing.T) {
	full := member.Host{ID: 1, Stores: true, Votes: true, Mounts: true}
	keyless := member.Host{ID: 2, Stores: true, Votes: true}
	for _, c := range []struct {
		command any
		want    [2]bool
	}{
		{&signet.Remove{}, [2]bool{true, false}},
		{&meta.RemoveSlot{}, [2]bool{true, false}},
		{&meta.RemoveHost{Host: 1}, [2]bool{true, false}},
		{&meta.CreateToken{Roles: meta.RoleAll}, [2]bool{true, false}},
		{&meta.CreateToken{Roles: meta.RoleStore}, [2]bool{true, true}},
		{&meta.SetHost{Host: 2, Set: meta.SetRoles}, [2]bool{true, false}},
		{&meta.SetHost{Host: 2, Set: meta.SetAddrs}, [2]bool{true, true}},
		{&meta.OpenSession{Host: 2}, [2]bool{false, true}},
		{&meta.ArcsDone{Host: 2}, [2]bool{false, true}},
		{&meta.Placed{Host: 2}, [2]bool{true, true}},
	} {
		for i, h := range []member.Host{full, keyless} {
			if got := may(h, c.command); got != c.want[i] {
				t.Errorf("%v, %T %+v: %v", h.ID, c.command, c.command, got)
			}
		}
	}
}

// A host speaks only for its own session, and nothing undecodable passes.
func TestAdmit(t *testing.T) {
	b := newBench(t, 2)
	b.votersAre(2)
	first := b.hosts[0]
	b.until("sessions", func() bool { return first.log.Session() != 0 })
	e, err := meta.EncodeEnvelope(&meta.Envelope{Session: first.log.Session(), Request: 1 << 20, Lowest: 1, Command: &meta.Placed{Host: 2}})
	if err != nil {
		t.Fatal(err)
	}
	other, _ := first.members.Host(2)
	if err := first.admit(other, [][]byte{e}); signet.KindOf(err) != signet.NotPermitted {
		t.Errorf("host 2 in the session of host 1: %v", err)
	}
	if err := first.admit(other, [][]byte{{0xc1}}); signet.KindOf(err) != signet.BadMessage {
		t.Errorf("garbage: %v", err)
	}
}

// Who has no token gets nothing into the log.
func TestStrangersLeaveTheLogAlone(t *testing.T) {
	b := newBench(t, 1)
	n := b.hosts[0]
	if err := n.checkJoin(signet.HostKey{9}, []byte("guess")); signet.KindOf(err) != signet.BadToken {
		t.Errorf("%v", err)
	}
	if err := n.checkJoin(n.Key(), nil); err != nil {
		t.Errorf("a member that asks again: %v", err)
	}
}

// leaves waits until a host knows that it was removed, and has stopped for that.
func (b *bench) leaves(i int) {
	b.t.Helper()
	n := b.hosts[i]
	b.until("the removed host to know", func() bool { return signet.KindOf(n.log.Halted()) == signet.Ended })
	b.until("it to be quiet", func() bool { return n.ctx.Err() != nil })
	if err := n.log.Ready(b.ctx(), consensus.CutoffStale); signet.KindOf(err) != signet.Ended {
		b.t.Errorf("it serves: %v", err)
	}
}

// Hosts that were removed while they were away, one that voted and one that did not, learn
// it from those whom they call, and stop.
func TestRemovedWhileAway(t *testing.T) {
	b := newBench(t, 4)
	b.votersAre(3)
	voter, learner := 0, 0
	for i := 1; i < 4; i++ {
		if b.hosts[0].log.Votes(b.hosts[i].ID()) {
			voter = i
		} else {
			learner = i
		}
	}
	ids := map[int]signet.HostID{voter: b.hosts[voter].ID(), learner: b.hosts[learner].ID()}
	for i, id := range ids {
		b.stop(i)
		if _, err := b.hosts[0].propose(b.ctx(), signet.ClusterGroup, &meta.RemoveHost{Host: id}); err != nil {
			t.Fatal(err)
		}
	}
	b.until("the members to leave", func() bool {
		m := b.hosts[0].log.Members()
		return len(m.Voters)+len(m.Learners) == 2 && !m.Changing
	})
	for i := range ids {
		b.boot(i)
		b.leaves(i)
	}
	if err := b.create(b.ctx(), 0, "after"); err != nil {
		t.Error(err)
	}
	for i, n := range b.hosts {
		if _, out := ids[i]; !out && n.log.Halted() != nil {
			t.Errorf("host %d: %v", i+1, n.log.Halted())
		}
	}
}

// The word of one host that is not the leader is not enough.
func TestOneHostCannotTalkOthersOut(t *testing.T) {
	b := newBench(t, 3)
	b.votersAre(3)
	n := b.hosts[1]
	b.until("a leader", func() bool { leader, _, _ := n.log.Lead(); return leader == 1 })
	n.refused(b.hosts[2].Key(), signet.Errorf(signet.Ended, "", "", "you are out"))
	n.refused(signet.HostKey{9}, signet.Errorf(signet.Ended, "", "", "you are out"))
	n.refused(b.hosts[0].Key(), signet.Errorf(signet.NotPermitted, "", "", "who are you"))
	if err := n.log.Halted(); err != nil {
		t.Errorf("%v", err)
	}
	n.refused(b.hosts[0].Key(), signet.Errorf(signet.Ended, "", "", "you are out"))
	if err := n.log.Halted(); signet.KindOf(err) != signet.Ended {
		t.Errorf("%v", err)
	}
}

// Nobody hands in commands of another host's session, whatever stands beside them.
func TestAdmitSessions(t *testing.T) {
	b := newBench(t, 2)
	n := b.hosts[0]
	b.until("sessions", func() bool { return n.log.Session() != 0 && b.hosts[1].log.Session() != 0 })
	other := member.Host{ID: b.hosts[1].ID(), Mounts: true}
	if err := b.create(b.ctx(), 0, "f"); err != nil { // so that the session is in the tables
		t.Fatal(err)
	}
	envelope := func(s signet.SessionID) []byte {
		e, err := meta.EncodeEnvelope(&meta.Envelope{Group: signet.DefaultVolume, Session: s, Request: 1, Lowest: 1, Command: &signet.Remove{Parent: signet.RootIno, Name: []byte("f")}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	none, unknown, own, foreign := envelope(0), envelope(1<<40), envelope(b.hosts[1].log.Session()), envelope(n.log.Session())
	if err := n.admit(other, [][]byte{none, own, own, unknown, unknown, none}); err != nil {
		t.Error(err)
	}
	for _, batch := range [][][]byte{{foreign}, {own, foreign}, {unknown, foreign}, {foreign, own}} {
		if err := n.admit(other, batch); signet.KindOf(err) != signet.NotPermitted {
			t.Errorf("a command of another host's session was taken: %v", err)
		}
	}
}
