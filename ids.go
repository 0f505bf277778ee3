package signet

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Ino is an inode number. It is never reused within a volume, and it is the FUSE
// node id.
type Ino uint64

// RootIno is the inode of a volume's root directory (FUSE_ROOT_ID).
const RootIno Ino = 1

// Group names a log: 0 is the cluster itself, n a volume. There is one log today;
// every table key and command carries the group, so that a volume can get a log of
// its own without a new format.
type Group uint32

// The groups that exist in a new cluster.
const (
	ClusterGroup  Group = 0
	DefaultVolume Group = 1
)

// HostID is the number the log gave a host when it joined. It is never reused and
// is also the host's Raft id; 0 is no host.
type HostID uint64

func (h HostID) String() string { return fmt.Sprintf("host-%d", uint64(h)) }

// HostKey is a host's identity: its Ed25519 public key.
type HostKey [32]byte

func (k HostKey) String() string { return hex.EncodeToString(k[:]) }

// SessionID names a mount's presence in the log: the index of the command that
// opened it. 0 is no session.
type SessionID uint64

// Index is a position in the log.
type Index uint64

// Digest is a 32-byte cryptographic digest.
type Digest [32]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ArcKey places an object on the ring: the ring of 65,536 keys is cut into a power
// of two of equal arcs.
type ArcKey uint16

// Arc is the number of an arc, in [0, arcs).
type Arc uint32

// ArcOf returns the arc that key falls into on a ring of arcs arcs, a power of two
// from 1 to 65,536.
func ArcOf(key ArcKey, arcs uint32) Arc { return Arc(uint64(key) * uint64(arcs) >> 16) }

// DigestAlg says how an object's address was computed from its sealed bytes. The
// numbers are part of the object format: append, never reorder.
type DigestAlg uint8

// The digest algorithms.
const (
	DigestNone   DigestAlg = 0
	DigestSHA256 DigestAlg = 1
	DigestBLAKE3 DigestAlg = 2
)

// AddressSize is the length of an Address in bytes.
const AddressSize = 1 + 2 + 32

// Address names an immutable object: digest algorithm (1 byte), arc key (2,
// big-endian), digest of the sealed bytes (32). Whoever holds an address can verify
// the object without any key. Addresses sort by algorithm, then ring position.
type Address [AddressSize]byte

// NewAddress builds an address from its parts.
func NewAddress(alg DigestAlg, key ArcKey, d Digest) Address {
	var a Address
	a[0] = byte(alg)
	binary.BigEndian.PutUint16(a[1:3], uint16(key))
	copy(a[3:], d[:])
	return a
}

// Alg returns the digest algorithm.
func (a Address) Alg() DigestAlg { return DigestAlg(a[0]) }

// ArcKey returns the position on the ring.
func (a Address) ArcKey() ArcKey { return ArcKey(binary.BigEndian.Uint16(a[1:3])) }

// Digest returns the digest of the sealed bytes.
func (a Address) Digest() Digest { return Digest(a[3:]) }

// IsZero says whether a names no object.
func (a Address) IsZero() bool { return a == Address{} }

func (a Address) String() string { return hex.EncodeToString(a[:]) }

// ParseAddress reads the form that String prints.
func ParseAddress(s string) (Address, error) {
	var a Address
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != AddressSize {
		return a, Errorf(Invalid, "parse address", s, "want %d hexadecimal digits", 2*AddressSize)
	}
	return Address(b), nil
}
