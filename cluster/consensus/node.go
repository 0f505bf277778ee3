package consensus

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/clock"
)

// firstHost is the host that makes a cluster, and alone votes until the log says
// otherwise. That it is always 1 lets every log begin with the same members.
const firstHost signet.HostID = 1

var errStopped = signet.Errorf(signet.Closed, "consensus", "", "this host is shutting down")

// Config says what a Node is and what it stands on.
type Config struct {
	Host      signet.HostID
	Start     uint64 // counts the starts of this host; grows with each
	FS        vfs.FS
	Dir       string // holds the directories log, tables and, while one is fetched, a snapshot
	Transport Transport
	Clock     clock.Clock
	Times     Times
	Limits    LogLimits // zero: DefaultLogLimits
	Logger    *slog.Logger
	Database  DatabaseLogger // of the databases; nil: silent

	// Applied is called with every published step, in order, on the apply loop. It must
	// only queue.
	Applied func(*meta.Step)
	// Report completes what this host tells the leader with each request for a lease.
	Report func(*LeaseRequest)
	// Restored is called after the state jumped ahead by a snapshot.
	Restored func()
	// Halted is called once if this host must not go on as it is: see Node.Halt.
	Halted func(error)
	// Failed is called once if this host cannot go on: its disk failed, or it met a
	// command that it does not know.
	Failed func(error)
	// Step marks the places at which tests kill the process; nil: nowhere.
	Step func(label string)
}

