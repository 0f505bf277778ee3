package consensus

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/clock"
)

// Bounds of what the library keeps in memory.
const (
	maxEntryBytes       = 1 << 20 // envelopes put into one log entry, if there is more than one
	maxEnvelopeBytes    = 4 << 20 // of one command: an entry has to fit into a message
	maxForwardedBytes   = maxEntryBytes + maxEnvelopeBytes
	maxMessageBytes     = 1 << 20  // entries in one message to a follower
	maxInflightMessages = 256      // unacknowledged messages to one follower
	maxUncommittedBytes = 64 << 20 // proposed and not yet committed, on the leader
	maxUnconfirmed      = 32       // heartbeats whose confirmation is awaited
)

// driver runs the Raft library. Everything happens on its one goroutine; others post
// events to its queue.
type driver struct {
	raw    *raft.RawNode
	self   signet.HostID
	times  Times
	clock  clock.Clock
	logger *slog.Logger
	send   func(to signet.HostID, msgs [][]byte)
	append func(*raftpb.Message) // both only queue
	apply  func(*raftpb.Message)
	events driverEvents
	votes  func(signet.HostID) bool // as far as this host has applied the log

	started  time.Time
	voteMute bool
	heard    time.Time            // from a leader that is a voter; zero: never
	reads    map[uint64]time.Time // sending times of heartbeats not yet confirmed
	readSeq  uint64
	lead     leadership
	held     []*proposal // commands that wait for the entry that is on its way
	tail     uint64      // index of the last entry that was appended here

	mu    sync.Mutex // guards what follows
	queue []func()
	props []*proposal
	wake  chan struct{}
	stop  <-chan struct{}
}

// driverEvents is what the driver tells the node, on its goroutine.
type driverEvents interface {
	// leadershipChanged is called when the term or the leader changes.
	leadershipChanged(l leadership)
	// heartbeatConfirmed is called when a majority has confirmed a heartbeat sent at that time.
	heartbeatConfirmed(sent time.Time)
	// snapshotSent is called after a host was told to fetch a snapshot.
	snapshotSent(to uint64)
	// failed is called when the node cannot go on.
	failed(err error)
}

// leadership is who leads, as this host knows.
type leadership struct {
	term   uint64
	leader signet.HostID // 0: nobody
	self   bool          // this host leads
}

// proposal is commands on their way into one entry.
type proposal struct {
	envelopes [][]byte
	size      int
	done      func(error) // called on the driver's goroutine, must not block
}

// post has f run on the driver's goroutine.
func (d *driver) post(f func()) {
	select {
	case <-d.stop:
		return // nobody takes it any more
	default:
	}
	d.mu.Lock()
	d.queue = append(d.queue, f)
	d.mu.Unlock()
	d.wakeUp()
}

func (d *driver) wakeUp() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// step hands messages from other hosts to the library.
func (d *driver) step(msgs []*raftpb.Message) {
	d.post(func() {
		for _, m := range msgs {
			if d.mute(m) || d.foreign(m) {
				continue
			}
			if err := d.raw.Step(m); err != nil && !errors.Is(err, raft.ErrStepPeerNotFound) && !errors.Is(err, raft.ErrProposalDropped) {
				d.logger.Warn("raft message refused", "type", m.GetType(), "from", m.GetFrom(), "err", err)
			}
		}
	})
}

// mute says whether m asks for a vote that this host must not give yet, see
// Times.quietAfterStart.
func (d *driver) mute(m *raftpb.Message) bool {
	if !d.voteMute {
		return false
	}
	if d.clock.Now().Sub(d.started) >= d.times.quietAfterStart() {
		d.voteMute = false
		return false
	}
	return m.GetType() == raftpb.MsgVote || m.GetType() == raftpb.MsgPreVote
}

// propose queues commands; those queued together share an entry.
func (d *driver) propose(p *proposal) {
	select {
	case <-d.stop:
		return
	default:
	}
	d.mu.Lock()
	d.props = append(d.props, p)
	d.mu.Unlock()
	d.wakeUp()
}

func (d *driver) run() {
	ticker := d.clock.NewTicker(d.times.Tick)
	defer ticker.Stop()
	d.ready()
	for {
		select {
		case <-d.stop:
			return
		case <-ticker.C():
			d.raw.Tick()
			d.askConfirmation()
		case <-d.wake:
		}
		d.mu.Lock()
		queue, props := d.queue, d.props
		d.queue, d.props = nil, nil
		d.mu.Unlock()
		for _, f := range queue {
			f()
		}
		d.held = append(d.held, props...)
		// Before the library is asked what to send, so that the next entry and the news that
		// the last one is committed go out together.
		for len(d.held) > 0 && !d.flying() {
			d.proposeHeld()
			d.ready()
		}
		d.ready()
	}
}

