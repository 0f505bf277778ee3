package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/heal"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cluster/replica"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/disk"
	"github.com/signetfs/signet/wire"
)

// Options say what a Node stands on.
type Options struct {
	Disk *disk.Disk // the state directory
	Environment
	// Limits say when the log is cut; zero: DefaultLogLimits.
	Limits consensus.LogLimits
	// Listen opens the port on which other hosts reach this one.
	Listen func(addr string) (net.Listener, error)
	// Orphans says which inodes without a name are open here; more: not all are listed.
	Orphans func() (open []signet.Ino, more bool)
	// HostsChanged is called, without waiting for it, after the host table or the key
	// slots changed.
	HostsChanged func()
	// Failed is called once if this host cannot go on.
	Failed func(error)
}

// Node is a running host.
type Node struct {
	options Options
	self    *self
	start   uint64
	key     signet.HostKey
	clock   clock.Clock
	times   consensus.Times
	logger  *slog.Logger

	members *member.Directory
	atlas   *atlas
	store   *store.Disk
	log     *consensus.Node
	peers   *peers
	pool    *wire.Pool
	server  *wire.Server
	objects *replica.Replica
	healer  *heal.Healer
	keeper  *heal.Steward
	address string        // where it listens
	hosts   chan struct{} // noted by the apply loop: hosts or slots changed
	parting parting
	orphans orphanWindow
	recalls *recalls

	ctx    context.Context // ends with the node
	cancel context.CancelFunc
	loops  sync.WaitGroup
	// serving ends after the server was shut, which is after loops.
	serving sync.WaitGroup
	closed  sync.Once
}

// Open runs the host that a state directory describes. It returns when the host serves
// and takes part; whether the cluster can be reached shows later.
func Open(o Options) (*Node, error) {
	s, err := readSelf(o.Disk)
	if signet.KindOf(err) == signet.NotFound {
		return nil, signet.Errorf(signet.NotFound, "open host", "", "this is not the state directory of a host: make a cluster with 'signet init', or join one with 'signet join'")
	}
	if err != nil {
		return nil, err
	}
	identity, err := readIdentity(o.Disk)
	if err != nil {
		return nil, err
	}
	n := &Node{options: o, self: s, key: identity.Key, clock: o.Clock, times: o.Times, logger: o.Logger, members: member.NewDirectory(s.members), hosts: make(chan struct{}, 1), recalls: newRecalls()}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if err := n.open(identity); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) open(identity *wire.Identity) error {
	listener, err := n.options.Listen(n.self.listen) // its error says what to do
	if err != nil {
		return err
	}
	n.address = listener.Addr().String()
	if err := n.openRooms(identity); err != nil {
		return errors.Join(err, listener.Close())
	}
	n.log.Start()
	n.serving.Go(func() {
		if err := n.server.Serve(listener); err != nil && n.ctx.Err() == nil {
			n.failed(err)
		}
	})
	n.loops.Go(n.steward)
	n.loops.Go(n.tellHosts)
	n.loops.Go(n.askAround)
	n.loops.Go(func() { n.healer.Run(n.ctx) })
	return nil
}

// openRooms opens store, connections and log, in this order: the log may bring work for
// the other two as soon as it is open.
func (n *Node) openRooms(identity *wire.Identity) error {
	o := n.options
	var err error
	if n.start, err = countStart(o.Disk); err != nil {
		return err
	}
	n.store, err = store.OpenDisk(store.Options{
		Disk: o.Disk, Dir: objectsDir, Clock: o.Clock, Log: o.Logger, Failed: n.failed,
		Capacity: n.self.options.Capacity, Reserve: n.self.options.Reserve,
	})
	if err != nil {
		return err
	}
	cfg := wire.Defaults()
	cfg.Identity, cfg.Cluster, cfg.Host = identity, n.self.cluster, n.self.host
	o.configure(&cfg)
	cfg.Authorize, cfg.Refused = n.members.Authorize, n.refused
	if n.pool, err = wire.NewPool(cfg); err != nil {
		return err
	}
	if n.server, err = wire.NewServer(cfg); err != nil {
		return err
	}
	n.atlas = &atlas{self: n.self.host, members: n.members, clock: n.clock, local: map[signet.HostID]time.Time{}}
	n.peers = &peers{group: signet.ClusterGroup, members: n.members, pool: n.pool, clock: o.Clock, doubt: n.atlas.doubt}
	n.objects = replica.New(replica.Config{
		Self: n.self.host, Local: n.store, Peers: n.peers, Map: n.atlas, Reports: mend{n}, Clock: o.Clock, Logger: o.Logger,
	})
	n.log, err = consensus.Open(consensus.Config{
		Host: n.self.host, Start: n.start, FS: o.Disk.FS(), Dir: logDir, Transport: n.peers, Clock: o.Clock, Times: o.Times,
		Logger: o.Logger, Applied: n.applied, Report: n.report, Restored: n.restored, Halted: n.halted, Failed: n.failed,
		Step: func(label string) { o.Disk.Step(disk.Label(label)) }, Limits: o.Limits,
	})
	if err != nil {
		return err
	}
	n.atlas.log = n.log
	if err := n.ownTables(); err != nil {
		return err
	}
	n.openHealing()
	n.serve(n.server)
	return n.loadTables(n.atlas.load)
}

