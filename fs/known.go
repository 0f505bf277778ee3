package fs

import (
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
	attrs bool   // attributes that were given a lifetime
	pages bool   // pages
	drops uint64 // how often it was made to forget something
	more  bool   // a size from before a truncation elsewhere, unless it has asked since
}

// keepsAttrs is called inside the gate for attributes in an answer with a lifetime.
func (f *FS) keepsAttrs(ino signet.Ino) {
	if n := f.nodes.peek(ino); n != nil {
		n.mu.Lock()
		n.known.attrs = true
		n.mu.Unlock()
	}
}

// dropAttr makes the kernel forget an inode's attributes.
func (f *FS) dropAttr(ino signet.Ino) presence {
	if n := f.nodes.peek(ino); n != nil {
		n.mu.Lock()
		has := n.known.attrs
		n.known.attrs = false
		if has {
			n.known.drops++
		}
		n.mu.Unlock()
		if !has {
			return present
		}
	}
	return f.shown.drop(f.kernel.get(), ino)
}

// toDrop returns which pages of a file the kernel has to forget because those in set
// changed elsewhere, nil if it has none. Of a file that another host is writing it
// forgets all: it will have none then when the next READ makes the rest known.
func (f *FS) toDrop(ino signet.Ino, set *extent.Ranges, index signet.Index) *extent.Ranges {
	n := f.nodes.peek(ino)
	if n == nil {
		return set
	}
	owner, err := f.ownerOf(ino)
	written := err == nil && f.foreign(owner)
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.known.pages && f.reads.covered(ino, index) {
		return nil
	}
	n.known.drops++
	for r := range set.All() {
		n.known.more = n.known.more || r.End() >= signet.MaxFileSize
	}
	if written {
		n.known.pages = false
		set = new(extent.Ranges)
		set.Add(0, math.MaxUint64)
	}
	return set
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
	n.known.pages = true
}
