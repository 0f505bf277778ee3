package fstest

import (
	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
)

func (a *applying) write(c *signet.Write) signet.Result {
	in, ok := a.inode(c.Ino)
	switch {
	case !ok:
		return refuse(signet.NotFound)
	case !in.IsRegular() || extent.Check(c.Extents) != nil:
		return refuse(signet.Invalid)
	case in.cut:
		return refuse(signet.Draining)
	case c.Owned && in.Owner != a.session:
		return refuse(signet.Ended)
	case a.foreign(&in, c.Asked):
		return signet.Result{Err: signet.Busy, Attr: in.Attr}
	}
	if c.Append {
		placed := *c
		placed.Extents, _ = extent.Move(c.Extents, 0, in.Size)
		placed.Size += in.Size
		c = &placed
	}
	if k := a.mayName(c); k != signet.OK {
		return refuse(k)
	}
	now := in.extents
	var removed []extent.Removed
	for _, h := range c.Punch {
		kept, r := extent.Cut(now, h.Off, h.Len)
		now, removed = kept, append(removed, r)
	}
	now, r := extent.Overlay(now, c.Extents)
	removed = append(removed, r)
	if a.MaxLower > 0 && len(c.Extents) > 0 && len(extent.Clip(in.extents, c.Extents[0].Off, c.Extents[len(c.Extents)-1].End()-c.Extents[0].Off)) > a.MaxLower {
		return refuse(signet.TooBig)
	}
	for _, o := range c.Objects {
		if _, known := a.object(o.Address); !known {
			o.Refs = 0
			a.putObject(o)
		}
	}
	for _, ref := range extent.Refs(c.Extents) {
		o, _ := a.object(ref.Object)
		o.Refs += ref.Bytes
		a.putObject(o)
	}
	in.extents = now
	in.Bytes += extent.Bytes(c.Extents)
	in.Size = max(in.Size, c.Size)
	for _, e := range c.Extents {
		in.Size = max(in.Size, e.End())
		a.change(signet.Change{Ino: in.Ino, What: signet.ChangedData | signet.ChangedAttr, Off: e.Off, Len: uint64(e.Len)})
	}
	for _, h := range c.Punch {
		a.change(signet.Change{Ino: in.Ino, What: signet.ChangedData | signet.ChangedAttr, Off: h.Off, Len: h.Len})
	}
	a.change(signet.Change{Ino: in.Ino, What: signet.ChangedAttr})
	for _, r := range removed {
		a.account(&in, r)
	}
	in.Mtime = c.Mtime
	if in.Ctime.Before(c.Mtime) {
		in.Ctime = c.Mtime
	}
	if c.ClearSUID {
		in.Mode = plainMode(in.Mode)
	}
	a.putInode(in)
	return signet.Result{Attr: in.Attr}
}

// mayName checks the objects that a Write names. An object without references has
// died.
func (a *applying) mayName(c *signet.Write) signet.Kind {
	brought := map[signet.Address]signet.Object{}
	for _, o := range c.Objects {
		brought[o.Address] = o
	}
	used := map[signet.Address]bool{}
	for _, e := range c.Extents {
		if e.Inline != nil {
			continue
		}
		used[e.Object] = true
		o, known := a.object(e.Object)
		if known && o.Refs == 0 {
			return signet.Stale
		}
		if !known {
			if o, known = brought[e.Object]; !known {
				return signet.Stale
			}
			if a.stale(o) {
				return signet.Stale
			}
		}
		if uint64(e.ObjectOff)+uint64(e.Len) > uint64(o.Size) {
			return signet.Invalid
		}
	}
	for _, o := range c.Objects {
		if !used[o.Address] {
			return signet.Invalid
		}
	}
	return signet.OK
}

// stale says whether the ring has moved since an object was put.
func (a *applying) stale(o signet.Object) bool {
	for _, h := range a.hosts {
		if o.Ring < h.minRing {
			return true
		}
	}
	return false
}
