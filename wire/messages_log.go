package wire

import (
	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// How much one message may list. Each fits MaxHeader with room to spare.
const (
	MaxOrphans  = 4096
	MaxSessions = 256
	MaxFiles    = 1024
	MaxFileName = 128
)

// Raft carries Raft messages of one group. The payload is a sequence of parts
// (AppendPart), each one message in the Raft library's own encoding. One way.
type Raft struct {
	Group signet.Group
}

// AppendTo encodes the message.
func (m *Raft) AppendTo(e *pack.Encoder) {
	e.Array(1)
	e.Uint(uint64(m.Group))
}

// Decode reads the message.
func (m *Raft) Decode(d *pack.Decoder) {
	d.ArrayExact(1)
	m.Group = signet.Group(d.Uint32())
}

// Propose asks the leader to put envelopes into the log. The payload is a sequence
// of parts, each one encoded envelope.
type Propose struct {
	Group signet.Group
}

// AppendTo encodes the message.
func (m *Propose) AppendTo(e *pack.Encoder) {
	e.Array(1)
	e.Uint(uint64(m.Group))
}

// Decode reads the message.
func (m *Propose) Decode(d *pack.Decoder) {
	d.ArrayExact(1)
	m.Group = signet.Group(d.Uint32())
}

// Accepted answers Propose: the leader of Term has taken the envelopes on (Err is
// OK), or why it has not. What became of them is told by the log.
type Accepted struct {
	Term   uint64
	Leader signet.HostID // who leads, as far as the answering host knows; 0: nobody
	Err    signet.Kind
}

// AppendTo encodes the message.
func (m *Accepted) AppendTo(e *pack.Encoder) {
	e.Array(3)
	e.Uint(m.Term)
	e.Uint(uint64(m.Leader))
	e.Uint(uint64(m.Err))
}

// Decode reads the message.
func (m *Accepted) Decode(d *pack.Decoder) {
	d.ArrayExact(3)
	m.Term = d.Uint()
	m.Leader = signet.HostID(d.Uint())
	m.Err = signet.Kind(d.Uint16())
}

// Lease asks the leader for a lease and tells it how far the host is and what it
// still uses. If Orphans holds only a part, OrphansMore is set: it ascends then, and says
// nothing of numbers below its first or above its last.
type Lease struct {
	Group       signet.Group
	Host        signet.HostID
	Start       uint64        // counts the starts of the host: what an earlier one said is void
	Acked       signet.Index  // acknowledged: applied here, and the kernel has forgotten
	Digest      signet.Digest // chain over the batches up to Acked
	Reader      signet.Index  // the oldest index that a reader uses
	Orphans     []signet.Ino  // inodes without a name that are open here
	OrphansMore bool
	Sessions    []signet.SessionID // live here
	Free        uint64             // bytes, of the store
	Capacity    uint64
	Used        uint64
}

// AppendTo encodes the message.
func (m *Lease) AppendTo(e *pack.Encoder) {
	e.Array(12)
	e.Uint(uint64(m.Group))
	e.Uint(uint64(m.Host))
	e.Uint(m.Start)
	e.Uint(uint64(m.Acked))
	e.Bytes(m.Digest[:])
	e.Uint(uint64(m.Reader))
	e.Array(len(m.Orphans))
	for _, ino := range m.Orphans {
		e.Uint(uint64(ino))
	}
	e.Bool(m.OrphansMore)
	e.Array(len(m.Sessions))
	for _, s := range m.Sessions {
		e.Uint(uint64(s))
	}
	e.Uint(m.Free)
	e.Uint(m.Capacity)
	e.Uint(m.Used)
}

// Decode reads the message.
func (m *Lease) Decode(d *pack.Decoder) {
	d.ArrayExact(12)
	m.Group = signet.Group(d.Uint32())
	m.Host = signet.HostID(d.Uint())
	m.Start = d.Uint()
	m.Acked = signet.Index(d.Uint())
	d.Fixed(m.Digest[:])
	m.Reader = signet.Index(d.Uint())
	m.Orphans = list(d, MaxOrphans, m.Orphans)
	m.OrphansMore = d.Bool()
	m.Sessions = list(d, MaxSessions, m.Sessions)
	m.Free = d.Uint()
	m.Capacity = d.Uint()
	m.Used = d.Uint()
}

// Granted answers Lease. Millis is how long the lease is, counted by the host from
// when it sent its Lease, and 0 if there is none.
type Granted struct {
	Term     uint64
	Leader   signet.HostID // who leads, as far as the answering host knows; 0: nobody
	Millis   uint32
	Released signet.Index
	Commit   signet.Index
}

// AppendTo encodes the message.
func (m *Granted) AppendTo(e *pack.Encoder) {
	e.Array(5)
	e.Uint(m.Term)
	e.Uint(uint64(m.Leader))
	e.Uint(uint64(m.Millis))
	e.Uint(uint64(m.Released))
	e.Uint(uint64(m.Commit))
}

// Decode reads the message.
func (m *Granted) Decode(d *pack.Decoder) {
	d.ArrayExact(5)
	m.Term = d.Uint()
	m.Leader = signet.HostID(d.Uint())
	m.Millis = d.Uint32()
	m.Released = signet.Index(d.Uint())
	m.Commit = signet.Index(d.Uint())
}

// Release tells the hosts how far the log is released. One way, from the leader.
type Release struct {
	Group    signet.Group
	Term     uint64
	Released signet.Index
}

// AppendTo encodes the message.
func (m *Release) AppendTo(e *pack.Encoder) {
	e.Array(3)
	e.Uint(uint64(m.Group))
	e.Uint(m.Term)
	e.Uint(uint64(m.Released))
}

// Decode reads the message.
func (m *Release) Decode(d *pack.Decoder) {
	d.ArrayExact(3)
	m.Group = signet.Group(d.Uint32())
	m.Term = d.Uint()
	m.Released = signet.Index(d.Uint())
}

// Ack tells the leader how far a host is. One way.
type Ack struct {
	Group  signet.Group
	Host   signet.HostID
	Start  uint64 // as in Lease
	Acked  signet.Index
	Digest signet.Digest // chain over the batches up to Acked
}

// AppendTo encodes the message.
func (m *Ack) AppendTo(e *pack.Encoder) {
	e.Array(5)
	e.Uint(uint64(m.Group))
	e.Uint(uint64(m.Host))
	e.Uint(m.Start)
	e.Uint(uint64(m.Acked))
	e.Bytes(m.Digest[:])
}

// Decode reads the message.
func (m *Ack) Decode(d *pack.Decoder) {
	d.ArrayExact(5)
	m.Group = signet.Group(d.Uint32())
	m.Host = signet.HostID(d.Uint())
	m.Start = d.Uint()
	m.Acked = signet.Index(d.Uint())
	d.Fixed(m.Digest[:])
}

// list decodes an array of numbers into the memory of old. An empty one is nil.
func list[T ~uint64](d *pack.Decoder, most int, old []T) []T {
	n := d.Array(most)
	if n == 0 {
		return nil
	}
	out := old[:0]
	if cap(out) < n {
		out = make([]T, 0, n)
	}
	for range n {
		out = append(out, T(d.Uint()))
	}
	return out
}
