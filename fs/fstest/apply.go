package fstest

import (
	"maps"
	"math"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
)

// apply carries out a command at s.index. s.mu is held.
func (s *State) apply(by signet.SessionID, c signet.Command) (signet.Result, []signet.Change) {
	a := &applying{State: s, session: by}
	var res signet.Result
	switch c := c.(type) {
	case *signet.Create:
		res = a.create(c)
	case *signet.Link:
		res = a.link(c)
	case *signet.Remove:
		res = a.remove(c)
	case *signet.Rename:
		res = a.rename(c)
	case *signet.SetAttr:
		res = a.setAttr(c)
	case *signet.Write:
		res = a.write(c)
	case *signet.SetXattr:
		res = a.setXattr(c)
	case *signet.RemoveXattr:
		res = a.removeXattr(c)
	case *signet.Drain:
		res = a.drain(c)
	case *signet.Delegate:
		res = a.delegate(c)
	case *signet.HandBack:
		for _, ino := range c.Inos {
			a.undelegate(ino, by, 0)
		}
	case *signet.Revoke:
		a.undelegate(c.Ino, c.Session, signet.ChangedAttr|signet.ChangedData)
	case *signet.SetACL:
		res = a.setACL(c)
	case *signet.SetAtimes:
		a.setAtimes(c)
	case *signet.Lock:
		res = a.lock(c)
	case *signet.EndWait:
		res = a.endWait(c)
	}
	res.Index = s.index
	return res, a.changes
}

type applying struct {
	*State
	session signet.SessionID
	changes []signet.Change
}

// foreign says whether another session has the file and was not asked.
func (a *applying) foreign(in *inode, asked signet.SessionID) bool {
	return in.Owner != 0 && in.Owner != a.session && in.Owner != asked
}

func (a *applying) delegate(c *signet.Delegate) signet.Result {
	in, ok := a.inode(c.Ino)
	switch {
	case !ok:
		return refuse(signet.NotFound)
	case a.foreign(&in, 0):
		return signet.Result{Err: signet.Busy, Attr: in.Attr}
	}
	in.Owner = a.session
	a.putInode(in)
	a.change(signet.Change{Ino: in.Ino, What: signet.ChangedData | signet.ChangedAttr, Len: math.MaxUint64})
	return signet.Result{Attr: in.Attr}
}

func (a *applying) undelegate(ino signet.Ino, session signet.SessionID, what uint8) {
	if in, ok := a.inode(ino); ok && in.Owner == session {
		in.Owner = 0
		a.putInode(in)
		a.change(signet.Change{Ino: ino, What: what, Len: math.MaxUint64})
	}
}

func refuse(k signet.Kind) signet.Result { return signet.Result{Err: k} }

func (a *applying) change(c signet.Change) {
	c.Session = a.session
	a.changes = append(a.changes, c)
}

func (a *applying) dir(ino signet.Ino) (inode, signet.Kind) {
	d, ok := a.inode(ino)
	switch {
	case !ok || d.IsDir() && d.Nlink == 0:
		return d, signet.NotFound
	case !d.IsDir():
		return d, signet.NotDir
	}
	return d, signet.OK
}

// enter and leave change an entry and the directory's counts. The directory is put.
func (a *applying) enter(dir signet.Ino, name []byte, in *inode, t signet.Time) {
	d, _ := a.inode(dir)
	a.setName(dir, name, signet.Entry{Ino: in.Ino, Mode: in.Type()}, true)
	d.Size++
	if in.IsDir() {
		d.Nlink++
		in.parent = dir
	}
	d.Mtime, d.Ctime = t, t
	a.putInode(d)
}

func (a *applying) leave(dir signet.Ino, name []byte, in *inode, t signet.Time) {
	d, _ := a.inode(dir)
	a.setName(dir, name, signet.Entry{}, false)
	d.Size--
	if in.IsDir() {
		d.Nlink--
	}
	d.Mtime, d.Ctime = t, t
	a.putInode(d)
}

