package consensus

import (
	"context"
	"io"

	"github.com/signetfs/signet"
)

// Transport carries this package's messages to other hosts. Sends never block: what
// does not fit into the peer's bounded queue is dropped, and repeated by what comes
// after it. Messages to one host arrive in order or not at all.
type Transport interface {
	// SendRaft sends messages of the Raft library, each in its protobuf encoding.
	SendRaft(to signet.HostID, msgs [][]byte)
	// SendAck tells the leader what this host has acked.
	SendAck(to signet.HostID, a Ack)
	// SendRelease tells a host what is released.
	SendRelease(to signet.HostID, r Release)
	// Propose hands encoded commands to the leader. NotLeader means that none was
	// proposed; any other error leaves that open.
	Propose(ctx context.Context, to signet.HostID, envelopes [][]byte) error
	// Lease asks the leader for a lease.
	Lease(ctx context.Context, to signet.HostID, r LeaseRequest) (LeaseGrant, error)
	// Snapshot lists the files of a host's checkpoint at or after index, and reads them.
	Snapshot(ctx context.Context, to signet.HostID, index signet.Index) (SnapshotFiles, error)
	SnapshotFile(ctx context.Context, to signet.HostID, s SnapshotFiles, f SnapshotFileInfo, w io.Writer) error
}

// Ack says that a host has applied everything up to Acked and that its kernel answers
// nothing from before.
type Ack struct {
	Host   signet.HostID
	Start  uint64 // start counter of the host's process
	Acked  signet.Index
	Digest signet.Digest // of its state at Acked
}

// Release says that everything up to Released may be seen.
type Release struct {
	Term     uint64
	Leader   signet.HostID
	Released signet.Index
}

// LeaseRequest is a host asking for its lease, and all that it reports regularly.
type LeaseRequest struct {
	Ack
	Reader      signet.Index // oldest index that a reader of this host uses
	Orphans     []signet.Ino // inodes without a name that are open here
	OrphansMore bool         // only those from the first to the last listed, ascending
	Session     signet.SessionID
	Used        uint64 // bytes that objects take here
	Free        uint64 // bytes that objects may still take here
}

// LeaseGrant is the leader's answer. Granted is false when the host has to catch up, or
// when the leader is not sure that it still leads.
type LeaseGrant struct {
	Term     uint64
	Leader   signet.HostID // who leads as far as the answering host knows; 0 if nobody
	Granted  bool
	Released signet.Index
}

// SnapshotFiles is a checkpoint offered by a host.
type SnapshotFiles struct {
	Index signet.Index
	Term  uint64
	Files []SnapshotFileInfo
}

// SnapshotFileInfo is one file of a checkpoint.
type SnapshotFileInfo struct {
	Name string
	Size uint64
}
