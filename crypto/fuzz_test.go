package crypto_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
)

// mangle changes b as ops say: three bytes an operation (what, where, with what). It
// returns the result and whether it differs from b. other is a source of foreign but
// well-formed bytes.
func mangle(b, other, ops []byte) ([]byte, bool) {
	out := bytes.Clone(b)
	for ; len(ops) >= 3; ops = ops[3:] {
		at := 0
		if len(out) > 0 {
			at = int(ops[1]) * len(out) / 256
		}
		with := int(ops[2])
		switch ops[0] % 7 {
		case 0: // flip
			if at < len(out) {
				out[at] ^= byte(with)
			}
		case 1: // cut the end
			out = out[:at]
		case 2: // cut the start
			out = out[at:]
		case 3: // append
			out = append(out, bytes.Repeat([]byte{byte(at)}, with)...)
		case 4: // leave some out
			out = append(out[:at], out[min(len(out), at+with):]...)
		case 5: // put some of the other's in
			copy(out[at:], other[min(at, len(other)):])
		case 6: // swap two parts
			h := min(with, at, len(out)-at)
			tmp := bytes.Clone(out[at-h : at])
			copy(out[at-h:at], out[at:at+h])
			copy(out[at:at+h], tmp)
		}
	}
	return out, !bytes.Equal(out, b)
}

func addMangles(f *testing.F, size uint16) {
	f.Helper()
	f.Add(size, []byte{})
	for what := byte(0); what < 7; what++ {
		f.Add(size, []byte{what, 0, 1})
		f.Add(size, []byte{what, 128, 16})
		f.Add(size, []byte{what, 255, 255, 0, 3, 1})
	}
}

// FuzzOpenObject mangles a sealed object: it opens if and only if it is unchanged.
func FuzzOpenObject(f *testing.F) {
	for _, size := range []uint16{0, 1, 5000, crypto.SegmentSize, 3*crypto.SegmentSize + 1} {
		addMangles(f, size)
	}
	k := newRing(f, "ring")
	f.Fuzz(func(t *testing.T, size uint16, ops []byte) {
		plain := bytesOf("plain", int(size))
		sealed, row := mustSeal(t, k, "s", plain)
		other, _ := mustSeal(t, k, "t", plain)
		bad, changed := mangle(sealed, other, ops)
		got, err := open(k, row, bad)
		switch {
		case changed && !errors.Is(err, signet.Corrupt):
			t.Fatalf("mangled bytes: %v, want Corrupt", err)
		case !changed && (err != nil || !bytes.Equal(got, plain)):
			t.Fatalf("unchanged bytes: %v", err)
		}
	})
}

// FuzzOpenRow opens good bytes under any row: only its own gives anything.
func FuzzOpenRow(f *testing.F) {
	k := newRing(f, "ring")
	plain := bytesOf("plain", 5000)
	sealed, row := mustSeal(f, k, "s", plain)
	f.Add(row.KeyVersion, row.Size, row.Sealed, row.Salt[:], sealed)
	f.Add(uint32(0), uint32(0), uint32(96), []byte{}, sealed[:96])
	f.Add(row.KeyVersion, ^uint32(0), ^uint32(0), row.Salt[:], []byte{})
	f.Fuzz(func(t *testing.T, version, size, length uint32, salt, b []byte) {
		r := signet.Object{KeyVersion: version, Size: size, Sealed: length}
		copy(r.Salt[:], salt)
		o, err := k.Opener(&r)
		if err != nil {
			return
		}
		same := r.KeyVersion == row.KeyVersion && r.Size == row.Size && r.Salt == row.Salt && bytes.Equal(b, sealed)
		dst := make([]byte, size)
		if err := o.Open(dst, b); (err == nil) != same || same && !bytes.Equal(dst, plain) {
			t.Fatalf("row %+v: %v", r, err)
		}
	})
}

// FuzzOpenRange asks for any range with any bytes.
func FuzzOpenRange(f *testing.F) {
	k := newRing(f, "ring")
	plain := bytesOf("plain", 3*crypto.SegmentSize+100)
	sealed, row := mustSeal(f, k, "s", plain)
	other, _ := mustSeal(f, k, "t", plain)
	for _, ops := range [][]byte{{}, {0, 10, 1}, {5, 0, 0}, {6, 128, 255}} {
		f.Add(uint32(0), uint32(100), ops)
		f.Add(uint32(16384), uint32(16384), ops)
		f.Add(uint32(20000), uint32(29252), ops)
		f.Add(^uint32(0), uint32(2), ops)
	}
	f.Fuzz(func(t *testing.T, off, n uint32, ops []byte) {
		o, err := k.Opener(&row)
		if err != nil {
			t.Fatal(err)
		}
		at, length, err := o.Range(off, n)
		if inside := uint64(off)+uint64(n) <= uint64(row.Size); inside != (err == nil) {
			t.Fatalf("%d at %d of %d: %v", n, off, row.Size, err)
		}
		if err != nil {
			return
		}
		part, changed := mangle(sealed[at:at+length], other[at:at+length], ops)
		dst := make([]byte, n)
		err = o.OpenRange(dst, off, part)
		if changed != (err != nil) || !changed && !bytes.Equal(dst, plain[off:off+n]) {
			t.Fatalf("%d at %d, changed %v: %v", n, off, changed, err)
		}
	})
}

