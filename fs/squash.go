package fs

import (
	"sync/atomic"

	"github.com/signetfs/signet"
)

// Squash makes everything look as if one user or one group owned it, as the options uid=
// and gid= of mount(8) do. What is made through the mount belongs to them for everybody.
type Squash struct {
	UID, GID *uint32 // nil: as it is
}

// squash is a Squash that can be set while requests are served.
type squash struct{ to atomic.Pointer[Squash] }

// SetSquash says whom everything is to belong to.
func (f *FS) SetSquash(s Squash) { f.squash.to.Store(&s) }

// show changes the owners of an inode to those that are shown.
func (q *squash) show(at *signet.Attr) {
	s := q.to.Load()
	if s == nil {
		return
	}
	if s.UID != nil {
		at.UID = *s.UID
	}
	if s.GID != nil {
		at.GID = *s.GID
	}
}

// own changes the owners of a new inode.
func (q *squash) own(c *signet.Create) {
	at := signet.Attr{UID: c.UID, GID: c.GID}
	q.show(&at)
	c.UID, c.GID = at.UID, at.GID
}

// chown takes owners out of a change. To give something to anybody but the one user it
// belongs to is not permitted.
func (q *squash) chown(c *AttrChange) error {
	s := q.to.Load()
	if s == nil {
		return nil
	}
	for _, o := range []struct {
		bit    uint32
		id     uint32
		squash *uint32
	}{{signet.SetUID, c.UID, s.UID}, {signet.SetGID, c.GID, s.GID}} {
		if c.Set&o.bit == 0 || o.squash == nil {
			continue
		}
		if o.id != *o.squash {
			return signet.Errorf(signet.NotPermitted, "", "", "everything on this mount belongs to %d (uid=, gid=)", *o.squash)
		}
		c.Set &^= o.bit
		c.KillPriv = true // as a chown that changes nothing does
	}
	return nil
}
