package cluster

import (
	"bytes"
	"context"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/wire"
)

// serve registers what other hosts may ask of this one.
func (n *Node) serve(s *wire.Server) {
	s.HandleSend(wire.MethodRaft, n.onRaft)
	s.HandleSend(wire.MethodAck, n.onAck)
	s.HandleSend(wire.MethodRelease, n.onRelease)
	s.Handle(wire.MethodPropose, n.onPropose)
	s.Handle(wire.MethodLease, n.onLease)
	s.Handle(wire.MethodSnapshot, n.onSnapshot)
	s.Handle(wire.MethodPut, n.onPut)
	s.Handle(wire.MethodGet, n.onGet)
	s.Handle(wire.MethodHas, n.onHas)
	s.Handle(wire.MethodJoin, n.onJoin)
	s.Handle(wire.MethodStatus, n.onStatus)
	s.Handle(wire.MethodRecall, n.onRecall)
	s.Handle(wire.MethodLeased, n.onLeased)
	s.Handle(wire.MethodPing, func(context.Context, signet.HostKey, *wire.Request) (wire.Reply, error) {
		return wire.Reply{}, nil
	})
}

// sender returns the number of the host that holds the key: what a host says of itself
// counts for nothing.
func (n *Node) sender(from signet.HostKey) signet.HostID {
	h, _ := n.members.ByKey(from)
	return h.ID
}

func (n *Node) onRaft(from signet.HostKey, req *wire.Request) {
	var m wire.Raft
	if err := req.Decode(&m); err != nil {
		n.logger.Warn("raft message not taken", "from", wire.Short(from), "err", err)
		return
	}
	n.doubtNot(from)
	payload := bytes.Clone(req.Payload) // the library keeps what the messages hold
	var msgs [][]byte
	for part, err := range wire.Parts(payload) {
		if err != nil {
			n.logger.Warn("raft message not taken", "from", wire.Short(from), "err", err)
			return
		}
		msgs = append(msgs, part)
	}
	if err := n.log.StepRaft(n.sender(from), msgs); err != nil {
		n.logger.Warn("raft message not taken", "from", wire.Short(from), "err", err)
	}
}

// doubtNot notes that a host answers after all: it talks to us.
func (n *Node) doubtNot(from signet.HostKey) {
	if h := n.sender(from); h != 0 {
		n.atlas.doubt(h, false)
	}
}

func (n *Node) onAck(from signet.HostKey, req *wire.Request) {
	var m wire.Ack
	if err := req.Decode(&m); err != nil || m.Host != n.sender(from) {
		n.logger.Warn("ack not taken", "from", wire.Short(from), "err", err)
		return
	}
	n.log.Acked(consensus.Ack{Host: m.Host, Start: m.Start, Acked: m.Acked, Digest: m.Digest})
}

func (n *Node) onRelease(from signet.HostKey, req *wire.Request) {
	var m wire.Release
	if err := req.Decode(&m); err != nil {
		n.logger.Warn("release not taken", "from", wire.Short(from), "err", err)
		return
	}
	n.log.Released(consensus.Release{Term: m.Term, Leader: n.sender(from), Released: m.Released})
}

func (n *Node) onPropose(ctx context.Context, from signet.HostKey, req *wire.Request) (wire.Reply, error) {
	var m wire.Propose
	if err := req.Decode(&m); err != nil {
		return wire.Reply{}, err
	}
	var envelopes [][]byte
	for part, err := range wire.Parts(bytes.Clone(req.Payload)) {
		if err != nil {
			return wire.Reply{}, err
		}
		envelopes = append(envelopes, part)
	}
	leader, term, _ := n.log.Lead()
	h, _ := n.members.ByKey(from)
	err := n.admit(h, envelopes)
	if err == nil {
		err = n.log.Propose(ctx, envelopes)
	}
	return wire.Reply{Message: &wire.Accepted{Term: term, Leader: leader, Err: signet.KindOf(err)}}, nil
}

