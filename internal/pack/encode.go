package pack

import (
	"encoding/binary"
	"math"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// Encoder appends values to a byte slice. The zero value is ready to use; one that
// is kept and Reset does not allocate.
type Encoder struct {
	buf []byte
}

// NewEncoder returns an encoder that appends to buf.
func NewEncoder(buf []byte) *Encoder { return &Encoder{buf: buf} }

// Buf returns what was encoded, including what NewEncoder was given. It is valid
// until the next call of a method.
func (e *Encoder) Buf() []byte { return e.buf }

// Len returns the length of Buf.
func (e *Encoder) Len() int { return len(e.buf) }

// Reset forgets what was encoded and keeps the memory.
func (e *Encoder) Reset() { e.buf = e.buf[:0] }

// Array begins an array: the next n values are its elements.
func (e *Encoder) Array(n int) {
	if n <= int(msgpcode.FixedArrayMask) {
		e.buf = append(e.buf, msgpcode.FixedArrayLow|byte(n))
		return
	}
	e.length(n, 0, msgpcode.Array16, msgpcode.Array32)
}

// Uint appends an unsigned integer.
func (e *Encoder) Uint(v uint64) {
	switch {
	case v <= uint64(msgpcode.PosFixedNumHigh):
		e.buf = append(e.buf, byte(v))
	case v <= math.MaxUint8:
		e.buf = append(e.buf, msgpcode.Uint8, byte(v))
	case v <= math.MaxUint16:
		e.buf = append(e.buf, msgpcode.Uint16, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		e.buf = append(e.buf, msgpcode.Uint32, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	default:
		e.buf = binary.BigEndian.AppendUint64(append(e.buf, msgpcode.Uint64), v)
	}
}

// Int appends a signed integer. One that is not negative has the form of Uint.
func (e *Encoder) Int(v int64) {
	switch {
	case v >= 0:
		e.Uint(uint64(v))
	case v >= int64(int8(msgpcode.NegFixedNumLow)):
		e.buf = append(e.buf, byte(v))
	case v >= math.MinInt8:
		e.buf = append(e.buf, msgpcode.Int8, byte(v))
	case v >= math.MinInt16:
		e.buf = append(e.buf, msgpcode.Int16, byte(v>>8), byte(v))
	case v >= math.MinInt32:
		e.buf = append(e.buf, msgpcode.Int32, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	default:
		e.buf = binary.BigEndian.AppendUint64(append(e.buf, msgpcode.Int64), uint64(v))
	}
}

// Bytes appends a byte string. Nil and empty are the same value.
func (e *Encoder) Bytes(b []byte) {
	e.length(len(b), msgpcode.Bin8, msgpcode.Bin16, msgpcode.Bin32)
	e.buf = append(e.buf, b...)
}

// BytesHeader appends the head of a byte string of n bytes that the caller sends
// after Buf without copying it here.
func (e *Encoder) BytesHeader(n int) {
	e.length(n, msgpcode.Bin8, msgpcode.Bin16, msgpcode.Bin32)
}

// String appends a text. Its bytes are taken as they are; who prints one that came
// from elsewhere quotes it.
func (e *Encoder) String(s string) {
	if len(s) <= int(msgpcode.FixedStrMask) {
		e.buf = append(e.buf, msgpcode.FixedStrLow|byte(len(s)))
	} else {
		e.length(len(s), msgpcode.Str8, msgpcode.Str16, msgpcode.Str32)
	}
	e.buf = append(e.buf, s...)
}

// Bool appends a boolean.
func (e *Encoder) Bool(v bool) {
	c := msgpcode.False
	if v {
		c = msgpcode.True
	}
	e.buf = append(e.buf, c)
}

// Nil appends the absence of a value.
func (e *Encoder) Nil() { e.buf = append(e.buf, msgpcode.Nil) }

// Raw appends bytes that are an encoding already.
func (e *Encoder) Raw(b []byte) { e.buf = append(e.buf, b...) }

// length appends the shortest of the codes that n fits; code8 is 0 where the format
// has none of that size. A length beyond 32 bits is our own mistake.
func (e *Encoder) length(n int, code8, code16, code32 byte) {
	switch {
	case code8 != 0 && n <= math.MaxUint8:
		e.buf = append(e.buf, code8, byte(n))
	case n <= math.MaxUint16:
		e.buf = append(e.buf, code16, byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		e.buf = append(e.buf, code32, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	default:
		panic("pack: length beyond 32 bits")
	}
}
