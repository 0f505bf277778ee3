package crypto

import (
	"crypto/subtle"
	"encoding/binary"
	"io"
	"slices"

	"github.com/signetfs/signet"
)

// SealInline appends to dst the sealed form of file data that travels inside a
// command: plain, of 1 to signet.MaxInline bytes, that lies in the file ino at origin.
//
// The result opens only there. An extent that was cut still says where its data
// began: origin is Extent.Off - Extent.ObjectOff. A clone of the extent in another
// file, or at another offset, is sealed anew.
func (k *Keyring) SealInline(dst []byte, random io.Reader, ino signet.Ino, origin uint64, plain []byte) ([]byte, error) {
	if len(plain) == 0 || len(plain) > signet.MaxInline {
		return dst, signet.Errorf(signet.Invalid, "seal inline data", "",
			"%d bytes, want 1 to %d", len(plain), signet.MaxInline)
	}
	salt, err := newSalt(random)
	if err != nil {
		return dst, err
	}
	in, done, err := k.use()
	if err != nil {
		return dst, signet.Wrap("seal inline data", "", err)
	}
	s := newSealer(in.version(k.newest), kindInline, k.newest, uint32(len(plain)), &salt)
	done()
	s.bind(ino, origin)
	dst = slices.Grow(dst, len(plain)+InlineOverhead)
	dst = append(dst, s.header[:]...)
	return s.aead.Seal(dst, setNonce(&s.nonce, 0, true), plain, s.aad), nil
}

// OpenInline appends to dst the data that SealInline sealed for this place. It fails
// with Corrupt if sealed is anything else and with NoKey if it is sealed under a key
// version that the keyring lacks.
func (k *Keyring) OpenInline(dst []byte, ino signet.Ino, origin uint64, sealed []byte) ([]byte, error) {
	corrupt := func(format string, args ...any) ([]byte, error) {
		return dst, signet.Errorf(signet.Corrupt, "open inline data", "", format, args...)
	}
	size := len(sealed) - InlineOverhead
	if size < 1 || size > signet.MaxInline {
		return corrupt("%d sealed bytes, want %d to %d", len(sealed), InlineOverhead+1, InlineOverhead+signet.MaxInline)
	}
	in, done, err := k.use()
	if err != nil {
		return dst, signet.Wrap("open inline data", "", err)
	}
	defer done()
	version := binary.BigEndian.Uint32(sealed[8:12])
	v := in.version(version)
	if v == nil {
		if string(sealed[:4]) != magic {
			return corrupt("it does not begin with a header")
		}
		return dst, k.noVersion("open inline data", "", version)
	}
	salt := [saltSize]byte(sealed[16:48])
	s := newSealer(v, kindInline, version, uint32(size), &salt)
	if subtle.ConstantTimeCompare(sealed[:HeaderSize], s.header[:]) != 1 {
		return corrupt("its header is wrong or its key does not fit")
	}
	s.bind(ino, origin)
	out, err := s.aead.Open(dst, setNonce(&s.nonce, 0, true), sealed[HeaderSize:], s.aad)
	if err != nil {
		return corrupt("it does not verify at this place")
	}
	return out, nil
}

// bind ties inline data to the place it was written at.
func (s *sealer) bind(ino signet.Ino, origin uint64) {
	aad := make([]byte, HeaderSize+16)
	copy(aad, s.header[:])
	binary.BigEndian.PutUint64(aad[HeaderSize:], uint64(ino))
	binary.BigEndian.PutUint64(aad[HeaderSize+8:], origin)
	s.aad = aad
}