// ownTables refuses tables that another cluster's host has filled.
func (n *Node) ownTables() error {
	r := n.log.Reader(signet.ClusterGroup)
	defer r.Close()
	c, err := r.Cluster()
	if signet.KindOf(err) == signet.NotFound {
		return nil // nothing was applied yet
	}
	if err == nil && c.ID != n.self.cluster {
		return signet.Errorf(signet.Corrupt, "open host", logDir, "this is the log of cluster %x, and the host is one of cluster %x: two state directories were mixed up; restore what belongs together, or join again with a new state directory", c.ID, n.self.cluster)
	}
	return err
}

// applied takes over what a published step changed, on the apply loop.
func (n *Node) applied(step *meta.Step) {
	e := &step.Effects
	if len(e.Moved) > 0 {
		n.atlas.moved(e.Moved)
	}
	if len(e.Settled) > 0 {
		n.settled(e.Settled)
	}
	if len(e.Hosts) > 0 || e.Slots || n.atlas.parting() {
		n.hostsChanged()
	}
	n.healer.Applied(e)
	n.keeper.Applied(e)
}

func (n *Node) settled(arcs []meta.SettledArc) {
	out := make([]meta.Arc, len(arcs))
	for i := range arcs {
		out[i] = arcs[i].Arc
	}
	n.atlas.moved(out)
}

// hostsChanged reads the host table anew and ends the connections of hosts that left.
func (n *Node) hostsChanged() {
	load := n.atlas.loadHosts
	if n.atlas.empty() {
		load = n.atlas.load
	}
	if err := n.loadTables(load); err != nil {
		n.failed(err)
	}
}

// loadTables has load read the tables anew and ends the connections of hosts that left.
func (n *Node) loadTables(load func(*consensus.Reader) error) error {
	r := n.log.Reader(signet.ClusterGroup)
	defer r.Close()
	before := n.members.All()
	if err := load(r); err != nil {
		return err
	}
	for _, h := range before {
		if n.members.Authorize(h.Key) != nil {
			n.pool.Drop(h.Key)
			n.server.Drop(h.Key)
		}
	}
	if n.atlas.removed() {
		n.removed("the log says so")
	}
	select {
	case n.hosts <- struct{}{}:
	default: // will be told anyway
	}
	return nil
}

// tellHosts calls Options.HostsChanged, beside the apply loop.
func (n *Node) tellHosts() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.hosts:
		}
		if n.options.HostsChanged != nil {
			n.options.HostsChanged()
		}
	}
}

// restored is called after the state jumped.
func (n *Node) restored() {
	if err := n.loadTables(n.atlas.load); err != nil {
		n.failed(err)
		return
	}
	n.healer.Restored()
}

// report completes what the leader is told several times a second.
func (n *Node) report(r *consensus.LeaseRequest) {
	u := n.store.Stat()
	r.Used, r.Free = u.Used, u.Free
	if n.options.Orphans != nil {
		r.Orphans, r.OrphansMore = n.options.Orphans()
		if r.OrphansMore {
			r.Orphans = nil // of which part is not said
		} else {
			r.Orphans, r.OrphansMore = n.orphans.report(r.Orphans, wire.MaxOrphans, n.clock.Now())
		}
	}
}

func (n *Node) failed(err error) {
	n.logger.Error("this host cannot go on", "err", err)
	if n.options.Failed != nil {
		n.options.Failed(err)
	}
}

// halted is called when this host must not take part any more as it is. Its status can
// still be asked for, and the others may read the objects that it has.
func (n *Node) halted(error) { n.cancel() }

// closeTimeout bounds how long calls under way may take when the host stops.
const closeTimeout = 5 * time.Second

// Close stops the host. Views and volumes must not be used any more.
func (n *Node) Close() error {
	var err error
	n.closed.Do(func() { err = n.close() })
	return err
}

func (n *Node) close() error {
	n.cancel()
	n.loops.Wait()
	ctx, cancel := clock.WithTimeout(context.Background(), n.clock, closeTimeout)
	defer cancel()
	var errs []error
	if n.server != nil {
		if err := n.server.Shutdown(ctx); err != nil {
			n.logger.Warn("calls cut short", "err", err)
		}
		n.serving.Wait()
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	if n.pool != nil {
		n.pool.Close()
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	return errors.Join(errs...)
}

// ID returns this host's number.
func (n *Node) ID() signet.HostID { return n.self.host }

// Key returns this host's public key.
func (n *Node) Key() signet.HostKey { return n.key }

// Address returns where this host listens.
func (n *Node) Address() string { return n.address }

// Log returns this host's part in the log.
func (n *Node) Log() *consensus.Node { return n.log }
