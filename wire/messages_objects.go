package wire

import (
	"bytes"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// MaxAddresses is how many objects one message may name.
const MaxAddresses = 1024

// Snapshot asks for a part of a checkpoint of a group's state. With an empty File
// the reply lists the files of the newest checkpoint; otherwise its payload is Length
// bytes of File from Offset on, of the checkpoint that Term and Index name, less at
// the end of the file.
type Snapshot struct {
	Group  signet.Group
	Term   uint64
	Index  signet.Index
	Offset uint64
	Length uint32
	File   string
}

// AppendTo encodes the message.
func (m *Snapshot) AppendTo(e *pack.Encoder) {
	e.Array(6)
	e.Uint(uint64(m.Group))
	e.Uint(m.Term)
	e.Uint(uint64(m.Index))
	e.Uint(m.Offset)
	e.Uint(uint64(m.Length))
	e.String(m.File)
}

// Decode reads the message.
func (m *Snapshot) Decode(d *pack.Decoder) {
	d.ArrayExact(6)
	m.Group = signet.Group(d.Uint32())
	m.Term = d.Uint()
	m.Index = signet.Index(d.Uint())
	m.Offset = d.Uint()
	m.Length = d.Uint32()
	m.File = d.String(MaxFileName)
}

// File is a file of a checkpoint.
type File struct {
	Name string
	Size uint64
}

// Chunk answers Snapshot.
type Chunk struct {
	Term  uint64
	Index signet.Index
	Files []File // only where Snapshot named no file
}

// AppendTo encodes the message.
func (m *Chunk) AppendTo(e *pack.Encoder) {
	e.Array(3)
	e.Uint(m.Term)
	e.Uint(uint64(m.Index))
	e.Array(len(m.Files))
	for _, f := range m.Files {
		e.Array(2)
		e.String(f.Name)
		e.Uint(f.Size)
	}
}

// Decode reads the message.
func (m *Chunk) Decode(d *pack.Decoder) {
	d.ArrayExact(3)
	m.Term = d.Uint()
	m.Index = signet.Index(d.Uint())
	m.Files = nil
	for range d.Array(MaxFiles) {
		d.ArrayExact(2)
		m.Files = append(m.Files, File{d.String(MaxFileName), d.Uint()})
	}
}

// Put stores a sealed object, which is the payload. The reply is sent when it is
// durable.
type Put struct {
	Group   signet.Group
	Address signet.Address
	Session signet.SessionID // under which it is put
	Index   signet.Index     // applied by the writer before it put
	Flags   uint32           // none yet: 0
}

// AppendTo encodes the message.
func (m *Put) AppendTo(e *pack.Encoder) {
	e.Array(5)
	e.Uint(uint64(m.Group))
	e.Bytes(m.Address[:])
	e.Uint(uint64(m.Session))
	e.Uint(uint64(m.Index))
	e.Uint(uint64(m.Flags))
}

// Decode reads the message.
func (m *Put) Decode(d *pack.Decoder) {
	d.ArrayExact(5)
	m.Group = signet.Group(d.Uint32())
	d.Fixed(m.Address[:])
	m.Session = signet.SessionID(d.Uint())
	m.Index = signet.Index(d.Uint())
	m.Flags = d.Uint32()
}

// Stored answers Put: the object is durable.
type Stored struct{ Empty }

// Get asks for Len bytes of a sealed object from Off on. The reply has no message;
// its payload are the bytes, less at the end of the object. The reader verifies.
type Get struct {
	Group   signet.Group
	Address signet.Address
	Off     uint32
	Len     uint32
}

// AppendTo encodes the message.
func (m *Get) AppendTo(e *pack.Encoder) {
	e.Array(4)
	e.Uint(uint64(m.Group))
	e.Bytes(m.Address[:])
	e.Uint(uint64(m.Off))
	e.Uint(uint64(m.Len))
}

// Decode reads the message.
func (m *Get) Decode(d *pack.Decoder) {
	d.ArrayExact(4)
	m.Group = signet.Group(d.Uint32())
	d.Fixed(m.Address[:])
	m.Off = d.Uint32()
	m.Len = d.Uint32()
}

// Has asks which objects the host stores.
type Has struct {
	Group     signet.Group
	Addresses []signet.Address
}

// AppendTo encodes the message.
func (m *Has) AppendTo(e *pack.Encoder) {
	e.Array(2)
	e.Uint(uint64(m.Group))
	e.Array(len(m.Addresses))
	for i := range m.Addresses {
		e.Bytes(m.Addresses[i][:])
	}
}

// Decode reads the message.
func (m *Has) Decode(d *pack.Decoder) {
	d.ArrayExact(2)
	m.Group = signet.Group(d.Uint32())
	m.Addresses = nil
	if n := d.Array(MaxAddresses); n > 0 {
		m.Addresses = make([]signet.Address, n)
	}
	for i := range m.Addresses {
		d.Fixed(m.Addresses[i][:])
	}
}

// Stock answers Has: bit i (of byte i/8, lowest first) is set if the host stores
// object i.
type Stock struct {
	Bits []byte
}

// NewStock makes the answer from one bool per object.
func NewStock(has []bool) *Stock {
	m := &Stock{make([]byte, (len(has)+7)/8)}
	for i, h := range has {
		if h {
			m.Bits[i/8] |= 1 << (i % 8)
		}
	}
	return m
}

// Has says whether the host stores object i.
func (m *Stock) Has(i int) bool { return i/8 < len(m.Bits) && m.Bits[i/8]>>(i%8)&1 == 1 }

// AppendTo encodes the message.
func (m *Stock) AppendTo(e *pack.Encoder) {
	e.Array(1)
	e.Bytes(m.Bits)
}

// Decode reads the message.
func (m *Stock) Decode(d *pack.Decoder) {
	d.ArrayExact(1)
	m.Bits = bytes.Clone(d.Bytes((MaxAddresses + 7) / 8))
}
