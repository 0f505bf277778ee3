// Package crypto holds a volume's keys and seals what leaves the host that wrote it:
// contents, names, symlink targets and extended attributes.
//
// What it promises:
//
//   - Whatever Open functions return was sealed under the volume's key for exactly
//     the place it is opened at: the object of that row, the name under that parent,
//     the value of that attribute of that inode. Anything flipped, cut, appended,
//     swapped or taken from elsewhere is an error of kind Corrupt. Bad input never
//     panics and never makes it allocate more than the input's size allows.
//   - Nothing is encrypted twice under one key and nonce: every object has a key of
//     its own, derived from a fresh random salt. Names and attributes are sealed
//     deterministically (AES-SIV), which needs no nonce.
//   - There is nothing to choose: one suite, one layout (docs/format.md).
//   - Secrets have no textual form: printing a Keyring, HostSecret or RecoveryKey in
//     any way shows none of it, except RecoveryKey.Text, which is for showing it once.
//
// What it does not hide is in docs/format.md ("What can be seen"): lengths, and
// which names within one directory are equal.
//
// The main types are Keyring (the volume's keys; seals everything, opens names and
// inline data), Opener (one object's key; opens its ranges) and Slot (a Keyring sealed
// to a passphrase, a host or a recovery key). Whoever may open a slot has the volume.
//
// It does no I/O, reads no clock and takes its randomness as an io.Reader; only the
// HPKE encapsulation of the standard library draws its own. A Keyring may be used by
// many goroutines; its one lock keeps Wipe apart from use. Everything else is a plain
// value without a lock.
package crypto