func (n *Node) onLease(_ context.Context, from signet.HostKey, req *wire.Request) (wire.Reply, error) {
	var m wire.Lease
	if err := req.Decode(&m); err != nil {
		return wire.Reply{}, err
	}
	if m.Host != n.sender(from) {
		return wire.Reply{}, signet.Errorf(signet.NotPermitted, "grant lease", wire.Short(from), "that host is not %v", m.Host)
	}
	r := consensus.LeaseRequest{
		Ack:    consensus.Ack{Host: m.Host, Start: m.Start, Acked: m.Acked, Digest: m.Digest},
		Reader: m.Reader, Orphans: m.Orphans, OrphansMore: m.OrphansMore, Used: m.Used, Free: m.Free,
	}
	if len(m.Sessions) > 0 {
		r.Session = m.Sessions[0]
	}
	g, err := n.log.Grant(r)
	if err != nil {
		return wire.Reply{}, err
	}
	out := &wire.Granted{Term: g.Term, Leader: g.Leader, Released: g.Released}
	if g.Granted {
		out.Millis = uint32(n.times.Lease.Milliseconds())
	}
	return wire.Reply{Message: out}, nil
}

func (n *Node) onSnapshot(_ context.Context, _ signet.HostKey, req *wire.Request) (wire.Reply, error) {
	var m wire.Snapshot
	if err := req.Decode(&m); err != nil {
		return wire.Reply{}, err
	}
	if m.File == "" {
		files, err := n.log.OfferSnapshot(m.Index)
		if err != nil {
			return wire.Reply{}, err
		}
		out := &wire.Chunk{Term: files.Term, Index: files.Index}
		for _, f := range files.Files {
			out.Files = append(out.Files, wire.File(f))
		}
		return wire.Reply{Message: out}, nil
	}
	if m.Length > snapshotChunk {
		return wire.Reply{}, signet.Errorf(signet.TooBig, "read snapshot", m.File, "%d bytes, at most %d are read at once", m.Length, snapshotChunk)
	}
	p := make([]byte, m.Length)
	k, err := n.log.ReadSnapshot(m.Index, m.File, int64(m.Offset), p)
	if err != nil {
		return wire.Reply{}, err
	}
	return wire.Reply{Message: &wire.Chunk{Term: m.Term, Index: m.Index}, Payload: p[:k]}, nil
}

func (n *Node) onPut(ctx context.Context, _ signet.HostKey, req *wire.Request) (wire.Reply, error) {
	var m wire.Put
	if err := req.Decode(&m); err != nil {
		return wire.Reply{}, err
	}
	if err := n.log.Halted(); err != nil {
		return wire.Reply{}, signet.Errorf(signet.Unavailable, "put object", "", "this host takes no part any more: %w", err)
	}
	err := n.store.Put(ctx, m.Group, m.Address, req.Payload, store.Meta{Session: m.Session, Index: m.Index})
	return wire.Reply{Message: &wire.Stored{}}, err
}

func (n *Node) onGet(ctx context.Context, _ signet.HostKey, req *wire.Request) (wire.Reply, error) {
	var m wire.Get
	if err := req.Decode(&m); err != nil {
		return wire.Reply{}, err
	}
	b, err := n.store.Get(ctx, m.Group, m.Address, m.Off, m.Len)
	if k := signet.KindOf(err); k == signet.NotFound || k == signet.Corrupt {
		// Whoever asks believes that it is here. If the log says so too it is fetched again.
		n.healer.Lacks(m.Group, m.Address, n.self.host)
	}
	return wire.Reply{Payload: b}, err
}

func (n *Node) onHas(ctx context.Context, _ signet.HostKey, req *wire.Request) (wire.Reply, error) {
	var m wire.Has
	if err := req.Decode(&m); err != nil {
		return wire.Reply{}, err
	}
	has, err := n.store.Has(ctx, m.Group, m.Addresses)
	if err != nil {
		return wire.Reply{}, err
	}
	out := &wire.Stock{Bits: make([]byte, (len(has)+7)/8)}
	for i, h := range has {
		if h {
			out.Bits[i/8] |= 1 << (i % 8)
		}
	}
	return wire.Reply{Message: out}, nil
}
