package wire

import (
	"encoding/hex"
	"errors"
	"strconv"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// Class separates small, urgent traffic from large transfers: each class has a
// connection of its own to every peer. The numbers are on the wire.
type Class uint8

// The classes.
const (
	Control Class = 1 // Raft, leases, acknowledgements, small calls
	Bulk    Class = 2 // objects, checkpoints
)

func (c Class) String() string {
	switch c {
	case Control:
		return "control"
	case Bulk:
		return "bulk"
	}
	return "class " + strconv.Itoa(int(c))
}

// Method says what a call or one-way message is about. The numbers are on the wire:
// append, never reorder. Those from FirstAppMethod on are free for tests and
// extensions, which name them in Config.Methods.
type Method uint16

// The methods of the protocol. Number 1 is Hello, which is not a method.
const (
	MethodRaft     Method = 2
	MethodPropose  Method = 3
	MethodLease    Method = 4
	MethodRelease  Method = 5
	MethodAck      Method = 6
	MethodSnapshot Method = 7
	MethodPut      Method = 8
	MethodGet      Method = 9
	MethodHas      Method = 10
	MethodJoin     Method = 11
	MethodStatus   Method = 12
	MethodPing     Method = 13
	// 14 is reserved: docs/decisions/0008.
	MethodRecall Method = 15
	MethodLeased Method = 16

	FirstAppMethod Method = 1024
)

var methodNames = [...]string{
	MethodRaft: "raft", MethodPropose: "propose", MethodLease: "lease", MethodRelease: "release",
	MethodAck: "ack", MethodSnapshot: "snapshot", MethodPut: "put", MethodGet: "get",
	MethodHas: "has", MethodJoin: "join", MethodStatus: "status", MethodPing: "ping", MethodRecall: "recall", MethodLeased: "leased",
}

func (m Method) String() string {
	if int(m) < len(methodNames) && methodNames[m] != "" {
		return methodNames[m]
	}
	return "method " + strconv.Itoa(int(m))
}

// Sizes that both ends enforce, before they take any memory for what was announced.
const (
	MaxHeader   = 64 << 10                  // bytes of a frame's header
	MaxObject   = signet.MaxObject + 64<<10 // bytes of a sealed object
	MaxPayload  = 8 << 20                   // bytes of any payload
	MaxText     = 1 << 10                   // bytes of an error's text
	maxGreeting = 2 << 10                   // bytes of the first header in each direction
)

// Limits are the sizes of the payloads of a method, in bytes.
type Limits struct {
	Request int // of a call or one-way message
	Reply   int
}

// methodLimits are the limits of the methods of the protocol.
func methodLimits() map[Method]Limits {
	return map[Method]Limits{
		MethodRaft:     {Request: MaxPayload},
		MethodPropose:  {Request: MaxPayload},
		MethodLease:    {},
		MethodRelease:  {},
		MethodAck:      {},
		MethodSnapshot: {Reply: MaxObject},
		MethodPut:      {Request: MaxObject},
		MethodGet:      {Reply: MaxObject},
		MethodHas:      {},
		MethodJoin:     {},
		MethodStatus:   {Reply: 1 << 20},
		MethodPing:     {},
		MethodRecall:   {},
		MethodLeased:   {},
	}
}

// Message is the header of a call, reply or one-way message. Decode reads exactly
// what AppendTo writes and leaves its complaints in the decoder.
type Message interface {
	AppendTo(e *pack.Encoder)
	Decode(d *pack.Decoder)
}

// Peer is a host to talk to: who it must prove to be, and where it may be found.
// The addresses are tried in their order when a connection has to be made.
type Peer struct {
	Key   signet.HostKey
	Addrs []string
}

// Out is what is sent with a call or one-way message.
//
// A payload is handed over: small ones are copied at once, large ones are read by
// the connection until Release is called, which may be after the call returned (it
// was cancelled half-way). So who reuses the memory waits for Release, and who does
// not simply leaves it to the garbage collector. Release, if not nil, is called
// exactly once, whatever happens; it must not block.
type Out struct {
	Class   Class
	Method  Method
	Message Message // nil: Empty
	Payload []byte
	Release func()
}

// Reply is a handler's answer. Payload and Release are as in Out.
type Reply struct {
	Message Message // nil: Empty
	Payload []byte
	Release func()
}

// Empty is a message without elements.
type Empty struct{}

// AppendTo encodes the message.
func (*Empty) AppendTo(e *pack.Encoder) { e.Array(0) }

// Decode reads the message.
func (*Empty) Decode(d *pack.Decoder) { d.ArrayExact(0) }

// Short names a host key in errors and logs: its first eight digits.
func Short(k signet.HostKey) string { return "host " + hex.EncodeToString(k[:4]) }

// notSent marks the error of a call of which nothing was sent.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// NotSent says of a failed call that the peer has not seen any of it, so that it may
// be made again elsewhere whatever it does.
func NotSent(err error) bool {
	var n notSent
	return errors.As(err, &n)
}
