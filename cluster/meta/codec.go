package meta

import (
	"fmt"
	"math"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// The versions of the envelope and of a log entry.
const (
	envelopeVersion = 1
	entryVersion    = 1
)

// EncodeEnvelope returns the bytes of an envelope. It fails with Invalid for a
// command that is none.
func EncodeEnvelope(e *Envelope) ([]byte, error) {
	k := kindOf(e.Command)
	if k == 0 {
		return nil, signet.Errorf(signet.Invalid, "encode command", fmt.Sprintf("%T", e.Command), "not a command")
	}
	var c coder
	x := *e
	x.head(&c)
	c.enc.Uint(uint64(k))
	c.enc.Uint(layouts[k].version)
	layouts[k].code(&c, e.Command)
	return c.enc.Buf(), nil
}

// head is the envelope up to the command.
func (e *Envelope) head(c *coder) {
	c.row(envelopeVersion, 8)
	num(c, &e.Group)
	num(c, &e.Session)
	num(c, &e.Request)
	num(c, &e.Lowest)
}

// DecodeEnvelope reads what EncodeEnvelope made. The command's slices are parts of b.
// It fails with ErrUnknown for a kind or version from the future and with BadMessage
// for anything else. A leader decodes what it is given before it proposes it: an
// entry that does not decode stops every host.
func DecodeEnvelope(b []byte) (Envelope, error) {
	c := coder{reading: true}
	c.dec.Reset(b)
	var e Envelope
	e.head(&c)
	k, version := kind(c.dec.UintMax(math.MaxUint16)), c.dec.Uint()
	if c.unknown {
		return Envelope{}, ErrUnknown
	}
	if err := c.dec.Err(); err != nil {
		return Envelope{}, signet.Wrap("decode command", "", err)
	}
	if k == 0 || k >= kindEnd || version > layouts[k].version {
		return Envelope{}, fmt.Errorf("kind %d, version %d: %w", k, version, ErrUnknown)
	}
	if version != layouts[k].version {
		c.dec.Fail("version %d of kind %d", version, k)
	}
	e.Command = layouts[k].fresh()
	layouts[k].code(&c, e.Command)
	if err := c.dec.Done(); err != nil {
		if c.unknown {
			return Envelope{}, fmt.Errorf("kind %d: %w: %v", k, ErrUnknown, err)
		}
		return Envelope{}, signet.Wrap("decode command", fmt.Sprintf("of kind %d", k), err)
	}
	return e, nil
}

// EncodeEntry makes one log entry of several encoded envelopes.
func EncodeEntry(envelopes [][]byte) []byte {
	size := 16
	for _, b := range envelopes {
		size += len(b) + 5
	}
	var c coder
	c.enc = *pack.NewEncoder(make([]byte, 0, size))
	c.enc.Array(len(envelopes) + 1)
	c.enc.Uint(entryVersion)
	for _, b := range envelopes {
		c.enc.Bytes(b)
	}
	return c.enc.Buf()
}

// DecodeEntry returns the encoded envelopes of an entry, parts of b.
func DecodeEntry(b []byte) ([][]byte, error) {
	c := coder{reading: true}
	c.dec.Reset(b)
	n := c.dec.Array(math.MaxInt32)
	if v := c.dec.Uint(); c.dec.Err() == nil && v != entryVersion {
		return nil, fmt.Errorf("log entry of version %d: %w", v, ErrUnknown)
	}
	out := make([][]byte, 0, min(n, 64))
	for i := 1; i < n && c.dec.Err() == nil; i++ {
		out = append(out, c.dec.Bytes(len(b)))
	}
	if err := c.dec.Done(); err != nil {
		return nil, signet.Wrap("decode log entry", "", err)
	}
	return out, nil
}

// kind is a command's number in the log. Append only.
type kind uint16

const (
	kindCreate       kind = 1
	kindLink         kind = 2
	kindRemove       kind = 3
	kindRename       kind = 4
	kindSetAttr      kind = 5
	kindWrite        kind = 6
	kindSetXattr     kind = 7
	kindRemoveXattr  kind = 8
	kindDrain        kind = 9
	kindInit         kind = 10
	kindOpenSession  kind = 11
	kindEndSession   kind = 12
	kindGrantInodes  kind = 13
	kindJoin         kind = 14
	kindSetHost      kind = 15
	kindSetHostState kind = 16
	kindRemoveHost   kind = 17
	kindSetRing      kind = 18
	kindArcDone      kind = 19
	kindPlaced       kind = 20
	kindCollect      kind = 21
	kindReap         kind = 22
	kindSetPolicy    kind = 23
	kindSetFeature   kind = 24
	kindAddSlot      kind = 25
	kindRemoveSlot   kind = 26
	kindCreateToken  kind = 27
	kindRevokeToken  kind = 28
	kindArcsDone     kind = 29
	kindDelegate     kind = 30
	kindHandBack     kind = 31
	kindRevoke       kind = 32
	kindSetACL       kind = 33
	kindSetAtimes    kind = 34
	kindLock         kind = 35
	kindEndWait      kind = 36
	kindEnd          kind = 37
)

// layout is how commands of a kind are made and written.
type layout struct {
	version uint64
	fresh   func() any
	code    func(*coder, any)
}

func layoutOf[T any](version uint64, code func(*coder, *T)) layout {
	return layout{version, func() any { return new(T) }, func(c *coder, v any) { code(c, v.(*T)) }}
}

var layouts = [kindEnd]layout{
	kindCreate:       layoutOf(1, codeCreate),
	kindLink:         layoutOf(1, codeLink),
	kindRemove:       layoutOf(1, codeRemove),
	kindRename:       layoutOf(1, codeRename),
	kindSetAttr:      layoutOf(1, codeSetAttr),
	kindWrite:        layoutOf(1, codeWrite),
	kindSetXattr:     layoutOf(1, codeSetXattr),
	kindRemoveXattr:  layoutOf(1, codeRemoveXattr),
	kindDrain:        layoutOf(1, codeDrain),
	kindInit:         layoutOf(1, codeInit),
	kindOpenSession:  layoutOf(1, codeOpenSession),
	kindEndSession:   layoutOf(1, codeEndSession),
	kindGrantInodes:  layoutOf(1, codeGrantInodes),
	kindJoin:         layoutOf(1, codeJoin),
	kindSetHost:      layoutOf(1, codeSetHost),
	kindSetHostState: layoutOf(1, codeSetHostState),
	kindRemoveHost:   layoutOf(1, codeRemoveHost),
	kindSetRing:      layoutOf(1, codeSetRing),
	kindArcDone:      layoutOf(1, codeArcDone),
	kindPlaced:       layoutOf(1, codePlaced),
	kindCollect:      layoutOf(1, codeCollect),
	kindReap:         layoutOf(1, codeReap),
	kindSetPolicy:    layoutOf(1, codeSetPolicy),
	kindSetFeature:   layoutOf(1, codeSetFeature),
	kindAddSlot:      layoutOf(1, codeAddSlot),
	kindRemoveSlot:   layoutOf(1, codeRemoveSlot),
	kindCreateToken:  layoutOf(1, codeCreateToken),
	kindRevokeToken:  layoutOf(1, codeRevokeToken),
	kindArcsDone:     layoutOf(1, codeArcsDone),
	kindDelegate:     layoutOf(1, codeDelegate),
	kindHandBack:     layoutOf(1, codeHandBack),
	kindRevoke:       layoutOf(1, codeRevoke),
	kindSetACL:       layoutOf(1, codeSetACL),
	kindSetAtimes:    layoutOf(1, codeSetAtimes),
	kindLock:         layoutOf(1, codeLock),
	kindEndWait:      layoutOf(1, codeEndWait),
}

// kindOf returns a command's kind, 0 if it is none.
func kindOf(command any) kind {
	switch command.(type) {
	case *signet.Create:
		return kindCreate
	case *signet.Link:
		return kindLink
	case *signet.Remove:
		return kindRemove
	case *signet.Rename:
		return kindRename
	case *signet.SetAttr:
		return kindSetAttr
	case *signet.Write:
		return kindWrite
	case *signet.SetXattr:
		return kindSetXattr
	case *signet.RemoveXattr:
		return kindRemoveXattr
	case *signet.Drain:
		return kindDrain
	case *Init:
		return kindInit
	case *OpenSession:
		return kindOpenSession
	case *EndSession:
		return kindEndSession
	case *GrantInodes:
		return kindGrantInodes
	case *Join:
		return kindJoin
	case *SetHost:
		return kindSetHost
	case *SetHostState:
		return kindSetHostState
	case *RemoveHost:
		return kindRemoveHost
	case *SetRing:
		return kindSetRing
	case *ArcDone:
		return kindArcDone
	case *Placed:
		return kindPlaced
	case *Collect:
		return kindCollect
	case *Reap:
		return kindReap
	case *SetPolicy:
		return kindSetPolicy
	case *SetFeature:
		return kindSetFeature
	case *AddSlot:
		return kindAddSlot
	case *RemoveSlot:
		return kindRemoveSlot
	case *CreateToken:
		return kindCreateToken
	case *RevokeToken:
		return kindRevokeToken
	case *ArcsDone:
		return kindArcsDone
	case *signet.Delegate:
		return kindDelegate
	case *signet.HandBack:
		return kindHandBack
	case *signet.Revoke:
		return kindRevoke
	case *signet.SetACL:
		return kindSetACL
	case *signet.SetAtimes:
		return kindSetAtimes
	case *signet.Lock:
		return kindLock
	case *signet.EndWait:
		return kindEndWait
	}
	return 0
}
