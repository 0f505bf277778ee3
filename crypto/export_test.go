package crypto

import (
	"io"

	"github.com/signetfs/signet"
)

// SealWith is Seal with another digest, to compare them.
func (k *Keyring) SealWith(dst []byte, random io.Reader, alg signet.DigestAlg, pieces ...[]byte) ([]byte, signet.Object, error) {
	return k.seal(dst, random, alg, Spread(), pieces)
}

// WithVersions returns a keyring of n versions; rotating so often takes its time.
func WithVersions(random io.Reader, n int) (*Keyring, error) {
	in := &keys{versions: make([]versionKeys, n)}
	for i := range in.versions {
		if err := in.versions[i].master.fill(random); err != nil {
			return nil, err
		}
	}
	return newKeyring(in), nil
}

// Secrets returns the memory that holds the keyring's secrets, to look for them in
// texts and to see them zeroed.
func (k *Keyring) Secrets() [][]byte {
	in := k.in()
	out := [][]byte{in.root[:], in.name[:]}
	for i := range in.versions {
		v := &in.versions[i]
		out = append(out, v.master[:], v.objects.key[:], v.inline.key[:], v.auth[:])
	}
	for _, s := range []*siv{&in.names, &in.targets, &in.xattrNames, &in.xattrValues} {
		out = append(out, s.key[:])
	}
	return out
}

// Secret returns the memory that holds the recovery key.
func (r *RecoveryKey) Secret() []byte { return r.key()[:] }

// Secret returns the memory that holds the host's secret.
func (h *HostSecret) Secret() []byte { return h.seed()[:] }

// Forge changes a slot's hidden fields as somebody could who writes to the log.
func (s *Slot) Forge(f func(salt *[16]byte, kdf *KDF, public, wrapped, sealed *[]byte, auth *[32]byte)) {
	f(&s.salt, &s.kdf, &s.public, &s.wrapped, &s.sealed, &s.auth)
}

// ExpandBoth returns what HKDF-Expand gives in the two ways that it is computed.
func ExpandBoth(key [32]byte, info []byte) (once, kept [64]byte) {
	k := secret(key)
	expand(&k, string(info), once[:])
	p := &prf{key: k}
	p.expand(info, &kept)
	p.expand(info, &kept) // with a state from the pool
	return once, kept
}

// DecodeKeys decodes what is sealed in a slot.
func DecodeKeys(b []byte) (*Keyring, error) {
	in, err := decodeKeys(b)
	if err != nil {
		return nil, err
	}
	return newKeyring(in), nil
}

// EncodeKeys encodes what is sealed in a slot.
func (k *Keyring) EncodeKeys() []byte { return k.in().encode() }

// SealRaw seals anything as a name, target or attribute name, as a holder of the key
// could who runs another program.
func (k *Keyring) SealRaw(ino signet.Ino, b []byte) (name, target, xattr []byte) {
	in := k.in()
	for out, s := range map[*[]byte]*siv{&name: &in.names, &target: &in.targets, &xattr: &in.xattrNames} {
		*out, _ = s.aead.EncryptDeterministically(b, bindName(ino))
	}
	return name, target, xattr
}
