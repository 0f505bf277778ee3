package crypto_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
	"github.com/signetfs/signet/internal/digest"
)

// sizes are those around which something could be off by one.
var sizes = []int{0, 1, 15, 16, 17, 4096, 5000,
	crypto.SegmentSize - 1, crypto.SegmentSize, crypto.SegmentSize + 1,
	2*crypto.SegmentSize - 1, 2 * crypto.SegmentSize, 2*crypto.SegmentSize + 1,
	100_000, signet.MaxObject - 1, signet.MaxObject}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	for _, n := range sizes {
		plain := bytesOf("plain", n)
		sealed, row := mustSeal(t, k, fmt.Sprint(n), plain)
		if int(row.Size) != n || int(row.Sealed) != len(sealed) || row.Sealed != crypto.SealedSize(row.Size) {
			t.Errorf("%d bytes: row %d/%d, sealed %d, SealedSize %d", n, row.Size, row.Sealed, len(sealed), crypto.SealedSize(row.Size))
		}
		if row.KeyVersion != 1 || row.Form != signet.FormReplicas {
			t.Errorf("%d bytes: key version %d, form %d", n, row.KeyVersion, row.Form)
		}
		if err := digest.Verify(row.Address, sealed); err != nil {
			t.Error(err)
		}
		if n > 16 && bytes.Contains(sealed, plain[:16]) {
			t.Errorf("%d bytes: the sealed bytes contain plain ones", n)
		}
		got, err := open(k, row, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: open: %v, equal %v", n, err, bytes.Equal(got, plain))
		}
	}
	if crypto.SealedSize(signet.MaxObject) != crypto.MaxSealed {
		t.Errorf("MaxSealed is %d, the longest object %d", crypto.MaxSealed, crypto.SealedSize(signet.MaxObject))
	}
}

func TestSealTooBig(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	half := make([]byte, signet.MaxObject/2)
	dst := []byte("kept")
	got, _, err := k.Seal(dst, random("s"), crypto.Spread(), half, half, []byte{1})
	wantKind(t, "MaxObject+1", err, signet.TooBig)
	if string(got) != "kept" {
		t.Errorf("after an error the buffer is %q", got)
	}
}

// However the content comes in pieces, the object is the same.
func TestSealPieces(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5*crypto.SegmentSize).Draw(t, "size")
		plain := bytesOf("plain", n)
		var pieces [][]byte
		for rest := plain; len(rest) > 0; {
			m := rapid.IntRange(0, min(len(rest), 2*crypto.SegmentSize)).Draw(t, "piece")
			pieces = append(pieces, rest[:m])
			rest = rest[m:]
			if len(pieces) == 50 {
				pieces = append(pieces, rest)
				break
			}
		}
		whole, row, err := k.Seal(nil, random("salt"), crypto.Spread(), plain)
		if err != nil {
			t.Fatal(err)
		}
		parts, row2, err := k.Seal([]byte("before"), random("salt"), crypto.Spread(), pieces...)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(parts, []byte("before")) || !bytes.Equal(parts[6:], whole) || row.Address != row2.Address {
			t.Fatalf("%d bytes in %d pieces seal differently", n, len(pieces))
		}
	})
}

// Any range opens from exactly the bytes that SealedRange names, into the caller's
// buffer and nothing beside it.
func TestOpenRange(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5*crypto.SegmentSize).Draw(t, "size")
		off := rapid.IntRange(0, n).Draw(t, "off")
		want := rapid.IntRange(0, n-off).Draw(t, "len")
		plain := bytesOf("plain", n)
		sealed, row, err := k.Seal(nil, random("salt"), crypto.Spread(), plain)
		if err != nil {
			t.Fatal(err)
		}
		o, err := k.Opener(&row)
		if err != nil {
			t.Fatal(err)
		}
		at, length, err := o.Range(uint32(off), uint32(want))
		if err != nil {
			t.Fatal(err)
		}
		if max := uint32(want + 2*(crypto.SegmentSize+crypto.TagSize) + (want/crypto.SegmentSize)*crypto.TagSize + crypto.HeaderSize); length > max {
			t.Fatalf("%d sealed bytes for %d", length, want)
		}
		part := bytes.Clone(sealed[at : at+length])
		buf := bytes.Repeat([]byte{0xEE}, want+64)
		if err := o.OpenRange(buf[32:32+want:32+want], uint32(off), part); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(buf[32:32+want], plain[off:off+want]) {
			t.Fatal("wrong bytes")
		}
		guard := bytes.Repeat([]byte{0xEE}, 32)
		if !bytes.Equal(buf[:32], guard) || !bytes.Equal(buf[32+want:], guard) {
			t.Fatal("bytes beside the buffer were written")
		}
		if !bytes.Equal(part, sealed[at:at+length]) {
			t.Fatal("the sealed bytes were changed")
		}
		// A buffer with room behind it is not written beyond its length either.
		if err := o.OpenRange(buf[32:32+want], uint32(off), part); err != nil || !bytes.Equal(buf[32+want:], guard) {
			t.Fatalf("room behind the buffer: %v", err)
		}
	})
}

