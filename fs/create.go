package fs

import (
	"context"
	"syscall"

	"github.com/signetfs/signet"
)

// newborn is what the methods that make an inode have in common.
type newborn struct {
	parent signet.Ino
	name   string // empty: without one
	mode   uint32 // with type bits
	rdev   uint32
	target string
	own    bool // it is made to be written: delegate it
}

// permBits are the bits of a mode that creating calls may set.
const permBits = 0o7777

// make makes an inode. held, if not nil, is called with the new inode's number before
// the command is proposed. If the name is taken the result says by what.
func (f *FS) make(ctx context.Context, r *Request, b newborn, held func(signet.Ino)) (signet.Result, []byte, error) {
	c := &signet.Create{Parent: b.parent, UID: r.UID, GID: r.GID, Rdev: b.rdev, Own: b.own, Time: f.now()}
	f.squash.own(c)
	var err error
	if b.name != "" {
		if c.Name, err = f.seal.SealName(b.parent, b.name); err != nil {
			return signet.Result{}, nil, signet.Wrap("create", "", err)
		}
	}
	if c.Ino, err = f.names.NextIno(ctx); err != nil {
		return signet.Result{}, nil, signet.Wrap("create", "", err)
	}
	if b.target != "" {
		if c.Target, err = f.seal.SealTarget(c.Ino, []byte(b.target)); err != nil {
			return signet.Result{}, nil, signet.Wrap("create symlink", "", err)
		}
		c.Size = uint64(len(b.target))
	}
	if held != nil {
		held(c.Ino)
	}
	for stale := 0; ; stale++ {
		if err := f.inherit(c, b.mode, r.Umask); err != nil {
			return signet.Result{}, nil, signet.Wrap("create in", inodeText(b.parent), err)
		}
		res, err := f.commit(ctx, b.parent, c)
		if signet.KindOf(err) != signet.Stale || stale >= maxStale {
			return res, c.Name, err
		}
	}
}

// inherit gives a new inode its mode, and the ACLs that follow from its directory's default
// ACL; where there is one, the umask has no say (acl(5)). Nothing needs to be settled: if
// the directory's ACL is another one when the command is applied, the command is Stale.
func (f *FS) inherit(c *signet.Create, mode, umask uint32) error {
	v := f.names.View()
	defer v.Close()
	dir, err := v.Attr(c.Parent)
	if err != nil {
		return err
	}
	c.Mode, c.Inherits, c.Access, c.Default = mode&^(umask&signet.ModePerm), 0, signet.ACL{}, signet.ACL{}
	if dir.DefaultACL == 0 || mode&signet.ModeType == signet.ModeSymlink {
		return nil
	}
	list, err := f.openACL(v, c.Parent, aclDefault)
	if err != nil {
		return err
	}
	access := list.inherited(mode)
	c.Inherits, c.Mode = dir.DefaultACL, mode&^signet.ModePerm|access.mode()
	if !access.isMode() {
		if c.Access, err = f.sealACL(c.Ino, aclAccess, access); err != nil {
			return err
		}
	}
	if mode&signet.ModeType == signet.ModeDir {
		c.Default, err = f.sealACL(c.Ino, aclDefault, list)
	}
	return err
}

// makeNamed makes an inode and answers with it.
func (f *FS) makeNamed(r *Request, b newborn) (Entry, error) {
	f.moved.over(r.PID)
	ctx, cancel := f.begin(r)
	defer cancel()
	res, name, err := f.make(ctx, r, b, nil)
	if err != nil {
		return Entry{}, err
	}
	return f.outcome(ctx, r, b.parent, name, res)
}

// Mknod makes a file, device, FIFO or socket, by the type bits of mode.
func (f *FS) Mknod(r *Request, parent signet.Ino, name string, mode, rdev uint32) (Entry, error) {
	switch mode & signet.ModeType {
	case 0:
		mode |= signet.ModeRegular
	case signet.ModeRegular, signet.ModeFIFO, signet.ModeSocket:
		rdev = 0
	case signet.ModeChar, signet.ModeBlock:
	default:
		return Entry{}, signet.Errorf(signet.Invalid, "create", "", "type %o", mode&signet.ModeType)
	}
	return f.makeNamed(r, newborn{parent: parent, name: name, mode: mode & (signet.ModeType | permBits), rdev: rdev})
}

// Mkdir makes a directory.
func (f *FS) Mkdir(r *Request, parent signet.Ino, name string, mode uint32) (Entry, error) {
	return f.makeNamed(r, newborn{parent: parent, name: name, mode: signet.ModeDir | mode&permBits})
}

