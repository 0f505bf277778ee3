package fuse

import (
	"math"
	"syscall"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// The notifications we send. Each is one write of a header whose error field holds
// the code and whose unique is 0, and a body.
const (
	notifyInvalInode = 2
	notifyStore      = 4
	notifyIncEpoch   = 8
	incEpochMinor    = 44 // the protocol version 7.44 that introduced it
)

var _ fs.Kernel = (*server)(nil)

// DropNames has the kernel ask again for every name it knows: it raises the epoch of
// the mount, and names of an older epoch count as expired. It takes no lock of the
// kernel's, so it does not wait for requests of ours; notifications about a single
// name do (they take the lock of its directory).
func (s *server) DropNames() error {
	if s.kernel.minor < incEpochMinor {
		return signet.Errorf(signet.NotSupported, "drop names", "", "the kernel speaks FUSE 7.%d, and forgetting names at once came with 7.%d", s.kernel.minor, incEpochMinor)
	}
	return s.notify(notifyIncEpoch, nil)
}

// DropAttr has the kernel ask again for the attributes of an inode, if it has it. It
// never waits.
func (s *server) DropAttr(ino signet.Ino) bool { return s.invalInode(ino, -1, 0) }

// DropPages has the kernel forget pages, and the attributes with them.
func (s *server) DropPages(ino signet.Ino, off, n int64) {
	if n < 0 {
		n = 0 // the protocol's word for "to the end"
	} else if n == 0 {
		s.DropAttr(ino)
		return
	}
	s.invalInode(ino, min(off, math.MaxInt64-n), n)
}

// invalInode returns false if the kernel does not have the inode.
func (s *server) invalInode(ino signet.Ino, off, n int64) bool {
	var body [24]byte
	native.PutUint64(body[0:], uint64(ino))
	native.PutUint64(body[8:], uint64(off))
	native.PutUint64(body[16:], uint64(n))
	err := s.notify(notifyInvalInode, body[:])
	if err == syscall.ENOENT {
		return false
	}
	if err != nil {
		s.log.Error("fuse: the kernel did not take a notification", "inode", ino, "off", off, "len", n, "err", err)
	}
	return true
}

// Grow has the kernel take a file for at least size bytes long, if it has the inode. There is
// no notification for that. STORE, which puts bytes into the page cache, makes the file reach to
// their end before it looks at them, so this is a STORE of the last byte that cannot be read
// (EFAULT). It may wait for a READ of that byte, but only when the size is set.
func (s *server) Grow(ino signet.Ino, size uint64) {
	if size == 0 || size > math.MaxInt64 {
		return
	}
	var buf [outHeaderSize + 24]byte
	msg := buf[:]
	native.PutUint32(msg[0:], uint32(len(msg)+1))
	native.PutUint32(msg[4:], notifyStore)
	native.PutUint64(msg[outHeaderSize:], uint64(ino))
	native.PutUint64(msg[outHeaderSize+8:], size-1)
	native.PutUint32(msg[outHeaderSize+16:], 1)
	switch err := s.conn.writeTorn(msg); err {
	case nil, syscall.EFAULT, syscall.ENOENT, syscall.ENODEV, syscall.ENOTCONN:
	default:
		s.log.Error("fuse: the kernel did not take a notification", "inode", ino, "size", size, "err", err)
	}
}

// notify sends one notification. It returns ENOENT if the kernel does not have the
// inode; that it does not know the mount any more means that nothing is cached.
func (s *server) notify(code uint32, body []byte) error {
	var buf [outHeaderSize + 24]byte
	msg := append(buf[:outHeaderSize], body...)
	native.PutUint32(msg[0:], uint32(len(msg)))
	native.PutUint32(msg[4:], code)
	err := s.conn.write(msg)
	if err == syscall.ENODEV || err == syscall.ENOTCONN {
		return nil
	}
	return err
}
