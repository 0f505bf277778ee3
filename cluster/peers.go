package cluster

import (
	"context"
	"io"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/wire"
)

// snapshotChunk is how much of a snapshot's file one call brings.
const snapshotChunk = 1 << 20

// peers speaks to the other hosts. It implements consensus.Transport and
// replica.Peers, and heal's view of other stores.
type peers struct {
	group   signet.Group
	members *member.Directory
	pool    *wire.Pool
	clock   clock.Clock
	doubt   func(h signet.HostID, down bool)
}

var _ consensus.Transport = (*peers)(nil)

// send queues a one-way message. That it may be lost is part of every protocol here.
func (p *peers) send(to signet.HostID, m wire.Method, msg wire.Message, payload []byte) {
	if peer, err := p.members.Peer(to); err == nil {
		_ = p.pool.Send(peer, wire.Out{Class: wire.Control, Method: m, Message: msg, Payload: payload})
	}
}

// call makes a call and notes whether the host can be reached.
func (p *peers) call(ctx context.Context, to signet.HostID, out wire.Out, in wire.Message) (*wire.Buffer, error) {
	peer, err := p.members.Peer(to)
	if err != nil {
		if out.Release != nil {
			out.Release()
		}
		return nil, err
	}
	b, err := p.pool.Call(ctx, peer, out, in)
	if k := signet.KindOf(err); k == signet.Unavailable {
		p.doubt(to, true)
	} else if err == nil {
		p.doubt(to, false)
	}
	return b, err
}

// SendRaft implements consensus.Transport.
func (p *peers) SendRaft(to signet.HostID, msgs [][]byte) {
	for len(msgs) > 0 {
		n, size := 0, 0
		for n < len(msgs) && (n == 0 || size+len(msgs[n])+4 <= wire.MaxPayload) {
			size += len(msgs[n]) + 4
			n++
		}
		payload := make([]byte, 0, size)
		for _, m := range msgs[:n] {
			payload = wire.AppendPart(payload, m)
		}
		p.send(to, wire.MethodRaft, &wire.Raft{Group: p.group}, payload)
		msgs = msgs[n:]
	}
}

// SendAck implements consensus.Transport.
func (p *peers) SendAck(to signet.HostID, a consensus.Ack) {
	p.send(to, wire.MethodAck, &wire.Ack{Group: p.group, Host: a.Host, Start: a.Start, Acked: a.Acked, Digest: a.Digest}, nil)
}

// SendRelease implements consensus.Transport.
func (p *peers) SendRelease(to signet.HostID, r consensus.Release) {
	p.send(to, wire.MethodRelease, &wire.Release{Group: p.group, Term: r.Term, Released: r.Released}, nil)
}

// Propose implements consensus.Transport.
func (p *peers) Propose(ctx context.Context, to signet.HostID, envelopes [][]byte) error {
	size := 0
	for _, e := range envelopes {
		size += 4 + len(e)
	}
	payload := make([]byte, 0, size)
	for _, e := range envelopes {
		payload = wire.AppendPart(payload, e)
	}
	var in wire.Accepted
	b, err := p.call(ctx, to, wire.Out{Class: wire.Control, Method: wire.MethodPropose, Message: &wire.Propose{Group: p.group}, Payload: payload}, &in)
	b.Release()
	switch {
	case err != nil && wire.NotSent(err):
		return signet.Errorf(signet.NotLeader, "propose at", to.String(), "not reached: %w", err)
	case err != nil:
		return err
	case in.Err != signet.OK:
		return signet.Errorf(in.Err, "propose at", to.String(), "refused: %v", in.Err)
	}
	return nil
}

// Lease implements consensus.Transport.
func (p *peers) Lease(ctx context.Context, to signet.HostID, r consensus.LeaseRequest) (consensus.LeaseGrant, error) {
	msg := &wire.Lease{
		Group: p.group, Host: r.Host, Start: r.Start, Acked: r.Acked, Digest: r.Digest, Reader: r.Reader,
		Orphans: r.Orphans, OrphansMore: r.OrphansMore, Used: r.Used, Free: r.Free, Capacity: r.Used + r.Free,
	}
	if r.Session != 0 {
		msg.Sessions = []signet.SessionID{r.Session}
	}
	var in wire.Granted
	b, err := p.call(ctx, to, wire.Out{Class: wire.Control, Method: wire.MethodLease, Message: msg}, &in)
	b.Release()
	if err != nil {
		return consensus.LeaseGrant{}, err
	}
	return consensus.LeaseGrant{Term: in.Term, Leader: in.Leader, Granted: in.Millis > 0, Released: in.Released}, nil
}

