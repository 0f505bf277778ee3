package cluster

import (
	"context"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/heal"
	"github.com/signetfs/signet/cluster/meta"
)

// openHealing makes what keeps this host's store in line with the log, and, while it
// leads, the ring and the garbage.
func (n *Node) openHealing() {
	log := healLog{n}
	n.healer = heal.New(heal.Config{
		Self: n.self.host, Store: n.store, Log: log, Peers: n.peers, Up: n.atlas.Up,
		Floor: n.log.Floor(), Clock: n.clock, Logger: n.logger,
	})
	n.keeper = heal.NewSteward(heal.StewardConfig{Log: log, Reports: n.heard, Clock: n.clock, Logger: n.logger})
}

// healLog is the log as package heal sees it.
type healLog struct{ node *Node }

// Read calls fn with a reading of what is published here.
func (l healLog) Read(g signet.Group, fn func(*meta.Reader) error) error {
	r := l.node.log.Reader(g)
	defer r.Close()
	return fn(r.Reader)
}

// Propose proposes a command of this host.
func (l healLog) Propose(ctx context.Context, g signet.Group, command any) (meta.Answer, error) {
	a, _, err := l.node.log.Do(ctx, g, command)
	return a, err
}

// heard returns what the hosts last told this leader. What a former process of a host
// said, or one before this host led, is not among it.
func (n *Node) heard() map[signet.HostID]heal.Report {
	out := map[signet.HostID]heal.Report{}
	for h, r := range n.log.Status().Hosts {
		out[h] = heal.Report{Session: r.Session, Reader: r.Reader, Orphans: r.Orphans, OrphansMore: r.OrphansMore}
	}
	return out
}

// mend is where replica reports what others have to mend. It exists before the healer.
type mend struct{ node *Node }

// Placed implements replica.Reports.
func (m mend) Placed(g signet.Group, a signet.Address, h signet.HostID) {
	m.node.healer.Placed(g, a, h)
}

// Lacks implements replica.Reports.
func (m mend) Lacks(g signet.Group, a signet.Address, h signet.HostID) {
	m.node.healer.Lacks(g, a, h)
}

// Work is something that this host is doing for the cluster.
func (n *Node) Work() []heal.Work { return n.healer.Work() }
