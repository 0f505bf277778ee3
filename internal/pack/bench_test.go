package pack_test

import (
	"bytes"
	"testing"

	"github.com/signetfs/signet/internal/pack"
	"github.com/vmihailenco/msgpack/v5"
)

var address = bytes.Repeat([]byte{0xab}, 35)

// header writes what the head of a put looks like: seven fields.
func header(e *pack.Encoder) {
	e.Array(7)
	e.Uint(8)
	e.Uint(1)
	e.Bytes(address)
	e.Uint(77_123)
	e.Uint(1_000_000_007)
	e.Int(-12)
	e.String("host-a:7420")
}

func readHeader(d *pack.Decoder) (n uint64) {
	d.ArrayExact(7)
	n = d.Uint() + d.Uint() + uint64(len(d.Bytes(64))) + d.Uint() + d.Uint() + uint64(d.Int())
	return n + uint64(len(d.String(64)))
}

func BenchmarkEncode(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		var e pack.Encoder
		for b.Loop() {
			e.Reset()
			header(&e)
		}
	})
	b.Run("ours, fresh", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var e pack.Encoder
			header(&e)
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		var buf bytes.Buffer
		m := msgpack.NewEncoder(&buf)
		for b.Loop() {
			buf.Reset()
			libraryHeader(m)
		}
	})
	b.Run("library, fresh", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var buf bytes.Buffer
			libraryHeader(msgpack.NewEncoder(&buf))
		}
	})
}

func libraryHeader(m *msgpack.Encoder) {
	_ = m.EncodeArrayLen(7)
	_ = m.EncodeUint(8)
	_ = m.EncodeUint(1)
	_ = m.EncodeBytes(address)
	_ = m.EncodeUint(77_123)
	_ = m.EncodeUint(1_000_000_007)
	_ = m.EncodeInt(-12)
	_ = m.EncodeString("host-a:7420")
}

func BenchmarkDecode(b *testing.B) {
	var e pack.Encoder
	header(&e)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d := pack.NewDecoder(e.Buf())
			readHeader(d)
			if d.Done() != nil {
				b.Fatal(d.Err())
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		r := bytes.NewReader(nil)
		m := msgpack.NewDecoder(r)
		for b.Loop() {
			r.Reset(e.Buf())
			m.Reset(r)
			_, _ = m.DecodeArrayLen()
			_, _ = m.DecodeUint64()
			_, _ = m.DecodeUint64()
			_, _ = m.DecodeBytes()
			_, _ = m.DecodeUint64()
			_, _ = m.DecodeUint64()
			_, _ = m.DecodeInt64()
			if _, err := m.DecodeString(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	var e pack.Encoder
	header(&e)
	if n := testing.AllocsPerRun(100, func() { e.Reset(); header(&e) }); n != 0 {
		t.Errorf("encoding allocates %v times", n)
	}
	in := e.Buf()
	if n := testing.AllocsPerRun(100, func() { readHeader(pack.NewDecoder(in)) }); n > 2 {
		t.Errorf("decoding allocates %v times", n)
	}
}
