package meta

import (
	"encoding/binary"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
)

// cutRows is how many rows one step of a cut may touch; the rest of signet.MaxRows is
// for what the command does beside it. maxPieceRows is what one extent can cost: two
// pieces that stay of it or itself, its object, and that object's entries among the
// dead and the short.
const (
	cutRows      = signet.MaxRows - 64
	maxPieceRows = 5
)

// drain carries on with a cut.
func (t *tx) drain(c *signet.Drain) signet.Result {
	in, k := t.inode(c.Ino)
	if k != signet.OK {
		return refuse(k)
	}
	if in.CutTo > 0 {
		t.cut(&in)
		t.putInode(&in)
		t.changed(in.Ino, signet.ChangedAttr) // fewer bytes
	}
	return signet.Result{Attr: in.Attr, More: in.CutTo > 0}
}

// cut takes away extents in [CutFrom, CutTo), from the lowest up, as many as one
// command may, and moves CutFrom past them. CutTo is 0 when nothing is left.
func (t *tx) cut(in *inode) {
	var dead []signet.Extent
	more := uint64(math.MaxUint64)
	limit := (cutRows - t.touched) / maxPieceRows
	if in.Bytes > 0 {
		t.extents(in.Ino, in.CutFrom, in.CutTo, func(e signet.Extent) bool {
			if len(dead) == limit {
				more = e.Off
				return false
			}
			dead = append(dead, e)
			return true
		})
	}
	kept, removed := extent.Cut(dead, in.CutFrom, in.CutTo-in.CutFrom)
	t.replace(in.Ino, dead, kept)
	t.account(in, removed)
	if more == math.MaxUint64 {
		in.CutFrom, in.CutTo = 0, 0
		return
	}
	in.CutFrom = more
}

// extents calls fn for the extents of the inode that touch [from, to), in order, until
// it returns false, as they are in the table: those of a pending cut too. What fn gets
// is its own.
func (t *tx) extents(ino signet.Ino, from, to uint64, fn func(signet.Extent) bool) {
	if t.err != nil || to <= from {
		return
	}
	it, err := t.batch.NewIter(extentBounds(t.group, ino, to))
	if err != nil {
		t.fail(signet.Wrap("scan tables", "", err))
		return
	}
	t.fail(eachExtent(it, &t.in, extentKey(t.group, ino, from), from, fn))
	t.fail(signet.Wrap("scan tables", "", it.Close()))
}

// extentBounds are the bounds of an iterator over the extents that begin before to.
func extentBounds(g signet.Group, ino signet.Ino, to uint64) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: numKey(g, tableExtents, ino), UpperBound: extentKey(g, ino, to)}
}

// eachExtent calls fn for the extents from the one at or around from (whose key is
// first) up to the iterator's bound, until fn returns false.
func eachExtent(it *pebble.Iterator, c *coder, first []byte, from uint64, fn func(signet.Extent) bool) error {
	// The extent before the first key may reach into the range.
	ok := it.SeekLT(first)
	if !ok {
		ok = it.First()
	}
	for ; ok; ok = it.Next() {
		var e signet.Extent
		key := it.Key()
		e.Off = binary.BigEndian.Uint64(key[len(key)-8:])
		if err := decode(c, it.Value(), codeExtentRow, &e); err != nil {
			return err
		}
		if e.End() <= from {
			continue
		}
		e.Inline = append([]byte(nil), e.Inline...)
		if !fn(e) {
			break
		}
	}
	return nil
}

// replace makes the rows of the extents old into those of the extents now. Both lists
// are sorted; a row that is in both is not written.
func (t *tx) replace(ino signet.Ino, old, now []signet.Extent) {
	for len(old) > 0 || len(now) > 0 {
		switch {
		case len(now) == 0 || len(old) > 0 && old[0].Off < now[0].Off:
			t.del(extentKey(t.group, ino, old[0].Off))
			old = old[1:]
		case len(old) > 0 && old[0].Off == now[0].Off:
			if !sameExtent(&old[0], &now[0]) {
				write(t, extentKey(t.group, ino, now[0].Off), codeExtentRow, &now[0])
			}
			old, now = old[1:], now[1:]
		default:
			write(t, extentKey(t.group, ino, now[0].Off), codeExtentRow, &now[0])
			now = now[1:]
		}
	}
}

func sameExtent(a, b *signet.Extent) bool {
	return a.Len == b.Len && a.Object == b.Object && a.ObjectOff == b.ObjectOff && string(a.Inline) == string(b.Inline)
}

// reap frees an orphan, in as many steps as it takes.
func (t *tx) reap(c *Reap) signet.Result {
	id := inodeID{t.group, c.Ino}
	in, ok := t.inodes.get(id)
	in.Ino = c.Ino
	orphan := numKey(t.group, tableOrphans, c.Ino)
	if _, isOrphan := read(t, orphan, codeOrphan); !ok || !isOrphan {
		return refuse(signet.NotFound)
	}
	if in.CutTo > 0 && in.Flags&flagReaping == 0 {
		t.del(numKey(t.group, tableCuts, c.Ino)) // the steps of this drain it
	}
	// From here on nothing but another step of this can touch it.
	in.Flags |= flagReaping
	in.CutFrom, in.CutTo = 0, math.MaxUint64
	t.cut(&in)
	if in.CutTo == 0 {
		t.cutXattrs(&in)
	}
	if in.CutTo > 0 || in.Xattrs > 0 {
		t.inodes.set(id, in)
		return signet.Result{Attr: in.Attr, More: true}
	}
	if in.IsSymlink() {
		t.del(numKey(t.group, tableTargets, c.Ino))
	}
	if in.Flags&flagPolicy != 0 {
		t.del(numKey(t.group, tablePolicies, c.Ino))
	}
	t.del(orphan)
	t.inodes.del(id)
	vol, _ := t.volumes.get(t.group)
	vol.Inodes--
	vol.Orphans--
	t.volumes.set(t.group, vol)
	t.changed(c.Ino, signet.Reaped)
	return signet.Result{Attr: in.Attr}
}

// cutXattrs removes as many extended attributes as one command may.
func (t *tx) cutXattrs(in *inode) {
	if in.Xattrs == 0 {
		return
	}
	p := numKey(t.group, tableXattrs, in.Ino)
	var keys [][]byte
	t.scan(p, next(p), func(key, _ []byte) bool {
		keys = append(keys, append([]byte(nil), key...))
		return t.touched+len(keys) < cutRows
	})
	for _, key := range keys {
		t.del(key)
		in.XattrNames -= uint32(len(key)-len(p)) + 1
	}
	in.Xattrs -= uint32(len(keys))
}
