package crypto

import (
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"io"
	"unicode/utf8"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// SlotKind says what opens a slot. The numbers are in the log: append only.
type SlotKind uint8

// The kinds of slot.
const (
	SlotPassphrase SlotKind = 1
	SlotHost       SlotKind = 2
	SlotRecovery   SlotKind = 3
)

func (k SlotKind) String() string {
	switch k {
	case SlotPassphrase:
		return "passphrase"
	case SlotHost:
		return "host"
	case SlotRecovery:
		return "recovery key"
	}
	return "unknown"
}

const (
	slotFormat   = 1
	maxLabel     = 64       // bytes of a slot's label
	maxSlot      = 64 << 10 // bytes of an encoded slot
	maxWrapped   = keySize + seedSize + TagSize
	labelSlot    = "signet/slot/v1"
	labelWrap    = "signet/slot-wrap/v1"
	slotHeadLen  = 9  // fields that never change
	slotFieldLen = 13 // all fields
)

// Slot is a volume's keyring sealed so that one passphrase, host or recovery key
// opens it. It lies in the log, readable for every host; it gives nothing away but
// its kind, label, volume and key version.
//
// Every slot, of whatever kind, has an HPKE key pair, and the keyring is sealed to
// its public key. So a rotated keyring reaches all slots without anybody typing a
// passphrase or fetching the recovery key from the safe: see Reseal.
type Slot struct {
	Kind    SlotKind
	Label   string   // for people: "laptop", "admin"
	Volume  VolumeID // whose keys it holds
	Version uint32   // newest key version it holds

	salt    [16]byte // of a passphrase or recovery slot: makes its wrapping key its own
	kdf     KDF      // of a passphrase slot
	public  []byte   // HPKE public key
	wrapped []byte   // of a passphrase or recovery slot: the private key, sealed
	sealed  []byte   // the keyring, sealed to public
	auth    [32]byte // by who held the volume's key at Version, over all the rest
}

// Host returns the public key of the host that a host slot is for, as
// HostSecret.Public gives it; nil for other kinds.
func (s *Slot) Host() []byte {
	if s.Kind != SlotHost {
		return nil
	}
	return append([]byte(nil), s.public...)
}

// newSlot seals the keyring into s, whose head is complete.
func (k *Keyring) newSlot(s *Slot) (*Slot, error) {
	if len(s.Label) > maxLabel || !utf8.ValidString(s.Label) {
		return nil, signet.Errorf(signet.Invalid, "make key slot", "", "its label has %d bytes, at most %d of UTF-8", len(s.Label), maxLabel)
	}
	in, done, err := k.use()
	if err != nil {
		return nil, signet.Wrap("make key slot", "", err)
	}
	defer done()
	s.Version = k.newest
	public, err := kem().NewPublicKey(s.public)
	if err != nil {
		return nil, signet.Errorf(signet.Invalid, "make key slot", "", "public key: %w", err)
	}
	plain := in.encode()
	defer clear(plain)
	s.sealed, err = hpke.Seal(public, hpke.HKDFSHA256(), hpke.AES256GCM(), s.info(), plain)
	if err != nil {
		return nil, signet.Errorf(signet.Invalid, "make key slot", "", "seal: %w", err)
	}
	s.auth = s.authenticate(in.version(s.Version))
	return s, nil
}

// Reseal returns the slot with this keyring in place of the older one it holds, after
// Rotate. Nothing secret of the slot's owner is needed. It refuses what was not made by
// a holder of the newest key version or the one before (Corrupt; Stale if it is older
// than that), so that nobody gets new keys by a forged slot, whether he has learned
// older keys or none.
func (k *Keyring) Reseal(s *Slot) (*Slot, error) {
	const op = "reseal key slot"
	if s.Volume != k.id {
		return nil, signet.Errorf(signet.Invalid, op, s.Label, "it belongs to volume %v, the keys to %v", s.Volume, k.id)
	}
	if s.Version+1 < k.newest {
		return nil, signet.Errorf(signet.Stale, op, s.Label,
			"it has key version %d, the volume %d: remove the slot and add it again", s.Version, k.newest)
	}
	in, done, err := k.use()
	if err != nil {
		return nil, signet.Wrap(op, s.Label, err)
	}
	v := in.version(s.Version)
	good := v != nil && s.authentic(v)
	done()
	if v == nil {
		return nil, k.noVersion(op, s.Label, s.Version)
	}
	if !good {
		return nil, signet.Errorf(signet.Corrupt, op, s.Label, "it was not made by a holder of the volume's key")
	}
	fresh := *s
	out, err := k.newSlot(&fresh)
	return out, signet.Wrap(op, s.Label, err)
}

// open opens the slot with its private key.
func (s *Slot) open(private hpke.PrivateKey) (*Keyring, error) {
	const op = "open key slot"
	plain, err := hpke.Open(private, hpke.HKDFSHA256(), hpke.AES256GCM(), s.info(), s.sealed)
	if err != nil {
		return nil, signet.Errorf(signet.Corrupt, op, s.Label, "the keys in it do not verify")
	}
	defer clear(plain)
	in, err := decodeKeys(plain)
	if err != nil {
		return nil, signet.Wrap(op, s.Label, err)
	}
	k := newKeyring(in)
	// Anybody can seal something to a public key, so what opened must also be of the
	// volume that the slot names, and be vouched for with its own newest key.
	if k.id != s.Volume || k.newest != s.Version || !s.authentic(in.version(k.newest)) {
		k.Wipe()
		return nil, signet.Errorf(signet.Corrupt, op, s.Label, "it holds other keys than it says")
	}
	return k, nil
}

// authenticate returns the authenticator of everything else in the slot.
func (s *Slot) authenticate(v *versionKeys) (tag [32]byte) {
	m := hmac.New(sha256.New, v.auth[:])
	m.Write(s.info())
	m.Write(s.sealed)
	m.Sum(tag[:0])
	return tag
}

func (s *Slot) authentic(v *versionKeys) bool {
	tag := s.authenticate(v)
	return hmac.Equal(tag[:], s.auth[:])
}

// head encodes the fields that stay as they are when the slot is resealed.
func (s *Slot) head(e *pack.Encoder, fields int) {
	e.Array(fields)
	e.Uint(slotFormat)
	e.Uint(uint64(s.Kind))
	e.String(s.Label)
	e.Bytes(s.Volume[:])
	e.Bytes(s.salt[:])
	e.Uint(uint64(s.kdf.Time))
	e.Uint(uint64(s.kdf.MemoryKiB))
	e.Uint(uint64(s.kdf.Threads))
	e.Bytes(s.public)
}

// context is the associated data of the wrapped private key.
func (s *Slot) context() []byte {
	var e pack.Encoder
	e.Raw([]byte(labelWrap))
	s.head(&e, slotHeadLen)
	return e.Buf()
}

// info is what HPKE and the authenticator bind the sealed keyring to: all of the slot
// that is not sealed. Every part has a length, so no two slots have the same info.
func (s *Slot) info() []byte {
	var e pack.Encoder
	e.Raw([]byte(labelSlot))
	s.head(&e, slotHeadLen)
	e.Bytes(s.wrapped)
	e.Uint(uint64(s.Version))
	return e.Buf()
}

// Encode returns the slot as it lies in the log.
func (s *Slot) Encode() []byte {
	var e pack.Encoder
	s.head(&e, slotFieldLen)
	e.Bytes(s.wrapped)
	e.Uint(uint64(s.Version))
	e.Bytes(s.sealed)
	e.Bytes(s.auth[:])
	return e.Buf()
}

// DecodeSlot reads what Encode returned. It fails with BadMessage, or WrongVersion if
// the slot's format is newer. That it decodes says nothing about what is sealed in it.
func DecodeSlot(b []byte) (*Slot, error) {
	const op = "decode key slot"
	if len(b) > maxSlot {
		return nil, signet.Errorf(signet.BadMessage, op, "", "%d bytes, at most %d", len(b), maxSlot)
	}
	d := pack.NewDecoder(b)
	d.ArrayExact(slotFieldLen)
	if format := d.Uint(); d.Err() == nil && format != slotFormat {
		return nil, signet.Errorf(signet.WrongVersion, op, "", "format %d, this version knows %d", format, slotFormat)
	}
	s := &Slot{Kind: SlotKind(d.Uint8()), Label: d.String(maxLabel)}
	d.Fixed(s.Volume[:])
	d.Fixed(s.salt[:])
	s.kdf = KDF{Time: d.Uint32(), MemoryKiB: d.Uint32(), Threads: d.Uint8()}
	s.public = append([]byte(nil), d.Bytes(publicSize)...)
	s.wrapped = append([]byte(nil), d.Bytes(maxWrapped)...)
	s.Version = d.Uint32()
	s.sealed = append([]byte(nil), d.Bytes(maxSlot)...)
	d.Fixed(s.auth[:])
	if err := d.Done(); err != nil {
		return nil, signet.Wrap(op, "", err)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

// check says whether the fields of a decoded slot fit its kind.
func (s *Slot) check() error {
	bad := func(format string, args ...any) error {
		return signet.Errorf(signet.BadMessage, "decode key slot", "", format, args...)
	}
	wrapped := maxWrapped
	switch s.Kind {
	case SlotPassphrase:
		if err := s.kdf.check(); err != nil {
			return bad("%w", err)
		}
	case SlotHost, SlotRecovery:
		if s.kdf != (KDF{}) {
			return bad("a %v slot has no Argon2id parameters", s.Kind)
		}
		if s.Kind == SlotHost {
			wrapped = 0
		}
	default:
		return bad("kind %d", s.Kind)
	}
	switch {
	case s.Kind == SlotHost && s.salt != [16]byte{}:
		return bad("a host slot has no salt")
	case len(s.wrapped) != wrapped:
		return bad("a wrapped key of %d bytes, want %d", len(s.wrapped), wrapped)
	case len(s.public) != publicSize:
		return bad("a public key of %d bytes, want %d", len(s.public), publicSize)
	case s.Version == 0 || s.Version > maxVersions:
		return bad("key version %d", s.Version)
	case !utf8.ValidString(s.Label):
		return bad("a label that is not UTF-8")
	}
	return nil
}

// encode returns the secrets that everything else is derived from. It exists only to
// be sealed into a slot; who calls it clears it.
func (in *keys) encode() []byte {
	e := pack.NewEncoder(make([]byte, 0, 96+len(in.versions)*(keySize+2)))
	e.Array(4)
	e.Uint(slotFormat)
	e.Bytes(in.root[:])
	e.Bytes(in.name[:])
	e.Array(len(in.versions))
	for i := range in.versions {
		e.Bytes(in.versions[i].master[:])
	}
	return e.Buf()
}

// decodeKeys reads what encode wrote.
func decodeKeys(b []byte) (*keys, error) {
	in := &keys{}
	d := pack.NewDecoder(b)
	d.ArrayExact(4)
	if format := d.Uint(); d.Err() == nil && format != slotFormat {
		return nil, signet.Errorf(signet.WrongVersion, "", "", "keys of format %d, this version knows %d", format, slotFormat)
	}
	d.Fixed(in.root[:])
	d.Fixed(in.name[:])
	n := d.Array(maxVersions)
	if d.Err() == nil && n == 0 {
		return nil, signet.Errorf(signet.BadMessage, "", "", "no key version")
	}
	in.versions = make([]versionKeys, n)
	for i := range in.versions {
		d.Fixed(in.versions[i].master[:])
	}
	if err := d.Done(); err != nil {
		in.wipe()
		return nil, err
	}
	return in, nil
}

// wrap seals the slot's private key under a secret that its owner has: a passphrase's
// Argon2id output or a recovery key. With the salt the wrapping key is this slot's
// alone, so its one use may have the nonce zero.
func (s *Slot) wrap(owner *secret, seed *secret) {
	kek := s.wrapKey(owner)
	defer clear(kek[:])
	var n [12]byte
	s.wrapped = append(s.wrapped[:0], kek[keySize:]...)
	s.wrapped = newGCM(kek[:keySize]).Seal(s.wrapped, n[:], seed[:], s.context())
}

// unwrap returns the slot's private key.
func (s *Slot) unwrap(owner *secret) (hpke.PrivateKey, error) {
	kek := s.wrapKey(owner)
	defer clear(kek[:])
	wrong := signet.Errorf(signet.BadPassphrase, "open key slot", s.Label, "wrong %v, or a damaged slot", s.Kind)
	// The commitment comes first: without it one slot could be made that opens
	// under any of many passphrases, and so would tell which of them was used.
	if len(s.wrapped) != maxWrapped || !hmac.Equal(s.wrapped[:keySize], kek[keySize:]) {
		return nil, wrong
	}
	var n [12]byte
	seed, err := newGCM(kek[:keySize]).Open(nil, n[:], s.wrapped[keySize:], s.context())
	if err != nil {
		return nil, wrong
	}
	defer clear(seed)
	private, err := kem().NewPrivateKey(seed)
	if err != nil || string(private.PublicKey().Bytes()) != string(s.public) {
		return nil, signet.Errorf(signet.Corrupt, "open key slot", s.Label, "its private and public key do not belong together")
	}
	return private, nil
}

// wrapKey derives the wrapping key and the commitment to it.
func (s *Slot) wrapKey(owner *secret) (out [2 * keySize]byte) {
	expand(owner, labelWrap+string(s.salt[:]), out[:])
	return out
}

// newWrappedSlot makes a slot that owner, a secret of its own kind, opens.
func (k *Keyring) newWrappedSlot(random io.Reader, s *Slot, owner *secret) (*Slot, error) {
	seed := new(secret)
	defer seed.wipe()
	if err := seed.fill(random); err != nil {
		return nil, err
	}
	private, err := kem().NewPrivateKey(seed[:])
	if err != nil {
		return nil, signet.Errorf(signet.Other, "make key slot", "", "%w", err)
	}
	s.public = private.PublicKey().Bytes()
	s.wrap(owner, seed)
	return k.newSlot(s)
}
