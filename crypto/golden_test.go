package crypto_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signetfs/signet/crypto"
	"github.com/signetfs/signet/internal/digest"
)

var update = flag.Bool("update", false, "rewrite the golden files: only for a format that nobody has data in yet")

// golden reads testdata/name.hex, or with -update writes it first.
func golden(t *testing.T, name string, fresh func() []byte) []byte {
	t.Helper()
	file := filepath.Join("testdata", name+".hex")
	if *update {
		var b strings.Builder
		for s := hex.EncodeToString(fresh()); s != ""; {
			n := min(len(s), 64)
			b.WriteString(s[:n] + "\n")
			s = s[n:]
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return readHex(t, name)
}

// readHex reads testdata/name.hex.
func readHex(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// What was sealed by any earlier version opens, and what is sealed today is the same.
func TestGoldenObjects(t *testing.T) {
	t.Parallel()
	k := newRing(t, "golden")
	for _, c := range []struct {
		name string
		size int
	}{{"object-0", 0}, {"object-1", 1}, {"object-5000", 5000}, {"object-40000", 40000}} {
		plain := bytesOf(c.name, c.size)
		sealed, row := mustSeal(t, k, c.name, plain)
		want := golden(t, c.name, func() []byte { return sealed })
		if !bytes.Equal(sealed, want) {
			t.Errorf("%s seals differently", c.name)
		}
		if err := digest.Verify(row.Address, want); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got, err := open(k, row, want); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestGoldenPlaces(t *testing.T) {
	t.Parallel()
	k := newRing(t, "golden")
	bytesFrom := func(s string, err error) ([]byte, error) { return []byte(s), err }
	for _, c := range []struct {
		name  string
		plain []byte
		seal  func(plain []byte) ([]byte, error)
		open  func(sealed []byte) ([]byte, error)
	}{
		{"inline", bytesOf("inline", 100),
			func(b []byte) ([]byte, error) { return k.SealInline(nil, random("inline"), 42, 1<<40, b) },
			func(b []byte) ([]byte, error) { return k.OpenInline(nil, 42, 1<<40, b) }},
		{"name", []byte("hello.txt"),
			func(b []byte) ([]byte, error) { return k.SealName(1, string(b)) },
			func(b []byte) ([]byte, error) { return bytesFrom(k.OpenName(1, b)) }},
		{"name-255", bytes.Repeat([]byte("x"), 255),
			func(b []byte) ([]byte, error) { return k.SealName(1<<63, string(b)) },
			func(b []byte) ([]byte, error) { return bytesFrom(k.OpenName(1<<63, b)) }},
		{"target", []byte("../some/where"),
			func(b []byte) ([]byte, error) { return k.SealTarget(42, b) },
			func(b []byte) ([]byte, error) { return k.OpenTarget(42, b) }},
		{"xattr-name", []byte("user.colour"),
			func(b []byte) ([]byte, error) { return k.SealXattrName(42, string(b)) },
			func(b []byte) ([]byte, error) { return bytesFrom(k.OpenXattrName(42, b)) }},
		{"xattr-value", []byte("red"),
			func(b []byte) ([]byte, error) { return k.SealXattrValue(42, "user.colour", b) },
			func(b []byte) ([]byte, error) { return k.OpenXattrValue(42, "user.colour", b) }},
	} {
		sealed, err := c.seal(c.plain)
		if err != nil {
			t.Fatal(err)
		}
		want := golden(t, c.name, func() []byte { return sealed })
		if !bytes.Equal(sealed, want) {
			t.Errorf("%s seals differently", c.name)
		}
		if got, err := c.open(want); err != nil || !bytes.Equal(got, c.plain) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

// Slots are sealed with randomness of the standard library, so only opening can be
// held against the golden files.
func TestGoldenSlots(t *testing.T) {
	t.Parallel()
	k1 := newRing(t, "golden")
	k2, err := k1.Rotate(random("rotate"))
	if err != nil {
		t.Fatal(err)
	}
	for s, open := range slots(t, k2) {
		name := "slot-" + strings.Fields(s.Kind.String())[0]
		b := golden(t, name, s.Encode)
		old, err := crypto.DecodeSlot(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := open(old); err != nil || !sameKeys(got, k2) {
			t.Errorf("%s: %v", name, err)
		}
		if again, err := k2.Reseal(old); err != nil || again.Version != 2 {
			t.Errorf("%s: reseal: %v", name, err)
		}
		if !bytes.Equal(old.Encode(), b) {
			t.Errorf("%s encodes differently", name)
		}
	}
}
