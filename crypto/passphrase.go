package crypto

import (
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"

	"github.com/signetfs/signet"
)

// KDF are the parameters of Argon2id, kept in the slot. They come back from the log,
// so they are checked before anything is allocated for them.
type KDF struct {
	Time      uint32 // passes
	MemoryKiB uint32
	Threads   uint8
}

// The bounds of the parameters: below them a passphrase is guessed too fast, above
// them whoever may write to the log could make opening a slot take all memory or for
// ever.
const (
	MinKDFTime    = 1
	MaxKDFTime    = 16
	MinKDFMemory  = 8 << 10 // KiB
	MaxKDFMemory  = 2 << 20 // KiB
	MinKDFThreads = 1
	MaxKDFThreads = 16
)

// DefaultKDF is what a new passphrase slot has: about a second of CPU time and
// 256 MiB. RFC 9106 recommends the same passes and threads with 64 MiB where memory
// is short.
func DefaultKDF() KDF { return KDF{Time: 3, MemoryKiB: 256 << 10, Threads: 4} }

// check returns an error of kind Invalid if a parameter is out of bounds.
func (p KDF) check() error {
	for _, c := range []struct {
		what          string
		have, low, up uint32
	}{
		{"passes", p.Time, MinKDFTime, MaxKDFTime},
		{"KiB of memory", p.MemoryKiB, MinKDFMemory, MaxKDFMemory},
		{"threads", uint32(p.Threads), MinKDFThreads, MaxKDFThreads},
	} {
		if c.have < c.low || c.have > c.up {
			return signet.Errorf(signet.Invalid, "derive key from passphrase", "",
				"Argon2id with %d %s, want %d to %d", c.have, c.what, c.low, c.up)
		}
	}
	return nil
}

func (p KDF) String() string {
	return fmt.Sprintf("argon2id t=%d m=%dMiB p=%d", p.Time, p.MemoryKiB>>10, p.Threads)
}

// derive runs Argon2id.
func (p KDF) derive(passphrase []byte, salt [16]byte) (*secret, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return nil, signet.Errorf(signet.Invalid, "derive key from passphrase", "", "the passphrase is empty")
	}
	b := argon2.IDKey(passphrase, salt[:], p.Time, p.MemoryKiB, p.Threads, keySize)
	return (*secret)(b), nil
}

// SealToPassphrase returns a slot that the passphrase opens. The passphrase is taken
// byte by byte as it is; the caller zeroes it.
func (k *Keyring) SealToPassphrase(random io.Reader, passphrase []byte, kdf KDF, label string) (*Slot, error) {
	s := &Slot{Kind: SlotPassphrase, Label: label, Volume: k.id, kdf: kdf}
	if _, err := io.ReadFull(random, s.salt[:]); err != nil {
		return nil, signet.Errorf(signet.Other, "make key slot", label, "randomness: %w", err)
	}
	owner, err := kdf.derive(passphrase, s.salt)
	if err != nil {
		return nil, err
	}
	defer owner.wipe()
	return k.newWrappedSlot(random, s, owner)
}

// OpenWithPassphrase opens a passphrase slot. A wrong passphrase is BadPassphrase. It
// takes the memory and time that the slot's parameters call for.
func (s *Slot) OpenWithPassphrase(passphrase []byte) (*Keyring, error) {
	if s.Kind != SlotPassphrase {
		return nil, signet.Errorf(signet.Invalid, "open key slot", s.Label, "it is opened by a %v", s.Kind)
	}
	owner, err := s.kdf.derive(passphrase, s.salt)
	if err != nil {
		return nil, err
	}
	defer owner.wipe()
	private, err := s.unwrap(owner)
	if err != nil {
		return nil, err
	}
	return s.open(private)
}

// KDF returns the Argon2id parameters of a passphrase slot.
func (s *Slot) KDF() KDF { return s.kdf }