// FuzzOpenInline mangles inline data and its place.
func FuzzOpenInline(f *testing.F) {
	addMangles(f, 100)
	k := newRing(f, "ring")
	f.Fuzz(func(t *testing.T, size uint16, ops []byte) {
		plain := bytesOf("plain", 1+int(size)%signet.MaxInline)
		sealed, err := k.SealInline(nil, random("s"), 7, 8, plain)
		if err != nil {
			t.Fatal(err)
		}
		other, _ := k.SealInline(nil, random("t"), 7, 8, plain)
		bad, changed := mangle(sealed, other, ops)
		// Putting all of the other's bytes in place gives other inline data for the
		// same place, which is genuine.
		if bytes.Equal(bad, other) {
			return
		}
		got, err := k.OpenInline(nil, 7, 8, bad)
		if changed != (err != nil) || !changed && !bytes.Equal(got, plain) {
			t.Fatalf("changed %v: %v", changed, err)
		}
		if _, err := k.OpenInline(nil, 8, 7, bad); err == nil {
			t.Fatal("opens in another place")
		}
	})
}

// FuzzOpenNames hands any bytes to everything that opens what is sealed with AES-SIV.
// Whatever opens must be what sealing gives.
func FuzzOpenNames(f *testing.F) {
	k := newRing(f, "ring")
	name, _ := k.SealName(1, "hello.txt")
	target, _ := k.SealTarget(1, []byte("../x"))
	xname, _ := k.SealXattrName(1, "user.x")
	value, _ := k.SealXattrValue(1, "user.x", []byte("v"))
	for _, b := range [][]byte{name, target, xname, value, nil, make([]byte, 16), make([]byte, 5000)} {
		f.Add(uint64(1), "user.x", b)
	}
	f.Fuzz(func(t *testing.T, n uint64, attr string, b []byte) {
		ino := signet.Ino(n)
		check := func(what string, again []byte, err, sealErr error) {
			switch {
			case err == nil && (sealErr != nil || !bytes.Equal(again, b)):
				t.Fatalf("%s opens but does not seal to the same", what)
			case err != nil && !errors.Is(err, signet.Corrupt) && !errors.Is(err, signet.Invalid):
				t.Fatalf("%s: %v", what, err)
			}
		}
		s, err := k.OpenName(ino, b)
		again, err2 := k.SealName(ino, s)
		check("name", again, err, err2)
		p, err := k.OpenTarget(ino, b)
		again, err2 = k.SealTarget(ino, p)
		check("target", again, err, err2)
		s, err = k.OpenXattrName(ino, b)
		again, err2 = k.SealXattrName(ino, s)
		check("attribute name", again, err, err2)
		p, err = k.OpenXattrValue(ino, attr, b)
		again, err2 = k.SealXattrValue(ino, attr, p)
		check("attribute value", again, err, err2)
	})
}

// FuzzSealName: every name that seals opens to itself, under its parent only.
func FuzzSealName(f *testing.F) {
	k := newRing(f, "ring")
	f.Add(uint64(1), "hello.txt")
	f.Add(uint64(1)<<63, "..")
	f.Add(uint64(0), "a/b")
	f.Fuzz(func(t *testing.T, n uint64, name string) {
		sealed, err := k.SealName(signet.Ino(n), name)
		if err != nil {
			return
		}
		if got, err := k.OpenName(signet.Ino(n), sealed); err != nil || got != name {
			t.Fatalf("%q, %v", got, err)
		}
		if _, err := k.OpenName(signet.Ino(n+1), sealed); err == nil {
			t.Fatal("opens under another parent")
		}
	})
}

// FuzzDecodeSlot decodes any bytes. What decodes encodes to the same bytes; what was
// changed does not open.
func FuzzDecodeSlot(f *testing.F) {
	k1 := newRing(f, "golden")
	k, err := k1.Rotate(random("rotate"))
	if err != nil {
		f.Fatal(err)
	}
	h, err := crypto.NewHostSecret(random("host"))
	if err != nil {
		f.Fatal(err)
	}
	// The seeds are the golden slots: sealing fresh ones would differ in every worker.
	for _, name := range []string{"slot-host", "slot-passphrase", "slot-recovery"} {
		f.Add(readHex(f, name))
	}
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}) // an array of 4 billion
	f.Add([]byte{0x9d, 0x01, 0x02, 0xdb, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := crypto.DecodeSlot(b)
		if err != nil {
			if !errors.Is(err, signet.BadMessage) && !errors.Is(err, signet.WrongVersion) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(s.Encode(), b) {
			t.Fatal("decoding and encoding changes it")
		}
		if got, err := s.OpenAsHost(h); err == nil && !sameKeys(got, k) {
			t.Fatal("opens to other keys")
		}
		if _, err := k.Reseal(s); err == nil && s.Volume != k.ID() {
			t.Fatal("resealed a slot of another volume")
		}
	})
}

// FuzzParseRecoveryKey: what parses prints and parses as the same key.
func FuzzParseRecoveryKey(f *testing.F) {
	r, err := crypto.NewRecoveryKey(random("recovery"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Text())
	f.Add("sgn1 " + r.Text()[5:])
	f.Add("SGN1-OOOO-IIII-LLLL")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := crypto.ParseRecoveryKey(text)
		if err != nil {
			if !errors.Is(err, signet.Invalid) && !errors.Is(err, signet.BadPassphrase) {
				t.Fatal(err)
			}
			return
		}
		again, err := crypto.ParseRecoveryKey(got.Text())
		if err != nil || !bytes.Equal(again.Secret(), got.Secret()) {
			t.Fatal(err)
		}
	})
}

// FuzzDecodeKeys decodes any bytes as the secrets in a slot.
func FuzzDecodeKeys(f *testing.F) {
	f.Add(newRing(f, "ring").EncodeKeys())
	f.Add([]byte{0x94, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := crypto.DecodeKeys(b)
		if err != nil {
			if !errors.Is(err, signet.BadMessage) && !errors.Is(err, signet.WrongVersion) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(k.EncodeKeys(), b) {
			t.Fatal("decoding and encoding changes it")
		}
	})
}
