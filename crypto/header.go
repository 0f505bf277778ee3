package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"io"

	"github.com/signetfs/signet"
)

// What the first bytes of a header say. See docs/format.md.
const (
	magic          = "SGNT"
	formatVersion  = 1
	kindObject     = 1
	kindInline     = 2
	suiteGCM16K    = 1 // HKDF-SHA-256, AES-256-GCM, segments of 16 KiB
	compressedNone = 0 // no other value exists: docs/decisions/0003-no-compression.md
)

const (
	saltSize = 32

	labelObject     = "signet/object/v1"
	labelInlineData = "signet/inline/v1"
)

// header is the first HeaderSize bytes of what is sealed, and its associated data.
// Every byte follows from the kind, key version, size and salt, so whoever knows
// those from the log can tell a wrong header, and needs no header to open a range.
type header [HeaderSize]byte

// sealer is one object's header and cipher.
type sealer struct {
	header header
	aead   cipher.AEAD
	aad    []byte   // the header, for inline data followed by where it belongs
	nonce  [12]byte // of the segment being sealed; opening has its own
}

// newSalt reads a fresh salt. All security of an object rests on its salt being
// unlike any other's, so a source that returns nothing but zeros is refused.
func newSalt(random io.Reader) (salt [saltSize]byte, err error) {
	if _, err := io.ReadFull(random, salt[:]); err != nil {
		return salt, signet.Errorf(signet.Other, "seal", "", "randomness: %w", err)
	}
	if salt == ([saltSize]byte{}) {
		return salt, signet.Errorf(signet.Other, "seal", "", "the source of randomness returns zeros")
	}
	return salt, nil
}

// newSealer derives the key and commitment of the object (or inline data) with salt
// and builds its header.
func newSealer(v *versionKeys, kind byte, version, size uint32, salt *[saltSize]byte) *sealer {
	s := &sealer{}
	h := s.header[:]
	copy(h, magic)
	h[4], h[5], h[6], h[7] = formatVersion, kind, suiteGCM16K, compressedNone
	binary.BigEndian.PutUint32(h[8:12], version)
	binary.BigEndian.PutUint32(h[12:16], size)
	copy(h[16:48], salt[:])

	from, info := &v.objects, make([]byte, 0, len(labelObject)+saltSize)
	if kind == kindInline {
		from, info = &v.inline, append(info, labelInlineData...)
	} else {
		info = append(info, labelObject...)
	}
	var okm [2 * keySize]byte
	from.expand(append(info, salt[:]...), &okm)
	copy(h[48:], okm[keySize:])
	s.aead = newGCM(okm[:keySize])
	clear(okm[:])
	s.aad = h
	return s
}

// newGCM returns AES-256-GCM under key.
func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("crypto: " + err.Error()) // only a wrong key length is refused
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("crypto: " + err.Error()) // only a wrong block size is refused
	}
	return aead
}

// setNonce writes the nonce of a segment to n and returns it: seven zeros, its number,
// and whether it is the last. A segment moved, left out or cut off has another nonce
// and does not open.
func setNonce(n *[12]byte, segment uint32, last bool) []byte {
	binary.BigEndian.PutUint32(n[7:11], segment)
	n[11] = 0
	if last {
		n[11] = 1
	}
	return n[:]
}
