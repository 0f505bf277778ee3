package consensus

import (
	"fmt"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// maxChain is how many of the newest digests a host keeps to compare others with. A host
// that is further behind is compared when it has caught up: a digest covers all before it.
const maxChain = 4096

// chain is the digests after the newest entries.
type chain struct {
	last signet.Index
	n    int // how many there are, up to and including last
	ring []signet.Digest
}

// add appends the digests of entries of which the newest is last.
func (c *chain) add(last signet.Index, digests []signet.Digest) {
	if c.ring == nil {
		c.ring = make([]signet.Digest, maxChain)
	}
	first := last - signet.Index(len(digests)) + 1
	if first != c.last+1 {
		c.n = 0 // the state jumped
	}
	for i, d := range digests {
		c.ring[(first+signet.Index(i))%maxChain] = d
	}
	c.last, c.n = last, min(c.n+len(digests), maxChain)
}

// at returns the digest after an entry, false if it is not kept.
func (c *chain) at(i signet.Index) (signet.Digest, bool) {
	if i > c.last || i+signet.Index(c.n) <= c.last {
		return signet.Digest{}, false
	}
	return c.ring[i%maxChain], true
}

// jury compares what the hosts report of their states with the leader's own. It is plain
// values: the caller locks. docs/decisions/0011-who-is-right.md has the rule.
type jury struct {
	self  signet.HostID
	chain chain
	said  map[signet.HostID]testimony // in this term
}

// testimony is the newest report of a host that could be compared.
type testimony struct {
	start   uint64
	index   signet.Index
	differs bool
	since   signet.Index // where it was first seen to differ
	digest  signet.Digest
}

// verdict is what the leader makes of a host's state.
type verdict uint8

const (
	agreed   verdict = iota // or nothing is known
	doubtful                // it differs, and too few others have been heard
	wrong                   // it differs from what decides
)

// hear notes what a host reports, if it can be compared.
func (j *jury) hear(a Ack) {
	own, ok := j.chain.at(a.Acked)
	t := j.said[a.Host]
	if !ok || a.Host == j.self || a.Start < t.start || a.Start == t.start && a.Acked < t.index {
		return
	}
	now := testimony{start: a.Start, index: a.Acked, differs: a.Digest != own, since: a.Acked, digest: a.Digest}
	if t.differs && now.differs && t.start == a.Start {
		now.since = t.since
	}
	j.said[a.Host] = now
}

// count says how many voters had the leader's state at index or later, and how many differ
// from it, wherever. The leader counts as one of the former.
func (j *jury) count(voters []signet.HostID, index signet.Index) (with, against int) {
	for _, v := range voters {
		t, heard := j.said[v]
		switch {
		case v == j.self:
			with++
		case heard && t.differs:
			against++
		case heard && t.index >= index:
			with++
		}
	}
	return with, against
}

// judge says what to make of a host.
func (j *jury) judge(h signet.HostID, voters []signet.HostID) verdict {
	t := j.said[h]
	if !t.differs {
		return agreed
	}
	with, against := j.count(voters, t.since)
	if 2*with > len(voters) || len(voters) > 0 && 2*with == len(voters) && with+against == len(voters) {
		return wrong
	}
	return doubtful
}

// outvoted says whether more than half of the voters differ from the leader.
func (j *jury) outvoted(voters []signet.HostID) bool {
	_, against := j.count(voters, 0)
	return 2*against > len(voters)
}

// hear compares a host's report with this leader's own state and returns what to make of
// it. A leader that is outvoted halts.
func (n *Node) hear(a Ack) verdict {
	c := n.conf.Load()
	var voters []signet.HostID // nobody judges while they change
	if len(c.GetVotersOutgoing()) == 0 {
		voters = ids(c.GetVoters())
	}
	n.mu.Lock()
	if !n.ledger.leading {
		n.mu.Unlock()
		return agreed
	}
	j := &n.jury
	before := j.said[a.Host].differs
	j.hear(a)
	t := j.said[a.Host]
	at := j.chain.last
	v, outvoted := j.judge(a.Host, voters), j.outvoted(voters)
	n.mu.Unlock()
	if t.differs && !before {
		n.logger.Error("a host's state differs from this leader's", "host", uint64(a.Host), "index", uint64(t.index), "digest", fmt.Sprintf("%x", t.digest[:8]))
	}
	if outvoted {
		n.diverge(at, "more than half of the voters differ from it while it leads")
	}
	return v
}

// diverge halts this host for good: its state is not what the log makes.
func (n *Node) diverge(at signet.Index, who string) {
	n.Halt(signet.Errorf(signet.Corrupt, "compare states", n.host.String(),
		"the state of this host is not that of the others at index %d: %s; it serves nothing and does not vote; join again with a new state directory, and keep this one for whoever looks for the cause", uint64(at), who), true)
}

// noteDigests keeps the digests of a published step.
func (j *jury) noteDigests(s *meta.Step) { j.chain.add(s.End.Index, s.Digests) }
