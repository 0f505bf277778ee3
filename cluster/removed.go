package cluster

import (
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/wire"
)

// askAfter is how long a host that hears of no leader waits before it asks the others
// itself whether it still belongs to them, and how often it asks: longer than an election.
const askAfter = 3 * time.Second

// parting is who has told this host that it was removed.
type parting struct {
	mu   sync.Mutex // guards what follows
	said map[signet.HostID]bool
}

// refused is told when another host does not let this one in. One that was removed while
// it was away learns it in this way. It believes the host that it takes for the leader,
// and else more than half of the other voters that it knows: one host alone cannot
// talk others out of the cluster.
func (n *Node) refused(by signet.HostKey, why error) {
	if signet.KindOf(why) != signet.Ended {
		return
	}
	h := n.sender(by)
	p := &n.parting
	p.mu.Lock()
	if p.said == nil {
		p.said = map[signet.HostID]bool{}
	}
	first := h != 0 && !p.said[h]
	p.said[h] = true
	others, agree := 0, 0
	for _, v := range n.log.Members().Voters {
		if v != n.self.host {
			others++
			if p.said[v] {
				agree++
			}
		}
	}
	p.mu.Unlock()
	if !first {
		return
	}
	n.logger.Warn("another host says that this one was removed from the cluster", "host", uint64(h))
	if leader, _, _ := n.log.Lead(); leader == h || 2*agree > others {
		n.removed(h.String() + " says so")
	}
}

// removed ends this host's part in the cluster.
func (n *Node) removed(who string) {
	n.log.Halt(signet.Errorf(signet.Ended, "", "", "this host was removed from the cluster (%s); run 'signet join' with a new state directory", who), false)
}

// askAround calls the other hosts while there is no leader. Who does not vote has no other
// reason to call anybody then, and would never learn that it was removed.
func (n *Node) askAround() {
	ticker := n.clock.NewTicker(askAfter)
	defer ticker.Stop()
	alone := false
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-ticker.C():
		}
		leader, _, _ := n.log.Lead()
		if leader != 0 || !alone {
			alone = leader == 0
			continue
		}
		for _, h := range n.members.All() {
			if h.ID != n.self.host {
				n.loops.Go(func() { n.ping(h.ID) })
			}
		}
	}
}

// ping calls a host for no other reason than to be let in or not.
func (n *Node) ping(h signet.HostID) {
	ctx, cancel := clock.WithTimeout(n.ctx, n.clock, askAfter)
	defer cancel()
	var in wire.Empty
	if peer, err := n.members.Peer(h); err == nil {
		b, err := n.pool.Call(ctx, peer, wire.Out{Class: wire.Control, Method: wire.MethodPing}, &in)
		if err == nil {
			b.Release()
		}
	}
}