// flying says whether an entry of this leader is not committed yet. Until it is, further
// commands wait and then share one: an entry costs every host the same dozen messages
// and wake-ups, whether it holds one command or a hundred.
func (d *driver) flying() bool {
	return d.lead.self && d.raw.BasicStatus().GetCommit() < d.tail
}

// proposeHeld puts as many of the held proposals into one entry as the bound allows.
func (d *driver) proposeHeld() {
	n, size := 0, 0
	for n < len(d.held) && (n == 0 || size+d.held[n].size <= maxEntryBytes) {
		size += d.held[n].size
		n++
	}
	err := d.proposeEntry(d.held[:n])
	for _, p := range d.held[:n] {
		p.done(err)
	}
	d.held = slices.Delete(d.held, 0, n)
}

func (d *driver) proposeEntry(props []*proposal) error {
	if !d.lead.self {
		return signet.Errorf(signet.NotLeader, "propose", d.self.String(), "%v leads", d.lead.leader)
	}
	var envelopes [][]byte
	for _, p := range props {
		envelopes = append(envelopes, p.envelopes...)
	}
	err := d.raw.Propose(meta.EncodeEntry(envelopes))
	if errors.Is(err, raft.ErrProposalDropped) {
		return signet.Errorf(signet.TooBusy, "propose", d.self.String(), "more than %d MiB are waiting to be committed", maxUncommittedBytes>>20)
	}
	return err
}

// askConfirmation sends a heartbeat whose confirmation by a majority lets this host go
// on granting leases.
func (d *driver) askConfirmation() {
	if !d.lead.self {
		return
	}
	d.heard = d.clock.Now() // its own word counts, too, when it leads no more
	if len(d.reads) >= maxUnconfirmed {
		return // cut off from the majority: the library will step down by itself
	}
	d.readSeq++
	d.reads[d.readSeq] = d.clock.Now()
	d.raw.ReadIndex(binary.BigEndian.AppendUint64(nil, d.readSeq))
}

func (d *driver) confirm(states []raft.ReadState) {
	for _, s := range states {
		if len(s.RequestCtx) != 8 {
			continue
		}
		seq := binary.BigEndian.Uint64(s.RequestCtx)
		if sent, ok := d.reads[seq]; ok {
			delete(d.reads, seq)
			d.events.heartbeatConfirmed(sent)
		}
	}
}

// ready does what the library asks for until it asks for nothing more.
func (d *driver) ready() {
	for d.raw.HasReady() {
		rd := d.raw.Ready()
		d.note(rd)
		if n := len(rd.Entries); n > 0 {
			d.tail = rd.Entries[n-1].GetIndex()
		}
		d.confirm(rd.ReadStates)
		out := map[signet.HostID][][]byte{}
		for _, m := range rd.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
				d.append(m)
			case raft.LocalApplyThread:
				d.apply(m)
			default:
				b, err := proto.Marshal(m)
				if err != nil {
					d.events.failed(signet.Wrap("encode raft message", "", err))
					return
				}
				to := signet.HostID(m.GetTo())
				out[to] = append(out[to], b)
				if m.GetType() == raftpb.MsgSnap {
					d.events.snapshotSent(m.GetTo())
				}
			}
		}
		for to, msgs := range out {
			d.send(to, msgs)
		}
	}
}

// note passes a change of leadership on.
func (d *driver) note(rd raft.Ready) {
	if rd.SoftState == nil && rd.HardState == nil {
		return
	}
	s := d.raw.BasicStatus()
	l := leadership{term: s.GetTerm(), leader: signet.HostID(s.Lead), self: s.RaftState == raft.StateLeader}
	if l == d.lead {
		return
	}
	if l.self != d.lead.self || l.term != d.lead.term {
		clear(d.reads)
	}
	d.lead = l
	d.events.leadershipChanged(l)
}

// respond delivers the answers of the append and apply loops: to the library where
// they are for this host, else over the network.
func (d *driver) respond(responses []*raftpb.Message) {
	var own []*raftpb.Message
	out := map[signet.HostID][][]byte{}
	for _, m := range responses {
		if signet.HostID(m.GetTo()) == d.self {
			own = append(own, m)
			continue
		}
		b, err := proto.Marshal(m)
		if err != nil {
			d.events.failed(signet.Wrap("encode raft message", "", err))
			return
		}
		to := signet.HostID(m.GetTo())
		out[to] = append(out[to], b)
	}
	for to, msgs := range out {
		d.send(to, msgs)
	}
	if len(own) > 0 {
		d.post(func() {
			for _, m := range own {
				_ = d.raw.Step(m) // local answers of an earlier term are rightly ignored
			}
		})
	}
}
