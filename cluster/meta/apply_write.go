package meta

import (
	"slices"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
)

// write names bytes that are durable already. The order of checks matters only for
// which error is told; nothing is written before all have passed.
//
// A command that would touch too many rows is TooBig, because of the many small
// extents under it: its sender halves what it names. Only a single hole may be of any
// size: it becomes a cut, drained by further commands.
func (t *tx) write(c *signet.Write) signet.Result {
	in, k := t.inode(c.Ino)
	if k != signet.OK {
		return refuse(k)
	}
	if c.Owned && in.Owner != t.session {
		return refuse(signet.Ended)
	}
	if t.foreign(&in, c.Asked) {
		return signet.Result{Err: signet.Busy, Attr: in.Attr}
	}
	if c.Append {
		if c, k = atEnd(&in, c); k != signet.OK {
			return refuse(k)
		}
	}
	size, k := mayWrite(&in, c)
	if k != signet.OK {
		return refuse(k)
	}
	if k := t.mayName(c); k != signet.OK {
		return refuse(k)
	}
	if len(c.Extents) == 0 && len(c.Punch) == 1 {
		t.punch(&in, c.Punch[0])
	} else if k := t.overlay(&in, c); k != signet.OK {
		return refuse(k)
	}
	if size > in.Size {
		in.Size = size
	}
	in.Mtime = c.Mtime
	if in.Ctime.Before(c.Mtime) { // else it was written before it was renamed, or the like, and is published after
		in.Ctime = c.Mtime
	}
	if c.ClearSUID {
		in.Mode = plainMode(in.Mode)
	}
	t.putInode(&in)
	t.dataChanged(c)
	return signet.Result{Attr: in.Attr, More: in.CutTo > 0}
}

// atEnd returns the Write with its place in the file.
func atEnd(in *inode, c *signet.Write) (*signet.Write, signet.Kind) {
	moved, err := extent.Move(c.Extents, 0, in.Size)
	if err != nil || c.Size > signet.MaxFileSize-in.Size || len(c.Punch) > 0 {
		return nil, signet.TooBig
	}
	placed := *c
	placed.Extents, placed.Size = moved, in.Size+c.Size
	return &placed, signet.OK
}

// mayWrite checks the ranges of a Write and returns the size that the file must have
// at least.
func mayWrite(in *inode, c *signet.Write) (size uint64, k signet.Kind) {
	switch {
	case in.IsDir():
		return 0, signet.IsDir
	case !in.IsRegular():
		return 0, signet.Invalid
	case c.Size > signet.MaxFileSize:
		return 0, signet.TooBig
	case extent.Check(c.Extents) != nil:
		return 0, signet.Invalid
	}
	size = c.Size
	if n := len(c.Extents); n > 0 {
		size = max(size, c.Extents[n-1].End())
	}
	for _, h := range c.Punch {
		if h.Len == 0 || h.Off >= signet.MaxFileSize || h.Len > signet.MaxFileSize-h.Off {
			return 0, signet.Invalid
		}
	}
	if in.CutTo == 0 {
		return size, signet.OK
	}
	pending := func(off, end uint64) bool { return off < in.CutTo && in.CutFrom < end }
	if size > in.Size && in.Size < in.CutTo {
		return 0, signet.Draining
	}
	for i := range c.Extents {
		if pending(c.Extents[i].Off, c.Extents[i].End()) {
			return 0, signet.Draining
		}
	}
	for _, h := range c.Punch {
		if len(c.Extents) == 0 && len(c.Punch) == 1 || pending(h.Off, h.Off+h.Len) {
			return 0, signet.Draining // there is room for one cut
		}
	}
	return size, signet.OK
}

// punch makes one hole of any size.
func (t *tx) punch(in *inode, h signet.Hole) {
	in.CutFrom, in.CutTo = h.Off, h.Off+h.Len
	t.cut(in)
}

// overlay lays holes, then extents, over what the file has.
func (t *tx) overlay(in *inode, c *signet.Write) signet.Kind {
	lower, k := t.under(in, c)
	if k != signet.OK {
		return k
	}
	var removed []extent.Removed
	now := lower
	for _, h := range c.Punch {
		kept, r := extent.Cut(now, h.Off, h.Len)
		now, removed = kept, append(removed, r)
	}
	now, r := extent.Overlay(now, c.Extents)
	removed = append(removed, r)

	objects := len(c.Objects)
	for i := range removed {
		objects += len(removed[i].Objects)
	}
	refs := extent.Refs(c.Extents)
	// Rows of the old list that stay are in both lists and counted for nothing, so
	// this is more than will be touched.
	if len(lower)+len(now)+3*(objects+len(refs)) > cutRows {
		return signet.TooBig
	}
	for i := range c.Objects {
		t.name(&c.Objects[i])
	}
	for _, r := range refs {
		t.refer(r.Object, r.Bytes)
	}
	t.replace(in.Ino, lower, now)
	n := extent.Bytes(c.Extents)
	in.Bytes += n
	vol, _ := t.volumes.get(t.group)
	vol.Bytes += n
	t.volumes.set(t.group, vol)
	for _, r := range removed {
		t.account(in, r)
	}
	return signet.OK
}

// under collects the extents that holes and extents of a Write touch.
func (t *tx) under(in *inode, c *signet.Write) ([]signet.Extent, signet.Kind) {
	var ranges extent.Ranges
	for i := range c.Extents {
		ranges.Add(c.Extents[i].Off, uint64(c.Extents[i].Len))
	}
	for _, h := range c.Punch {
		ranges.Add(h.Off, h.Len)
	}
	var lower []signet.Extent
	if in.Bytes == 0 {
		return nil, signet.OK
	}
	k := signet.OK
	for r := range ranges.All() {
		if r.Off >= in.Size {
			break // nothing lies beyond the size
		}
		t.extents(in.Ino, r.Off, r.End(), func(e signet.Extent) bool {
			if n := len(lower); n > 0 && lower[n-1].Off >= e.Off {
				return true // the range before touched it too
			}
			if len(lower) == cutRows {
				k = signet.TooBig
				return false
			}
			lower = append(lower, e)
			return true
		})
		if k != signet.OK {
			return nil, k
		}
	}
	return lower, signet.OK
}

// dataChanged tells the feed which ranges changed, neighbours as one.
func (t *tx) dataChanged(c *signet.Write) {
	ranges := make([]extent.Range, 0, len(c.Extents)+len(c.Punch))
	for i := range c.Extents {
		ranges = append(ranges, extent.Range{Off: c.Extents[i].Off, Len: uint64(c.Extents[i].Len)})
	}
	for _, h := range c.Punch {
		ranges = append(ranges, extent.Range{Off: h.Off, Len: h.Len})
	}
	slices.SortFunc(ranges, func(a, b extent.Range) int {
		switch {
		case a.Off < b.Off:
			return -1
		case a.Off > b.Off:
			return 1
		}
		return 0
	})
	ch := signet.Change{Ino: c.Ino, What: signet.ChangedAttr}
	for _, r := range ranges {
		if ch.Len > 0 && r.Off <= ch.Off+ch.Len {
			ch.Len = max(ch.Off+ch.Len, r.End()) - ch.Off
			continue
		}
		if ch.Len > 0 {
			t.change(ch)
		}
		ch.What, ch.Off, ch.Len = signet.ChangedAttr|signet.ChangedData, r.Off, r.Len
	}
	t.change(ch)
}
