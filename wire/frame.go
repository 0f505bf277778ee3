package wire

import (
	"bufio"
	"encoding/binary"
	"io"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// prefixSize is the length of what stands before every header: its length and that
// of the payload, each 4 bytes, big-endian.
const prefixSize = 8

// frameKind is the first element of every header.
type frameKind uint8

const (
	kindHello   frameKind = 1
	kindCall    frameKind = 2
	kindReply   frameKind = 3
	kindFailure frameKind = 4
	kindSend    frameKind = 5
	kindCancel  frameKind = 6
	kindPing    frameKind = 7
	kindPong    frameKind = 8
	kindGoodbye frameKind = 9
)

// frame is a received frame. body and text refer into the header's bytes.
type frame struct {
	kind   frameKind
	call   uint64
	method Method
	wait   uint64      // of a call: milliseconds left, 0: no deadline
	err    signet.Kind // of a failure or goodbye
	text   string
	body   []byte // the message, undecoded
	buf    *Buffer
}

// parse reads a header up to where its message begins. It returns that offset.
func (f *frame) parse(header []byte, d *pack.Decoder) (int, error) {
	d.Reset(header)
	*f = frame{}
	n := d.Array(5)
	f.kind = frameKind(d.Uint8())
	want, body := 0, false
	switch f.kind {
	case kindHello:
		want, body = 2, true
	case kindCall:
		want, body = 5, true
		f.call, f.method, f.wait = d.Uint(), Method(d.Uint16()), d.UintMax(maxWait)
	case kindReply:
		want, body = 3, true
		f.call = d.Uint()
	case kindFailure:
		want = 4
		f.call, f.err, f.text = d.Uint(), signet.Kind(d.Uint16()), d.String(MaxText)
	case kindSend:
		want, body = 3, true
		f.method = Method(d.Uint16())
	case kindCancel:
		want = 2
		f.call = d.Uint()
	case kindPing, kindPong:
		want = 1
	case kindGoodbye:
		want = 3
		f.err, f.text = signet.Kind(d.Uint16()), d.String(MaxText)
	default:
		d.Fail("frame of unknown kind %d", f.kind)
	}
	if d.Err() == nil && n != want {
		d.Fail("frame of kind %d with %d elements instead of %d", f.kind, n, want)
	}
	if !body {
		return len(header), d.Done()
	}
	return len(header) - d.Remaining(), d.Err()
}

// failure is the error that the frame, a failure or goodbye, carries. A kind that we do
// not know, of a newer peer, is Other; so is OK, which is no failure.
func (f *frame) failure() error {
	k := f.err
	if k == signet.OK || k >= signet.KindEnd {
		k = signet.Other
	}
	return signet.Errorf(k, "", "", "%s", f.text)
}

// decode reads the frame's message, all of it.
func (f *frame) decode(m Message) error { return decodeMessage(f.body, m) }

var decoders = sync.Pool{New: func() any { return new(pack.Decoder) }}

func decodeMessage(body []byte, m Message) error {
	d := decoders.Get().(*pack.Decoder)
	d.Reset(body)
	m.Decode(d)
	err := d.Done()
	d.Reset(nil)
	decoders.Put(d)
	return err
}

// readFrame reads the next frame from r, whose buffer must hold maxHeader and the
// prefix. admit sees the frame before any memory is taken for it and may refuse it;
// what it returns is called when the frame's buffer is released.
func readFrame(r *bufio.Reader, d *pack.Decoder, maxHeader int, f *frame, admit func(f *frame, payload int) (func(), error)) error {
	prefix, err := r.Peek(prefixSize)
	if err != nil {
		if len(prefix) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	head, payload := binary.BigEndian.Uint32(prefix), binary.BigEndian.Uint32(prefix[4:])
	if head == 0 || head > uint32(maxHeader) || payload > MaxPayload {
		return signet.Errorf(signet.BadMessage, "read frame", "",
			"header of %d and payload of %d bytes, at most %d and %d are allowed", head, payload, maxHeader, MaxPayload)
	}
	whole, err := r.Peek(prefixSize + int(head))
	if err != nil {
		return noEOF(err)
	}
	at, err := f.parse(whole[prefixSize:], d)
	if err != nil {
		return err
	}
	release, err := admit(f, int(payload))
	if err != nil {
		return err
	}
	f.buf = newBuffer(int(head), int(payload))
	f.buf.release = release
	_, _ = r.Discard(prefixSize) // peeked
	if _, err := io.ReadFull(r, f.buf.bytes()); err != nil {
		f.buf.Release()
		return noEOF(err)
	}
	f.body = f.buf.mem[at:head:head]
	return nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// maxWait bounds the deadline that a call may carry: a year, far from overflow.
const maxWait = 366 * 24 * 3600 * 1000

// encoders keep the memory in which frames are put together.
var encoders = sync.Pool{New: func() any { return new(pack.Encoder) }}

// begin returns an encoder with room for the prefix. finish sets it.
func begin(elements int, kind frameKind) *pack.Encoder {
	e := encoders.Get().(*pack.Encoder)
	e.Reset()
	e.Raw(make([]byte, prefixSize))
	e.Array(elements)
	e.Uint(uint64(kind))
	return e
}

// finish sets the prefix and checks the header's size.
func finish(e *pack.Encoder, payload int) ([]byte, error) {
	b := e.Buf()
	head := len(b) - prefixSize
	if head > MaxHeader {
		return nil, signet.Errorf(signet.TooBig, "encode frame", "", "header of %d bytes, at most %d are allowed", head, MaxHeader)
	}
	binary.BigEndian.PutUint32(b, uint32(head))
	binary.BigEndian.PutUint32(b[4:], uint32(payload))
	return b, nil
}

// done gives the encoder back; its bytes are gone.
func done(e *pack.Encoder) {
	if e.Len() <= 16<<10 {
		encoders.Put(e)
	}
}

func appendMessage(e *pack.Encoder, m Message) {
	if m == nil {
		e.Array(0)
		return
	}
	m.AppendTo(e)
}

// clip shortens a text to what an error may carry.
func clip(s string) string {
	if len(s) > MaxText {
		return s[:MaxText]
	}
	return s
}
