package fs

import (
	"context"
	"time"

	"github.com/signetfs/signet"
)

// AttrChange says what SetAttr is to set.
type AttrChange struct {
	Set      uint32 // bits of signet.SetMode, ...
	Mode     uint32
	UID      uint32
	GID      uint32
	Size     uint64
	Atime    signet.Time
	Mtime    signet.Time
	Ctime    signet.Time
	AtimeNow bool // instead of Atime; signet.SetAtime must be set too
	MtimeNow bool
	KillPriv bool // the kernel asks to clear set-uid and set-gid (HANDLE_KILLPRIV_V2)

	own bool // make this host the file's owner too
}

// chown says whether the change is one of owner or group.
func (c *AttrChange) chown() bool { return c.Set == 0 || c.Set&(signet.SetUID|signet.SetGID) != 0 }

// SetAttr changes attributes: chmod, chown, utimens, truncate. Whether the caller may
// has been decided by the kernel. To set nothing is what the kernel makes of a chown(2)
// that leaves user and group as they are: it does all else that chown does.
func (f *FS) SetAttr(r *Request, ino signet.Ino, c AttrChange) (signet.Attr, time.Duration, error) {
	f.moved.over(r.PID)
	ctx, cancel := f.begin(r)
	defer cancel()
	res, err := f.setAttr(ctx, r, ino, c)
	if err != nil {
		return signet.Attr{}, 0, err
	}
	e, err := f.outcome(ctx, r, 0, nil, res)
	return e.Attr, e.AttrTTL, err
}

// setAttr carries out a change. What was written before it is published before it: a
// later publication would undo the times it sets, or write beyond a new end.
func (f *FS) setAttr(ctx context.Context, r *Request, ino signet.Ino, c AttrChange) (signet.Result, error) {
	if c.Set&signet.SetSize != 0 && c.Size > signet.MaxFileSize {
		return signet.Result{}, signet.Errorf(signet.TooBig, "truncate", inodeText(ino), "past the largest file")
	}
	n := f.nodes.get(ino, false)
	defer f.nodes.put(n, false)
	if err := n.flushing.take(ctx); err != nil {
		return signet.Result{}, signet.Wrap("set attributes", inodeText(ino), err)
	}
	defer n.flushing.give()
	return f.setAttrLocked(ctx, r, n, c)
}

// setAttrLocked is setAttr for who holds n.flushing.
func (f *FS) setAttrLocked(ctx context.Context, r *Request, n *node, c AttrChange) (signet.Result, error) {
	ino := n.ino
	if n.isDirty() {
		// A truncation goes ahead without: it may be what makes room. So does all else if
		// something was given up, which is told to who wrote it.
		if err := f.publishLocked(ctx, n); err != nil && !hopeless(err) && c.Set&signet.SetSize == 0 {
			return signet.Result{}, err
		}
	}
	if err := f.squash.chown(&c); err != nil {
		return signet.Result{}, signet.Wrap("set attributes", inodeText(ino), err)
	}
	cmd, err := f.command(r, ino, c)
	if err != nil {
		return signet.Result{}, signet.Wrap("set attributes", inodeText(ino), err)
	}
	if c.chown() || c.KillPriv || c.Set&signet.SetSize != 0 && r.UID != 0 {
		if err := f.killCapabilities(ctx, ino); err != nil {
			return signet.Result{}, err
		}
	}
	res, err := f.commitAttr(ctx, ino, cmd)
	switch {
	case err != nil:
	case c.Set&signet.SetSize != 0:
		f.cut(n, c.Size, signet.MaxFileSize)
	case c.Set&signet.SetAtime != 0:
		f.atimes.forget(ino)
	}
	return res, err
}

