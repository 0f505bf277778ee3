package pack_test

import (
	"bytes"
	"testing"

	"github.com/signetfs/signet/internal/pack"
	"github.com/vmihailenco/msgpack/v5"
)

// killers are inputs that take down a decoder which believes lengths.
var killers = []string{
	"\xdd\xff\xff\xff\xff", "\xdc\xff\xff", "\xc6\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff",
	"\xdf\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff\x00", "\x91\xdd\xff\xff\xff\xff",
}

// FuzzDecode reads an input by a script (one byte a step) and writes again what it
// read: whatever is accepted must come out as the same bytes, and what it is taken
// for must be what the library takes it for.
func FuzzDecode(f *testing.F) {
	for _, k := range killers {
		for s := range byte(7) {
			f.Add([]byte{s, s}, []byte(k))
		}
	}
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6}, []byte("\x96\x01\xff\xc4\x01a\xa1b\xc3\xc0"))
	f.Fuzz(func(t *testing.T, script, in []byte) {
		d := pack.NewDecoder(in)
		var e pack.Encoder
		for _, s := range script {
			step(d, &e, s)
		}
		if d.Err() != nil {
			if d.Uint() != 0 || d.Bytes(1<<30) != nil {
				t.Fatal("something was read after an error")
			}
			return
		}
		read := in[:len(in)-d.Remaining()]
		if !bytes.Equal(e.Buf(), read) {
			t.Fatalf("% x came back as % x", read, e.Buf())
		}
		agree(t, script, in)
	})
}

func step(d *pack.Decoder, e *pack.Encoder, s byte) {
	switch s % 7 {
	case 0:
		n := d.Array(1 << 20)
		_ = make([]byte, n) // bounded by the input
		e.Array(n)
	case 1:
		e.Uint(d.Uint())
	case 2:
		e.Int(d.Int())
	case 3:
		e.Bytes(d.Bytes(1 << 30))
	case 4:
		e.String(d.String(1 << 30))
	case 5:
		e.Bool(d.Bool())
	case 6:
		if d.Nil() {
			e.Nil()
		}
	}
}

// agree reads an accepted input with the library, one bounded primitive at a time.
func agree(t *testing.T, script, in []byte) {
	m := msgpack.NewDecoder(bytes.NewReader(in))
	d := pack.NewDecoder(in)
	for _, s := range script {
		var err error
		same := true
		switch s % 7 {
		case 0:
			var n int
			n, err = m.DecodeArrayLen()
			same = d.Array(1<<20) == n
		case 1:
			var v uint64
			v, err = m.DecodeUint64()
			same = d.Uint() == v
		case 2:
			var v int64
			v, err = m.DecodeInt64()
			same = d.Int() == v
		case 3:
			var v []byte
			v, err = m.DecodeBytes()
			same = bytes.Equal(d.Bytes(1<<30), v)
		case 4:
			var v string
			v, err = m.DecodeString()
			same = d.String(1<<30) == v
		case 5:
			var v bool
			v, err = m.DecodeBool()
			same = d.Bool() == v
		case 6:
			if d.Nil() {
				err = m.DecodeNil()
			}
		}
		if err != nil || !same {
			t.Fatalf("the library disagrees about % x: %v", in, err)
		}
	}
}
