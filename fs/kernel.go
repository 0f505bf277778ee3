package fs

import (
	"context"

	"github.com/signetfs/signet"
)

// Kernel is what may be asked of the kernel's caches of this mount: to forget. It
// is used from many goroutines at once; that an inode is not cached is no error.
type Kernel interface {
	// DropNames makes the kernel ask again for every name it knows. It never blocks. It
	// fails on kernels that cannot do that; names then never get a lifetime.
	DropNames() error
	// DropAttr makes the kernel ask again for an inode's attributes. It returns false if
	// the kernel does not have the inode. It never blocks.
	DropAttr(ino signet.Ino) bool
	// DropPages makes the kernel forget the cached bytes [off, off+n) of an inode, all
	// from off on if n < 0, and its attributes. It blocks while a READ of one of those
	// pages is unanswered, and while dirty pages of a writable mapping are written.
	DropPages(ino signet.Ino, off, n int64)
	// Grow makes the kernel take a file for at least size bytes long. It may block while
	// a READ near there is unanswered, but has had its effect by then.
	Grow(ino signet.Ino, size uint64)
	// Mapped says whether a program has the inode mapped shared and writable. It takes
	// milliseconds, or as long as a program needs to end a call on this mount: whoever asks
	// must hold nothing that such a call may wait for.
	Mapped(ctx context.Context, ino signet.Ino) (bool, error)
}

// NoKernel is a Kernel that caches nothing: that of an FS which is not mounted.
type NoKernel struct{}

// DropNames does nothing.
func (NoKernel) DropNames() error { return nil }

// DropAttr does nothing.
func (NoKernel) DropAttr(signet.Ino) bool { return true }

// Grow does nothing.
func (NoKernel) Grow(signet.Ino, uint64) {}

// Mapped says no.
func (NoKernel) Mapped(context.Context, signet.Ino) (bool, error) { return false, nil }

// DropPages does nothing.
func (NoKernel) DropPages(signet.Ino, int64, int64) {}
