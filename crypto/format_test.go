package crypto_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
)

// ramp returns n bytes counting up from first.
func ramp(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// examples computes the values of the worked examples in docs/format.md.
func examples(t *testing.T) map[string]string {
	t.Helper()
	k, err := crypto.NewKeyring(bytes.NewReader(ramp(0, 96)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{"volume": k.ID().String()}
	hexOf := func(key string) func([]byte, error) {
		return func(b []byte, err error) {
			if err != nil {
				t.Fatal(err)
			}
			out[key] = hex.EncodeToString(b)
		}
	}
	salt := func() *bytes.Reader { return bytes.NewReader(ramp(0x60, 32)) }
	for key, plain := range map[string][]byte{
		"0 bytes": nil, "1 byte": []byte("A"),
		"5,000 bytes": bytes.Repeat([]byte("A"), 5000), "4 MiB": make([]byte, 4<<20),
	} {
		sealed, row, err := k.Seal(nil, salt(), crypto.Spread(), plain)
		if err != nil {
			t.Fatal(err)
		}
		if len(plain) < 2 {
			hexOf("object of "+key)(sealed, nil)
		}
		out["address of "+key] = row.Address.String()
	}
	hexOf("inline")(k.SealInline(nil, salt(), 42, 8192, []byte("hello\n")))
	hexOf("name")(k.SealName(1, "hello.txt"))
	hexOf("target")(k.SealTarget(42, []byte("../hello.txt")))
	hexOf("xattr name")(k.SealXattrName(42, "user.colour"))
	hexOf("xattr value")(k.SealXattrValue(42, "user.colour", []byte("red")))
	r, err := crypto.NewRecoveryKey(bytes.NewReader(ramp(0x80, 32)))
	if err != nil {
		t.Fatal(err)
	}
	out["recovery key"] = r.Text()
	return out
}

func formatDoc(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The examples in docs/format.md are true: blocks fenced as "example" hold lines
// "key = value", and lines that begin with spaces go on with the value.
func TestFormatExamples(t *testing.T) {
	t.Parallel()
	want := examples(t)
	seen := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```example\n(.*?)```").FindAllStringSubmatch(formatDoc(t), -1) {
		for _, line := range strings.Split(strings.TrimSpace(regexp.MustCompile(`\n +`).ReplaceAllString(block[1], " ")), "\n") {
			key, value, ok := strings.Cut(line, "=")
			key = strings.TrimSpace(key)
			value = strings.Join(strings.Fields(value), "")
			if !ok || want[key] == "" {
				t.Errorf("docs/format.md: no such example: %q", line)
			} else if value != want[key] {
				t.Errorf("docs/format.md: %s is %s, not %s", key, want[key], value)
			}
			seen[key] = true
		}
	}
	for key, value := range want {
		if !seen[key] {
			t.Errorf("docs/format.md lacks the example %q = %s", key, value)
		}
	}
}

// number reads "5,000".
func number(t *testing.T, s string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(strings.ReplaceAll(strings.TrimSpace(s), ",", ""), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// rows returns the cells of the rows of numbers in the table under a heading.
func rows(t *testing.T, heading string) [][]string {
	t.Helper()
	_, part, ok := strings.Cut(formatDoc(t), heading+"\n")
	if !ok {
		t.Fatalf("docs/format.md has no heading %q", heading)
	}
	part, _, _ = strings.Cut(part, "\n#")
	var out [][]string
	for _, line := range strings.Split(part, "\n") {
		if regexp.MustCompile(`^\| *[0-9]`).MatchString(line) {
			out = append(out, strings.Split(strings.Trim(line, "|"), "|"))
		}
	}
	if len(out) == 0 {
		t.Fatalf("docs/format.md has no table under %q", heading)
	}
	return out
}

// The sizes in docs/format.md are true.
func TestFormatSizes(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	seen := map[uint32]bool{}
	for _, c := range rows(t, "### Sizes") {
		size, segments, sealed := number(t, c[0]), number(t, c[1]), number(t, c[2])
		got, _ := mustSeal(t, k, "s", make([]byte, size))
		if uint32(len(got)) != sealed || crypto.SealedSize(size) != sealed || (sealed-size-crypto.HeaderSize)/crypto.TagSize != segments {
			t.Errorf("docs/format.md: %v: an object of %d seals to %d", c, size, len(got))
		}
		seen[size] = true
	}
	for _, size := range []uint32{0, 1, 5000, signet.MaxObject} {
		if !seen[size] {
			t.Errorf("docs/format.md does not say how long an object of %d bytes is", size)
		}
	}
	for _, c := range rows(t, "### Ranges") {
		at, n, err := crypto.SealedRange(number(t, c[0]), number(t, c[1]), number(t, c[2]))
		if err != nil || at != number(t, c[3]) || n != number(t, c[4]) {
			t.Errorf("docs/format.md: %v: %d bytes at %d, %v", c, n, at, err)
		}
	}
	want := map[string]int{}
	for s := range slots(t, k) {
		want[fmt.Sprint(uint8(s.Kind))] = len(s.Encode()) - len(s.Label)
	}
	for _, c := range rows(t, "### Slot sizes") {
		if kind := strings.TrimSpace(c[0]); want[kind] != int(number(t, c[2])) {
			t.Errorf("docs/format.md: a slot of kind %s has %d bytes without its label, not %s", kind, want[kind], c[2])
		}
		delete(want, strings.TrimSpace(c[0]))
	}
	if len(want) > 0 {
		t.Errorf("docs/format.md lacks slot kinds %v", want)
	}
}
