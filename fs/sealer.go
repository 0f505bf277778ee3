package fs

import "github.com/signetfs/signet"

// Sealer turns what people wrote into what leaves this host, and back. It holds the
// volume's keys; package crypto makes one. It is used from many goroutines at once.
// Opening fails with Corrupt if anything was changed, cut or swapped.
type Sealer interface {
	// SealObject seals plain, appends the sealed bytes to dst and returns them with the
	// object's row: Address, KeyVersion, Salt, Size, Sealed and Form are filled.
	SealObject(dst, plain []byte) ([]byte, signet.Object, error)
	// SealedRange returns which sealed bytes of o opening [off, off+n) needs.
	SealedRange(o *signet.Object, off, n uint32) (from, size uint32, err error)
	// OpenRange opens [off, off+len(dst)) of o into dst from the sealed bytes that
	// SealedRange named.
	OpenRange(dst []byte, o *signet.Object, off uint32, sealed []byte) error

	// SealInline seals a few bytes of file ino that are to travel inside a command.
	SealInline(dst []byte, ino signet.Ino, plain []byte) ([]byte, error)
	// OpenInline appends the bytes that SealInline sealed to dst.
	OpenInline(dst []byte, ino signet.Ino, sealed []byte) ([]byte, error)

	// SealName seals a name under its directory, always to the same bytes.
	SealName(parent signet.Ino, name string) ([]byte, error)
	OpenName(parent signet.Ino, sealed []byte) (string, error)

	SealTarget(ino signet.Ino, target string) ([]byte, error)
	OpenTarget(ino signet.Ino, sealed []byte) (string, error)

	// SealXattrName seals an attribute's name under its inode, always to the same bytes.
	SealXattrName(ino signet.Ino, name string) ([]byte, error)
	OpenXattrName(ino signet.Ino, sealed []byte) (string, error)
	// SealXattrValue binds the value to the inode and the attribute's name.
	SealXattrValue(ino signet.Ino, name string, value []byte) ([]byte, error)
	OpenXattrValue(ino signet.Ino, name string, sealed []byte) ([]byte, error)
}