func TestRangeOutside(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	sealed, row := mustSeal(t, k, "s", bytesOf("plain", 100))
	o, err := k.Opener(&row)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ off, n uint32 }{{0, 101}, {101, 0}, {100, 1}, {1, 100}, {^uint32(0), 1}, {1, ^uint32(0)}} {
		_, _, err := o.Range(c.off, c.n)
		wantKind(t, fmt.Sprint("range ", c), err, signet.Invalid)
	}
	wantKind(t, "long buffer", o.OpenRange(make([]byte, 101), 0, sealed), signet.Invalid)
	wantKind(t, "short buffer", o.Open(make([]byte, 99), sealed), signet.Invalid)
	_, _, err = crypto.SealedRange(signet.MaxObject+1, 0, 1)
	wantKind(t, "object too long", err, signet.Invalid)
	if at, n, err := crypto.SealedRange(100, 100, 0); at != 0 || n != 0 || err != nil {
		t.Errorf("an empty range needs %d bytes at %d, %v", n, at, err)
	}
	if err := o.OpenRange(nil, 50, nil); err != nil {
		t.Error(err)
	}
}

// Whatever happens to the sealed bytes, they do not open, and the buffer holds
// nothing but zeros or bytes that verified.
func TestDamagedObject(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	for _, n := range []int{0, 1, 100, crypto.SegmentSize, 2*crypto.SegmentSize + 100} {
		plain := bytesOf("plain", n)
		sealed, row := mustSeal(t, k, "s", plain)
		o, err := k.Opener(&row)
		if err != nil {
			t.Fatal(err)
		}
		damages(sealed, func(what string, bad []byte) {
			dst := make([]byte, n)
			err := o.Open(dst, bad)
			if !errors.Is(err, signet.Corrupt) {
				t.Fatalf("%d bytes, %s: %v, want Corrupt", n, what, err)
			}
			for i := range dst {
				if dst[i] != 0 && dst[i] != plain[i] {
					t.Fatalf("%d bytes, %s: the buffer holds bytes that did not verify", n, what)
				}
			}
		})
	}
}

// Segments belong where they are: swapped, repeated, dropped or taken from another
// object they do not open, in a range either.
func TestSegmentsStay(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	const stride = crypto.SegmentSize + crypto.TagSize
	seg := func(b []byte, i int) []byte { return b[crypto.HeaderSize+i*stride:][:stride] }
	plain := bytesOf("plain", 4*crypto.SegmentSize)
	sealed, row := mustSeal(t, k, "s", plain)
	other, _ := mustSeal(t, k, "other", plain)
	o, err := k.Opener(&row)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, crypto.SegmentSize)
	for i := range 4 {
		off := uint32(i * crypto.SegmentSize)
		at, n, err := o.Range(off, crypto.SegmentSize)
		if err != nil {
			t.Fatal(err)
		}
		good := sealed[at : at+n]
		if err := o.OpenRange(dst, off, good); err != nil {
			t.Errorf("segment %d: %v", i, err)
		}
		for j := range 4 {
			if i != j {
				bad := append(bytes.Clone(good[:len(good)-stride]), seg(sealed, j)...)
				wantKind(t, fmt.Sprintf("segment %d for %d", j, i), o.OpenRange(dst, off, bad), signet.Corrupt)
			}
		}
		bad := append(bytes.Clone(good[:len(good)-stride]), seg(other, i)...)
		wantKind(t, "segment of another object", o.OpenRange(dst, off, bad), signet.Corrupt)
	}
	// The first three segments are not an object of three segments, even under a row
	// that says so.
	short := row
	short.Size, short.Sealed = 3*crypto.SegmentSize, crypto.SealedSize(3*crypto.SegmentSize)
	_, err = open(k, short, sealed[:short.Sealed])
	wantKind(t, "object cut at a segment", err, signet.Corrupt)
}

