package fs

import (
	"context"
	"encoding/binary"

	"github.com/signetfs/signet"
)

// POSIX ACLs, as acl(5) has them. The kernel decides by them who may do what. What is left
// to a filesystem is in this file: what a new inode takes over from its directory, and how
// mode and ACL follow each other.

// The attributes that ACLs are in.
const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

func isACL(name string) bool { return name == aclAccess || name == aclDefault }

// Tags of an ACL's entries (linux/posix_acl.h).
const (
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
)

// The form of an ACL in its attribute (linux/posix_acl_xattr.h): a version, then entries.
const (
	aclVersion    = 2
	aclHeaderSize = 4
	aclEntrySize  = 8
	aclNobody     = ^uint32(0) // the id of entries that name nobody
)

// acl is an ACL, in the order of its tags.
type acl []aclEntry

type aclEntry struct {
	tag, perm uint16
	id        uint32 // of the user or group, with aclUser and aclGroup
}

// parseACL reads an attribute's value. An ACL without entries is none.
func parseACL(b []byte) (acl, error) {
	bad := func(why string) (acl, error) { return nil, signet.Errorf(signet.Invalid, "read ACL", "", "%s", why) }
	if len(b) < aclHeaderSize || (len(b)-aclHeaderSize)%aclEntrySize != 0 {
		return bad("it is no list of entries")
	}
	if v := binary.LittleEndian.Uint32(b); v != aclVersion {
		return nil, signet.Errorf(signet.NotSupported, "read ACL", "", "version %d", v)
	}
	var a acl
	for b = b[aclHeaderSize:]; len(b) > 0; b = b[aclEntrySize:] {
		a = append(a, aclEntry{
			tag: binary.LittleEndian.Uint16(b), perm: binary.LittleEndian.Uint16(b[2:]), id: binary.LittleEndian.Uint32(b[4:]),
		})
	}
	if len(a) > 0 && !a.valid() {
		return bad("its entries are not those of an ACL")
	}
	return a, nil
}

// bytes is the attribute's value.
func (a acl) bytes() []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, aclHeaderSize+aclEntrySize*len(a)), aclVersion)
	for _, e := range a {
		id := e.id
		if e.tag != aclUser && e.tag != aclGroup {
			id = aclNobody
		}
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, id)
	}
	return b
}

// valid says whether the entries are complete and in order: the owner, users, the group,
// groups, the mask (a must if anybody is named), the others.
func (a acl) valid() bool {
	seen, last, named := 0, uint16(0), false
	for _, e := range a {
		if e.perm > 7 || e.tag < last {
			return false
		}
		switch e.tag {
		case aclUser, aclGroup:
			named = true
			if e.id == aclNobody {
				return false
			}
		case aclUserObj, aclGroupObj, aclMask, aclOther:
			if e.tag == last {
				return false
			}
		default:
			return false
		}
		seen |= int(e.tag)
		last = e.tag
	}
	const base = aclUserObj | aclGroupObj | aclOther
	return seen&base == base && (!named || seen&aclMask != 0)
}

// classOf returns how far the bits of mode that an entry stands for are shifted: those of
// the owner, of the group (the mask's if there is one) and of the others. ok is false for
// entries that the mode does not show.
func (a acl) classOf(tag uint16) (shift int, ok bool) {
	switch tag {
	case aclUserObj:
		return 6, true
	case aclOther:
		return 0, true
	case aclMask:
		return 3, true
	case aclGroupObj:
		return 3, !a.has(aclMask)
	}
	return 0, false
}

func (a acl) has(tag uint16) bool {
	for _, e := range a {
		if e.tag == tag {
			return true
		}
	}
	return false
}

// isMode says whether the ACL says no more than permission bits can.
func (a acl) isMode() bool { return len(a) == 3 }

// mode is the permission bits that show the ACL.
func (a acl) mode() (mode uint32) {
	for _, e := range a {
		if shift, ok := a.classOf(e.tag); ok {
			mode |= uint32(e.perm) << shift
		}
	}
	return mode
}

// withMode is the ACL after chmod(2).
func (a acl) withMode(mode uint32) acl {
	b := append(acl(nil), a...)
	for i, e := range b {
		if shift, ok := a.classOf(e.tag); ok {
			b[i].perm = uint16(mode >> shift & 7)
		}
	}
	return b
}

// inherited is the access ACL of an inode made with mode in a directory that has a as its
// default ACL: it grants what both do. The umask has no say.
func (a acl) inherited(mode uint32) acl { return a.withMode(a.mode() & mode) }

// sealACL seals an ACL for its place in inode ino.
func (f *FS) sealACL(ino signet.Ino, name string, a acl) (s signet.ACL, err error) {
	if s.Name, err = f.seal.SealXattrName(ino, name); err == nil && len(a) > 0 {
		s.Value, err = f.seal.SealXattrValue(ino, name, a.bytes())
	}
	return s, err
}

// openACL reads an ACL that the inode has.
func (f *FS) openACL(v signet.View, ino signet.Ino, name string) (acl, error) {
	sealed, err := f.seal.SealXattrName(ino, name)
	if err != nil {
		return nil, err
	}
	value, err := v.Xattr(ino, sealed)
	if err != nil {
		return nil, err
	}
	if value, err = f.seal.OpenXattrValue(ino, name, value); err != nil {
		return nil, err
	}
	return parseACL(value)
}

// setACL sets an ACL. An access ACL that says no more than permission bits becomes these;
// any other changes them too. killSGID: the caller is not in the file's group.
func (f *FS) setACL(ctx context.Context, ino signet.Ino, name string, value []byte, killSGID bool) error {
	list, err := parseACL(value)
	if err != nil {
		return signet.Wrap("set ACL of", inodeText(ino), err)
	}
	if len(list) == 0 {
		return f.dropACL(ctx, ino, name)
	}
	c := &signet.SetACL{Ino: ino, Default: name == aclDefault, Time: f.now()}
	if !c.Default {
		c.SetMode, c.Mode, c.ClearSGID = true, list.mode(), killSGID
		if list.isMode() {
			list = nil
		}
	}
	if c.ACL, err = f.sealACL(ino, name, list); err == nil {
		_, err = f.commit(ctx, ino, c)
	}
	return err
}

// dropACL takes an ACL away. That there is none is no error, and the mode stays.
func (f *FS) dropACL(ctx context.Context, ino signet.Ino, name string) error {
	c := &signet.SetACL{Ino: ino, Default: name == aclDefault, Time: f.now()}
	var err error
	if c.ACL, err = f.sealACL(ino, name, nil); err == nil {
		_, err = f.commit(ctx, ino, c)
	}
	return err
}
