package crypto_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
)

// stream is an endless source of bytes that depends on its name only.
type stream struct {
	name string
	n    uint64
	left []byte
}

func random(name string) io.Reader { return &stream{name: name} }

func (s *stream) Read(p []byte) (int, error) {
	for i := range p {
		if len(s.left) == 0 {
			b := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.name), s.n))
			s.n, s.left = s.n+1, b[:]
		}
		p[i], s.left = s.left[0], s.left[1:]
	}
	return len(p), nil
}

// bytesOf returns n bytes that depend on name only.
func bytesOf(name string, n int) []byte {
	b := make([]byte, n)
	_, _ = random(name).Read(b)
	return b
}

// newRing returns a keyring that depends on name only.
func newRing(t testing.TB, name string) *crypto.Keyring {
	t.Helper()
	k, err := crypto.NewKeyring(random(name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustSeal(t testing.TB, k *crypto.Keyring, salt string, pieces ...[]byte) ([]byte, signet.Object) {
	t.Helper()
	sealed, row, err := k.Seal(nil, random(salt), crypto.Spread(), pieces...)
	if err != nil {
		t.Fatal(err)
	}
	return sealed, row
}

// open opens a whole object by its row.
func open(k *crypto.Keyring, row signet.Object, sealed []byte) ([]byte, error) {
	o, err := k.Opener(&row)
	if err != nil {
		return nil, err
	}
	dst := make([]byte, row.Size)
	err = o.Open(dst, sealed)
	return dst, err
}

func wantKind(t testing.TB, what string, err error, kind signet.Kind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: got error %v, want kind %q", what, err, kind)
	}
}

// damages calls fn with copies of b that are damaged in every simple way: each bit
// of a byte flipped (in every byte, or in some hundred if there are many), cut at either end,
// lengthened at either end, two parts swapped.
func damages(b []byte, fn func(what string, bad []byte)) {
	step := 1 + len(b)/512
	for i := 0; i < len(b); i += step {
		bad := bytes.Clone(b)
		bad[i] ^= 1 << (i % 8)
		fn("flipped", bad)
	}
	for i := 0; i < len(b); i += step {
		fn("cut at the end", bytes.Clone(b[:i]))
	}
	for i := 1; i < len(b); i += step {
		fn("cut at the start", bytes.Clone(b[i:]))
	}
	for _, n := range []int{1, 16, 80, 4096} {
		fn("appended", append(bytes.Clone(b), make([]byte, n)...))
		fn("prepended", append(make([]byte, n), b...))
	}
	fn("doubled", append(bytes.Clone(b), b...))
	if h := len(b) / 2; h > 0 && !bytes.Equal(b[:h], b[h:2*h]) {
		bad := bytes.Clone(b)
		copy(bad, b[h:2*h])
		copy(bad[h:], b[:h])
		fn("swapped", bad)
	}
}