// Only the row's own object opens.
func TestRowDecides(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	plain := bytesOf("plain", 5000)
	sealed, row := mustSeal(t, k, "s", plain)
	swapped, other := mustSeal(t, k, "t", plain)
	if bytes.Equal(sealed, swapped) || row.Salt == other.Salt {
		t.Fatal("two seals of the same bytes are equal")
	}
	_, err := open(k, row, swapped)
	wantKind(t, "another object of the same content", err, signet.Corrupt)

	change := func(what string, kind signet.Kind, f func(*signet.Object)) {
		bad := row
		f(&bad)
		_, err := open(k, bad, sealed)
		wantKind(t, what, err, kind)
	}
	change("other salt", signet.Corrupt, func(o *signet.Object) { o.Salt[31] ^= 1 })
	change("other size", signet.Corrupt, func(o *signet.Object) { o.Size++ })
	change("other sizes", signet.Corrupt, func(o *signet.Object) { o.Size++; o.Sealed++ })
	change("other sealed size", signet.Corrupt, func(o *signet.Object) { o.Sealed-- })
	change("impossible size", signet.Corrupt, func(o *signet.Object) { o.Size = ^uint32(0); o.Sealed = crypto.SealedSize(o.Size) })
	change("version 0", signet.NoKey, func(o *signet.Object) { o.KeyVersion = 0 })
	change("version 2", signet.NoKey, func(o *signet.Object) { o.KeyVersion = 2 })
	change("version 2^32-1", signet.NoKey, func(o *signet.Object) { o.KeyVersion = ^uint32(0) })

	_, err = open(newRing(t, "other ring"), row, sealed)
	wantKind(t, "another volume's keys", err, signet.Corrupt)
	k2, err := k.Rotate(random("rotate"))
	if err != nil {
		t.Fatal(err)
	}
	row.KeyVersion = 2
	_, err = open(k2, row, sealed)
	wantKind(t, "the next key version", err, signet.Corrupt)
}

// Every byte of the header is fixed by the row, the reserved ones too.
func TestReservedHeaderBytes(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	sealed, row := mustSeal(t, k, "s", []byte("x"))
	if got, want := string(sealed[:8]), "SGNT\x01\x01\x01\x00"; got != want {
		t.Errorf("header begins %q, want %q", got, want)
	}
	for compression := 1; compression < 256; compression++ {
		bad := bytes.Clone(sealed)
		bad[7] = byte(compression)
		_, err := open(k, row, bad)
		wantKind(t, "a compression flag", err, signet.Corrupt)
	}
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	_, row, err := k.Seal(nil, random("s"), crypto.Whole(0xABCD), []byte("x"))
	if err != nil || row.Address.ArcKey() != 0xABCD {
		t.Errorf("whole: arc key %04x, %v", row.Address.ArcKey(), err)
	}
	_, row = mustSeal(t, k, "s", []byte("x"))
	if d := row.Address.Digest(); row.Address.ArcKey() != signet.ArcKey(d[0])<<8|signet.ArcKey(d[1]) {
		t.Errorf("spread: arc key %04x, digest %v", row.Address.ArcKey(), d)
	}
	if row.Address.Alg() != digest.Default {
		t.Errorf("digest algorithm %d", row.Address.Alg())
	}
}

// Sealing into a buffer with room and opening in place of one allocate nothing for
// the data.
func TestNoCopies(t *testing.T) { // counts allocations, so it runs alone
	k := newRing(t, "ring")
	plain := bytesOf("plain", 1<<20)
	buf := make([]byte, 0, crypto.SealedSize(1<<20))
	sealed, row, err := k.Seal(buf, random("s"), crypto.Spread(), plain)
	if err != nil || &sealed[0] != &buf[:1][0] {
		t.Fatalf("the buffer was not used: %v", err)
	}
	o, err := k.Opener(&row)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 1<<20)
	if n := testing.AllocsPerRun(5, func() { _ = o.Open(dst, sealed) }); n > 0 {
		t.Errorf("opening 1 MiB makes %v allocations", n)
	}
}

func TestBadRandomness(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	for _, r := range []io.Reader{bytes.NewReader(nil), bytes.NewReader(make([]byte, 31)), bytes.NewReader(make([]byte, 32))} {
		if _, _, err := k.Seal(nil, r, crypto.Spread(), []byte("x")); err == nil {
			t.Error("sealed without a salt")
		}
	}
	if _, err := crypto.NewKeyring(bytes.NewReader(make([]byte, 95))); err == nil {
		t.Error("a keyring of 95 bytes")
	}
}
