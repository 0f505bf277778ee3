package crypto

import (
	"io"
	"slices"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/digest"
)

// Placement says how an object's place on the ring comes about.
type Placement struct {
	whole bool
	key   signet.ArcKey
}

// Spread places each object by its digest, which spreads a file over all hosts.
func Spread() Placement { return Placement{} }

// Whole places an object at key, so that all objects of a file lie on the same hosts.
func Whole(key signet.ArcKey) Placement { return Placement{whole: true, key: key} }

// Seal appends to dst the sealed form of the pieces, one after the other, under the
// newest key version and a fresh salt, and returns it with the row that the log needs
// to open it again: Address, KeyVersion, Salt, Size, Sealed and Form are set.
//
// Nothing is allocated for the data if dst has room for SealedSize more bytes. The
// pieces must not overlap that room; they are only read. More than signet.MaxObject
// bytes are TooBig. Read from random is a salt of 32 bytes.
func (k *Keyring) Seal(dst []byte, random io.Reader, place Placement, pieces ...[]byte) ([]byte, signet.Object, error) {
	return k.seal(dst, random, digest.Default, place, pieces)
}

func (k *Keyring) seal(dst []byte, random io.Reader, alg signet.DigestAlg, place Placement, pieces [][]byte) ([]byte, signet.Object, error) {
	size := 0
	for _, p := range pieces {
		if len(p) > signet.MaxObject-size {
			return dst, signet.Object{}, signet.Errorf(signet.TooBig, "seal object", "",
				"more than %d bytes", signet.MaxObject)
		}
		size += len(p)
	}
	salt, err := newSalt(random)
	if err != nil {
		return dst, signet.Object{}, err
	}
	in, done, err := k.use()
	if err != nil {
		return dst, signet.Object{}, signet.Wrap("seal object", "", err)
	}
	s := newSealer(in.version(k.newest), kindObject, k.newest, uint32(size), &salt)
	done()

	start := len(dst)
	dst = slices.Grow(dst, int(SealedSize(uint32(size))))
	dst = s.seal(dst, uint32(size), pieces)
	sealed := dst[start:]

	d := digest.Sum(alg, sealed)
	key := place.key
	if !place.whole {
		key = signet.ArcKey(d[0])<<8 | signet.ArcKey(d[1])
	}
	return dst, signet.Object{
		Address:    signet.NewAddress(alg, key, d),
		KeyVersion: k.newest,
		Salt:       salt,
		Size:       uint32(size),
		Sealed:     uint32(len(sealed)),
		Form:       signet.FormReplicas,
	}, nil
}

// seal appends the header and the segments to dst, which has room for them.
func (s *sealer) seal(dst []byte, size uint32, pieces [][]byte) []byte {
	dst = append(dst, s.header[:]...)
	var from []byte // what is left of the piece at hand
	for i, count := uint32(0), segments(size); i < count; i++ {
		n := setNonce(&s.nonce, i, i+1 == count)
		want := min(int(size-i*SegmentSize), SegmentSize)
		for len(from) == 0 && len(pieces) > 0 {
			from, pieces = pieces[0], pieces[1:]
		}
		if len(from) >= want {
			dst = s.aead.Seal(dst, n, from[:want], s.aad)
			from = from[want:]
			continue
		}
		// A segment of several pieces is gathered where it will lie and sealed in
		// place, so that nothing needs a buffer between.
		start := len(dst)
		for left := want; left > 0; {
			if len(from) == 0 {
				from, pieces = pieces[0], pieces[1:]
			}
			m := min(left, len(from))
			dst = append(dst, from[:m]...)
			from, left = from[m:], left-m
		}
		dst = s.aead.Seal(dst[:start], n, dst[start:], s.aad)
	}
	return dst
}
