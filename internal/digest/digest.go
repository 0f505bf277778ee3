package digest

import (
	"crypto/sha256"
	"fmt"

	"github.com/zeebo/blake3"

	"github.com/signetfs/signet"
)

// Default is the algorithm of new objects.
const Default = signet.DigestBLAKE3

// Known says whether this version can compute alg.
func Known(alg signet.DigestAlg) bool {
	return alg == signet.DigestSHA256 || alg == signet.DigestBLAKE3
}

// Sum returns the digest of b. It panics if alg is not Known: who passes an
// algorithm that came from outside must ask first, or use Verify.
func Sum(alg signet.DigestAlg, b []byte) signet.Digest {
	switch alg {
	case signet.DigestSHA256:
		return sha256.Sum256(b)
	case signet.DigestBLAKE3:
		return blake3.Sum256(b)
	}
	panic(fmt.Sprintf("digest: unknown algorithm %d", alg))
}

// Verify returns nil if sealed are the bytes that a names, and an error of kind
// Corrupt if not. An algorithm that this version does not know is WrongVersion: the
// bytes may well be good, so nobody must throw them away for it.
func Verify(a signet.Address, sealed []byte) error {
	if !Known(a.Alg()) {
		return signet.Errorf(signet.WrongVersion, "verify object", a.String(),
			"unknown digest algorithm %d", a.Alg())
	}
	// Digests are public, so comparing them needs no constant time.
	if Sum(a.Alg(), sealed) != a.Digest() {
		return signet.Errorf(signet.Corrupt, "verify object", a.String(),
			"the digest of its %d bytes does not match", len(sealed))
	}
	return nil
}