// Symlink makes a symlink to target.
func (f *FS) Symlink(r *Request, parent signet.Ino, name, target string) (Entry, error) {
	if target == "" {
		return Entry{}, signet.Errorf(signet.NotFound, "create symlink", "", "to nothing")
	}
	if len(target) > signet.MaxTarget {
		return Entry{}, signet.Errorf(signet.NameTooLong, "create symlink", "", "to %d bytes, at most %d", len(target), signet.MaxTarget)
	}
	// The umask has no say in a symlink's mode.
	u := *r
	u.Umask = 0
	e, err := f.makeNamed(&u, newborn{parent: parent, name: name, mode: signet.ModeSymlink | 0o777, target: target})
	r.leave = u.leave
	return e, err
}

// Create makes a regular file and opens it; without O_EXCL in flags it opens one that
// is there already. flags are those of open(2).
func (f *FS) Create(r *Request, parent signet.Ino, name string, mode, flags uint32) (Entry, Handle, OpenFlags, error) {
	if name == "" {
		return Entry{}, 0, OpenFlags{}, signet.Errorf(signet.NotFound, "create", "", "no name")
	}
	return f.create(r, newborn{parent: parent, name: name, mode: signet.ModeRegular | mode&permBits}, flags)
}

// Tmpfile makes a regular file without a name and opens it (O_TMPFILE).
func (f *FS) Tmpfile(r *Request, parent signet.Ino, mode, flags uint32) (Entry, Handle, OpenFlags, error) {
	return f.create(r, newborn{parent: parent, mode: signet.ModeRegular | mode&permBits}, flags)
}

func (f *FS) create(r *Request, b newborn, flags uint32) (Entry, Handle, OpenFlags, error) {
	f.moved.over(r.PID)
	ctx, cancel := f.begin(r)
	defer cancel()
	var n *node
	b.own = flags&syscall.O_ACCMODE != syscall.O_RDONLY
	// Held before it exists: an orphan that nobody is known to have open is reaped. And who
	// sees the new file elsewhere and asks for it has to wait until it is known here whose
	// it is.
	res, name, err := f.make(ctx, r, b, func(ino signet.Ino) {
		n = f.nodes.get(ino, true)
		n.flushing <- struct{}{}
		if b.name == "" {
			f.nodes.orphaned(ino, true)
		}
	})
	h := &handle{flags: flags, direct: b.own && flags&syscall.O_APPEND != 0}
	if err == nil && b.own {
		n.own(res.Attr.Owner)
	}
	if err == nil {
		n.opened(h)
	}
	if n != nil {
		n.flushing.give()
	}
	if err == nil {
		var e Entry
		if e, err = f.outcome(ctx, r, b.parent, name, res); err == nil {
			id := f.handles.add(n, flags, nil, h.direct).id
			return e, id, OpenFlags{KeepCache: true, DirectIO: h.direct}, nil
		}
		n.closed(h)
		f.rest(n)
	}
	if n != nil {
		f.nodes.put(n, true)
	}
	if signet.KindOf(err) == signet.Exists && flags&syscall.O_EXCL == 0 {
		return f.openExisting(ctx, r, b, flags)
	}
	return Entry{}, 0, OpenFlags{}, err
}

// openExisting opens what somebody else has made under the name. What is not a
// regular file is Stale: the kernel then walks the path anew and sees what it is.
func (f *FS) openExisting(ctx context.Context, r *Request, b newborn, flags uint32) (Entry, Handle, OpenFlags, error) {
	var at *signet.Attr
	_, find, err := f.finder(b.parent, b.name, &at)
	if err != nil {
		return Entry{}, 0, OpenFlags{}, err
	}
	err = f.settled(ctx, find)
	if signet.KindOf(err) == signet.NotFound || err == nil && !at.IsRegular() {
		return Entry{}, 0, OpenFlags{}, otherwise(b.parent)
	}
	if err != nil {
		return Entry{}, 0, OpenFlags{}, signet.Wrap("open in", inodeText(b.parent), err)
	}
	ino := at.Ino
	h, of, err := f.open(ctx, r, ino, flags)
	if err != nil {
		return Entry{}, 0, OpenFlags{}, err
	}
	e, err := f.lookup(ctx, r, b.parent, b.name)
	if err == nil && e.Attr.Ino != ino {
		err = otherwise(b.parent)
	}
	if err != nil {
		f.letGo(h.id)
		return Entry{}, 0, OpenFlags{}, err
	}
	e.AttrTTL = 0 // see made
	return e, h.id, of, nil
}

func otherwise(dir signet.Ino) error {
	return signet.Errorf(signet.Stale, "open in", inodeText(dir), "the name has come to mean something else")
}
