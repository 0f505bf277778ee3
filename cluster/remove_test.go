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
