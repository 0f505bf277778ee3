package pack

import (
	"encoding/binary"
	"math"

	"github.com/signetfs/signet"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// Decoder reads values from a byte slice, which must not change while it or
// anything that Bytes returned is in use. After the first error every method
// returns a zero value; Err and Done tell.
type Decoder struct {
	in  []byte
	off int
	err error
}

// NewDecoder returns a decoder of b.
func NewDecoder(b []byte) *Decoder { return &Decoder{in: b} }

// Reset makes d a decoder of b, so that one can be kept and used again.
func (d *Decoder) Reset(b []byte) { *d = Decoder{in: b} }

// Err returns the first error, of kind signet.BadMessage, or nil.
func (d *Decoder) Err() error { return d.err }

// Remaining returns how many bytes are not read yet.
func (d *Decoder) Remaining() int { return len(d.in) - d.off }

// Done returns the first error; bytes left over are one.
func (d *Decoder) Done() error {
	if d.err == nil && d.off != len(d.in) {
		d.fail("%d bytes too many", len(d.in)-d.off)
	}
	return d.err
}

// Fail makes err the decoder's error unless it has one: for a caller that finds a
// value which has the right form and the wrong meaning.
func (d *Decoder) Fail(format string, args ...any) { d.fail(format, args...) }

// Array begins an array and returns how many elements it has: at most max, and at
// most as many as there are bytes left, since no value is shorter than one byte.
// So a slice made for n elements is bounded by the input.
func (d *Decoder) Array(max int) int {
	c, ok := d.code()
	if !ok {
		return 0
	}
	var n uint64
	switch {
	case msgpcode.IsFixedArray(c):
		n = uint64(c & msgpcode.FixedArrayMask)
	case c == msgpcode.Array16:
		n = d.num(2, uint64(msgpcode.FixedArrayMask)+1)
	case c == msgpcode.Array32:
		n = d.num(4, math.MaxUint16+1)
	default:
		d.unexpected(c, "an array")
		return 0
	}
	if d.err != nil {
		return 0
	}
	if max < 0 || n > uint64(max) {
		d.fail("array of %d elements, at most %d are allowed", n, max)
		return 0
	}
	if n > uint64(d.Remaining()) {
		d.fail("array of %d elements in %d bytes", n, d.Remaining())
		return 0
	}
	return int(n)
}

// ArrayExact begins an array that must have n elements and says whether it has.
func (d *Decoder) ArrayExact(n int) bool {
	got := d.Array(math.MaxInt32)
	if d.err == nil && got != n {
		d.fail("array of %d elements instead of %d", got, n)
	}
	return d.err == nil
}

// Uint reads an unsigned integer.
func (d *Decoder) Uint() uint64 {
	if d.err == nil && d.off < len(d.in) {
		// The commonest value by far: small, and its own code.
		if c := d.in[d.off]; c <= 0x7f {
			d.off++
			return uint64(c)
		}
	}
	c, ok := d.code()
	if !ok {
		return 0
	}
	return d.uint(c)
}

// UintMax reads an unsigned integer of at most max.
func (d *Decoder) UintMax(max uint64) uint64 {
	v := d.Uint()
	if v > max {
		d.fail("number %d, at most %d is allowed", v, max)
		return 0
	}
	return v
}

// Uint32 reads an unsigned integer of 32 bits.
func (d *Decoder) Uint32() uint32 { return uint32(d.UintMax(math.MaxUint32)) }

// Uint16 reads an unsigned integer of 16 bits.
func (d *Decoder) Uint16() uint16 { return uint16(d.UintMax(math.MaxUint16)) }

// Uint8 reads an unsigned integer of 8 bits.
func (d *Decoder) Uint8() uint8 { return uint8(d.UintMax(math.MaxUint8)) }

// uint reads the rest of an unsigned integer whose code was c.
func (d *Decoder) uint(c byte) uint64 {
	switch c {
	case msgpcode.Uint8:
		return d.num(1, uint64(msgpcode.PosFixedNumHigh)+1)
	case msgpcode.Uint16:
		return d.num(2, math.MaxUint8+1)
	case msgpcode.Uint32:
		return d.num(4, math.MaxUint16+1)
	case msgpcode.Uint64:
		return d.num(8, math.MaxUint32+1)
	}
	if c <= msgpcode.PosFixedNumHigh {
		return uint64(c)
	}
	d.unexpected(c, "an unsigned number")
	return 0
}

// Int reads a signed integer.
func (d *Decoder) Int() int64 {
	c, ok := d.code()
	if !ok {
		return 0
	}
	switch {
	case c >= msgpcode.NegFixedNumLow:
		return int64(int8(c))
	case c == msgpcode.Int8:
		return d.negative(1, int64(int8(msgpcode.NegFixedNumLow))-1)
	case c == msgpcode.Int16:
		return d.negative(2, math.MinInt8-1)
	case c == msgpcode.Int32:
		return d.negative(4, math.MinInt16-1)
	case c == msgpcode.Int64:
		return d.negative(8, math.MinInt32-1)
	}
	v := d.uint(c)
	if v > math.MaxInt64 {
		d.fail("number %d does not fit 63 bits", v)
		return 0
	}
	return int64(v)
}

// Bytes reads a byte string of at most max bytes. It is a part of the input, not a
// copy; an empty one is nil.
func (d *Decoder) Bytes(max int) []byte {
	c, ok := d.code()
	if !ok {
		return nil
	}
	var n uint64
	switch c {
	case msgpcode.Bin8:
		n = d.num(1, 0)
	case msgpcode.Bin16:
		n = d.num(2, math.MaxUint8+1)
	case msgpcode.Bin32:
		n = d.num(4, math.MaxUint16+1)
	default:
		d.unexpected(c, "bytes")
	}
	return d.take(n, max)
}

// Fixed fills dst with a byte string of exactly that length.
func (d *Decoder) Fixed(dst []byte) {
	b := d.Bytes(len(dst))
	if d.err == nil && len(b) != len(dst) {
		d.fail("%d bytes instead of %d", len(b), len(dst))
	}
	if d.err == nil {
		copy(dst, b)
	}
}

// String reads a text of at most max bytes.
func (d *Decoder) String(max int) string {
	c, ok := d.code()
	if !ok {
		return ""
	}
	var n uint64
	switch {
	case msgpcode.IsFixedString(c):
		n = uint64(c & msgpcode.FixedStrMask)
	case c == msgpcode.Str8:
		n = d.num(1, uint64(msgpcode.FixedStrMask)+1)
	case c == msgpcode.Str16:
		n = d.num(2, math.MaxUint8+1)
	case c == msgpcode.Str32:
		n = d.num(4, math.MaxUint16+1)
	default:
		d.unexpected(c, "a text")
	}
	return string(d.take(n, max))
}

// Bool reads a boolean.
func (d *Decoder) Bool() bool {
	c, ok := d.code()
	if !ok {
		return false
	}
	if c != msgpcode.True && c != msgpcode.False {
		d.unexpected(c, "a boolean")
	}
	return c == msgpcode.True
}

// Nil skips a nil if one comes next and says whether it did.
func (d *Decoder) Nil() bool {
	if d.err != nil || d.off >= len(d.in) || d.in[d.off] != msgpcode.Nil {
		return false
	}
	d.off++
	return true
}

// code reads the byte that begins every value.
func (d *Decoder) code() (byte, bool) {
	if d.err != nil {
		return 0, false
	}
	if d.off >= len(d.in) {
		d.fail("ends too early")
		return 0, false
	}
	c := d.in[d.off]
	d.off++
	return c, true
}

// num reads a big-endian number of size bytes. One below least would have had a
// shorter form and is refused: there is one encoding of each value.
func (d *Decoder) num(size int, least uint64) uint64 {
	if d.err != nil {
		return 0
	}
	if d.Remaining() < size {
		d.fail("ends too early")
		return 0
	}
	b := d.in[d.off : d.off+size]
	d.off += size
	var v uint64
	switch size {
	case 1:
		v = uint64(b[0])
	case 2:
		v = uint64(binary.BigEndian.Uint16(b))
	case 4:
		v = uint64(binary.BigEndian.Uint32(b))
	default:
		v = binary.BigEndian.Uint64(b)
	}
	if v < least {
		d.fail("number %d is not in its shortest form", v)
		return 0
	}
	return v
}

// negative reads a two's complement number of size bytes, which must be at most
// most to deserve that many.
func (d *Decoder) negative(size int, most int64) int64 {
	shift := 64 - 8*size
	v := int64(d.num(size, 0)<<shift) >> shift
	if d.err == nil && v > most {
		d.fail("number %d is not in its shortest form", v)
		return 0
	}
	return v
}

// take returns the next n bytes.
func (d *Decoder) take(n uint64, max int) []byte {
	if d.err != nil || n == 0 {
		return nil
	}
	if max < 0 || n > uint64(max) {
		d.fail("%d bytes, at most %d are allowed", n, max)
		return nil
	}
	if n > uint64(d.Remaining()) {
		d.fail("%d bytes announced, %d left", n, d.Remaining())
		return nil
	}
	b := d.in[d.off : d.off+int(n) : d.off+int(n)]
	d.off += int(n)
	return b
}

func (d *Decoder) unexpected(c byte, want string) {
	d.off-- // the error tells where the value begins
	d.fail("code %#02x is not %s", c, want)
}

func (d *Decoder) fail(format string, args ...any) {
	if d.err != nil {
		return
	}
	args = append(args, d.off)
	d.err = signet.Errorf(signet.BadMessage, "decode message", "", format+" (at byte %d)", args...)
}
