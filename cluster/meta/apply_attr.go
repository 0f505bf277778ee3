package meta

import (
	"math"

	"github.com/signetfs/signet"
)

func (t *tx) setAttr(c *signet.SetAttr) signet.Result {
	in, k := t.inode(c.Ino)
	if k != signet.OK {
		return refuse(k)
	}
	switch {
	case c.Own && !in.IsRegular():
		return refuse(signet.Invalid)
	case c.Own && t.foreign(&in, 0), c.Set&signet.SetSize != 0 && t.foreign(&in, c.Asked):
		return signet.Result{Err: signet.Busy, Attr: in.Attr}
	}
	size := c.Set&signet.SetSize != 0 && c.Size != in.Size
	if c.Set&signet.SetSize != 0 {
		if k := mayResize(&in, c.Size); k != signet.OK {
			return refuse(k)
		}
	}
	if c.Set&signet.SetMode != 0 {
		if k := t.setMode(&in, c); k != signet.OK {
			return refuse(k)
		}
	}
	if c.Set&signet.SetPlain != 0 && !in.IsDir() {
		in.Mode = plainMode(in.Mode)
	}
	if c.Set&signet.SetUID != 0 {
		in.UID = c.UID
	}
	if c.Set&signet.SetGID != 0 {
		in.GID = c.GID
	}
	if c.Set&signet.SetAtime != 0 {
		in.Atime = c.Atime
	}
	switch {
	case c.Set&signet.SetMtime != 0:
		in.Mtime = c.Mtime
	case size:
		in.Mtime = c.Time
	}
	in.Ctime = c.Time
	if c.Set&signet.SetCtime != 0 {
		in.Ctime = c.Ctime
	}
	t.changed(in.Ino, signet.ChangedAttr)
	if c.Own {
		in.Owner = t.session
		t.change(signet.Change{Ino: in.Ino, What: signet.ChangedData | signet.ChangedAttr, Len: math.MaxUint64})
	}
	if size {
		t.resize(&in, c.Size)
	}
	t.putInode(&in)
	return signet.Result{Attr: in.Attr, More: in.CutTo > 0}
}

// mayResize says whether a file can get a new size now.
func mayResize(in *inode, size uint64) signet.Kind {
	switch {
	case in.IsDir():
		return signet.IsDir
	case !in.IsRegular():
		return signet.Invalid
	case size > signet.MaxFileSize:
		return signet.TooBig
	case in.CutTo == 0:
		return signet.OK
	case size > in.Size && in.Size < in.CutTo:
		// What is between would become part of the file while extents that are
		// dead still lie there.
		return signet.Draining
	case size < in.Size && size >= in.CutTo:
		return signet.Draining // a second cut that does not touch the first
	}
	return signet.OK
}

// resize sets the size and cuts what lies beyond.
func (t *tx) resize(in *inode, size uint64) {
	shrinks := size < in.Size
	in.Size = size
	if !shrinks {
		return
	}
	t.change(signet.Change{Ino: in.Ino, What: signet.ChangedData | signet.ChangedAttr, Off: size, Len: math.MaxUint64})
	from := size
	if in.CutTo > 0 {
		from = min(from, in.CutFrom)
	}
	in.CutFrom, in.CutTo = from, math.MaxUint64
	t.cut(in)
}
