package wire

import (
	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// Recall asks the host that has a file delegated for what it knows of it, or for the
// file. It is answered when everything that the answer rests on is released.
type Recall struct {
	Group   signet.Group
	Session signet.SessionID // that has the file, as far as the asking host knows
	Ino     signet.Ino
	Why     signet.Recall
}

// AppendTo encodes the message.
func (m *Recall) AppendTo(e *pack.Encoder) {
	e.Array(4)
	e.Uint(uint64(m.Group))
	e.Uint(uint64(m.Session))
	e.Uint(uint64(m.Ino))
	e.Uint(uint64(m.Why))
}

// Decode reads the message.
func (m *Recall) Decode(d *pack.Decoder) {
	d.ArrayExact(4)
	m.Group = signet.Group(d.Uint32())
	m.Session = signet.SessionID(d.Uint())
	m.Ino = signet.Ino(d.Uint())
	m.Why = signet.Recall(d.Uint8())
}

// Recalled answers Recall.
type Recalled struct{ signet.Recalled }

// AppendTo encodes the message.
func (m *Recalled) AppendTo(e *pack.Encoder) {
	a := &m.Attr
	e.Array(19)
	e.Bool(m.Held)
	e.Bool(m.Passing)
	e.Uint(uint64(a.Ino))
	e.Uint(uint64(a.Mode))
	e.Uint(uint64(a.Nlink))
	e.Uint(uint64(a.UID))
	e.Uint(uint64(a.GID))
	e.Uint(uint64(a.Rdev))
	e.Uint(a.Size)
	e.Uint(a.Bytes)
	for _, t := range []signet.Time{a.Atime, a.Mtime, a.Ctime, a.Btime} {
		e.Int(t.Sec)
		e.Uint(uint64(t.Nsec))
	}
	e.Uint(uint64(a.Owner))
}

// Decode reads the message.
func (m *Recalled) Decode(d *pack.Decoder) {
	a := &m.Attr
	d.ArrayExact(19)
	m.Held = d.Bool()
	m.Passing = d.Bool()
	a.Ino = signet.Ino(d.Uint())
	a.Mode = d.Uint32()
	a.Nlink = d.Uint32()
	a.UID = d.Uint32()
	a.GID = d.Uint32()
	a.Rdev = d.Uint32()
	a.Size = d.Uint()
	a.Bytes = d.Uint()
	for _, t := range []*signet.Time{&a.Atime, &a.Mtime, &a.Ctime, &a.Btime} {
		t.Sec = d.Int()
		if t.Nsec = d.Uint32(); t.Nsec >= 1e9 {
			d.Fail("%d nanoseconds", t.Nsec)
		}
	}
	a.Owner = signet.SessionID(d.Uint())
}

// Leased asks a leader whether a host holds a lease.
type Leased struct {
	Group signet.Group
	Host  signet.HostID
}

// AppendTo encodes the message.
func (m *Leased) AppendTo(e *pack.Encoder) {
	e.Array(2)
	e.Uint(uint64(m.Group))
	e.Uint(uint64(m.Host))
}

// Decode reads the message.
func (m *Leased) Decode(d *pack.Decoder) {
	d.ArrayExact(2)
	m.Group = signet.Group(d.Uint32())
	m.Host = signet.HostID(d.Uint())
}

// Holds answers Leased. Who does not lead does not know.
type Holds struct {
	Leading bool
	Leased  bool
}

// AppendTo encodes the message.
func (m *Holds) AppendTo(e *pack.Encoder) {
	e.Array(2)
	e.Bool(m.Leading)
	e.Bool(m.Leased)
}

// Decode reads the message.
func (m *Holds) Decode(d *pack.Decoder) {
	d.ArrayExact(2)
	m.Leading = d.Bool()
	m.Leased = d.Bool()
}
