package consensus

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/signetfs/signet"
)

// foreign says whether m is what only voters have to say, and comes from a host that does
// not vote. The library believes anybody: one message with a high term from a learner would
// depose a leader, and entries after it would be applied.
//
// This host may lag behind the change that made the sender a voter. So what leaders and
// candidates say is refused only while this host leads, or has heard from a leader that
// votes: then there is no need for another. Once it has not for Times.leaderlessAfter, or
// ever, everybody is believed, and the log tells who votes. An answer with a higher term
// makes a leader step down; one that lags does so anyway, because it has no majority.
func (d *driver) foreign(m *raftpb.Message) bool {
	now := d.clock.Now()
	voter := d.votes(signet.HostID(m.GetFrom()))
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if voter && m.GetTerm() >= d.lead.term {
			d.heard = now
		}
		return !voter && d.led(now)
	case raftpb.MsgVote, raftpb.MsgPreVote:
		return !voter && d.led(now)
	}
	return !voter && m.GetTerm() > d.lead.term
}

// led says whether this host leads, or has heard of its leader lately.
func (d *driver) led(now time.Time) bool {
	return d.lead.self || !d.heard.IsZero() && now.Sub(d.heard) < d.times.leaderlessAfter()
}
