package crypto

import (
	"bytes"
	"crypto/hpke"
	"fmt"
	"io"

	"github.com/signetfs/signet"
)

const (
	seedSize   = 32   // bytes of an HPKE private key
	publicSize = 1216 // bytes of an HPKE public key
)

// kem is the one KEM of all slots: X25519 and ML-KEM-768 together (X-Wing), so that
// who records the log today cannot open it with a quantum computer later.
func kem() hpke.KEM { return hpke.MLKEM768X25519() }

// HostSecret is the private half of the key pair that a host's slots are sealed to.
// It is not the host's identity on the wire: that one signs, this one decrypts.
type HostSecret struct {
	seed   hidden[secret] // nil once wiped
	public []byte
}

// NewHostSecret makes a key pair.
func NewHostSecret(random io.Reader) (*HostSecret, error) {
	seed := new(secret)
	if err := seed.fill(random); err != nil {
		return nil, err
	}
	return newHostSecret(seed)
}

// ParseHostSecret reads the 32 bytes that Reveal returned. It keeps none of b.
func ParseHostSecret(b []byte) (*HostSecret, error) {
	if len(b) != seedSize {
		return nil, signet.Errorf(signet.BadMessage, "read host secret", "", "%d bytes, want %d", len(b), seedSize)
	}
	seed := secret(b)
	return newHostSecret(&seed)
}

func newHostSecret(seed *secret) (*HostSecret, error) {
	private, err := kem().NewPrivateKey(seed[:])
	if err != nil {
		return nil, signet.Errorf(signet.Other, "make host secret", "", "%w", err)
	}
	return &HostSecret{seed: hide(seed), public: private.PublicKey().Bytes()}, nil
}

// Reveal returns the 32 bytes of the secret, for the one place that keeps it: the
// host's state directory. Whoever has them and the log has the volume.
func (h *HostSecret) Reveal() []byte {
	if h.seed == nil {
		return nil
	}
	return append([]byte(nil), h.seed()[:]...)
}

// Public returns the public key, which goes into the host table.
func (h *HostSecret) Public() []byte { return append([]byte(nil), h.public...) }

// Wipe zeroes the secret. Nobody may be using it; it opens nothing afterwards.
func (h *HostSecret) Wipe() {
	if h.seed != nil {
		h.seed().wipe()
		h.seed = nil
	}
}

// Format keeps the secret out of every text.
func (h HostSecret) Format(f fmt.State, _ rune) { redact(f, "HostSecret") }

// SealToHost returns a slot that the host with this public key opens. It draws its
// randomness from the standard library's HPKE.
func (k *Keyring) SealToHost(public []byte, label string) (*Slot, error) {
	return k.newSlot(&Slot{
		Kind: SlotHost, Label: label, Volume: k.id,
		public: append([]byte(nil), public...),
	})
}

// OpenAsHost opens a host slot. A slot for another host is NoKey, one that does not
// verify Corrupt.
//
// Anybody who may write to the log could have made a slot for this host, with keys of
// his own. The host that has opened one before compares Keyring.ID to what it
// remembers; a host that has just joined trusts who let it in.
func (s *Slot) OpenAsHost(h *HostSecret) (*Keyring, error) {
	if h.seed == nil || s.Kind != SlotHost || !bytes.Equal(h.public, s.public) {
		return nil, signet.Errorf(signet.NoKey, "open key slot", s.Label, "it is not for this host")
	}
	private, err := kem().NewPrivateKey(h.seed()[:])
	if err != nil {
		return nil, signet.Errorf(signet.Other, "open key slot", s.Label, "%w", err)
	}
	return s.open(private)
}
