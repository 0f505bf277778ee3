package crypto

import (
	"encoding/binary"
	"strings"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"

	"github.com/signetfs/signet"
)

// What is sealed here is sealed deterministically: the same name under the same
// parent gives the same bytes, so that the log can find it without a key. The price
// is that who sees the log sees which sealed names are equal, and how long they are.
//
// The first 16 bytes of a sealed name are a pseudo-random function of parent and
// name. So sealed names in byte order are in an order that says nothing of the names,
// spreads evenly over the 16 bytes and never changes: the order of readdir.

// SealName returns the sealed form of a directory entry's name: 16 bytes longer. It
// fails with Invalid for what cannot be an entry's name and with NameTooLong.
func (k *Keyring) SealName(parent signet.Ino, name string) ([]byte, error) {
	if len(name) > signet.MaxName {
		return nil, signet.Errorf(signet.NameTooLong, "seal name", "", "%d bytes, at most %d", len(name), signet.MaxName)
	}
	if !isEntry(name) {
		return nil, signet.Errorf(signet.Invalid, "seal name", "",
			"a name is not empty, not . or .., and has no slash and no zero byte")
	}
	return k.sealSIV("seal name", chooseNames, []byte(name), bindName(parent))
}

// OpenName returns the name that SealName sealed under parent, or Corrupt.
func (k *Keyring) OpenName(parent signet.Ino, sealed []byte) (string, error) {
	b, err := k.openSIV("open name", chooseNames, sealed, signet.MaxName, bindName(parent))
	if err != nil {
		return "", err
	}
	name := string(b)
	if !isEntry(name) {
		return "", signet.Errorf(signet.Corrupt, "open name", "", "it opens, but to what no entry can be called")
	}
	return name, nil
}

// isEntry says whether name can be a directory entry's.
func isEntry(name string) bool {
	return name != "" && name != "." && name != ".." &&
		strings.IndexByte(name, '/') < 0 && strings.IndexByte(name, 0) < 0
}

// SealTarget returns the sealed form of the target of the symbolic link ino.
func (k *Keyring) SealTarget(ino signet.Ino, target []byte) ([]byte, error) {
	if len(target) > signet.MaxTarget {
		return nil, signet.Errorf(signet.NameTooLong, "seal link target", "",
			"%d bytes, at most %d", len(target), signet.MaxTarget)
	}
	if len(target) == 0 {
		return nil, signet.Errorf(signet.Invalid, "seal link target", "", "it is empty")
	}
	return k.sealSIV("seal link target", chooseTargets, target, bindName(ino))
}

// OpenTarget returns the target that SealTarget sealed for ino, or Corrupt.
func (k *Keyring) OpenTarget(ino signet.Ino, sealed []byte) ([]byte, error) {
	b, err := k.openSIV("open link target", chooseTargets, sealed, signet.MaxTarget, bindName(ino))
	if err == nil && len(b) == 0 {
		return nil, signet.Errorf(signet.Corrupt, "open link target", "", "it is empty")
	}
	return b, err
}

// SealXattrName returns the sealed form of the name of an extended attribute of ino.
func (k *Keyring) SealXattrName(ino signet.Ino, name string) ([]byte, error) {
	if err := checkXattrName(name); err != nil {
		return nil, err
	}
	return k.sealSIV("seal attribute name", chooseXattrNames, []byte(name), bindName(ino))
}

// OpenXattrName returns the name that SealXattrName sealed for ino, or Corrupt.
func (k *Keyring) OpenXattrName(ino signet.Ino, sealed []byte) (string, error) {
	b, err := k.openSIV("open attribute name", chooseXattrNames, sealed, signet.MaxXattrName, bindName(ino))
	if err != nil {
		return "", err
	}
	if checkXattrName(string(b)) != nil {
		return "", signet.Errorf(signet.Corrupt, "open attribute name", "", "it opens, but to what no attribute can be called")
	}
	return string(b), nil
}

// SealXattrValue returns the sealed form of the value of the attribute called name
// (unsealed) of ino. It opens only for that attribute of that inode.
func (k *Keyring) SealXattrValue(ino signet.Ino, name string, value []byte) ([]byte, error) {
	if err := checkXattrName(name); err != nil {
		return nil, err
	}
	if len(value) > signet.MaxXattrValue {
		return nil, signet.Errorf(signet.TooBig, "seal attribute value", "",
			"%d bytes, at most %d", len(value), signet.MaxXattrValue)
	}
	return k.sealSIV("seal attribute value", chooseXattrValues, value, bindValue(ino, name))
}

// OpenXattrValue returns the value that SealXattrValue sealed, or Corrupt.
func (k *Keyring) OpenXattrValue(ino signet.Ino, name string, sealed []byte) ([]byte, error) {
	if err := checkXattrName(name); err != nil {
		return nil, err
	}
	return k.openSIV("open attribute value", chooseXattrValues, sealed, signet.MaxXattrValue, bindValue(ino, name))
}

func checkXattrName(name string) error {
	if len(name) == 0 || len(name) > signet.MaxXattrName || strings.IndexByte(name, 0) >= 0 {
		return signet.Errorf(signet.Invalid, "seal attribute name", "",
			"%d bytes, want 1 to %d without a zero byte", len(name), signet.MaxXattrName)
	}
	return nil
}

// bindName is the associated data of what belongs to an inode.
func bindName(ino signet.Ino) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(ino))
}

// bindValue is the associated data of an attribute's value. The inode has a fixed
// length, so no two pairs of inode and name give the same bytes.
func bindValue(ino signet.Ino, name string) []byte {
	b := make([]byte, 0, 8+signet.MaxXattrName)
	return append(binary.BigEndian.AppendUint64(b, uint64(ino)), name...)
}

// Each kind of thing has a key of its own (its label is in the derivation), so a
// link's target can never be taken for a name or the other way round.
func chooseNames(in *keys) *subtle.AESSIV       { return in.names.aead }
func chooseTargets(in *keys) *subtle.AESSIV     { return in.targets.aead }
func chooseXattrNames(in *keys) *subtle.AESSIV  { return in.xattrNames.aead }
func chooseXattrValues(in *keys) *subtle.AESSIV { return in.xattrValues.aead }

func (k *Keyring) sealSIV(op string, choose func(*keys) *subtle.AESSIV, plain, aad []byte) ([]byte, error) {
	in, done, err := k.use()
	if err != nil {
		return nil, signet.Wrap(op, "", err)
	}
	defer done()
	sealed, err := choose(in).EncryptDeterministically(plain, aad)
	if err != nil {
		return nil, signet.Errorf(signet.TooBig, op, "", "%w", err)
	}
	return sealed, nil
}

func (k *Keyring) openSIV(op string, choose func(*keys) *subtle.AESSIV, sealed []byte, limit int, aad []byte) ([]byte, error) {
	if len(sealed) < signet.NameOverhead || len(sealed) > limit+signet.NameOverhead {
		return nil, signet.Errorf(signet.Corrupt, op, "",
			"%d sealed bytes, want %d to %d", len(sealed), signet.NameOverhead, limit+signet.NameOverhead)
	}
	in, done, err := k.use()
	if err != nil {
		return nil, signet.Wrap(op, "", err)
	}
	defer done()
	plain, err := choose(in).DecryptDeterministically(sealed, aad)
	if err != nil {
		return nil, signet.Errorf(signet.Corrupt, op, "", "it does not verify at this place")
	}
	return plain, nil
}
