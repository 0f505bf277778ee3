package crypto

import (
	"encoding/hex"
	"fmt"
	"io"
	"sync"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"

	"github.com/signetfs/signet"
)

// The labels under which keys are derived. Part of the format: never change one.
const (
	labelVolume      = "signet/v1/volume"
	labelObjects     = "signet/v1/objects"
	labelInline      = "signet/v1/inline"
	labelNames       = "signet/v1/names"
	labelTargets     = "signet/v1/targets"
	labelXattrNames  = "signet/v1/xattr-names"
	labelXattrValues = "signet/v1/xattr-values"
	labelSlotAuth    = "signet/v1/slot-auth"
)

// maxVersions bounds how often a volume key can be rotated. It keeps a slot well
// below maxSlot.
const maxVersions = 1024

// VolumeID tells volumes apart by their keys: a public value that only who holds the
// volume's root secret can have made. It never changes. A host remembers it beside
// its identity, so that nobody can slip it another volume's keys later.
type VolumeID [16]byte

func (id VolumeID) String() string { return hex.EncodeToString(id[:]) }

// Keyring holds the keys of a volume. It has versions: objects are sealed under the
// newest and opened under the one their row names. The keys for names do not rotate,
// because a name sealed under a new key could not be found.
//
// A Keyring does not change but for Wipe, and may be used by many goroutines.
type Keyring struct {
	id     VolumeID
	newest uint32

	mu sync.RWMutex // held for reading while keys are used, for writing by Wipe
	in hidden[keys] // nil once wiped

	scratch sync.Pool // of *scratch, shared by all openers
}

// keys are the secrets of a Keyring.
type keys struct {
	root     secret // proves the volume's identity; never used to seal anything
	name     secret // what all the deterministic keys come from
	versions []versionKeys

	names, targets, xattrNames, xattrValues siv
}

// versionKeys are the keys of one version. Version n is at index n-1.
type versionKeys struct {
	master  secret
	objects prf
	inline  prf
	auth    secret // authenticates slots
}

// siv is an AES-SIV cipher and the key it refers to, kept so that it can be zeroed.
type siv struct {
	key  [subtle.AESSIVKeySize]byte
	aead *subtle.AESSIV
}

// NewKeyring makes the keys of a new volume, at version 1.
func NewKeyring(random io.Reader) (*Keyring, error) {
	in := &keys{versions: make([]versionKeys, 1)}
	for _, s := range []*secret{&in.root, &in.name, &in.versions[0].master} {
		if err := s.fill(random); err != nil {
			return nil, err
		}
	}
	return newKeyring(in), nil
}

// newKeyring derives everything else from the root, name and master secrets of in.
func newKeyring(in *keys) *Keyring {
	k := &Keyring{newest: uint32(len(in.versions)), in: hide(in)}
	expand(&in.root, labelVolume, k.id[:])
	for i := range in.versions {
		v := &in.versions[i]
		expand(&v.master, labelObjects, v.objects.key[:])
		expand(&v.master, labelInline, v.inline.key[:])
		expand(&v.master, labelSlotAuth, v.auth[:])
	}
	in.names.derive(&in.name, labelNames)
	in.targets.derive(&in.name, labelTargets)
	in.xattrNames.derive(&in.name, labelXattrNames)
	in.xattrValues.derive(&in.name, labelXattrValues)
	return k
}

// derive sets up the cipher once; setting it up costs as much as using it.
func (s *siv) derive(from *secret, label string) {
	expand(from, label, s.key[:])
	aead, err := subtle.NewAESSIV(s.key[:])
	if err != nil {
		panic("crypto: " + err.Error()) // only a wrong key length is refused
	}
	s.aead = aead
}

// ID returns the volume's identity.
func (k *Keyring) ID() VolumeID { return k.id }

// Version returns the newest version, the one that new objects are sealed under.
func (k *Keyring) Version() uint32 { return k.newest }

// Rotate returns a keyring of the same volume with one more version. What was sealed
// before stays as it is and can still be opened. Slots must be resealed to carry it.
func (k *Keyring) Rotate(random io.Reader) (*Keyring, error) {
	if k.newest >= maxVersions {
		return nil, signet.Errorf(signet.TooBig, "rotate volume key", k.id.String(),
			"it has %d versions already, the most there may be", k.newest)
	}
	in := &keys{versions: make([]versionKeys, k.newest+1)}
	if err := in.versions[k.newest].master.fill(random); err != nil {
		return nil, err
	}
	old, done, err := k.use()
	if err != nil {
		return nil, signet.Wrap("rotate volume key", k.id.String(), err)
	}
	defer done()
	in.root, in.name = old.root, old.name
	for i := range old.versions {
		in.versions[i].master = old.versions[i].master
	}
	return newKeyring(in), nil
}

// Wipe zeroes the keys and waits for who uses them now; every later use fails with
// NoKey. Openers made before have their object's key and go on working. The expanded round keys inside the standard library's ciphers cannot be
// reached; they go with the garbage collector.
func (k *Keyring) Wipe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.in != nil {
		k.in().wipe()
		k.in = nil
	}
}

func (in *keys) wipe() {
	in.root.wipe()
	in.name.wipe()
	for i := range in.versions {
		v := &in.versions[i]
		v.master.wipe()
		v.objects.wipe()
		v.inline.wipe()
		v.auth.wipe()
	}
	for _, s := range []*siv{&in.names, &in.targets, &in.xattrNames, &in.xattrValues} {
		clear(s.key[:])
		s.aead = nil
	}
}

// use returns the keys, which stay whole until done is called.
func (k *Keyring) use() (in *keys, done func(), err error) {
	k.mu.RLock()
	if k.in == nil {
		k.mu.RUnlock()
		return nil, nil, signet.Errorf(signet.NoKey, "", "", "the volume's keys were wiped from memory")
	}
	return k.in(), k.mu.RUnlock, nil
}

// version returns the keys of version n, or nil.
func (in *keys) version(n uint32) *versionKeys {
	if n == 0 || uint64(n) > uint64(len(in.versions)) {
		return nil
	}
	return &in.versions[n-1]
}

// noVersion is the error for a version that the keyring lacks.
func (k *Keyring) noVersion(op, subject string, n uint32) error {
	return signet.Errorf(signet.NoKey, op, subject,
		"it is sealed under key version %d, this host has 1 to %d", n, k.newest)
}

// Format keeps the keys out of every text.
func (k *Keyring) Format(f fmt.State, _ rune) { redact(f, "Keyring") }