// commitAttr carries out a change, with the access ACL that a new mode leads to. If the ACL
// is another one when that is applied, it is computed anew. The file's owner, if that is
// another host, is asked first.
func (f *FS) commitAttr(ctx context.Context, ino signet.Ino, c *signet.SetAttr) (signet.Result, error) {
	for stale := 0; ; {
		if c.Set&signet.SetMode != 0 {
			if err := f.chmodACL(c); err != nil {
				return signet.Result{}, signet.Wrap("set attributes", inodeText(ino), err)
			}
		}
		why, commit := signet.RecallRead, f.commit
		if c.Set&signet.SetSize != 0 {
			why, commit = signet.RecallWrite, f.commitData
		}
		if !c.Own { // else the file is asked for by who makes this host its owner
			var err error
			if why == signet.RecallWrite {
				_, err = f.ask(ctx, ino, signet.RecallShare) // stores into a mapping would be lost
			}
			if err == nil {
				c.Asked, err = f.ask(ctx, ino, why)
			}
			if err != nil {
				return signet.Result{}, err
			}
		}
		res, err := commit(ctx, ino, c)
		switch kind := signet.KindOf(err); {
		case kind == signet.Stale && stale < maxStale:
			stale++
		case kind == signet.Busy && !c.Own: // the file has come to be another host's
		default:
			return res, err
		}
	}
}

// chmodACL gives the command the inode's access ACL with the new mode in it.
func (f *FS) chmodACL(c *signet.SetAttr) error {
	v := f.names.View()
	defer v.Close()
	at, err := v.Attr(c.Ino)
	if err != nil {
		return err
	}
	c.Based, c.Access = at.AccessACL, signet.ACL{}
	if at.AccessACL == 0 {
		return nil
	}
	list, err := f.openACL(v, c.Ino, aclAccess)
	if err == nil {
		c.Access, err = f.sealACL(c.Ino, aclAccess, list.withMode(c.Mode))
	}
	return err
}

// command translates a change.
func (f *FS) command(r *Request, ino signet.Ino, c AttrChange) (*signet.SetAttr, error) {
	now := f.now()
	cmd := &signet.SetAttr{
		Ino: ino, Set: c.Set, Mode: c.Mode & permBits, UID: c.UID, GID: c.GID, Size: c.Size,
		Atime: c.Atime, Mtime: c.Mtime, Ctime: c.Ctime, Own: c.own, Time: now,
	}
	if c.Set&signet.SetSize != 0 && c.Set&signet.SetMtime == 0 {
		cmd.Set |= signet.SetMtime // a size that stays is a change too, as on ext4
		cmd.Mtime = now
	}
	if c.AtimeNow {
		cmd.Atime = now
	}
	if c.MtimeNow {
		cmd.Mtime = now
	}
	truncated := c.Set&signet.SetSize != 0 && r.UID != 0
	if c.Set&signet.SetMode != 0 || !c.chown() && !truncated && !c.KillPriv {
		return cmd, nil
	}
	if c.Set == 0 && r.UID != 0 {
		// The kernel says the same before the fallocate(2) of one who may write, which
		// clears them by itself, and for a stranger's chown(2), which must not.
		v := f.names.View()
		at, err := v.Attr(ino)
		v.Close()
		if err != nil || r.UID != at.UID {
			return cmd, err
		}
	}
	cmd.Set |= signet.SetPlain
	return cmd, nil
}

// cut takes a range out of what is not published, after the log has taken it out of
// the file.
func (f *FS) cut(n *node, off, size uint64) {
	n.mu.Lock()
	before := n.over.loose
	n.over.cut(off, size, true)
	freed := before - n.over.loose + n.sweep()
	n.mu.Unlock()
	f.memory.add(-freed)
}

// capabilities is the attribute that file capabilities are in.
const capabilities = "security.capability"

// killPriv removes the file capabilities of a file that was written to by who may not
// set them. It is not done within Write, which must not wait for a release; until it
// is done the attribute is not shown (xattr.go).
func (f *FS) killPriv(ctx context.Context, n *node) error {
	if !n.killsPriv() {
		return nil
	}
	return f.killCapabilities(ctx, n.ino)
}

// killsPriv says whether something not published clears set-uid and capabilities.
func (n *node) killsPriv() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.killPriv
}

// killCapabilities removes an inode's file capabilities, if it has any.
func (f *FS) killCapabilities(ctx context.Context, ino signet.Ino) error {
	name, err := f.seal.SealXattrName(ino, capabilities)
	if err != nil {
		return err
	}
	v := f.names.View()
	_, err = v.Xattr(ino, name)
	v.Close()
	if signet.KindOf(err) == signet.NoAttr || signet.KindOf(err) == signet.NotFound {
		return nil
	}
	if err == nil {
		_, err = f.commit(ctx, ino, &signet.RemoveXattr{Ino: ino, Name: name, Time: f.now()})
	}
	if signet.KindOf(err) == signet.NoAttr {
		return nil // somebody was faster
	}
	return err
}
