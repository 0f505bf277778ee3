package meta

import (
	"math"

	"github.com/signetfs/signet"
)

// maxSealedTarget is the longest sealed target of a symlink.
const maxSealedTarget = signet.MaxTarget + 256

// checkName says what is wrong with a sealed name.
func checkName(name []byte) signet.Kind {
	switch {
	case len(name) == 0:
		return signet.Invalid
	case len(name) > signet.MaxSealedName:
		return signet.NameTooLong
	}
	return signet.OK
}

// inode returns an inode that is not being reaped.
func (t *tx) inode(ino signet.Ino) (inode, signet.Kind) {
	in, ok := t.inodes.get(inodeID{t.group, ino})
	if !ok || in.Flags&flagReaping != 0 {
		return inode{}, signet.NotFound
	}
	in.Ino = ino // the key says it, not the row
	if in.Owner != 0 && !t.lives(in.Owner) {
		in.Owner = 0 // its delegations ended with it
	}
	return in, signet.OK
}

// putInode writes an inode, and keeps the table of pending cuts in line with it: whoever
// began a cut may die before it is finished.
func (t *tx) putInode(in *inode) {
	id := inodeID{t.group, in.Ino}
	old, _ := t.inodes.get(id)
	switch {
	case in.CutTo > 0 && old.CutTo == 0:
		write(t, numKey(t.group, tableCuts, in.Ino), codeCut, &PendingCut{Since: t.index})
	case in.CutTo == 0 && old.CutTo > 0:
		t.del(numKey(t.group, tableCuts, in.Ino))
	}
	t.inodes.set(id, *in)
}

// dir returns a directory that is in the tree.
func (t *tx) dir(ino signet.Ino) (inode, signet.Kind) {
	in, k := t.inode(ino)
	switch {
	case k != signet.OK:
		return in, k
	case !in.IsDir():
		return in, signet.NotDir
	case in.Nlink == 0:
		return in, signet.NotFound // removed, and somebody still has it open
	}
	return in, signet.OK
}

// lookup returns a directory's entry.
func (t *tx) lookup(parent signet.Ino, name []byte) (nameRow, bool) {
	return read(t, nameKey(t.group, parent, name), codeName)
}

// exists is the result for a name that is taken.
func (t *tx) exists(row nameRow) signet.Result {
	in, _ := t.inode(row.Ino)
	return signet.Result{Err: signet.Exists, Attr: in.Attr}
}

// enter writes an entry of dir for in and counts it; the caller puts dir.
func (t *tx) enter(dir *inode, name []byte, in *inode, now signet.Time) {
	write(t, nameKey(t.group, dir.Ino, name), codeName, &nameRow{in.Ino, in.Type()})
	dir.Size++
	if in.IsDir() {
		dir.Nlink++
		in.Parent = dir.Ino
	}
	dir.Mtime, dir.Ctime = now, now
}

// leave removes an entry of dir that led to in and uncounts it; the caller puts dir.
func (t *tx) leave(dir *inode, name []byte, in *inode, now signet.Time) {
	t.del(nameKey(t.group, dir.Ino, name))
	dir.Size--
	if in.IsDir() {
		dir.Nlink--
	}
	dir.Mtime, dir.Ctime = now, now
}

