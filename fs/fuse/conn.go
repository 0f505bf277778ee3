package fuse

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
)

// conn is the way to the kernel: an open /dev/fuse with a mount on it (in tests one
// end of a socket pair). One read takes one request, one write gives one answer or
// notification. Reads block in the kernel: that wakes the reader with the least
// delay, and only idle readers do it.
type conn struct {
	fd int

	mu     sync.RWMutex // held for reading while fd is in use, so that close cannot give its number to another file meanwhile
	closed bool         // guarded by mu
}

// read waits for one request. It fails with ENODEV when the mount has ended.
func (c *conn) read(p []byte) (int, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return 0, unix.ENODEV
	}
	for {
		n, err := unix.Read(c.fd, p)
		if err != unix.EINTR { // Go's own signals; a request is never lost by them
			return n, err
		}
	}
}

// write hands one whole message to the kernel.
func (c *conn) write(p []byte) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return unix.ENODEV
	}
	for {
		_, err := unix.Write(c.fd, p)
		if err != unix.EINTR {
			return err
		}
	}
}

// unreadable is a byte at which the kernel fails to read.
var unreadable = sync.OnceValues(func() ([]byte, error) {
	p, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, signet.Wrap("reserve memory", "", err)
	}
	return p[:1], nil
})

// writeTorn hands a message to the kernel of which it cannot read the last byte.
func (c *conn) writeTorn(p []byte) error {
	last, err := unreadable()
	if err != nil {
		return err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return unix.ENODEV
	}
	for {
		_, err := unix.Writev(c.fd, [][]byte{p, last})
		if err != unix.EINTR {
			return err
		}
	}
}

// close waits for whoever uses the descriptor. Readers end only with the mount.
func (c *conn) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	return unix.Close(c.fd)
}