// recall asks the owner of a delegated file.
func (p *peers) recall(ctx context.Context, to signet.HostID, m *wire.Recall) (signet.Recalled, error) {
	var in wire.Recalled
	b, err := p.call(ctx, to, wire.Out{Class: wire.Control, Method: wire.MethodRecall, Message: m}, &in)
	b.Release()
	return in.Recalled, err
}

// leased asks whether a host holds a lease.
func (p *peers) leased(ctx context.Context, leader, h signet.HostID) (leased, known bool) {
	var in wire.Holds
	b, err := p.call(ctx, leader, wire.Out{Class: wire.Control, Method: wire.MethodLeased, Message: &wire.Leased{Group: p.group, Host: h}}, &in)
	b.Release()
	return in.Leased, err == nil && in.Leading
}

// Snapshot implements consensus.Transport.
func (p *peers) Snapshot(ctx context.Context, to signet.HostID, index signet.Index) (consensus.SnapshotFiles, error) {
	var in wire.Chunk
	b, err := p.call(ctx, to, wire.Out{Class: wire.Bulk, Method: wire.MethodSnapshot, Message: &wire.Snapshot{Group: p.group, Index: index}}, &in)
	b.Release()
	if err != nil {
		return consensus.SnapshotFiles{}, err
	}
	files := consensus.SnapshotFiles{Index: in.Index, Term: in.Term}
	for _, f := range in.Files {
		files.Files = append(files.Files, consensus.SnapshotFileInfo(f))
	}
	return files, nil
}

// SnapshotFile implements consensus.Transport.
func (p *peers) SnapshotFile(ctx context.Context, to signet.HostID, s consensus.SnapshotFiles, f consensus.SnapshotFileInfo, w io.Writer) error {
	for off := uint64(0); off < f.Size; {
		n := min(f.Size-off, snapshotChunk)
		msg := &wire.Snapshot{Group: p.group, Index: s.Index, File: f.Name, Offset: off, Length: uint32(n)}
		each, cancel := clock.WithTimeout(ctx, p.clock, 30*time.Second)
		b, err := p.call(each, to, wire.Out{Class: wire.Bulk, Method: wire.MethodSnapshot, Message: msg}, &wire.Chunk{})
		cancel()
		if err != nil {
			return err
		}
		got := uint64(len(b.Payload()))
		if got > 0 && got <= n {
			_, err = w.Write(b.Payload())
		} else {
			err = signet.Errorf(signet.BadMessage, "fetch snapshot", f.Name, "%d bytes at %d instead of %d", got, off, n)
		}
		b.Release()
		if err != nil {
			return err
		}
		off += got
	}
	return nil
}

// Put implements replica.Peers.
func (p *peers) Put(ctx context.Context, h signet.HostID, g signet.Group, a signet.Address, sealed []byte, m store.Meta) error {
	done := make(chan struct{})
	b, err := p.call(ctx, h, wire.Out{
		Class: wire.Bulk, Method: wire.MethodPut, Payload: sealed, Release: func() { close(done) },
		Message: &wire.Put{Group: g, Address: a, Session: m.Session, Index: m.Index},
	}, &wire.Stored{})
	b.Release()
	<-done // a call that was given up half-way is still being written for a moment
	return err
}

// Get implements replica.Peers.
func (p *peers) Get(ctx context.Context, h signet.HostID, g signet.Group, a signet.Address, off, n uint32) ([]byte, error) {
	b, err := p.call(ctx, h, wire.Out{Class: wire.Bulk, Method: wire.MethodGet, Message: &wire.Get{Group: g, Address: a, Off: off, Len: n}}, &wire.Empty{})
	if err != nil {
		return nil, err
	}
	defer b.Release()
	if n != store.ToEnd && len(b.Payload()) != int(n) {
		return nil, signet.Errorf(signet.BadMessage, "get object", a.String(), "%d bytes instead of %d", len(b.Payload()), n)
	}
	return append([]byte(nil), b.Payload()...), nil
}

// Has asks which of the objects a host has.
func (p *peers) Has(ctx context.Context, h signet.HostID, g signet.Group, as []signet.Address) ([]bool, error) {
	var in wire.Stock
	b, err := p.call(ctx, h, wire.Out{Class: wire.Control, Method: wire.MethodHas, Message: &wire.Has{Group: g, Addresses: as}}, &in)
	b.Release()
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(as))
	for i := range out {
		out[i] = i/8 < len(in.Bits) && in.Bits[i/8]&(1<<(i%8)) != 0
	}
	return out, nil
}
