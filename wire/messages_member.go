package wire

import (
	"bytes"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// Limits of what a host says about itself.
const (
	MaxHostName  = 255
	MaxZone      = 64
	MaxAddrs     = 16
	MaxAddr      = 280  // a name of 253 bytes and a port
	MaxProof     = 256  // of a join token's secret
	MaxPublicKey = 2048 // HPKE, post-quantum ones are large
	MaxMembers   = 256
)

// Hello is the first message in each direction. It is the same in all versions of
// the protocol; what is new is said by Features.
type Hello struct {
	Version    uint32 // the newest that the host speaks
	MinVersion uint32 // the oldest
	Cluster    ClusterID
	Host       signet.HostID
	Features   uint64
	Class      Class  // what the connection is for; the answer repeats it
	Calls      uint32 // how many calls may be in flight, as far as this side goes
}

// AppendTo encodes the message.
func (m *Hello) AppendTo(e *pack.Encoder) {
	e.Array(7)
	e.Uint(uint64(m.Version))
	e.Uint(uint64(m.MinVersion))
	e.Bytes(m.Cluster[:])
	e.Uint(uint64(m.Host))
	e.Uint(m.Features)
	e.Uint(uint64(m.Class))
	e.Uint(uint64(m.Calls))
}

// Decode reads the message.
func (m *Hello) Decode(d *pack.Decoder) {
	d.ArrayExact(7)
	m.Version = d.Uint32()
	m.MinVersion = d.Uint32()
	d.Fixed(m.Cluster[:])
	m.Host = signet.HostID(d.Uint())
	m.Features = d.Uint()
	m.Class = Class(d.Uint8())
	m.Calls = d.Uint32()
}

// Bits of Join.Roles.
const (
	RoleStore = 1 << 0
	RoleVote  = 1 << 1
	RoleMount = 1 << 2
)

// Join asks to become a member. Who asks is known by the key of its connection.
type Join struct {
	Version   uint32 // of the joining program's formats
	Proof     []byte // of the token's secret
	Name      string
	Addrs     []string // where it can be reached
	Zone      string
	Capacity  uint64 // bytes
	Roles     uint32
	PublicKey []byte // HPKE, for key slots
}

// AppendTo encodes the message.
func (m *Join) AppendTo(e *pack.Encoder) {
	e.Array(8)
	e.Uint(uint64(m.Version))
	e.Bytes(m.Proof)
	e.String(m.Name)
	appendAddrs(e, m.Addrs)
	e.String(m.Zone)
	e.Uint(m.Capacity)
	e.Uint(uint64(m.Roles))
	e.Bytes(m.PublicKey)
}

// Decode reads the message.
func (m *Join) Decode(d *pack.Decoder) {
	d.ArrayExact(8)
	m.Version = d.Uint32()
	m.Proof = bytes.Clone(d.Bytes(MaxProof))
	m.Name = d.String(MaxHostName)
	m.Addrs = addrs(d)
	m.Zone = d.String(MaxZone)
	m.Capacity = d.Uint()
	m.Roles = d.Uint32()
	m.PublicKey = bytes.Clone(d.Bytes(MaxPublicKey))
}

// Member is a host as a joiner needs to know it.
type Member struct {
	Host  signet.HostID
	Key   signet.HostKey
	Addrs []string
}

// Joined answers Join: who the joiner is now, and members enough to follow the log
// from; the log has the full table.
type Joined struct {
	Cluster ClusterID
	Host    signet.HostID
	Members []Member
}

// AppendTo encodes the message.
func (m *Joined) AppendTo(e *pack.Encoder) {
	e.Array(3)
	e.Bytes(m.Cluster[:])
	e.Uint(uint64(m.Host))
	e.Array(len(m.Members))
	for i := range m.Members {
		e.Array(3)
		e.Uint(uint64(m.Members[i].Host))
		e.Bytes(m.Members[i].Key[:])
		appendAddrs(e, m.Members[i].Addrs)
	}
}

// Decode reads the message.
func (m *Joined) Decode(d *pack.Decoder) {
	d.ArrayExact(3)
	d.Fixed(m.Cluster[:])
	m.Host = signet.HostID(d.Uint())
	m.Members = nil
	for range d.Array(MaxMembers) {
		var h Member
		d.ArrayExact(3)
		h.Host = signet.HostID(d.Uint())
		d.Fixed(h.Key[:])
		h.Addrs = addrs(d)
		m.Members = append(m.Members, h)
	}
}

// Status asks a host how it is. The reply has no message; its payload is for the
// program that asked.
type Status struct{ Empty }

// Ping asks for an answer.
type Ping struct{ Empty }

func appendAddrs(e *pack.Encoder, list []string) {
	e.Array(len(list))
	for _, s := range list {
		e.String(s)
	}
}

func addrs(d *pack.Decoder) []string {
	var out []string
	for range d.Array(MaxAddrs) {
		out = append(out, d.String(MaxAddr))
	}
	return out
}
