package crypto_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
)

// cheap are the least Argon2id parameters allowed, so that tests are quick.
func cheap() crypto.KDF {
	return crypto.KDF{Time: crypto.MinKDFTime, MemoryKiB: crypto.MinKDFMemory, Threads: 1}
}

const phrase = "correct horse battery staple"

// slots returns one slot of each kind, with what opens it.
func slots(t testing.TB, k *crypto.Keyring) map[*crypto.Slot]func(*crypto.Slot) (*crypto.Keyring, error) {
	t.Helper()
	h, err := crypto.NewHostSecret(random("host"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := crypto.NewRecoveryKey(random("recovery"))
	if err != nil {
		t.Fatal(err)
	}
	byHost, err := k.SealToHost(h.Public(), "alpha")
	if err != nil {
		t.Fatal(err)
	}
	byPhrase, err := k.SealToPassphrase(random("p"), []byte(phrase), cheap(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	byRecovery, err := k.SealToRecovery(random("r"), r, "")
	if err != nil {
		t.Fatal(err)
	}
	return map[*crypto.Slot]func(*crypto.Slot) (*crypto.Keyring, error){
		byHost:     func(s *crypto.Slot) (*crypto.Keyring, error) { return s.OpenAsHost(h) },
		byPhrase:   func(s *crypto.Slot) (*crypto.Keyring, error) { return s.OpenWithPassphrase([]byte(phrase)) },
		byRecovery: func(s *crypto.Slot) (*crypto.Keyring, error) { return s.OpenWithRecovery(r) },
	}
}

// sameKeys says whether two keyrings hold the same secrets.
func sameKeys(a, b *crypto.Keyring) bool {
	x, y := a.Secrets(), b.Secrets()
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !bytes.Equal(x[i], y[i]) {
			return false
		}
	}
	return true
}

func TestSlots(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	for s, open := range slots(t, k) {
		enc := s.Encode()
		again, err := crypto.DecodeSlot(enc)
		if err != nil {
			t.Errorf("%v: %v", s.Kind, err)
			continue
		}
		if !bytes.Equal(again.Encode(), enc) {
			t.Errorf("%v: decoding and encoding changes it", s.Kind)
		}
		if again.Kind != s.Kind || again.Label != s.Label || again.Volume != k.ID() || again.Version != 1 {
			t.Errorf("%v: got %v %q %v %d", s.Kind, again.Kind, again.Label, again.Volume, again.Version)
		}
		got, err := open(again)
		if err != nil || !sameKeys(got, k) {
			t.Errorf("%v: %v", s.Kind, err)
		}
		for i, secret := range k.Secrets() {
			if bytes.Contains(enc, secret[:8]) {
				t.Errorf("%v: the encoded slot contains secret %d", s.Kind, i)
			}
		}
		if bytes.Contains(enc, []byte(phrase)) {
			t.Errorf("%v: the encoded slot contains the passphrase", s.Kind)
		}
	}
}

// A rotated keyring reaches all slots without what opens them, and what opens them
// opens the new ones.
func TestReseal(t *testing.T) {
	t.Parallel()
	k1 := newRing(t, "ring")
	k2, _ := k1.Rotate(random("2"))
	k3, _ := k2.Rotate(random("3"))
	for s, open := range slots(t, k1) {
		s2, err := k2.Reseal(s)
		if err != nil {
			t.Fatalf("%v: %v", s.Kind, err)
		}
		if got, err := open(s2); err != nil || !sameKeys(got, k2) || s2.Version != 2 || s2.Label != s.Label {
			t.Errorf("%v resealed: version %d, %v", s.Kind, s2.Version, err)
		}
		if got, err := open(s); err != nil || !sameKeys(got, k1) || s.Version != 1 {
			t.Errorf("%v: resealing changed the old slot: %v", s.Kind, err)
		}
		if again, err := k2.Reseal(s2); err != nil || again.Version != 2 {
			t.Errorf("%v: resealing twice: %v", s.Kind, err)
		}
		s3, err := k3.Reseal(s2)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open(s3); err != nil || !sameKeys(got, k3) {
			t.Errorf("%v resealed twice: %v", s.Kind, err)
		}
		_, err = k3.Reseal(s)
		wantKind(t, "a slot two versions behind", err, signet.Stale)
		_, err = k1.Reseal(s2)
		wantKind(t, "a slot ahead", err, signet.NoKey)
		_, err = newRing(t, "other").Reseal(s)
		wantKind(t, "a slot of another volume", err, signet.Invalid)
	}
}

// Whoever writes to the log without holding the volume's key gets nothing by it.
func TestForgedSlots(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	evil, _ := crypto.NewKeyring(random("evil"))
	thief, _ := crypto.NewHostSecret(random("thief"))

	t.Run("a slot for oneself is not resealed", func(t *testing.T) {
		s, err := evil.SealToHost(thief.Public(), "alpha")
		if err != nil {
			t.Fatal(err)
		}
		s.Volume = k.ID()
		_, err = k.Reseal(s)
		wantKind(t, "forged slot", err, signet.Corrupt)
	})
	t.Run("another public key in a slot", func(t *testing.T) {
		for s := range slots(t, k) {
			s.Forge(func(_ *[16]byte, _ *crypto.KDF, public, _, _ *[]byte, _ *[32]byte) { *public = thief.Public() })
			_, err := k.Reseal(s)
			wantKind(t, s.Kind.String(), err, signet.Corrupt)
		}
	})
	t.Run("other keys under a known passphrase's slot", func(t *testing.T) {
		for s, open := range slots(t, k) {
			if s.Kind == crypto.SlotHost {
				continue
			}
			// The evil keyring sealed to the slot's own public key.
			var public []byte
			s.Forge(func(_ *[16]byte, _ *crypto.KDF, p, _, _ *[]byte, _ *[32]byte) { public = *p })
			other, err := evil.SealToHost(public, "")
			if err != nil {
				t.Fatal(err)
			}
			var sealed []byte
			var auth [32]byte
			other.Forge(func(_ *[16]byte, _ *crypto.KDF, _, _, x *[]byte, a *[32]byte) { sealed, auth = *x, *a })
			s.Forge(func(_ *[16]byte, _ *crypto.KDF, _, _, x *[]byte, a *[32]byte) { *x, *a = sealed, auth })
			_, err = open(s)
			wantKind(t, s.Kind.String(), err, signet.Corrupt)
			s.Volume = evil.ID()
			if _, err = open(s); err == nil {
				t.Errorf("%v: opened with another volume's keys", s.Kind)
			}
		}
	})
	t.Run("a revoked holder of old keys", func(t *testing.T) {
		k2, _ := k.Rotate(random("2"))
		k3, _ := k2.Rotate(random("3"))
		s, err := k.SealToHost(thief.Public(), "alpha")
		if err != nil {
			t.Fatal(err)
		}
		s.Version = 2
		_, err = k3.Reseal(s)
		wantKind(t, "forged with old keys", err, signet.Corrupt)
	})
}

func TestWrongOpener(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	other, _ := crypto.NewHostSecret(random("other host"))
	rec, _ := crypto.NewRecoveryKey(random("other recovery"))
	for s := range slots(t, k) {
		_, err1 := s.OpenAsHost(other)
		_, err2 := s.OpenWithPassphrase([]byte("wrong horse"))
		_, err3 := s.OpenWithRecovery(rec)
		want := [3]signet.Kind{signet.NoKey, signet.Invalid, signet.Invalid}
		switch s.Kind {
		case crypto.SlotPassphrase:
			want[1] = signet.BadPassphrase
		case crypto.SlotRecovery:
			want[2] = signet.BadPassphrase
		}
		for i, err := range []error{err1, err2, err3} {
			wantKind(t, s.Kind.String(), err, want[i])
		}
	}
}

// A damaged slot does not open, or, where only its label's or wrapping was hit,
// says so; it never gives keys.
func TestDamagedSlots(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	for s, open := range slots(t, k) {
		opened := 0
		damages(s.Encode(), func(what string, bad []byte) {
			got, err := crypto.DecodeSlot(bad)
			if err != nil {
				if !errors.Is(err, signet.BadMessage) && !errors.Is(err, signet.WrongVersion) {
					t.Fatalf("%v %s: %v", s.Kind, what, err)
				}
				return
			}
			if got.Kind == crypto.SlotPassphrase {
				if got.KDF() != cheap() {
					return // damaged parameters may take seconds and gigabytes
				}
				if opened++; opened > 20 {
					return // Argon2id takes its time even so
				}
			}
			if _, err := open(got); err == nil {
				t.Fatalf("%v %s: a damaged slot opens", s.Kind, what)
			}
		})
	}
}

func TestSlotLimits(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	h, _ := crypto.NewHostSecret(random("host"))
	for _, label := range []string{strings.Repeat("x", 65), "\xff"} {
		_, err := k.SealToHost(h.Public(), label)
		wantKind(t, "label", err, signet.Invalid)
	}
	for _, public := range [][]byte{nil, make([]byte, 32), h.Public()[:1215], append(h.Public(), 0)} {
		_, err := k.SealToHost(public, "")
		wantKind(t, "public key", err, signet.Invalid)
	}
	_, err := crypto.DecodeSlot(make([]byte, 64<<10+1))
	wantKind(t, "too long", err, signet.BadMessage)
	s, _ := k.SealToHost(h.Public(), "")
	if !bytes.Equal(s.Host(), h.Public()) {
		t.Error("a host slot does not say whose it is")
	}
	newer := s.Encode()
	newer[1] = 2
	_, err = crypto.DecodeSlot(newer)
	wantKind(t, "newer format", err, signet.WrongVersion)
}

// Parameters out of bounds are refused before anything is allocated for them.
func TestKDFBounds(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	for _, p := range []crypto.KDF{
		{},
		{Time: 0, MemoryKiB: crypto.MinKDFMemory, Threads: 1},
		{Time: 17, MemoryKiB: crypto.MinKDFMemory, Threads: 1},
		{Time: 1, MemoryKiB: crypto.MinKDFMemory - 1, Threads: 1},
		{Time: 1, MemoryKiB: crypto.MaxKDFMemory + 1, Threads: 1},
		{Time: 1, MemoryKiB: ^uint32(0), Threads: 1},
		{Time: 1, MemoryKiB: crypto.MinKDFMemory, Threads: 0},
		{Time: 1, MemoryKiB: crypto.MinKDFMemory, Threads: 17},
	} {
		_, err := k.SealToPassphrase(random("s"), []byte("x"), p, "")
		wantKind(t, p.String(), err, signet.Invalid)
		s, err := k.SealToPassphrase(random("s"), []byte("x"), cheap(), "")
		if err != nil {
			t.Fatal(err)
		}
		s.Forge(func(_ *[16]byte, kdf *crypto.KDF, _, _, _ *[]byte, _ *[32]byte) { *kdf = p })
		_, err = s.OpenWithPassphrase([]byte("x"))
		wantKind(t, p.String(), err, signet.Invalid)
		_, err = crypto.DecodeSlot(s.Encode())
		wantKind(t, p.String(), err, signet.BadMessage)
	}
	_, err := k.SealToPassphrase(random("s"), nil, cheap(), "")
	wantKind(t, "empty passphrase", err, signet.Invalid)
	if p := crypto.DefaultKDF(); p.Time != 3 || p.MemoryKiB != 256<<10 || p.Threads != 4 {
		t.Errorf("the default is %v", p)
	}
}

func TestHostSecret(t *testing.T) {
	t.Parallel()
	h, _ := crypto.NewHostSecret(random("host"))
	again, err := crypto.ParseHostSecret(h.Reveal())
	if err != nil || !bytes.Equal(again.Public(), h.Public()) {
		t.Errorf("revealed and parsed: %v", err)
	}
	for _, n := range []int{0, 31, 33} {
		_, err := crypto.ParseHostSecret(make([]byte, n))
		wantKind(t, "length", err, signet.BadMessage)
	}
}
