package daemon

import (
	"context"
	"crypto/rand"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/crypto"
)

// Opener is a secret that opens one kind of key slot: a passphrase or a recovery key.
type Opener struct {
	Kind   crypto.SlotKind
	Secret []byte
}

// Unlock opens the volume for a running host that has no slot of its own, with a secret
// that people hold. What is slow and what is secret happens here, in the command that
// people started: the daemon gets the key sealed to a key pair of its own.
func Unlock(ctx context.Context, client *control.Client, o Opener) error {
	var lock control.Locked
	if err := client.Call(ctx, control.CallLocked, nil, &lock); err != nil {
		return err
	}
	ring, err := o.open(lock.Slots)
	if err != nil {
		return err
	}
	defer ring.Wipe()
	slot, err := ring.SealToHost(lock.Public, "unlock")
	if err != nil {
		return err
	}
	return client.Call(ctx, control.CallUnlock, control.UnlockArgs{Slot: slot.Encode()}, nil)
}

// open opens the first slot of the opener's kind that it fits.
func (o *Opener) open(slots [][]byte) (*crypto.Keyring, error) {
	err := signet.Errorf(signet.NotFound, "open volume", "", "it has no slot that a %v opens", o.Kind)
	for _, b := range slots {
		s, bad := crypto.DecodeSlot(b)
		if bad != nil || s.Kind != o.Kind {
			continue
		}
		var ring *crypto.Keyring
		if ring, err = o.openSlot(s); err == nil {
			return ring, nil
		}
	}
	return nil, err
}

func (o *Opener) openSlot(s *crypto.Slot) (*crypto.Keyring, error) {
	if o.Kind == crypto.SlotPassphrase {
		return s.OpenWithPassphrase(o.Secret)
	}
	key, err := crypto.ParseRecoveryKey(string(o.Secret))
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return s.OpenWithRecovery(key)
}

// locked tells a command what it needs to unlock this host.
func (d *Daemon) locked(ctx context.Context, progress func(string)) (*control.Locked, error) {
	ctx, cancel := context.WithTimeout(ctx, statePatience)
	defer cancel()
	if _, err := d.awaitState(ctx, progress); err != nil {
		return nil, err
	}
	slots, _, err := d.keys.tables()
	if err != nil {
		return nil, err
	}
	receiver, err := d.keys.receiver()
	if err != nil {
		return nil, err
	}
	out := &control.Locked{Public: receiver.Public()}
	for _, s := range slots {
		if s.Kind != uint8(crypto.SlotHost) {
			out.Slots = append(out.Slots, s.Data)
		}
	}
	return out, nil
}

// receiver returns the key pair to which a key may be sealed that a command hands over.
// A host that is to hold no key has one for as long as it runs.
func (k *keys) receiver() (*crypto.HostSecret, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.secret != nil {
		return k.secret, nil
	}
	var err error
	if k.guest == nil {
		k.guest, err = crypto.NewHostSecret(rand.Reader)
	}
	return k.guest, err
}

// unlock takes the volume's key from a command. If this host is to hold the key it makes
// a slot for itself next, as it would for any other.
func (k *keys) unlock(sealed []byte) error {
	receiver, err := k.receiver()
	if err != nil {
		return err
	}
	known, err := readVolumeID(k.disk)
	if err != nil {
		return err
	}
	ring, err := k.open(sealed, receiver, known)
	if err != nil {
		return err
	}
	k.set(ring)
	k.changed()
	return nil
}
