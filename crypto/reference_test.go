package crypto_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
)

// What follows is docs/format.md once more, as plainly as it can be written and with
// nothing of the package under test. If the two differ, one of them is wrong.

type reference struct{ root, name, master []byte }

// newReference has the secrets that NewKeyring reads, in its order.
func newReference(seed string) reference {
	b := bytesOf(seed, 96)
	return reference{b[:32], b[32:64], b[64:]}
}

func expandRef(key []byte, info string, n int) []byte {
	b, err := hkdf.Expand(sha256.New, key, info, n)
	if err != nil {
		panic(err)
	}
	return b
}

// seal is the layout of objects (kind 1) and inline data (kind 2).
func (r reference) seal(kind byte, version uint32, salt, plain, place []byte) []byte {
	keyLabel, label := "signet/v1/objects", "signet/object/v1"
	if kind == 2 {
		keyLabel, label = "signet/v1/inline", "signet/inline/v1"
	}
	okm := expandRef(expandRef(r.master, keyLabel, 32), label+string(salt), 64)
	out := append([]byte("SGNT"), 1, kind, 1, 0)
	out = binary.BigEndian.AppendUint32(out, version)
	out = binary.BigEndian.AppendUint32(out, uint32(len(plain)))
	out = append(out, salt...)
	out = append(out, okm[32:]...)
	aad := append(bytes.Clone(out), place...)
	block, _ := aes.NewCipher(okm[:32])
	gcm, _ := cipher.NewGCM(block)
	for i := uint32(0); ; i++ {
		segment := plain[:min(len(plain), 16384)]
		plain = plain[len(segment):]
		nonce := binary.BigEndian.AppendUint32(make([]byte, 7), i)
		if len(plain) > 0 {
			out = gcm.Seal(out, append(nonce, 0), segment, aad)
			continue
		}
		return gcm.Seal(out, append(nonce, 1), segment, aad)
	}
}

// cmac is AES-CMAC, RFC 4493.
func cmac(block cipher.Block, msg []byte) []byte {
	k := make([]byte, 16)
	block.Encrypt(k, k)
	k = double(k)
	full := len(msg) > 0 && len(msg)%16 == 0
	if !full {
		k = double(k)
		msg = append(bytes.Clone(msg), 0x80)
		for len(msg)%16 != 0 {
			msg = append(msg, 0)
		}
	}
	x := make([]byte, 16)
	for i := 0; i < len(msg); i += 16 {
		for j := range x {
			x[j] ^= msg[i+j]
			if i+16 == len(msg) {
				x[j] ^= k[j]
			}
		}
		block.Encrypt(x, x)
	}
	return x
}

func double(b []byte) []byte {
	out, carry := make([]byte, 16), byte(0)
	for i := 15; i >= 0; i-- {
		out[i], carry = b[i]<<1|carry, b[i]>>7
	}
	out[15] ^= carry * 0x87
	return out
}

// siv is AES-SIV, RFC 5297, with one associated string.
func siv(key, plain, aad []byte) []byte {
	mac, _ := aes.NewCipher(key[:32])
	enc, _ := aes.NewCipher(key[32:])
	d := double(cmac(mac, make([]byte, 16)))
	for i, c := range cmac(mac, aad) {
		d[i] ^= c
	}
	t := bytes.Clone(plain)
	if len(t) < 16 {
		d = double(d)
		t = append(t, 0x80)
		t = append(t, make([]byte, 16-len(t))...)
	}
	for i := range d {
		t[len(t)-16+i] ^= d[i]
	}
	v := cmac(mac, t)
	iv := bytes.Clone(v)
	iv[8] &= 0x7f
	iv[12] &= 0x7f
	out := make([]byte, len(plain))
	cipher.NewCTR(enc, iv).XORKeyStream(out, plain)
	return append(v, out...)
}

func be64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func TestAgainstReference(t *testing.T) {
	t.Parallel()
	k, r := newRing(t, "reference"), newReference("reference")
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 4*crypto.SegmentSize+1).Draw(t, "size")
		plain, salt := bytesOf("plain", n), bytesOf("salt", 32)
		sealed, _, err := k.Seal(nil, random("salt"), crypto.Spread(), plain)
		if err != nil || !bytes.Equal(sealed, r.seal(1, 1, salt, plain, nil)) {
			t.Fatalf("object of %d bytes: %v", n, err)
		}
		ino := rapid.Uint64().Draw(t, "ino")
		origin := rapid.Uint64().Draw(t, "origin")
		short := plain[:min(n, signet.MaxInline)]
		if len(short) > 0 {
			sealed, err = k.SealInline(nil, random("salt"), signet.Ino(ino), origin, short)
			if err != nil || !bytes.Equal(sealed, r.seal(2, 1, salt, short, append(be64(ino), be64(origin)...))) {
				t.Fatalf("inline data of %d bytes: %v", len(short), err)
			}
		}
		b := rapid.SliceOfN(rapid.ByteRange('a', 'z'), 1, 255).Draw(t, "bytes")
		for label, seal := range map[string]func() ([]byte, error){
			"signet/v1/names":       func() ([]byte, error) { return k.SealName(signet.Ino(ino), string(b)) },
			"signet/v1/targets":     func() ([]byte, error) { return k.SealTarget(signet.Ino(ino), b) },
			"signet/v1/xattr-names": func() ([]byte, error) { return k.SealXattrName(signet.Ino(ino), string(b)) },
		} {
			sealed, err := seal()
			if err != nil || !bytes.Equal(sealed, siv(expandRef(r.name, label, 64), b, be64(ino))) {
				t.Fatalf("%s: %v", label, err)
			}
		}
		value := plain[:min(n, 100)]
		sealed, err = k.SealXattrValue(signet.Ino(ino), string(b), value)
		want := siv(expandRef(r.name, "signet/v1/xattr-values", 64), value, append(be64(ino), b...))
		if err != nil || !bytes.Equal(sealed, want) {
			t.Fatalf("attribute value: %v", err)
		}
		if id := k.ID(); !bytes.Equal(id[:], expandRef(r.root, "signet/v1/volume", 16)) {
			t.Fatalf("volume %v", id)
		}
	})
}
