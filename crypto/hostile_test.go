package crypto_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
)

// What a holder of the key sealed with a program of his own is genuine, and still
// must be something that can stand in a directory.
func TestGenuineButImpossible(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	for _, b := range []string{"", ".", "..", "a/b", "../../etc/passwd", "a\x00"} {
		name, target, xattr := k.SealRaw(1, []byte(b))
		_, err := k.OpenName(1, name)
		wantKind(t, fmt.Sprintf("name %q", b), err, signet.Corrupt)
		if b == "" {
			_, err = k.OpenTarget(1, target)
			wantKind(t, "empty target", err, signet.Corrupt)
		}
		if b == "" || b == "a\x00" {
			_, err = k.OpenXattrName(1, xattr)
			wantKind(t, fmt.Sprintf("attribute %q", b), err, signet.Corrupt)
		}
	}
	long, _, _ := k.SealRaw(1, bytes.Repeat([]byte("x"), 256))
	_, err := k.OpenName(1, long)
	wantKind(t, "a name of 256 bytes", err, signet.Corrupt)
}

// The secrets in a slot are decoded with the same care as the slot.
func TestDecodeKeys(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	k, err := k.Rotate(random("2"))
	if err != nil {
		t.Fatal(err)
	}
	enc := k.EncodeKeys()
	got, err := crypto.DecodeKeys(enc)
	if err != nil || !sameKeys(got, k) {
		t.Fatal(err)
	}
	damages(enc, func(what string, bad []byte) {
		got, err := crypto.DecodeKeys(bad)
		switch {
		case err != nil:
			if !errors.Is(err, signet.BadMessage) && !errors.Is(err, signet.WrongVersion) {
				t.Fatalf("%s: %v", what, err)
			}
		case !bytes.Equal(got.EncodeKeys(), bad):
			t.Fatalf("%s: decodes to other secrets", what)
		}
	})
	none := append(bytes.Clone(enc[:2+34+34]), 0x90)
	_, err = crypto.DecodeKeys(none)
	wantKind(t, "no versions", err, signet.BadMessage)
	huge := append(bytes.Clone(enc[:2+34+34]), 0xdd, 0xff, 0xff, 0xff, 0xff)
	_, err = crypto.DecodeKeys(huge)
	wantKind(t, "4 billion versions", err, signet.BadMessage)
}

// One opener serves many goroutines.
func TestOpenerIsShared(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	plain := bytesOf("plain", 3*crypto.SegmentSize)
	sealed, row := mustSeal(t, k, "s", plain)
	o, err := k.Opener(&row)
	if err != nil || int(o.Size()) != len(plain) {
		t.Fatal(err)
	}
	k.Wipe() // an opener has what it needs
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				off := uint32((g*1000 + i*777) % (2 * crypto.SegmentSize))
				dst := make([]byte, 5000)
				at, n, err := o.Range(off, 5000)
				if err == nil {
					err = o.OpenRange(dst, off, sealed[at:at+n])
				}
				if err != nil || !bytes.Equal(dst, plain[off:off+5000]) {
					t.Errorf("at %d: %v", off, err)
				}
			}
		})
	}
	wg.Wait()
}