func (a *applying) create(c *signet.Create) signet.Result {
	dir, k := a.dir(c.Parent)
	if k != signet.OK {
		return refuse(k)
	}
	if e, taken := a.lookup(c.Parent, c.Name); taken {
		in, _ := a.inode(e.Ino)
		return signet.Result{Err: signet.Exists, Attr: in.Attr}
	}
	if _, taken := a.inode(c.Ino); taken || c.Ino >= a.nextIno {
		return refuse(signet.Invalid)
	}
	in := inode{Attr: signet.Attr{
		Ino: c.Ino, Mode: c.Mode, Nlink: 1, UID: c.UID, GID: c.GID, Rdev: c.Rdev, Size: c.Size,
		Atime: c.Time, Mtime: c.Time, Ctime: c.Time, Btime: c.Time,
	}, target: c.Target, tmpfile: len(c.Name) == 0}
	if in.IsDir() {
		in.Nlink = 2
	}
	if !a.inherit(&dir, &in, c) {
		return refuse(signet.Stale)
	}
	if c.Own {
		in.Owner = a.session
	}
	if in.tmpfile {
		in.Nlink = 0
	} else {
		a.enter(c.Parent, c.Name, &in, c.Time)
		a.change(signet.Change{Ino: c.Parent, What: signet.AddedName | signet.ChangedAttr, Name: c.Name})
	}
	a.putInode(in)
	return signet.Result{Attr: in.Attr}
}

func (a *applying) link(c *signet.Link) signet.Result {
	in, ok := a.inode(c.Ino)
	switch {
	case !ok || in.Nlink == 0 && !in.tmpfile:
		return refuse(signet.NotFound)
	case in.IsDir():
		return refuse(signet.NotPermitted)
	}
	if _, k := a.dir(c.Parent); k != signet.OK {
		return refuse(k)
	}
	if e, taken := a.lookup(c.Parent, c.Name); taken {
		x, _ := a.inode(e.Ino)
		return signet.Result{Err: signet.Exists, Attr: x.Attr}
	}
	in.Nlink++
	in.tmpfile = false
	in.Ctime = c.Time
	a.enter(c.Parent, c.Name, &in, c.Time)
	a.putInode(in)
	a.change(signet.Change{Ino: c.Parent, What: signet.AddedName | signet.ChangedAttr, Name: c.Name})
	a.change(signet.Change{Ino: c.Ino, What: signet.ChangedAttr})
	return signet.Result{Attr: in.Attr}
}

func (a *applying) remove(c *signet.Remove) signet.Result {
	if _, k := a.dir(c.Parent); k != signet.OK {
		return refuse(k)
	}
	e, ok := a.lookup(c.Parent, c.Name)
	if !ok {
		return refuse(signet.NotFound)
	}
	in, _ := a.inode(e.Ino)
	switch {
	case c.Dir && !in.IsDir():
		return refuse(signet.NotDir)
	case !c.Dir && in.IsDir():
		return refuse(signet.IsDir)
	case in.IsDir() && in.Size > 0:
		return refuse(signet.NotEmpty)
	}
	a.leave(c.Parent, c.Name, &in, c.Time)
	a.change(signet.Change{Ino: c.Parent, What: signet.RemovedName | signet.ChangedAttr, Name: c.Name})
	a.unlink(&in, c.Time)
	return signet.Result{Attr: in.Attr}
}

func (a *applying) unlink(in *inode, t signet.Time) {
	in.Nlink--
	if in.IsDir() {
		in.Nlink = 0
	}
	in.Ctime = t
	what := uint8(signet.ChangedAttr)
	if in.Nlink == 0 {
		what |= signet.Orphaned
	}
	a.putInode(*in)
	a.change(signet.Change{Ino: in.Ino, What: what})
}

