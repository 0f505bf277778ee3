package fs

import "github.com/signetfs/signet"

// Unlink takes away a name of anything but a directory.
func (f *FS) Unlink(r *Request, parent signet.Ino, name string) error {
	return f.remove(r, parent, name, false)
}

// Rmdir removes an empty directory.
func (f *FS) Rmdir(r *Request, parent signet.Ino, name string) error {
	return f.remove(r, parent, name, true)
}

func (f *FS) remove(r *Request, parent signet.Ino, name string, dir bool) error {
	f.moved.over(r.PID)
	ctx, cancel := f.begin(r)
	defer cancel()
	sealed, err := f.seal.SealName(parent, name)
	if err != nil {
		return signet.Wrap("remove", "", err)
	}
	_, err = f.commit(ctx, parent, &signet.Remove{Parent: parent, Name: sealed, Dir: dir, Time: f.now()})
	return err
}

// Rename moves a name; flags are those of signet.Rename.
func (f *FS) Rename(r *Request, parent signet.Ino, name string, newParent signet.Ino, newName string, flags uint32) error {
	const known = signet.RenameNoReplace | signet.RenameExchange
	if flags&^known != 0 || flags == known {
		return signet.Errorf(signet.Invalid, "rename", "", "flags %#x", flags)
	}
	f.moved.over(r.PID)
	ctx, cancel := f.begin(r)
	defer cancel()
	from, err := f.seal.SealName(parent, name)
	if err != nil {
		return signet.Wrap("rename", "", err)
	}
	to, err := f.seal.SealName(newParent, newName)
	if err != nil {
		return signet.Wrap("rename", "", err)
	}
	_, err = f.commit(ctx, parent, &signet.Rename{
		Parent: parent, Name: from, NewParent: newParent, NewName: to, Flags: flags, Time: f.now(),
	})
	return err
}

// Link gives ino another name.
func (f *FS) Link(r *Request, ino, parent signet.Ino, name string) (Entry, error) {
	f.moved.over(r.PID)
	ctx, cancel := f.begin(r)
	defer cancel()
	sealed, err := f.seal.SealName(parent, name)
	if err != nil {
		return Entry{}, signet.Wrap("link", "", err)
	}
	res, err := f.commit(ctx, ino, &signet.Link{Ino: ino, Parent: parent, Name: sealed, Time: f.now()})
	if err != nil {
		return Entry{}, err
	}
	f.named(ino)
	return f.outcome(ctx, r, parent, sealed, res)
}

// named notes that an orphan that is open here (O_TMPFILE) was given a name, unless
// that has been taken away again.
func (f *FS) named(ino signet.Ino) {
	if f.nodes.peek(ino) == nil {
		return
	}
	f.nodes.orphaned(ino, false)
	v := f.names.View()
	defer v.Close()
	if at, err := v.Attr(ino); err != nil || at.Nlink == 0 {
		f.nodes.orphaned(ino, true)
	}
}
