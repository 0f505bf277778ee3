package pack_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

var uints = []uint64{0, 1, 127, 128, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64, math.MaxUint64}

var ints = []int64{
	0, -1, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32 - 1, math.MinInt64,
	127, 128, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64,
}

var lengths = []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536, 70000}

// reference encodes with the library, the judge of what MessagePack is.
func reference(t *testing.T, f func(*msgpack.Encoder) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(msgpack.NewEncoder(&b)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func want(t *testing.T, got, ref []byte) {
	t.Helper()
	if !bytes.Equal(got, ref) {
		t.Errorf("encoded as % x, the library says % x", got[:min(len(got), 12)], ref[:min(len(ref), 12)])
	}
}

func TestNumbersAsTheLibraryWritesThem(t *testing.T) {
	for _, v := range uints {
		var e pack.Encoder
		e.Uint(v)
		want(t, e.Buf(), reference(t, func(m *msgpack.Encoder) error { return m.EncodeUint(v) }))
		d := pack.NewDecoder(e.Buf())
		if got := d.Uint(); got != v || d.Done() != nil {
			t.Errorf("Uint of %d: %d, %v", v, got, d.Err())
		}
	}
	for _, v := range ints {
		var e pack.Encoder
		e.Int(v)
		want(t, e.Buf(), reference(t, func(m *msgpack.Encoder) error { return m.EncodeInt(v) }))
		d := pack.NewDecoder(e.Buf())
		if got := d.Int(); got != v || d.Done() != nil {
			t.Errorf("Int of %d: %d, %v", v, got, d.Err())
		}
	}
}

func TestLengthsAsTheLibraryWritesThem(t *testing.T) {
	for _, n := range lengths {
		b, s := bytes.Repeat([]byte{7}, n), strings.Repeat("x", n)
		var e pack.Encoder
		e.Bytes(b)
		want(t, e.Buf(), reference(t, func(m *msgpack.Encoder) error { return m.EncodeBytes(b) }))
		e.Reset()
		e.BytesHeader(n)
		e.Raw(b)
		want(t, e.Buf(), reference(t, func(m *msgpack.Encoder) error { return m.EncodeBytes(b) }))
		e.Reset()
		e.String(s)
		want(t, e.Buf(), reference(t, func(m *msgpack.Encoder) error { return m.EncodeString(s) }))
		e.Reset()
		e.Array(n)
		want(t, e.Buf(), reference(t, func(m *msgpack.Encoder) error { return m.EncodeArrayLen(n) }))

		e.Reset()
		e.Array(3)
		e.Bytes(b)
		e.String(s)
		e.Array(n)
		for range n {
			e.Nil()
		}
		d := pack.NewDecoder(e.Buf())
		if !d.ArrayExact(3) || !bytes.Equal(d.Bytes(n), b) || d.String(n) != s || d.Array(n) != n {
			t.Fatalf("length %d: %v", n, d.Err())
		}
		for range n {
			if !d.Nil() {
				t.Fatal("a nil is missing")
			}
		}
		if err := d.Done(); err != nil {
			t.Errorf("length %d: %v", n, err)
		}
	}
}

func TestFixedBoolNil(t *testing.T) {
	var e pack.Encoder
	e.Array(4)
	e.Bytes([]byte{1, 2, 3})
	e.Bool(true)
	e.Bool(false)
	e.Nil()
	d := pack.NewDecoder(e.Buf())
	var f [3]byte
	d.ArrayExact(4)
	d.Fixed(f[:])
	if f != [3]byte{1, 2, 3} || !d.Bool() || d.Bool() || d.Nil() != true || d.Done() != nil {
		t.Errorf("%v %v", f, d.Err())
	}
	if d.Nil() {
		t.Error("a nil past the end")
	}
}

// TestRefuses lists what a decoder must not take: every entry fails with BadMessage.
func TestRefuses(t *testing.T) {
	unsigned := func(d *pack.Decoder) { d.Uint() }
	signed := func(d *pack.Decoder) { d.Int() }
	array := func(d *pack.Decoder) { d.Array(math.MaxInt) }
	bin := func(d *pack.Decoder) { d.Bytes(math.MaxInt) }
	str := func(d *pack.Decoder) { d.String(math.MaxInt) }
	for _, c := range []struct {
		name string
		in   string
		read func(*pack.Decoder)
	}{
		{"nothing", "", unsigned},
		{"array of 4G, the five-byte killer", "\xdd\xff\xff\xff\xff", array},
		{"bin of 4G", "\xc6\xff\xff\xff\xff", bin},
		{"str of 4G", "\xdb\xff\xff\xff\xff", str},
		{"map of 4G", "\xdf\xff\xff\xff\xff", array},
		{"array one longer than the input", "\x92\x01", array},
		{"fixmap", "\x80", array},
		{"ext", "\xc9\xff\xff\xff\xff\x01", bin},
		{"float", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", unsigned},
		{"reserved code", "\xc1", unsigned},
		{"negative as unsigned", "\xff", unsigned},
		{"above 63 bits as signed", "\xcf\x80\x00\x00\x00\x00\x00\x00\x00", signed},
		{"uint8 too long a form", "\xcc\x7f", unsigned},
		{"uint16 too long a form", "\xcd\x00\xff", unsigned},
		{"uint32 too long a form", "\xce\x00\x00\xff\xff", unsigned},
		{"uint64 too long a form", "\xcf\x00\x00\x00\x00\xff\xff\xff\xff", unsigned},
		{"int8 too long a form", "\xd0\xe0", signed},
		{"int8 of a positive", "\xd0\x01", signed},
		{"int16 too long a form", "\xd1\xff\x80", signed},
		{"int32 too long a form", "\xd2\xff\xff\x80\x00", signed},
		{"int64 too long a form", "\xd3\xff\xff\xff\xff\x80\x00\x00\x00", signed},
		{"bin16 too long a form", "\xc5\x00\x01a", bin},
		{"bin32 too long a form", "\xc6\x00\x00\x00\x01a", bin},
		{"str8 too long a form", "\xd9\x01a", str},
		{"str16 too long a form", "\xda\x00\x01a", str},
		{"array16 too long a form", "\xdc\x00\x01\x01", array},
		{"array32 too long a form", "\xdd\x00\x00\x00\x01\x01", array},
		{"bin for a text", "\xc4\x01a", str},
		{"text for bytes", "\xa1a", bin},
		{"cut number", "\xcd\x01", unsigned},
		{"cut bytes", "\xc4\x02a", bin},
		{"boolean from a number", "\x01", func(d *pack.Decoder) { d.Bool() }},
		{"trailing byte", "\x01\x01", unsigned},
		{"too many elements", "\x92\x01\x01", func(d *pack.Decoder) { d.Array(1) }},
		{"too many bytes", "\xc4\x02ab", func(d *pack.Decoder) { d.Bytes(1) }},
		{"too long a text", "\xa2ab", func(d *pack.Decoder) { d.String(1) }},
		{"negative limit", "\xa2ab", func(d *pack.Decoder) { d.String(-1) }},
		{"wrong number of elements", "\x92\x01\x01", func(d *pack.Decoder) { d.ArrayExact(3) }},
		{"wrong fixed length", "\xc4\x01a", func(d *pack.Decoder) { d.Fixed(make([]byte, 2)) }},
		{"too big a number", "\xcd\x01\x00", func(d *pack.Decoder) { d.Uint8() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := pack.NewDecoder([]byte(c.in))
			c.read(d)
			if err := d.Done(); !errors.Is(err, signet.BadMessage) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestFirstErrorSticks(t *testing.T) {
	d := pack.NewDecoder([]byte{0xc1, 1, 2})
	d.Uint()
	first := d.Err()
	if d.Uint() != 0 || d.Int() != 0 || d.Bytes(9) != nil || d.String(9) != "" || d.Bool() || d.Nil() || d.Array(9) != 0 {
		t.Error("something was read after an error")
	}
	d.Fail("later")
	if d.Done() != first {
		t.Errorf("%v became %v", first, d.Err())
	}
}

func TestAnyValueComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e pack.Encoder
		n := rapid.IntRange(0, 40).Draw(t, "n")
		e.Array(n)
		var check []func(*pack.Decoder) bool
		for range n {
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				v := rapid.Uint64().Draw(t, "u")
				e.Uint(v)
				check = append(check, func(d *pack.Decoder) bool { return d.Uint() == v })
			case 1:
				v := rapid.Int64().Draw(t, "i")
				e.Int(v)
				check = append(check, func(d *pack.Decoder) bool { return d.Int() == v })
			case 2:
				v := rapid.SliceOf(rapid.Byte()).Draw(t, "b")
				e.Bytes(v)
				check = append(check, func(d *pack.Decoder) bool { return bytes.Equal(d.Bytes(len(v)), v) })
			case 3:
				v := rapid.String().Draw(t, "s")
				e.String(v)
				check = append(check, func(d *pack.Decoder) bool { return d.String(len(v)) == v })
			case 4:
				v := rapid.Bool().Draw(t, "f")
				e.Bool(v)
				check = append(check, func(d *pack.Decoder) bool { return d.Bool() == v })
			}
		}
		d := pack.NewDecoder(e.Buf())
		if d.Array(n) != n {
			t.Fatalf("array: %v", d.Err())
		}
		for i, ok := range check {
			if !ok(d) {
				t.Fatalf("value %d: %v", i, d.Err())
			}
		}
		if err := d.Done(); err != nil {
			t.Fatal(err)
		}
	})
}
