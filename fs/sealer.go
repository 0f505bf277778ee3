package fs

import (
	"io"
	"sync/atomic"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
)

// Sealer turns what people wrote into what leaves this host, and back. It holds the
// volume's keys. It is used from many goroutines at once. Opening fails with Corrupt
// if anything was changed, cut or swapped.
type Sealer interface {
	// Seal seals the pieces, one after the other, as one object, appends the sealed
	// bytes to dst and returns them with what the object's row must say to open it.
	Seal(dst []byte, pieces ...[]byte) ([]byte, signet.Object, error)
	// Opener returns what opens ranges of the object that row describes.
	Opener(row *signet.Object) (Opener, error)

	// SealInline seals data that lies in file ino at origin and travels in a command.
	SealInline(dst []byte, ino signet.Ino, origin uint64, plain []byte) ([]byte, error)
	OpenInline(dst []byte, ino signet.Ino, origin uint64, sealed []byte) ([]byte, error)

	// Names, targets and attributes are sealed for their place, always to the same bytes.
	SealName(parent signet.Ino, name string) ([]byte, error)
	OpenName(parent signet.Ino, sealed []byte) (string, error)
	SealTarget(ino signet.Ino, target []byte) ([]byte, error)
	OpenTarget(ino signet.Ino, sealed []byte) ([]byte, error)
	SealXattrName(ino signet.Ino, name string) ([]byte, error)
	OpenXattrName(ino signet.Ino, sealed []byte) (string, error)
	SealXattrValue(ino signet.Ino, name string, value []byte) ([]byte, error)
	OpenXattrValue(ino signet.Ino, name string, sealed []byte) ([]byte, error)
}

// Opener opens ranges of one object.
type Opener interface {
	// Range returns which sealed bytes opening the n bytes at off needs.
	Range(off, n uint32) (at, length uint32, err error)
	// OpenRange fills dst with the bytes at off from the sealed bytes that Range named.
	OpenRange(dst []byte, off uint32, sealed []byte) error
}

// Keys is a Sealer over a volume's keyring.
type Keys struct {
	ring   atomic.Pointer[crypto.Keyring]
	random io.Reader
}

var _ Sealer = (*Keys)(nil)

// NewKeys returns a Sealer that seals under the newest version of k. random is the
// source of salts and must be safe for use by many goroutines.
func NewKeys(k *crypto.Keyring, random io.Reader) *Keys {
	s := &Keys{random: random}
	s.ring.Store(k)
	return s
}

// Renew goes over to k, the volume's keyring with more versions.
func (s *Keys) Renew(k *crypto.Keyring) { s.ring.Store(k) }

// Seal seals an object that is spread over the ring by its digest.
func (s *Keys) Seal(dst []byte, pieces ...[]byte) ([]byte, signet.Object, error) {
	return s.ring.Load().Seal(dst, s.random, crypto.Spread(), pieces...)
}

// Opener opens the object that row describes and no other.
func (s *Keys) Opener(row *signet.Object) (Opener, error) {
	o, err := s.ring.Load().Opener(row)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// SealInline is the keyring's.
func (s *Keys) SealInline(dst []byte, ino signet.Ino, origin uint64, plain []byte) ([]byte, error) {
	return s.ring.Load().SealInline(dst, s.random, ino, origin, plain)
}

// OpenInline is the keyring's.
func (s *Keys) OpenInline(dst []byte, ino signet.Ino, origin uint64, sealed []byte) ([]byte, error) {
	return s.ring.Load().OpenInline(dst, ino, origin, sealed)
}

// SealName is the keyring's.
func (s *Keys) SealName(parent signet.Ino, name string) ([]byte, error) {
	return s.ring.Load().SealName(parent, name)
}

// OpenName is the keyring's.
func (s *Keys) OpenName(parent signet.Ino, sealed []byte) (string, error) {
	return s.ring.Load().OpenName(parent, sealed)
}

// SealTarget is the keyring's.
func (s *Keys) SealTarget(ino signet.Ino, target []byte) ([]byte, error) {
	return s.ring.Load().SealTarget(ino, target)
}

// OpenTarget is the keyring's.
func (s *Keys) OpenTarget(ino signet.Ino, sealed []byte) ([]byte, error) {
	return s.ring.Load().OpenTarget(ino, sealed)
}

// SealXattrName is the keyring's.
func (s *Keys) SealXattrName(ino signet.Ino, name string) ([]byte, error) {
	return s.ring.Load().SealXattrName(ino, name)
}

// OpenXattrName is the keyring's.
func (s *Keys) OpenXattrName(ino signet.Ino, sealed []byte) (string, error) {
	return s.ring.Load().OpenXattrName(ino, sealed)
}

// SealXattrValue is the keyring's.
func (s *Keys) SealXattrValue(ino signet.Ino, name string, value []byte) ([]byte, error) {
	return s.ring.Load().SealXattrValue(ino, name, value)
}

// OpenXattrValue is the keyring's.
func (s *Keys) OpenXattrValue(ino signet.Ino, name string, sealed []byte) ([]byte, error) {
	return s.ring.Load().OpenXattrValue(ino, name, sealed)
}
