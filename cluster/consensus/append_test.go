package consensus

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/signetfs/signet/internal/clock"
)

// What a leader was told is not said again at once, but again after a while, since a
// message may be lost; a refusal always is.
func TestToldOnce(t *testing.T) {
	c := clock.NewManual(time.Unix(1, 0))
	told := told{clock: c, every: time.Second}
	say := func(kind raftpb.MessageType, to, term, index uint64, reject bool) *raftpb.Message {
		return &raftpb.Message{Type: kind.Enum(), To: &to, Term: &term, Index: &index, Reject: &reject}
	}
	for _, s := range []struct {
		what  string
		m     *raftpb.Message
		later time.Duration
		again bool
	}{
		{"the first", say(raftpb.MsgAppResp, 1, 1, 5, false), 0, false},
		{"the same", say(raftpb.MsgAppResp, 1, 1, 5, false), 0, true},
		{"the same a moment later", say(raftpb.MsgAppResp, 1, 1, 5, false), time.Second / 2, true},
		{"the same after a while", say(raftpb.MsgAppResp, 1, 1, 5, false), time.Second / 2, false},
		{"a refusal", say(raftpb.MsgAppResp, 1, 1, 5, true), 0, false},
		{"a refusal again", say(raftpb.MsgAppResp, 1, 1, 5, true), 0, false},
		{"a vote", say(raftpb.MsgVoteResp, 1, 1, 5, false), 0, false},
		{"a vote again", say(raftpb.MsgVoteResp, 1, 1, 5, false), 0, false},
		{"more", say(raftpb.MsgAppResp, 1, 1, 6, false), 0, false},
		{"in another term", say(raftpb.MsgAppResp, 1, 2, 6, false), 0, false},
		{"to another leader", say(raftpb.MsgAppResp, 2, 2, 6, false), 0, false},
		{"less, after a snapshot", say(raftpb.MsgAppResp, 2, 2, 5, false), 0, false},
	} {
		c.Advance(s.later)
		if got := told.again(s.m); got != s.again {
			t.Errorf("%s: said already: %v, want %v", s.what, got, s.again)
		}
	}
}
