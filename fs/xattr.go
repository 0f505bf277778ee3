package fs

import (
	"strings"

	"github.com/signetfs/signet"
)

// Extended attributes of the namespaces user, trusted and security are bytes to us. Who
// may read and write which is decided by the kernel, but for the list, which it does not
// look into.
//
// The namespace system holds ACLs, which are not bytes: whoever sets one changes the
// mode as well (cp -a copies modes that way). Programs fall back to chmod(2) where ACLs
// are not supported, so that is what they are told.

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
		return err
	})
	if err == nil {
		value, err = f.seal.OpenXattrValue(ino, name, value)
	}
	return value, signet.Wrap("get attribute of", inodeText(ino), err)
}

// sealXattr seals an attribute's name; one that is too long is a range error, as
// xattr(7) has it.
func sealXattr(f *FS, ino signet.Ino, name string) ([]byte, error) {
	if strings.HasPrefix(name, "system.") {
		return nil, signet.Errorf(signet.NotSupported, "use attribute", "", "no ACLs")
	}
	if err := checkNamespace(name); err != nil {
		return nil, err
	}
	if len(name) > signet.MaxXattrName {
		return nil, signet.Errorf(signet.Range, "use attribute", "", "a name of %d bytes, at most %d", len(name), signet.MaxXattrName)
	}
	return f.seal.SealXattrName(ino, name)
}

// checkNamespace refuses names outside of the namespaces that there are, as every local
// filesystem does: NotSupported is what programs that copy attributes pass over.
func checkNamespace(name string) error {
	space, rest, dot := strings.Cut(name, ".")
	switch {
	case !dot || space != "user" && space != "trusted" && space != "security":
		return signet.Errorf(signet.NotSupported, "use attribute", "", "no such namespace")
	case rest == "":
		return signet.Errorf(signet.Invalid, "use attribute", "", "a namespace without a name")
	}
	return nil
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
	sealed, err := sealXattr(f, ino, name)
	if err != nil {
		return err
	}
	_, err = f.commit(ctx, ino, &signet.RemoveXattr{Ino: ino, Name: sealed, Time: f.now()})
	return err
}
