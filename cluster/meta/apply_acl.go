package meta

import (
	"bytes"

	"github.com/signetfs/signet"
)

// ACLs are extended attributes whose values nobody here can read. What depends on them
// was computed by who can, and says from which ACL: by the index at which that was set
// (signet.Attr). If it is another one now the command is Stale, and is computed anew.

// checkACL says what is wrong with an ACL of in that is to be written. An inode without
// one gets it only if there is room in the list of its attributes.
func (t *tx) checkACL(in *inode, a *signet.ACL) signet.Kind {
	switch {
	case len(a.Name) == 0:
		return signet.Invalid
	case len(a.Name) > maxSealedXattrName:
		return signet.Range
	case len(a.Value) > maxSealedXattrValue:
		return signet.TooBig
	case len(a.Value) == 0 || in.XattrNames+uint32(len(a.Name))+1 <= maxXattrNames:
		return signet.OK
	}
	if _, ok := read(t, xattrKey(t.group, in.Ino, a.Name), codeBlob); !ok {
		return signet.NoSpace
	}
	return signet.OK
}

// putACL writes an ACL, or takes it away. The caller puts in. It returns false if there
// was none to take away.
func (t *tx) putACL(in *inode, a *signet.ACL) bool {
	key := xattrKey(t.group, in.Ino, a.Name)
	_, had := read(t, key, codeBlob)
	size := uint32(len(a.Name)) + 1
	switch {
	case len(a.Value) > 0:
		write(t, key, codeBlob, &blobRow{a.Value})
		if !had {
			in.Xattrs++
			in.XattrNames += size
		}
	case had:
		t.del(key)
		in.Xattrs--
		in.XattrNames -= size
	default:
		return false
	}
	return true
}

// since is the index that an ACL of this command has from now on.
func (t *tx) since(a *signet.ACL) signet.Index {
	if len(a.Value) == 0 {
		return 0
	}
	return t.index
}

// setACL sets an ACL and the mode that goes with it.
func (t *tx) setACL(c *signet.SetACL) signet.Result {
	in, k := t.inode(c.Ino)
	if k != signet.OK {
		return refuse(k)
	}
	switch {
	case in.IsSymlink():
		return refuse(signet.NotSupported)
	case c.Default && !in.IsDir() && len(c.ACL.Value) > 0:
		return refuse(signet.Permission)
	}
	if k := t.checkACL(&in, &c.ACL); k != signet.OK {
		return refuse(k)
	}
	if !t.putACL(&in, &c.ACL) && !c.SetMode {
		return signet.Result{Attr: in.Attr}
	}
	if c.Default {
		in.DefaultACL = t.since(&c.ACL)
	} else {
		in.AccessACL = t.since(&c.ACL)
	}
	if c.SetMode {
		in.Mode = in.Mode&^signet.ModePerm | c.Mode&signet.ModePerm
	}
	if c.ClearSGID {
		in.Mode &^= signet.ModeSetGID
	}
	return t.xattrsChanged(&in, c.Time)
}

// setMode carries out the chmod(2) in a SetAttr. An inode that has an access ACL gets it
// with the new mode in it. Nothing else of the command may have been carried out yet.
func (t *tx) setMode(in *inode, c *signet.SetAttr) signet.Kind {
	switch {
	case c.Based != in.AccessACL:
		return signet.Stale
	case c.Based == 0 && len(c.Access.Name) > 0, c.Based != 0 && len(c.Access.Value) == 0:
		return signet.Invalid
	}
	if c.Based != 0 {
		if k := t.checkACL(in, &c.Access); k != signet.OK {
			return k
		}
		t.putACL(in, &c.Access)
		in.AccessACL = t.index
		t.changed(in.Ino, signet.ChangedXattr)
	}
	in.Mode = in.Type() | c.Mode&modeBits
	return signet.OK
}

// mayInherit checks that what a new inode takes over from its directory still is what the
// directory has.
func mayInherit(dir, in *inode, c *signet.Create) signet.Kind {
	switch {
	case !in.IsSymlink() && c.Inherits != dir.DefaultACL:
		return signet.Stale
	case c.Inherits == 0 || in.IsSymlink():
		if len(c.Access.Name)+len(c.Access.Value)+len(c.Default.Name)+len(c.Default.Value) > 0 {
			return signet.Invalid
		}
		return signet.OK
	case !in.IsDir() && len(c.Default.Name) > 0:
		return signet.Invalid
	case len(c.Access.Name) > 0 && bytes.Equal(c.Access.Name, c.Default.Name):
		return signet.Invalid
	}
	for _, a := range []*signet.ACL{&c.Access, &c.Default} {
		switch {
		case (len(a.Name) == 0) != (len(a.Value) == 0):
			return signet.Invalid
		case len(a.Name) > maxSealedXattrName:
			return signet.Range
		case len(a.Value) > maxSealedXattrValue:
			return signet.TooBig
		}
	}
	return signet.OK
}

// inherit gives a new inode what it takes over from its directory: the group if the
// directory is set-gid, and ACLs.
func (t *tx) inherit(dir, in *inode, c *signet.Create) {
	if dir.Mode&signet.ModeSetGID != 0 {
		in.GID = dir.GID
		if in.IsDir() {
			in.Mode |= signet.ModeSetGID
		}
	}
	if len(c.Access.Name) > 0 {
		t.putACL(in, &c.Access)
		in.AccessACL = t.index
	}
	if len(c.Default.Name) > 0 {
		t.putACL(in, &c.Default)
		in.DefaultACL = t.index
	}
}

// plainMode clears what a change by an ordinary user clears. Set-gid without group
// execute means something else and stays.
func plainMode(mode uint32) uint32 {
	mode &^= signet.ModeSetUID
	if mode&0o010 != 0 {
		mode &^= signet.ModeSetGID
	}
	return mode
}

// setAtimes moves times of access, where nobody else has set them meanwhile.
func (t *tx) setAtimes(c *signet.SetAtimes) signet.Result {
	for i := range c.List {
		a := &c.List[i]
		in, k := t.inode(a.Ino)
		if k != signet.OK || in.Atime != a.Was || a.Now == a.Was {
			continue
		}
		in.Atime = a.Now
		t.putInode(&in)
		t.changed(in.Ino, signet.ChangedAttr)
	}
	return signet.Result{}
}
