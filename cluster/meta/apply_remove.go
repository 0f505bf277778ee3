package meta

import "github.com/signetfs/signet"

func (t *tx) remove(c *signet.Remove) signet.Result {
	if k := checkName(c.Name); k != signet.OK {
		return refuse(k)
	}
	dir, k := t.dir(c.Parent)
	if k != signet.OK {
		return refuse(k)
	}
	row, ok := t.lookup(c.Parent, c.Name)
	if !ok {
		return refuse(signet.NotFound)
	}
	in, k := t.inode(row.Ino)
	switch {
	case k != signet.OK:
		return refuse(k)
	case c.Dir && !in.IsDir():
		return refuse(signet.NotDir)
	case !c.Dir && in.IsDir():
		return refuse(signet.IsDir)
	case in.IsDir() && in.Size > 0:
		return refuse(signet.NotEmpty)
	}
	t.leave(&dir, c.Name, &in, c.Time)
	t.putInode(&dir)
	t.change(signet.Change{Ino: dir.Ino, What: signet.RemovedName | signet.ChangedAttr, Name: c.Name})
	t.unlink(&in, c.Time)
	return signet.Result{Attr: in.Attr}
}

// unlink takes a link from an inode whose name is gone, and makes it an orphan with
// the last. A directory has only one name: both its links go.
func (t *tx) unlink(in *inode, now signet.Time) {
	in.Nlink--
	if in.IsDir() {
		in.Nlink = 0
	}
	in.Ctime = now
	what := uint8(signet.ChangedAttr)
	if in.Nlink == 0 {
		what |= signet.Orphaned
		write(t, numKey(t.group, tableOrphans, in.Ino), codeOrphan, &Orphan{Since: t.index})
		vol, _ := t.volumes.get(t.group)
		vol.Orphans++
		t.volumes.set(t.group, vol)
	}
	t.putInode(in)
	t.changed(in.Ino, what)
}