func (a *applying) rename(c *signet.Rename) signet.Result {
	for _, p := range []signet.Ino{c.Parent, c.NewParent} {
		if _, k := a.dir(p); k != signet.OK {
			return refuse(k)
		}
	}
	e, ok := a.lookup(c.Parent, c.Name)
	if !ok {
		return refuse(signet.NotFound)
	}
	in, _ := a.inode(e.Ino)
	te, taken := a.lookup(c.NewParent, c.NewName)
	target, _ := a.inode(te.Ino)
	exchange := c.Flags&signet.RenameExchange != 0
	switch {
	case taken && c.Flags&signet.RenameNoReplace != 0:
		return signet.Result{Err: signet.Exists, Attr: target.Attr}
	case !taken && exchange:
		return refuse(signet.NotFound)
	case taken && target.Ino == in.Ino:
		return signet.Result{Attr: in.Attr}
	case in.IsDir() && a.inside(c.NewParent, in.Ino), exchange && target.IsDir() && a.inside(c.Parent, target.Ino):
		return refuse(signet.Loop)
	case !taken || exchange:
	case in.IsDir() && !target.IsDir():
		return refuse(signet.NotDir)
	case !in.IsDir() && target.IsDir():
		return refuse(signet.IsDir)
	case target.IsDir() && target.Size > 0:
		return refuse(signet.NotEmpty)
	}
	what := uint8(signet.AddedName)
	a.leave(c.Parent, c.Name, &in, c.Time)
	if taken {
		what = signet.RemovedName
		a.leave(c.NewParent, c.NewName, &target, c.Time)
	}
	if exchange {
		a.enter(c.Parent, c.Name, &target, c.Time)
	}
	a.enter(c.NewParent, c.NewName, &in, c.Time)
	in.Ctime = c.Time
	a.putInode(in)
	a.change(signet.Change{Ino: c.Parent, What: signet.RemovedName | signet.ChangedAttr, Name: c.Name})
	a.change(signet.Change{Ino: c.NewParent, What: what | signet.ChangedAttr, Name: c.NewName})
	a.change(signet.Change{Ino: in.Ino, What: signet.ChangedAttr})
	if exchange {
		target.Ctime = c.Time
		a.putInode(target)
		a.change(signet.Change{Ino: target.Ino, What: signet.ChangedAttr})
	} else if taken {
		a.unlink(&target, c.Time)
	}
	return signet.Result{Attr: in.Attr}
}

// inside says whether dir is ino or lies below it.
func (a *applying) inside(dir, ino signet.Ino) bool {
	for dir != ino {
		if dir == signet.RootIno {
			return false
		}
		d, _ := a.inode(dir)
		dir = d.parent
	}
	return true
}

