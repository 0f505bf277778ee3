package crypto_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
)

func TestInline(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	for _, n := range []int{1, 16, 100, signet.MaxInline} {
		plain := bytesOf("plain", n)
		sealed, err := k.SealInline([]byte("before"), random("s"), 7, 4096, plain)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(sealed, []byte("before")) || len(sealed) != 6+n+crypto.InlineOverhead {
			t.Errorf("%d bytes seal to %d", n, len(sealed)-6)
		}
		sealed = sealed[6:]
		got, err := k.OpenInline([]byte("kept"), 7, 4096, sealed)
		if err != nil || !bytes.Equal(got, append([]byte("kept"), plain...)) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, n := range []int{0, signet.MaxInline + 1} {
		_, err := k.SealInline(nil, random("s"), 7, 0, make([]byte, n))
		wantKind(t, fmt.Sprint(n), err, signet.Invalid)
	}
}

// Inline data opens in its own place only.
func TestInlinePlace(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	sealed, err := k.SealInline(nil, random("s"), 7, 4096, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ino    signet.Ino
		origin uint64
	}{{8, 4096}, {7, 0}, {7, 4097}, {4096, 7}, {0, 0}} {
		_, err := k.OpenInline(nil, c.ino, c.origin, sealed)
		wantKind(t, fmt.Sprint(c), err, signet.Corrupt)
	}
	_, err = newRing(t, "other").OpenInline(nil, 7, 4096, sealed)
	wantKind(t, "another volume", err, signet.Corrupt)
}

func TestDamagedInline(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	sealed, err := k.SealInline(nil, random("s"), 7, 0, []byte("some inline data"))
	if err != nil {
		t.Fatal(err)
	}
	damages(sealed, func(what string, bad []byte) {
		out, err := k.OpenInline([]byte("kept"), 7, 0, bad)
		// A flipped key version names keys that this host lacks: no lie, but no proof.
		if !errors.Is(err, signet.Corrupt) && !errors.Is(err, signet.NoKey) || string(out) != "kept" {
			t.Fatalf("%s: %q, %v", what, out, err)
		}
	})
}

// Inline data is not an object and an object is not inline data, even with the same
// salt, size and key version.
func TestInlineIsNoObject(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	object, row := mustSeal(t, k, "s", []byte("data"))
	inline, err := k.SealInline(nil, random("s"), 0, 0, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.OpenInline(nil, 0, 0, object); !errors.Is(err, signet.Corrupt) {
		t.Errorf("an object opens as inline data: %v", err)
	}
	if _, err := open(k, row, inline); !errors.Is(err, signet.Corrupt) {
		t.Errorf("inline data opens as an object: %v", err)
	}
	if bytes.Equal(object[48:80], inline[48:80]) {
		t.Error("objects and inline data share keys")
	}
}
