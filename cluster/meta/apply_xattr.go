package meta

import (
	"bytes"

	"github.com/signetfs/signet"
)

// Limits of extended attributes as they arrive, sealed. The names of an inode's
// attributes must fit the 64 KiB that listxattr(2) can return.
const (
	maxSealedXattrName  = signet.MaxXattrName + 64
	maxSealedXattrValue = signet.MaxXattrValue + 256
	maxXattrNames       = 64 << 10
)

// Flags of setxattr(2).
const (
	xattrCreate  = 1
	xattrReplace = 2
)

func (t *tx) setXattr(c *signet.SetXattr) signet.Result {
	switch {
	case len(c.Name) == 0 || c.Flags > xattrCreate|xattrReplace:
		return refuse(signet.Invalid)
	case len(c.Name) > maxSealedXattrName:
		return refuse(signet.Range)
	case len(c.Value) > maxSealedXattrValue:
		return refuse(signet.TooBig)
	}
	in, k := t.inode(c.Ino)
	if k != signet.OK {
		return refuse(k)
	}
	key := xattrKey(t.group, c.Ino, c.Name)
	old, ok := read(t, key, codeBlob)
	switch {
	case ok && c.Flags&xattrCreate != 0:
		return signet.Result{Err: signet.Exists, Attr: in.Attr}
	case !ok && c.Flags&xattrReplace != 0:
		return refuse(signet.NoAttr)
	case !ok && in.XattrNames+uint32(len(c.Name))+1 > maxXattrNames:
		return refuse(signet.NoSpace)
	}
	if ok && bytes.Equal(old.Data, c.Value) {
		return signet.Result{Attr: in.Attr} // sealing is deterministic: it is the same value, and no change
	}
	if !ok {
		in.Xattrs++
		in.XattrNames += uint32(len(c.Name)) + 1
	}
	write(t, key, codeBlob, &blobRow{c.Value})
	return t.xattrsChanged(&in, c.Time)
}

func (t *tx) removeXattr(c *signet.RemoveXattr) signet.Result {
	in, k := t.inode(c.Ino)
	if k != signet.OK {
		return refuse(k)
	}
	if len(c.Name) > maxSealedXattrName {
		return refuse(signet.NoAttr)
	}
	key := xattrKey(t.group, c.Ino, c.Name)
	if _, ok := read(t, key, codeBlob); !ok {
		return refuse(signet.NoAttr)
	}
	in.Xattrs--
	in.XattrNames -= uint32(len(c.Name)) + 1
	t.del(key)
	return t.xattrsChanged(&in, c.Time)
}

func (t *tx) xattrsChanged(in *inode, now signet.Time) signet.Result {
	in.Ctime = now
	t.putInode(in)
	t.changed(in.Ino, signet.ChangedXattr|signet.ChangedAttr)
	return signet.Result{Attr: in.Attr}
}
