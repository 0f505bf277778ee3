package meta

import "github.com/signetfs/signet"

// maxDepth is how deep below the root a directory may lie into which another one is
// moved: so many inodes are read at most to see that the one is not inside the other.
const maxDepth = 4096

// renaming is a rename whose names and inodes were found.
type renaming struct {
	*signet.Rename
	from, to *inode // the parents; the same pointer if they are one directory
	moved    inode
	target   inode // what has the new name, if taken
	taken    bool
}

func (t *tx) rename(c *signet.Rename) signet.Result {
	r := renaming{Rename: c}
	if k := t.find(&r); k != signet.OK {
		return refuse(k)
	}
	switch {
	case r.taken && c.Flags&signet.RenameNoReplace != 0:
		return signet.Result{Err: signet.Exists, Attr: r.target.Attr}
	case !r.taken && c.Flags&signet.RenameExchange != 0:
		return refuse(signet.NotFound)
	case r.taken && r.moved.Ino == r.target.Ino:
		return signet.Result{Attr: r.moved.Attr} // two names of one inode: POSIX wants nothing to happen
	}
	if k := t.mayRename(&r); k != signet.OK {
		return refuse(k)
	}
	switch {
	case c.Flags&signet.RenameExchange != 0:
		t.exchange(&r)
	default:
		t.move(&r)
	}
	return signet.Result{Attr: r.moved.Attr}
}

// find loads what a rename is about.
func (t *tx) find(r *renaming) signet.Kind {
	const known = signet.RenameNoReplace | signet.RenameExchange
	if r.Flags&^known != 0 || r.Flags == known {
		return signet.Invalid
	}
	for _, name := range [][]byte{r.Name, r.NewName} {
		if k := checkName(name); k != signet.OK {
			return k
		}
	}
	from, k := t.dir(r.Parent)
	if k != signet.OK {
		return k
	}
	r.from, r.to = &from, &from
	if r.NewParent != r.Parent {
		to, k := t.dir(r.NewParent)
		if k != signet.OK {
			return k
		}
		r.to = &to
	}
	row, ok := t.lookup(r.Parent, r.Name)
	if !ok {
		return signet.NotFound
	}
	if r.moved, k = t.inode(row.Ino); k != signet.OK {
		return k
	}
	if row, r.taken = t.lookup(r.NewParent, r.NewName); r.taken {
		r.target, k = t.inode(row.Ino)
	}
	return k
}

// mayRename checks types, emptiness, and that no directory comes to lie in itself.
func (t *tx) mayRename(r *renaming) signet.Kind {
	exchange := r.Flags&signet.RenameExchange != 0
	if r.from != r.to && r.moved.IsDir() {
		if k := t.outside(r.to, r.moved.Ino); k != signet.OK {
			return k
		}
	}
	if r.from != r.to && exchange && r.target.IsDir() {
		if k := t.outside(r.from, r.target.Ino); k != signet.OK {
			return k
		}
	}
	switch {
	case !r.taken || exchange:
		return signet.OK
	case r.moved.IsDir() && !r.target.IsDir():
		return signet.NotDir
	case !r.moved.IsDir() && r.target.IsDir():
		return signet.IsDir
	case r.target.IsDir() && r.target.Size > 0:
		return signet.NotEmpty
	}
	return signet.OK
}

// outside says Loop if dir is the directory ino or lies anywhere below it.
func (t *tx) outside(dir *inode, ino signet.Ino) signet.Kind {
	at := *dir
	for range maxDepth {
		switch {
		case at.Ino == ino:
			return signet.Loop
		case at.Ino == signet.RootIno:
			return signet.OK
		}
		up, k := t.inode(at.Parent)
		if k != signet.OK {
			return k
		}
		at = up
	}
	return signet.NameTooLong
}

// move gives an inode another name and takes that name from who had it.
func (t *tx) move(r *renaming) {
	what := uint8(signet.AddedName)
	if r.taken {
		what = signet.RemovedName
		t.leave(r.to, r.NewName, &r.target, r.Time)
	}
	t.leave(r.from, r.Name, &r.moved, r.Time)
	t.enter(r.to, r.NewName, &r.moved, r.Time)
	r.moved.Ctime = r.Time
	t.putInode(r.from)
	t.putInode(r.to)
	t.putInode(&r.moved)
	t.change(signet.Change{Ino: r.from.Ino, What: signet.RemovedName | signet.ChangedAttr, Name: r.Name})
	t.change(signet.Change{Ino: r.to.Ino, What: what | signet.ChangedAttr, Name: r.NewName})
	t.changed(r.moved.Ino, signet.ChangedAttr)
	if r.taken {
		t.unlink(&r.target, r.Time)
	}
}

// exchange gives each of two inodes the other's name.
func (t *tx) exchange(r *renaming) {
	t.leave(r.from, r.Name, &r.moved, r.Time)
	t.leave(r.to, r.NewName, &r.target, r.Time)
	t.enter(r.from, r.Name, &r.target, r.Time)
	t.enter(r.to, r.NewName, &r.moved, r.Time)
	r.moved.Ctime, r.target.Ctime = r.Time, r.Time
	t.putInode(r.from)
	t.putInode(r.to)
	t.putInode(&r.moved)
	t.putInode(&r.target)
	t.change(signet.Change{Ino: r.from.Ino, What: signet.RemovedName | signet.ChangedAttr, Name: r.Name})
	t.change(signet.Change{Ino: r.to.Ino, What: signet.RemovedName | signet.ChangedAttr, Name: r.NewName})
	t.changed(r.moved.Ino, signet.ChangedAttr)
	t.changed(r.target.Ino, signet.ChangedAttr)
}