// DatabaseLogger is where the databases write what they have to say.
type DatabaseLogger interface {
	Infof(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Node is this host's part in the log. See the package comment.
type Node struct {
	config Config
	host   signet.HostID
	times  Times
	limits LogLimits
	clock  clock.Clock
	logger *slog.Logger

	log      *Log
	tables   atomic.Pointer[tables]
	conf     atomic.Pointer[raftpb.ConfState]
	driver   *driver
	proposer *proposer
	rows     *rows
	inodes   inodeRange
	offers   offers
	floor    signet.Index

	appends *work[*raftpb.Message]
	applies *work[func() error]
	acks    *work[published]
	reopen  chan struct{}
	askNow  chan struct{}
	voted   struct{ term, vote uint64 } // what the log holds; the append loop's
	told    told                        // the append loop's
	change  proposed                    // the driver's

	ctx    context.Context // ends with the node
	cancel context.CancelFunc
	stop   <-chan struct{}
	loops  sync.WaitGroup
	fail   sync.Once

	releaseTimer clock.Timer

	mu          sync.Mutex // guards what follows
	closed      bool
	lead        leadership
	leadMoved   chan struct{} // closed and replaced when lead changes
	ledger      *ledger
	reports     map[signet.HostID]Report
	acked       meta.Position
	lease       time.Time
	leased      chan struct{} // closed and replaced when lease grows
	asking      int
	subscribers []*subscriber
	fetching    bool // a snapshot is being fetched or installed
	installing  bool
	kept        kept
	jury        jury
	halted      error           // why this host takes no part any more
	known       []signet.HostID // hosts that may hold leases
}

// Report is the newest that the leader heard from a host, and when.
type Report struct {
	LeaseRequest
	At      time.Time
	Differs bool // its state is not this leader's
}

type subscriber struct {
	changed func(context.Context, signet.Batch)
}

// Open opens this host's log and tables. The host must be in the log's host table, or
// about to be. It takes part once Start is called.
func Open(c Config) (*Node, error) {
	n := &Node{
		config: c, host: c.Host, times: c.Times, limits: c.Limits, clock: c.Clock, logger: c.Logger,
		rows: newRows(), ledger: newLedger(c.Host, c.Times),
		appends: newWork[*raftpb.Message](), applies: newWork[func() error](), acks: newWork[published](),
		reopen: make(chan struct{}, 1), askNow: make(chan struct{}, 1),
		leadMoved: make(chan struct{}), leased: make(chan struct{}), reports: map[signet.HostID]Report{},
		jury:  jury{self: c.Host, said: map[signet.HostID]testimony{}},
		lease: c.Clock.Now(), // over at once, but readers wait for one as if it had just been lost
	}
	if n.limits == (LogLimits{}) {
		n.limits = DefaultLogLimits()
	}
	n.proposer = newProposer(n)
	n.kept.flush = make(chan struct{}, 1)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.stop = n.ctx.Done()
	if err := n.openDisk(); err != nil {
		n.cancel()
		return nil, err
	}
	if err := n.openRaft(); err != nil {
		n.cancel()
		return nil, errors.Join(err, n.closeDisk())
	}
	n.releaseTimer = n.clock.NewTimer(0)
	last, _ := n.log.LastIndex()
	n.floor = signet.Index(last)
	if err := n.readHalted(); err != nil {
		n.Halt(err, false)
	}
	return n, nil
}

// Floor is the last index that the log held when it was opened. Whatever an earlier
// process of this host did, it did from tables no newer than that.
func (n *Node) Floor() signet.Index { return n.floor }

// Start begins to take part. It is called once.
func (n *Node) Start() {
	if n.Halted() != nil {
		return
	}
	for _, loop := range []func(){n.appendLoop, n.applyLoop, n.ackLoop, n.leaseLoop, n.proposer.loop, n.driver.run, n.sessionLoop, n.compactLoop, n.releaseLoop} {
		n.loops.Go(loop)
	}
}

// openDisk opens the tables and the log, finishing what a crash interrupted.
func (n *Node) openDisk() error {
	c := n.config
	err := errors.Join(c.FS.MkdirAll(c.Dir, 0o700), syncDir(c.FS, c.FS.PathDir(c.Dir)), n.cleanUp())
	if err != nil {
		return signet.Wrap("open", c.Dir, err)
	}
	if n.log, err = openLog(c.FS, path.Join(c.Dir, "log"), c.Database); err != nil {
		return err
	}
	if err = n.openTables(); err == nil {
		err = n.reconcile(n.State())
	}
	if err != nil {
		return errors.Join(err, n.closeDisk())
	}
	return nil
}

// reconcile checks that log and tables fit: the log may be cut only below what the
// tables hold.
func (n *Node) reconcile(state *meta.State) error {
	at := state.Position()
	first, _ := n.log.FirstIndex()
	last, _ := n.log.LastIndex()
	if uint64(at.Index)+1 < first {
		return signet.Errorf(signet.Corrupt, "open", n.config.Dir,
			"the tables end at %d, the log begins at %d: one of them is from another time; join again with a new state directory", at.Index, first)
	}
	// The tables come from a snapshot, and a crash kept the log from being emptied, if the
	// log ends before them or has another entry where they are. What the log has then
	// was never committed, or is in the tables. Begin where the tables are.
	other := uint64(at.Index) > last
	if !other {
		term, err := n.log.Term(uint64(at.Index))
		if err != nil {
			return signet.Wrap("open", n.config.Dir, err)
		}
		other = term != at.Term
	}
	if other {
		if err := n.log.reset(entryID{uint64(at.Index), at.Term}, n.log.hard); err != nil {
			return err
		}
	}
	conf, err := membersOf(state)
	if err != nil {
		return err
	}
	n.conf.Store(conf)
	n.log.state = n
	n.log.committedTo(uint64(at.Index))
	n.rows.jump(at.Index)
	n.acked = at
	n.hostsMayHaveChanged()
	n.voted.term, n.voted.vote = n.log.hard.GetTerm(), n.log.hard.GetVote()
	n.told.clock, n.told.every = n.clock, n.times.Tick
	return nil
}

// membersOf reads the members that the tables hold.
func membersOf(state *meta.State) (*raftpb.ConfState, error) {
	r := state.Reader(signet.ClusterGroup)
	defer r.Close()
	b, err := r.Members()
	if err != nil {
		return nil, err
	}
	if b == nil {
		return &raftpb.ConfState{Voters: []uint64{uint64(firstHost)}}, nil
	}
	conf := &raftpb.ConfState{}
	if err := proto.Unmarshal(b, conf); err != nil {
		return nil, signet.Errorf(signet.Corrupt, "open", "members", "%w", err)
	}
	return conf, nil
}

func (n *Node) openRaft() error {
	at := n.State().Position()
	raw, err := raft.NewRawNode(&raft.Config{
		ID:                        uint64(n.host),
		ElectionTick:              n.times.ElectionTicks,
		HeartbeatTick:             n.times.HeartbeatTicks,
		Storage:                   n.log,
		Applied:                   uint64(at.Index),
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             maxMessageBytes,
		MaxCommittedSizePerReady:  4 * maxMessageBytes,
		MaxUncommittedEntriesSize: maxUncommittedBytes,
		MaxInflightMsgs:           maxInflightMessages,
		MaxInflightBytes:          maxUncommittedBytes,
		CheckQuorum:               true,
		PreVote:                   true,
		ReadOnlyOption:            raft.ReadOnlySafe,
		StepDownOnRemoval:         true, // who does not vote confirms its own heartbeats to nobody
		DisableProposalForwarding: true, // the proposer forwards, and knows what became of it
		Logger:                    raftLogger{n.logger},
	})
	if err != nil {
		return signet.Wrap("start consensus", "", err)
	}
	n.driver = &driver{
		raw: raw, self: n.host, times: n.times, clock: n.clock, logger: n.logger,
		send: n.config.Transport.SendRaft,
		append: func(m *raftpb.Message) {
			if m.Snapshot != nil {
				n.mu.Lock()
				n.installing = true
				n.mu.Unlock()
			}
			n.appends.put(m)
		},
		apply: func(m *raftpb.Message) {
			n.applies.put(func() error { return n.applyMessage(m) })
		},
		events: n, votes: n.Votes, started: n.clock.Now(), voteMute: true, reads: map[uint64]time.Time{},
		wake: make(chan struct{}, 1), stop: n.stop,
	}
	// A host that alone votes need not wait to find out that nobody else leads.
	if conf := n.conf.Load(); len(conf.Voters) == 1 && conf.Voters[0] == uint64(n.host) && len(conf.VotersOutgoing) == 0 {
		n.driver.post(func() { _ = raw.Campaign() })
	}
	return nil
}

// Close stops taking part and closes log and tables. Views must be closed before.
func (n *Node) Close() error {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.cancel()
	n.releaseTimer.Stop()
	n.loops.Wait()
	return n.closeDisk()
}

// spawn runs f on a goroutine that Close waits for; not at all if Close was called.
func (n *Node) spawn(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.loops.Go(f)
	}
}

// failed stops this host's part for good.
func (n *Node) failed(err error) {
	if n.ctx.Err() != nil {
		return
	}
	n.fail.Do(func() {
		n.logger.Error("this host stops taking part", "err", err)
		n.cancel()
		if n.config.Failed != nil {
			n.config.Failed(err)
		}
	})
}

func (n *Node) step(label string) {
	if n.config.Step != nil {
		n.config.Step(label)
	}
}

// Subscribe has changed called with every batch of changes, after it is published and
// before it is acked. changed must be quick and must not wait for any command. The
// returned function ends the subscription.
func (n *Node) Subscribe(changed func(context.Context, signet.Batch)) (end func()) {
	s := &subscriber{changed}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.subscribers = append(n.subscribers[:len(n.subscribers):len(n.subscribers)], s)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		var rest []*subscriber
		for _, o := range n.subscribers {
			if o != s {
				rest = append(rest, o)
			}
		}
		n.subscribers = rest
	}
}

