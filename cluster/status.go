package cluster

import (
	"context"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/internal/disk"
	"github.com/signetfs/signet/internal/pack"
	"github.com/signetfs/signet/wire"
)

// Report is what the leader knows of a host from its requests for a lease.
type Report struct {
	Host   signet.HostID
	Silent time.Duration // since the last request
	Acked  signet.Index  // last index that it acknowledged
	Lag    uint64        // log entries that it lacks, as far as the leader knows
	Used   uint64        // bytes that objects take there
	Free   uint64        // bytes that objects may still take there
	// Differs says that the host's state is not the leader's: one of them is wrong.
	Differs bool
}

const (
	reportsVersion = 2
	maxReports     = 4096
)

// Reports asks the leader, which may be this host, what it knows of the hosts.
func (n *Node) Reports(ctx context.Context) ([]Report, error) {
	leader, _, _ := n.log.Lead()
	switch leader {
	case 0:
		return nil, signet.Errorf(signet.Unavailable, "ask the leader", "", "there is no leader now")
	case n.self.host:
		return n.reports(ctx)
	}
	b, err := n.peers.call(ctx, leader, wire.Out{Class: wire.Control, Method: wire.MethodStatus, Message: &wire.Status{}}, &wire.Empty{})
	if err != nil {
		return nil, signet.Wrap("ask the leader", leader.String(), err)
	}
	defer b.Release()
	out, err := decodeReports(b.Payload())
	return out, signet.Wrap("ask the leader", leader.String(), err)
}

// onStatus answers with this host's reports; none if it does not lead.
func (n *Node) onStatus(ctx context.Context, _ signet.HostKey, req *wire.Request) (wire.Reply, error) {
	var m wire.Status
	if err := req.Decode(&m); err != nil {
		return wire.Reply{}, err
	}
	reports, err := n.reports(ctx)
	if err != nil {
		return wire.Reply{}, err
	}
	return wire.Reply{Payload: encodeReports(reports)}, nil
}

func (n *Node) reports(ctx context.Context) ([]Report, error) {
	progress, err := n.log.Progress(ctx)
	if err != nil {
		return nil, err
	}
	s := n.log.Status()
	if s.Hosts == nil {
		return nil, signet.Errorf(signet.NotLeader, "report on hosts", "", "%v does not lead any more", n.self.host)
	}
	now := n.clock.Now()
	var out []Report
	for h, r := range s.Hosts {
		out = append(out, report(h, r, now, s, progress[h]))
	}
	return out, nil
}

func report(h signet.HostID, r consensus.Report, now time.Time, s consensus.Status, logged signet.Index) Report {
	out := Report{Host: h, Silent: max(now.Sub(r.At), 0), Acked: r.Acked, Used: r.Used, Free: r.Free, Differs: r.Differs}
	if logged < signet.Index(s.LogLast) {
		out.Lag = s.LogLast - uint64(logged)
	}
	// An idle cluster's last entries need no acknowledgement that travels.
	if r.Acked < s.Released {
		out.Lag = max(out.Lag, uint64(s.Released-r.Acked))
	}
	return out
}

func encodeReports(reports []Report) []byte {
	reports = reports[:min(len(reports), maxReports)]
	var e pack.Encoder
	e.Array(2)
	e.Uint(reportsVersion)
	e.Array(len(reports))
	for _, r := range reports {
		e.Array(7)
		e.Uint(uint64(r.Host))
		e.Uint(uint64(r.Silent.Milliseconds()))
		e.Uint(uint64(r.Acked))
		e.Uint(r.Lag)
		e.Uint(r.Used)
		e.Uint(r.Free)
		e.Bool(r.Differs)
	}
	return e.Buf()
}

func decodeReports(b []byte) ([]Report, error) {
	d := pack.NewDecoder(b)
	d.ArrayExact(2)
	if v := d.Uint(); d.Err() == nil && v != reportsVersion {
		return nil, signet.Errorf(signet.WrongVersion, "read reports", "", "they are of format %d, this program knows %d", v, reportsVersion)
	}
	var out []Report
	for range d.Array(maxReports) {
		d.ArrayExact(7)
		r := Report{Host: signet.HostID(d.Uint())}
		r.Silent = time.Duration(min(d.Uint(), 1<<40)) * time.Millisecond
		r.Acked, r.Lag, r.Used, r.Free = signet.Index(d.Uint()), d.Uint(), d.Uint(), d.Uint()
		r.Differs = d.Bool()
		out = append(out, r)
	}
	return out, d.Done()
}

// Who says whose state directory a disk is.
func Who(d *disk.Disk) (cluster [16]byte, host signet.HostID, err error) {
	s, err := readSelf(d)
	if err != nil {
		return cluster, 0, err
	}
	return s.cluster, s.host, nil
}
