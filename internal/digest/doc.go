// Package digest computes and verifies the digests by which objects are addressed.
//
// An object's address holds the digest of its sealed bytes and says by which
// algorithm it was computed, so whoever stores an object can verify it without any
// key. That is why this package is not part of package crypto: the rooms that only
// store may not import that one.
//
// It is pure: no state, no I/O, no locks; every function may be called from any
// goroutine. docs/decisions/0002-digest.md says how Default was chosen.
package digest