func (t *tx) create(c *signet.Create) signet.Result {
	tmpfile := len(c.Name) == 0
	if !tmpfile {
		if k := checkName(c.Name); k != signet.OK {
			return refuse(k)
		}
	}
	dir, k := t.dir(c.Parent)
	if k != signet.OK {
		return refuse(k)
	}
	if !tmpfile {
		if row, ok := t.lookup(c.Parent, c.Name); ok {
			return t.exists(row)
		}
	}
	in, k := t.newInode(c, tmpfile)
	if k != signet.OK {
		return refuse(k)
	}
	if k := mayInherit(&dir, &in, c); k != signet.OK {
		return refuse(k)
	}
	if in.IsDir() && dir.Nlink == math.MaxUint32 {
		return refuse(signet.TooManyLinks)
	}
	if in.IsSymlink() {
		write(t, numKey(t.group, tableTargets, in.Ino), codeBlob, &blobRow{c.Target})
	}
	t.inherit(&dir, &in, c)
	vol, _ := t.volumes.get(t.group)
	vol.Inodes++
	if tmpfile {
		in.Nlink = 0
		vol.Orphans++
		write(t, numKey(t.group, tableOrphans, in.Ino), codeOrphan, &Orphan{Since: t.index, Tmpfile: true})
	} else {
		t.enter(&dir, c.Name, &in, c.Time)
		t.putInode(&dir)
		t.change(signet.Change{Ino: dir.Ino, What: signet.AddedName | signet.ChangedAttr, Name: c.Name})
	}
	t.volumes.set(t.group, vol)
	t.putInode(&in)
	return signet.Result{Attr: in.Attr}
}

// newInode checks and makes the inode of a Create, with one link.
func (t *tx) newInode(c *signet.Create, tmpfile bool) (inode, signet.Kind) {
	in := inode{Attr: signet.Attr{
		Ino: c.Ino, Mode: c.Mode & (signet.ModeType | modeBits), Nlink: 1, UID: c.UID, GID: c.GID,
		Atime: c.Time, Mtime: c.Time, Ctime: c.Time, Btime: c.Time,
	}}
	switch in.Type() {
	case signet.ModeDir:
		in.Nlink = 2
	case signet.ModeSymlink:
		if len(c.Target) == 0 {
			return in, signet.Invalid
		}
		if len(c.Target) > maxSealedTarget || c.Size > signet.MaxTarget {
			return in, signet.NameTooLong
		}
		in.Size = c.Size
	case signet.ModeBlock, signet.ModeChar:
		in.Rdev = c.Rdev
	case signet.ModeRegular, signet.ModeFIFO, signet.ModeSocket:
	default:
		return in, signet.Invalid
	}
	if (tmpfile || c.Own) && !in.IsRegular() || !in.IsSymlink() && len(c.Target) > 0 {
		return in, signet.Invalid
	}
	if c.Own {
		in.Owner = t.session
	}
	// Numbers come from granted ranges and are never used again.
	vol, _ := t.volumes.get(t.group)
	if c.Ino <= signet.RootIno || c.Ino >= vol.NextIno {
		return in, signet.Invalid
	}
	if _, taken := t.inodes.get(inodeID{t.group, c.Ino}); taken {
		return in, signet.Invalid
	}
	return in, signet.OK
}

// modeBits are the mode without the type.
const modeBits = signet.ModePerm | signet.ModeSetUID | signet.ModeSetGID | signet.ModeSticky

func (t *tx) link(c *signet.Link) signet.Result {
	if k := checkName(c.Name); k != signet.OK {
		return refuse(k)
	}
	in, k := t.inode(c.Ino)
	if k != signet.OK {
		return refuse(k)
	}
	if in.IsDir() {
		return refuse(signet.NotPermitted)
	}
	dir, k := t.dir(c.Parent)
	if k != signet.OK {
		return refuse(k)
	}
	if row, ok := t.lookup(c.Parent, c.Name); ok {
		return t.exists(row)
	}
	if in.Nlink >= signet.MaxLinks {
		return refuse(signet.TooManyLinks)
	}
	if in.Nlink == 0 {
		key := numKey(t.group, tableOrphans, in.Ino)
		if o, ok := read(t, key, codeOrphan); !ok || !o.Tmpfile {
			return refuse(signet.NotFound)
		}
		t.del(key)
		vol, _ := t.volumes.get(t.group)
		vol.Orphans--
		t.volumes.set(t.group, vol)
	}
	in.Nlink++
	in.Ctime = c.Time
	t.enter(&dir, c.Name, &in, c.Time)
	t.putInode(&dir)
	t.putInode(&in)
	t.change(signet.Change{Ino: dir.Ino, What: signet.AddedName | signet.ChangedAttr, Name: c.Name})
	t.changed(in.Ino, signet.ChangedAttr)
	return signet.Result{Attr: in.Attr}
}
