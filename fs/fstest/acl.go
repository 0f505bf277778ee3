package fstest

import (
	"maps"

	"github.com/signetfs/signet"
)

// inherit gives a new inode what it takes over from its directory. It returns false if
// that was computed from another ACL than the directory has.
func (a *applying) inherit(dir, in *inode, c *signet.Create) bool {
	if dir.Mode&signet.ModeSetGID != 0 {
		in.GID = dir.GID
		if in.IsDir() {
			in.Mode |= signet.ModeSetGID
		}
	}
	if in.IsSymlink() {
		return true
	}
	a.putACL(in, c.Access, &in.AccessACL)
	a.putACL(in, c.Default, &in.DefaultACL)
	return c.Inherits == dir.DefaultACL
}

// putACL changes an ACL of an inode that the caller puts.
func (a *applying) putACL(in *inode, acl signet.ACL, since *signet.Index) {
	if len(acl.Name) == 0 {
		return
	}
	x := maps.Clone(in.xattrs)
	if x == nil {
		x = map[string][]byte{}
	}
	*since = 0
	delete(x, string(acl.Name))
	if len(acl.Value) > 0 {
		*since = a.index
		x[string(acl.Name)] = acl.Value
	}
	in.xattrs = x
}

func (a *applying) setACL(c *signet.SetACL) signet.Result {
	in, ok := a.inode(c.Ino)
	switch {
	case !ok:
		return refuse(signet.NotFound)
	case in.IsSymlink():
		return refuse(signet.NotSupported)
	case c.Default && !in.IsDir() && len(c.ACL.Value) > 0:
		return refuse(signet.Permission)
	}
	if _, has := in.xattrs[string(c.ACL.Name)]; !has && len(c.ACL.Value) == 0 && !c.SetMode {
		return signet.Result{Attr: in.Attr}
	}
	if c.Default {
		a.putACL(&in, c.ACL, &in.DefaultACL)
	} else {
		a.putACL(&in, c.ACL, &in.AccessACL)
	}
	if c.SetMode {
		in.Mode = in.Mode&^signet.ModePerm | c.Mode&signet.ModePerm
	}
	if c.ClearSGID {
		in.Mode &^= signet.ModeSetGID
	}
	return a.xattrsChanged(in, c.Time)
}

func (a *applying) setAtimes(c *signet.SetAtimes) {
	for _, x := range c.List {
		in, ok := a.inode(x.Ino)
		if !ok || in.Atime != x.Was || x.Now == x.Was {
			continue
		}
		in.Atime = x.Now
		a.putInode(in)
		a.change(signet.Change{Ino: in.Ino, What: signet.ChangedAttr})
	}
}

// plainMode is mode without what a change by an ordinary user clears.
func plainMode(mode uint32) uint32 {
	mode &^= signet.ModeSetUID
	if mode&0o010 != 0 {
		mode &^= signet.ModeSetGID
	}
	return mode
}
