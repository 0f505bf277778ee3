package crypto

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"strings"

	"github.com/signetfs/signet"
)

// The text of a recovery key: the key's 32 bytes and 3 of checksum are 280 bits,
// which are exactly 56 letters of 5 bits, in 14 groups of 4.
const (
	recoveryAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // Crockford's: no I, L, O, U
	recoveryPrefix   = "SGN1"
	recoveryCheck    = 3
	recoveryLetters  = 56
	recoveryGroup    = 4
	labelRecovery    = "signet/recovery/v1"
)

// RecoveryKey is a 256-bit key that opens a slot when all hosts and passphrases are
// gone. It is shown once, when the volume is made.
type RecoveryKey struct {
	key hidden[secret] // nil once wiped
}

// NewRecoveryKey makes a key.
func NewRecoveryKey(random io.Reader) (*RecoveryKey, error) {
	key := new(secret)
	if err := key.fill(random); err != nil {
		return nil, err
	}
	return &RecoveryKey{key: hide(key)}, nil
}

// Text returns the key in the form that people write down and type in:
// SGN1-XXXX-... with 14 groups. It is the only way the key gets out; it is empty once
// the key is wiped.
func (r *RecoveryKey) Text() string {
	if r.key == nil {
		return ""
	}
	key := r.key()
	raw := append(make([]byte, 0, keySize+recoveryCheck), key[:]...)
	raw = append(raw, recoveryChecksum(key)...)
	defer clear(raw)
	letters := recoveryEncoding().EncodeToString(raw)
	var b strings.Builder
	b.WriteString(recoveryPrefix)
	for ; letters != ""; letters = letters[recoveryGroup:] {
		b.WriteByte('-')
		b.WriteString(letters[:recoveryGroup])
	}
	return b.String()
}

// ParseRecoveryKey reads the text of a key. Case, spaces, dashes and line breaks do
// not matter, and the letters O, I and L are read as the digits they look like. A
// mistyped key is BadPassphrase: 3 bytes of checksum find all but one of 16 million.
// Text that is not of the form at all is Invalid.
func ParseRecoveryKey(text string) (*RecoveryKey, error) {
	const op = "read recovery key"
	var letters []byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		switch c {
		case ' ', '-', '\t', '\r', '\n':
			continue
		}
		if len(letters) == len(recoveryPrefix)+recoveryLetters {
			return nil, signet.Errorf(signet.Invalid, op, "", "too long: want %s and %d letters and digits", recoveryPrefix, recoveryLetters)
		}
		if len(letters) >= len(recoveryPrefix) {
			switch c {
			case 'O':
				c = '0'
			case 'I', 'L':
				c = '1'
			}
		}
		letters = append(letters, c)
	}
	defer clear(letters)
	if len(letters) < len(recoveryPrefix) || string(letters[:len(recoveryPrefix)]) != recoveryPrefix {
		return nil, signet.Errorf(signet.Invalid, op, "", "a recovery key begins with %s", recoveryPrefix)
	}
	letters = letters[len(recoveryPrefix):]
	if len(letters) != recoveryLetters {
		return nil, signet.Errorf(signet.Invalid, op, "", "%d letters and digits after %s, want %d", len(letters), recoveryPrefix, recoveryLetters)
	}
	var raw [keySize + recoveryCheck]byte
	defer clear(raw[:])
	if _, err := recoveryEncoding().Decode(raw[:], letters); err != nil {
		// The cause would say which letter, and that is part of a key.
		return nil, signet.Errorf(signet.Invalid, op, "", "a letter that recovery keys do not have")
	}
	key := secret(raw[:keySize])
	if string(recoveryChecksum(&key)) != string(raw[keySize:]) {
		key.wipe()
		return nil, signet.Errorf(signet.BadPassphrase, op, "", "its checksum is wrong: look for a typing mistake")
	}
	return &RecoveryKey{key: hide(&key)}, nil
}

func recoveryEncoding() *base32.Encoding {
	return base32.NewEncoding(recoveryAlphabet).WithPadding(base32.NoPadding)
}

// recoveryChecksum is for typing mistakes; it need not and does not protect anything.
func recoveryChecksum(key *secret) []byte {
	h := sha256.New()
	h.Write([]byte(labelRecovery))
	h.Write(key[:])
	return h.Sum(nil)[:recoveryCheck]
}

// Wipe zeroes the key. Nobody may be using it; it opens nothing afterwards.
func (r *RecoveryKey) Wipe() {
	if r.key != nil {
		r.key().wipe()
		r.key = nil
	}
}

// Format keeps the key out of every text but Text's.
func (r RecoveryKey) Format(f fmt.State, _ rune) { redact(f, "RecoveryKey") }

// SealToRecovery returns a slot that the recovery key opens.
func (k *Keyring) SealToRecovery(random io.Reader, r *RecoveryKey, label string) (*Slot, error) {
	if r.key == nil {
		return nil, signet.Errorf(signet.NoKey, "make key slot", label, "the recovery key was wiped from memory")
	}
	s := &Slot{Kind: SlotRecovery, Label: label, Volume: k.id}
	if _, err := io.ReadFull(random, s.salt[:]); err != nil {
		return nil, signet.Errorf(signet.Other, "make key slot", label, "randomness: %w", err)
	}
	return k.newWrappedSlot(random, s, r.key())
}

// OpenWithRecovery opens a recovery slot. Another recovery key is BadPassphrase.
func (s *Slot) OpenWithRecovery(r *RecoveryKey) (*Keyring, error) {
	if s.Kind != SlotRecovery {
		return nil, signet.Errorf(signet.Invalid, "open key slot", s.Label, "it is opened by a %v", s.Kind)
	}
	if r.key == nil {
		return nil, signet.Errorf(signet.NoKey, "open key slot", s.Label, "the recovery key was wiped from memory")
	}
	private, err := s.unwrap(r.key())
	if err != nil {
		return nil, err
	}
	return s.open(private)
}