func (n *Node) subscriberList() []*subscriber {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.subscribers
}

func (n *Node) leadership() leadership {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lead
}

// StepRaft takes messages of the Raft library from another host.
func (n *Node) StepRaft(from signet.HostID, encoded [][]byte) error {
	msgs := make([]*raftpb.Message, 0, len(encoded))
	for _, b := range encoded {
		m := &raftpb.Message{}
		if err := proto.Unmarshal(b, m); err != nil || signet.HostID(m.GetFrom()) != from {
			return signet.Errorf(signet.BadMessage, "take raft message", from.String(), "not what that host may send")
		}
		switch m.GetType() {
		case raftpb.MsgSnap:
			n.driver.post(func() {
				if !n.driver.foreign(m) {
					n.fetchSnapshot(from, m)
				}
			})
		case raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp,
			raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp:
			msgs = append(msgs, m)
		default:
			// Commands come by Propose, where they are checked, and nobody but this host
			// starts an election here: one by request would not respect leases.
			return signet.Errorf(signet.BadMessage, "take raft message", from.String(), "%v is nothing that hosts send each other", m.GetType())
		}
	}
	n.driver.step(msgs)
	return nil
}

// Propose takes encoded commands that another host forwarded to this one as the leader.
func (n *Node) Propose(ctx context.Context, envelopes [][]byte) error {
	if n.Halted() != nil {
		return signet.Errorf(signet.NotLeader, "propose", n.host.String(), "this host takes no part any more")
	}
	size := 0
	for _, e := range envelopes {
		if err := checkEnvelope(e); err != nil {
			return signet.Wrap("propose", "", err)
		}
		size += len(e)
	}
	if size > maxForwardedBytes {
		return signet.Errorf(signet.TooBig, "propose", "", "commands of %d bytes, at most %d go into an entry", size, maxForwardedBytes)
	}
	done := make(chan error, 1)
	n.driver.propose(&proposal{envelopes: envelopes, size: size, done: func(err error) { done <- err }})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-n.stop:
		return n.whyStopped()
	}
}
