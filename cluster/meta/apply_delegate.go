package meta

import (
	"math"

	"github.com/signetfs/signet"
)

// lives says whether a session is open.
func (t *tx) lives(id signet.SessionID) bool {
	s, ok := t.sessions.get(id)
	return ok && !s.Ended
}

// foreign says whether another session than the command's has the file and was not asked.
func (t *tx) foreign(in *inode, asked signet.SessionID) bool {
	return in.Owner != 0 && in.Owner != t.session && in.Owner != asked
}

// delegate gives a file to the command's session. The feed has the whole file changed,
// so every other host forgets its pages before it acknowledges.
func (t *tx) delegate(c *signet.Delegate) signet.Result {
	in, k := t.inode(c.Ino)
	switch {
	case k != signet.OK:
		return refuse(k)
	case !in.IsRegular():
		return refuse(signet.Invalid)
	case t.foreign(&in, 0):
		return signet.Result{Err: signet.Busy, Attr: in.Attr}
	}
	in.Owner = t.session
	t.change(signet.Change{Ino: in.Ino, What: signet.ChangedData | signet.ChangedAttr, Len: math.MaxUint64})
	t.putInode(&in)
	return signet.Result{Attr: in.Attr}
}

// handBack ends delegations of the command's session. Files that it has not, or that are
// gone, are passed over.
func (t *tx) handBack(c *signet.HandBack) signet.Result {
	for _, ino := range c.Inos {
		t.undelegate(ino, t.session)
	}
	return signet.Result{}
}

// revoke ends a delegation of another session.
func (t *tx) revoke(c *signet.Revoke) signet.Result {
	if t.undelegate(c.Ino, c.Session) {
		// Pages of that host have bytes that the file will never get.
		t.change(signet.Change{Ino: c.Ino, What: signet.ChangedData | signet.ChangedAttr, Len: math.MaxUint64})
	}
	in, k := t.inode(c.Ino)
	return signet.Result{Err: k, Attr: in.Attr}
}

func (t *tx) undelegate(ino signet.Ino, session signet.SessionID) bool {
	in, k := t.inode(ino)
	if k != signet.OK || in.Owner == 0 || in.Owner != session {
		return false
	}
	in.Owner = 0
	// Nothing that programs see: a kernel that is asking for the attributes must not be made to
	// forget what it will get.
	t.changed(ino, 0)
	t.putInode(&in)
	return true
}
