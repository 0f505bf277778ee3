package fs

import (
	"strings"

	"github.com/signetfs/signet"
)

// Extended attributes of the namespaces user, trusted and security are bytes to us. Who
// may read and write which is decided by the kernel, but for the list, which it does not
// look into.
//
// The namespace system holds ACLs, which are not bytes: whoever sets one changes the mode as
// well (acl.go). Nothing else is in it.

// GetXattr returns the value of an extended attribute.
func (f *FS) GetXattr(r *Request, ino signet.Ino, name string) ([]byte, error) {
	ctx, cancel := f.begin(r)
	defer cancel()
	sealed, err := sealXattr(f, ino, name)
	if err != nil {
		return nil, err
	}
	var value []byte
	err = f.settled(ctx, func(a *answer) (err error) {
		value, err = a.view.Xattr(ino, sealed)
		if err == nil && name == capabilities && f.killedHere(ino) {
			err = signet.NoAttr
		}
		if err != nil && name == label && signet.KindOf(err) == signet.NoAttr {
			err = signet.NotSupported
		}
		return err
	})
	if err == nil {
		value, err = f.seal.OpenXattrValue(ino, name, value)
	}
	return value, signet.Wrap("get attribute of", inodeText(ino), err)
}

// label is the attribute that SELinux's labels are in. "Not supported" says that a file has
// none, as filesystems without labels do: ls -l then asks of the first file of a directory
// only, where "no such attribute" makes it ask of each, and the kernel remembers neither. (A
// kernel with SELinux answers by itself.)
const label = "security.selinux"

// namespaces are those of xattr(7) that hold what people put there.
var namespaces = [...]string{"user.", "trusted.", "security."}

// sealXattr seals an attribute's name, if it is one: one that is too long is a range
// error, one of no namespace is not supported.
func sealXattr(f *FS, ino signet.Ino, name string) ([]byte, error) {
	known := isACL(name)
	for _, space := range namespaces {
		if name == space {
			return nil, signet.Errorf(signet.Invalid, "use attribute", "", "a name of nothing but its namespace")
		}
		known = known || strings.HasPrefix(name, space)
	}
	if !known {
		return nil, signet.Errorf(signet.NotSupported, "use attribute", "", "its namespace is unknown")
	}
	if len(name) > signet.MaxXattrName {
		return nil, signet.Errorf(signet.Range, "use attribute", "", "a name of %d bytes, at most %d", len(name), signet.MaxXattrName)
	}
	return f.seal.SealXattrName(ino, name)
}

// killedHere says whether a write on this host, not published yet, takes the file's
// capabilities away.
func (f *FS) killedHere(ino signet.Ino) bool {
	n := f.nodes.peek(ino)
	return n != nil && n.killsPriv()
}

// ListXattr returns the names of an inode's extended attributes. Those in trusted are
// shown to root only.
func (f *FS) ListXattr(r *Request, ino signet.Ino) ([]string, error) {
	ctx, cancel := f.begin(r)
	defer cancel()
	var sealed [][]byte
	err := f.settled(ctx, func(a *answer) (err error) {
		if _, err = a.view.Attr(ino); err != nil {
			return err
		}
		sealed, err = a.view.Xattrs(ino)
		return err
	})
	if err != nil {
		return nil, signet.Wrap("list attributes of", inodeText(ino), err)
	}
	var names []string
	size := 0
	for _, s := range sealed {
		name, err := f.seal.OpenXattrName(ino, s)
		if err != nil {
			return nil, signet.Wrap("list attributes of", inodeText(ino), err)
		}
		if r.UID != 0 && strings.HasPrefix(name, "trusted.") || name == capabilities && f.killedHere(ino) {
			continue
		}
		if size += len(name) + 1; size > maxXattrList {
			return nil, signet.Errorf(signet.TooBig, "list attributes of", inodeText(ino), "more than %d bytes of names", maxXattrList)
		}
		names = append(names, name)
	}
	return names, nil
}

// SetXattr sets an extended attribute; flags are those of setxattr(2).
func (f *FS) SetXattr(r *Request, ino signet.Ino, name string, value []byte, flags uint32) error {
	ctx, cancel := f.begin(r)
	defer cancel()
	if isACL(name) {
		return f.setACL(ctx, ino, name, value, r.KillPriv)
	}
	sealed, err := sealXattr(f, ino, name)
	if err != nil {
		return err
	}
	box, err := f.seal.SealXattrValue(ino, name, value)
	if err != nil {
		return signet.Wrap("set attribute of", inodeText(ino), err)
	}
	_, err = f.commit(ctx, ino, &signet.SetXattr{Ino: ino, Name: sealed, Value: box, Flags: flags, Time: f.now()})
	return err
}

// RemoveXattr removes an extended attribute.
func (f *FS) RemoveXattr(r *Request, ino signet.Ino, name string) error {
	ctx, cancel := f.begin(r)
	defer cancel()
	if isACL(name) {
		return f.dropACL(ctx, ino, name)
	}
	sealed, err := sealXattr(f, ino, name)
	if err != nil {
		return err
	}
	_, err = f.commit(ctx, ino, &signet.RemoveXattr{Ino: ino, Name: sealed, Time: f.now()})
	return err
}
