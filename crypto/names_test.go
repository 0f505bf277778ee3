package crypto_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signetfs/signet"
)

func TestNames(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	for _, name := range []string{"a", "...", "go.mod", "with space", "\xff\xfe", "名前", strings.Repeat("x", 16), strings.Repeat("x", 255)} {
		sealed, err := k.SealName(1, name)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if len(sealed) != len(name)+signet.NameOverhead || bytes.Contains(sealed, []byte(name)) && len(name) > 2 {
			t.Errorf("%q seals to %d bytes", name, len(sealed))
		}
		again, _ := k.SealName(1, name)
		if !bytes.Equal(sealed, again) {
			t.Errorf("%q seals differently the second time: it could not be found", name)
		}
		if got, err := k.OpenName(1, sealed); err != nil || got != name {
			t.Errorf("%q opens to %q, %v", name, got, err)
		}
		_, err = k.OpenName(2, sealed)
		wantKind(t, "under another parent", err, signet.Corrupt)
		_, err = newRing(t, "other").OpenName(1, sealed)
		wantKind(t, "in another volume", err, signet.Corrupt)
		elsewhere, _ := k.SealName(2, name)
		if bytes.Equal(sealed, elsewhere) {
			t.Errorf("%q seals alike under two parents", name)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "/", "a\x00b"} {
		_, err := k.SealName(1, name)
		wantKind(t, fmt.Sprintf("%q", name), err, signet.Invalid)
	}
	_, err := k.SealName(1, strings.Repeat("x", 256))
	wantKind(t, "256 bytes", err, signet.NameTooLong)
	_, err = k.OpenName(1, make([]byte, signet.MaxSealedName+1))
	wantKind(t, "sealed name too long", err, signet.Corrupt)
}

// Names are found after the volume key was rotated.
func TestNamesStayOverRotation(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	k2, err := k.Rotate(random("rotate"))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := k.SealName(5, "name")
	b, _ := k2.SealName(5, "name")
	if !bytes.Equal(a, b) {
		t.Error("a rotated keyring seals names differently")
	}
}

// The order of sealed names says nothing of the names, and the first 8 bytes are
// spread evenly: they are what readdir's order and cookies rest on.
func TestNameOrder(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	const n = 4096
	var buckets [16]int
	sealed := make([][]byte, n)
	for i := range sealed {
		s, err := k.SealName(1, fmt.Sprintf("file%06d", i))
		if err != nil {
			t.Fatal(err)
		}
		sealed[i] = s
		buckets[s[0]>>4]++
	}
	ascents := 0
	for i := 1; i < n; i++ {
		if bytes.Compare(sealed[i-1], sealed[i]) < 0 {
			ascents++
		}
	}
	// The keys are fixed, so this does not vary; six standard deviations are ample.
	if d := math.Abs(float64(ascents) - n/2); d > 6*math.Sqrt(n/12.0) {
		t.Errorf("%d ascents among %d names: their order shows", ascents, n)
	}
	for b, c := range buckets {
		if math.Abs(float64(c)-n/16.0) > 6*math.Sqrt(n/16.0) {
			t.Errorf("bucket %d holds %d of %d", b, c, n)
		}
	}
	slices.SortFunc(sealed, bytes.Compare)
	for i := 1; i < n; i++ {
		if bytes.Equal(sealed[i-1][:8], sealed[i][:8]) {
			t.Errorf("two of %d names share their first 8 bytes", n)
		}
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	for _, n := range []int{1, 100, signet.MaxTarget} {
		target := bytesOf("target", n)
		sealed, err := k.SealTarget(9, target)
		if err != nil || len(sealed) != n+16 {
			t.Fatalf("%d bytes seal to %d, %v", n, len(sealed), err)
		}
		if got, err := k.OpenTarget(9, sealed); err != nil || !bytes.Equal(got, target) {
			t.Errorf("%d bytes: %v", n, err)
		}
		_, err = k.OpenTarget(10, sealed)
		wantKind(t, "another inode", err, signet.Corrupt)
	}
	_, err := k.SealTarget(9, nil)
	wantKind(t, "empty", err, signet.Invalid)
	_, err = k.SealTarget(9, make([]byte, signet.MaxTarget+1))
	wantKind(t, "too long", err, signet.NameTooLong)
}

func TestXattrs(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	name, err := k.SealXattrName(9, "user.colour")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.OpenXattrName(9, name); err != nil || got != "user.colour" {
		t.Errorf("%q, %v", got, err)
	}
	_, err = k.OpenXattrName(10, name)
	wantKind(t, "another inode", err, signet.Corrupt)
	for _, n := range []int{0, 1, signet.MaxXattrValue} {
		value := bytesOf("value", n)
		sealed, err := k.SealXattrValue(9, "user.colour", value)
		if err != nil || len(sealed) != n+16 {
			t.Fatalf("%d bytes: %d, %v", n, len(sealed), err)
		}
		if got, err := k.OpenXattrValue(9, "user.colour", sealed); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%d bytes: %v", n, err)
		}
		_, err = k.OpenXattrValue(9, "user.color", sealed)
		wantKind(t, "another attribute", err, signet.Corrupt)
		_, err = k.OpenXattrValue(10, "user.colour", sealed)
		wantKind(t, "another inode", err, signet.Corrupt)
	}
	_, err = k.SealXattrValue(9, "user.x", make([]byte, signet.MaxXattrValue+1))
	wantKind(t, "value too long", err, signet.TooBig)
	for _, bad := range []string{"", "a\x00", strings.Repeat("x", 256)} {
		_, err = k.SealXattrName(9, bad)
		wantKind(t, "name", err, signet.Invalid)
		_, err = k.SealXattrValue(9, bad, nil)
		wantKind(t, "name of a value", err, signet.Invalid)
		_, err = k.OpenXattrValue(9, bad, make([]byte, 16))
		wantKind(t, "name of a value", err, signet.Invalid)
	}
}

// What is sealed as one thing does not open as another, with the same inode.
func TestLabels(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	const text = "user.same"
	name, _ := k.SealName(9, text)
	target, _ := k.SealTarget(9, []byte(text))
	xname, _ := k.SealXattrName(9, text)
	value, _ := k.SealXattrValue(9, text, []byte(text))
	all := [][]byte{name, target, xname, value}
	opens := []func([]byte) error{
		func(b []byte) error { _, err := k.OpenName(9, b); return err },
		func(b []byte) error { _, err := k.OpenTarget(9, b); return err },
		func(b []byte) error { _, err := k.OpenXattrName(9, b); return err },
		func(b []byte) error { _, err := k.OpenXattrValue(9, text, b); return err },
	}
	for i, sealed := range all {
		for j, open := range opens {
			if err := open(sealed); (err == nil) != (i == j) {
				t.Errorf("sealed as %d, opened as %d: %v", i, j, err)
			}
		}
	}
}

func TestDamagedNames(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	check := func(what string, sealed []byte, open func([]byte) error) {
		if err := open(sealed); err != nil {
			t.Fatal(err)
		}
		damages(sealed, func(how string, bad []byte) { wantKind(t, what+" "+how, open(bad), signet.Corrupt) })
	}
	name, _ := k.SealName(1, "a name of a file")
	check("name", name, func(b []byte) error { _, err := k.OpenName(1, b); return err })
	target, _ := k.SealTarget(1, []byte("../some/where"))
	check("target", target, func(b []byte) error { _, err := k.OpenTarget(1, b); return err })
	xname, _ := k.SealXattrName(1, "user.x")
	check("attribute name", xname, func(b []byte) error { _, err := k.OpenXattrName(1, b); return err })
	value, _ := k.SealXattrValue(1, "user.x", bytesOf("value", 50))
	check("attribute value", value, func(b []byte) error { _, err := k.OpenXattrValue(1, "user.x", b); return err })
}

// Sealing and opening is the identity, and tells all names apart.
func TestNamesProperty(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	seen := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		parent := signet.Ino(rapid.Uint64().Draw(t, "parent"))
		name := strings.Map(func(r rune) rune {
			if r == '/' || r == 0 {
				return '_'
			}
			return r
		}, rapid.StringN(1, -1, signet.MaxName).Draw(t, "name"))
		if name == "." || name == ".." {
			name = "dots"
		}
		sealed, err := k.SealName(parent, name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.OpenName(parent, sealed); err != nil || got != name {
			t.Fatalf("%q, %v", got, err)
		}
		key := fmt.Sprint(parent, "/", name)
		if was, ok := seen[string(sealed)]; ok && was != key {
			t.Fatalf("%q and %q seal alike", was, key)
		}
		seen[string(sealed)] = key
	})
}
