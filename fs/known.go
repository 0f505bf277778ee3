package fs

import (
	"context"
	"math"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
)

// known is what the kernel may have of an open file, so that it is made to forget only
// what it has. That is more than thrift: a short READ makes the kernel shrink a file whose
// size it knows from before a truncation elsewhere, but only if it was not made to forget
// anything of that file since it sent the READ (fuse_read_update_size). Where another host
// is writing, READs are what has its bytes published, so their publication would come
// between.
type known struct {
	attrs bool         // attributes that were given a lifetime
	pages bool         // pages
	fills uint64       // how often it got pages
	drops uint64       // how often it was made to forget something
	more  bool         // a size from before a truncation elsewhere, unless it has asked since
	sized signet.Index // the newest change elsewhere after which it was told the size
}

// keepsAttrs is called inside the gate for attributes in an answer with a lifetime.
func (f *FS) keepsAttrs(ino signet.Ino) {
	if n := f.nodes.peek(ino); n != nil {
		n.mu.Lock()
		n.known.attrs = true
		n.mu.Unlock()
	}
}

// dropAttr makes the kernel forget an inode's attributes. It returns false if the kernel
// may be about to make the inode with the old ones.
func (f *FS) dropAttr(ino signet.Ino) bool {
	if n := f.nodes.peek(ino); n != nil {
		n.mu.Lock()
		has := n.known.attrs
		n.known.attrs = false
		if has {
			n.known.drops++
		}
		n.mu.Unlock()
		if !has {
			return true
		}
	}
	return f.shown.drop(f.kernel.get(), ino)
}

// toDrop returns which pages of a file the kernel has to forget because those in set
// changed elsewhere, nil if it has none, and whether it may have the file for longer than it
// is. Of a file that another host is writing it forgets all: it will have none then when the
// next READ makes the rest known.
func (f *FS) toDrop(ino signet.Ino, set *extent.Ranges, index signet.Index) (_ *extent.Ranges, shorter bool) {
	n := f.nodes.peek(ino)
	if n == nil {
		return set, false
	}
	owner, err := f.ownerOf(ino)
	written := err == nil && f.foreign(owner)
	n.mu.Lock()
	defer n.mu.Unlock()
	for r := range set.All() {
		n.known.more = n.known.more || r.End() >= signet.MaxFileSize
	}
	if !n.known.pages && f.reads.covered(ino, index) {
		return nil, false
	}
	n.known.drops++
	if written {
		n.known.pages = false
		set = new(extent.Ranges)
		set.Add(0, math.MaxUint64)
	}
	return set, n.known.more
}

// kernelKnows is for who wants to know whether something happens to that meanwhile.
func (n *node) kernelKnows() known {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known
}

// keepsPages notes that the kernel gets pages of the file.
func (n *node) keepsPages() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known.getPages()
}

func (k *known) getPages() {
	k.pages = true
	k.fills++
}

// dropAll makes the kernel forget all pages of a file. It may be stuck while READs are.
func (f *FS) dropAll(n *node) {
	n.mu.Lock()
	n.known.drops++
	fills := n.known.fills
	n.mu.Unlock()
	f.kernel.get().DropPages(n.ino, 0, -1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known.fills == fills {
		n.known.pages = false
	}
}

// tellSize is for the answer to a GETATTR that tells of at, before it is given. The kernel does
// not believe attributes if it was made to forget that inode's since it asked, and goes on with
// the size it had: read(2) would end there, though who asks for more was told long ago that
// there is more. So if the file changes elsewhere the kernel is told its size in another way.
// (Linux: fuse_change_attributes_i compares versions, fuse_cache_read_iter asks once.) For a file
// that has become shorter there is no such way, but the READ that meets its end says so.
func (f *FS) tellSize(ctx context.Context, at *signet.Attr) {
	n := f.nodes.peek(at.Ino)
	if n == nil || !at.IsRegular() {
		return
	}
	written := f.foreign(at.Owner)
	n.mu.Lock()
	foreign := n.foreign
	needed := n.right.cached > 0 && (n.known.sized != foreign || written)
	n.mu.Unlock()
	if !needed {
		return
	}
	done := make(chan struct{})
	f.work.Go(func() {
		f.kernel.get().Grow(at.Ino, at.Size)
		close(done)
	})
	patience := f.clock.NewTimer(readPatience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C(): // it is told, and waits for a READ
	case <-ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known.sized = max(n.known.sized, foreign)
}