func (a *applying) setAttr(c *signet.SetAttr) signet.Result {
	in, ok := a.inode(c.Ino)
	if !ok {
		return refuse(signet.NotFound)
	}
	resize := c.Set&signet.SetSize != 0 && c.Size != in.Size
	switch {
	case c.Own && a.foreign(&in, 0), c.Set&signet.SetSize != 0 && a.foreign(&in, c.Asked):
		return signet.Result{Err: signet.Busy, Attr: in.Attr}
	case c.Set&signet.SetSize == 0:
	case in.IsDir():
		return refuse(signet.IsDir)
	case !in.IsRegular():
		return refuse(signet.Invalid)
	case in.cut && resize:
		return refuse(signet.Draining)
	}
	if c.Set&signet.SetMode != 0 {
		if c.Based != in.AccessACL {
			return refuse(signet.Stale)
		}
		if c.Based != 0 {
			a.putACL(&in, c.Access, &in.AccessACL)
		}
		in.Mode = in.Type() | c.Mode&0o7777
	}
	if c.Set&signet.SetPlain != 0 && !in.IsDir() {
		in.Mode = plainMode(in.Mode)
	}
	if c.Set&signet.SetUID != 0 {
		in.UID = c.UID
	}
	if c.Set&signet.SetGID != 0 {
		in.GID = c.GID
	}
	if c.Set&signet.SetAtime != 0 {
		in.Atime = c.Atime
	}
	switch {
	case c.Set&signet.SetMtime != 0:
		in.Mtime = c.Mtime
	case resize:
		in.Mtime = c.Time
	}
	in.Ctime = c.Time
	if c.Set&signet.SetCtime != 0 {
		in.Ctime = c.Ctime
	}
	a.change(signet.Change{Ino: in.Ino, What: signet.ChangedAttr})
	if c.Own {
		in.Owner = a.session
		a.change(signet.Change{Ino: in.Ino, What: signet.ChangedData | signet.ChangedAttr, Len: math.MaxUint64})
	}
	if resize && c.Size < in.Size {
		a.change(signet.Change{Ino: in.Ino, What: signet.ChangedData | signet.ChangedAttr, Off: c.Size, Len: math.MaxUint64})
		in.Size, in.cut = c.Size, true
		a.cutStep(&in)
	} else if resize {
		in.Size = c.Size
	}
	a.putInode(in)
	return signet.Result{Attr: in.Attr, More: in.cut}
}

// cutStep removes extents beyond the size, at most MaxCut of them.
func (a *applying) cutStep(in *inode) {
	from := in.Size
	beyond := extent.Clip(in.extents, from, math.MaxUint64)
	if a.MaxCut > 0 && len(beyond) > a.MaxCut {
		from = beyond[len(beyond)-a.MaxCut].Off
	} else {
		in.cut = false
	}
	kept, removed := extent.Cut(in.extents, from, math.MaxUint64)
	in.extents = kept
	a.account(in, removed)
}

func (a *applying) drain(c *signet.Drain) signet.Result {
	in, ok := a.inode(c.Ino)
	if !ok {
		return refuse(signet.NotFound)
	}
	if in.cut {
		a.cutStep(&in)
		a.putInode(in)
	}
	return signet.Result{Attr: in.Attr, More: in.cut}
}

func (a *applying) account(in *inode, r extent.Removed) {
	in.Bytes -= r.Bytes
	for _, ob := range r.Objects {
		o, ok := a.object(ob.Object)
		if !ok || o.Refs < ob.Bytes {
			panic("fstest: references do not add up")
		}
		o.Refs -= ob.Bytes
		a.putObject(o)
	}
}

func (a *applying) setXattr(c *signet.SetXattr) signet.Result {
	in, ok := a.inode(c.Ino)
	if !ok {
		return refuse(signet.NotFound)
	}
	_, has := in.xattrs[string(c.Name)]
	switch {
	case has && c.Flags&1 != 0:
		return refuse(signet.Exists)
	case !has && c.Flags&2 != 0:
		return refuse(signet.NoAttr)
	}
	x := maps.Clone(in.xattrs)
	if x == nil {
		x = map[string][]byte{}
	}
	x[string(c.Name)] = c.Value
	in.xattrs = x
	return a.xattrsChanged(in, c.Time)
}

func (a *applying) removeXattr(c *signet.RemoveXattr) signet.Result {
	in, ok := a.inode(c.Ino)
	if !ok {
		return refuse(signet.NotFound)
	}
	if _, has := in.xattrs[string(c.Name)]; !has {
		return refuse(signet.NoAttr)
	}
	in.xattrs = maps.Clone(in.xattrs)
	delete(in.xattrs, string(c.Name))
	return a.xattrsChanged(in, c.Time)
}

func (a *applying) xattrsChanged(in inode, t signet.Time) signet.Result {
	in.Ctime = t
	a.putInode(in)
	a.change(signet.Change{Ino: in.Ino, What: signet.ChangedXattr | signet.ChangedAttr})
	return signet.Result{Attr: in.Attr}
}
