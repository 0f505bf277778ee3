package meta

import "github.com/signetfs/signet"

// How much a decoder takes where Apply judges the length and says so in its result.
const (
	maxBlob   = 1 << 17 // names, targets, values, slots
	maxText   = 1 << 10
	maxHoles  = 64
	maxInline = signet.MaxInline + 1024 // with what sealing adds
)

func codeCreate(c *coder, x *signet.Create) {
	c.array(17)
	num(c, &x.Parent)
	c.bytes(&x.Name, maxBlob)
	num(c, &x.Ino)
	num(c, &x.Mode)
	num(c, &x.UID)
	num(c, &x.GID)
	num(c, &x.Rdev)
	c.bytes(&x.Target, maxBlob)
	num(c, &x.Size)
	c.flag(&x.Own)
	c.time(&x.Time)
	num(c, &x.Inherits)
	c.acl(&x.Access)
	c.acl(&x.Default)
}

func codeLink(c *coder, x *signet.Link) {
	c.array(5)
	num(c, &x.Ino)
	num(c, &x.Parent)
	c.bytes(&x.Name, maxBlob)
	c.time(&x.Time)
}

func codeRemove(c *coder, x *signet.Remove) {
	c.array(5)
	num(c, &x.Parent)
	c.bytes(&x.Name, maxBlob)
	c.flag(&x.Dir)
	c.time(&x.Time)
}

func codeRename(c *coder, x *signet.Rename) {
	c.array(7)
	num(c, &x.Parent)
	c.bytes(&x.Name, maxBlob)
	num(c, &x.NewParent)
	c.bytes(&x.NewName, maxBlob)
	num(c, &x.Flags)
	c.time(&x.Time)
}

func codeSetAttr(c *coder, x *signet.SetAttr) {
	c.array(19)
	num(c, &x.Ino)
	num(c, &x.Set)
	num(c, &x.Mode)
	num(c, &x.UID)
	num(c, &x.GID)
	num(c, &x.Size)
	c.time(&x.Atime)
	c.time(&x.Mtime)
	c.time(&x.Ctime)
	c.flag(&x.Own)
	num(c, &x.Asked)
	c.time(&x.Time)
	num(c, &x.Based)
	c.acl(&x.Access)
}

func codeWrite(c *coder, x *signet.Write) {
	c.array(11)
	num(c, &x.Ino)
	num(c, &x.Size)
	list(c, &x.Extents, signet.MaxRows, codeExtent)
	list(c, &x.Objects, signet.MaxRows, codeNewObject)
	c.time(&x.Mtime)
	c.flag(&x.ClearSUID)
	list(c, &x.Punch, maxHoles, func(c *coder, h *signet.Hole) {
		c.array(2)
		num(c, &h.Off)
		num(c, &h.Len)
	})
	c.flag(&x.Append)
	c.flag(&x.Owned)
	num(c, &x.Asked)
}

func codeExtent(c *coder, x *signet.Extent) {
	c.array(6)
	num(c, &x.Off)
	num(c, &x.Len)
	c.address(&x.Object)
	num(c, &x.ObjectOff)
	c.bytes(&x.Inline, maxInline)
	num(c, &x.Floating)
}

// codeNewObject is an object as a writer names it: Refs follow from the extents.
func codeNewObject(c *coder, x *signet.Object) {
	c.array(9)
	c.address(&x.Address)
	num(c, &x.KeyVersion)
	c.fixed(x.Salt[:])
	num(c, &x.Size)
	num(c, &x.Sealed)
	num(c, &x.Form)
	c.hosts(&x.Hosts)
	num(c, &x.Ring)
	num(c, &x.Put)
}

func codeSetXattr(c *coder, x *signet.SetXattr) {
	c.array(6)
	num(c, &x.Ino)
	c.bytes(&x.Name, maxBlob)
	c.bytes(&x.Value, maxBlob)
	num(c, &x.Flags)
	c.time(&x.Time)
}

func codeRemoveXattr(c *coder, x *signet.RemoveXattr) {
	c.array(4)
	num(c, &x.Ino)
	c.bytes(&x.Name, maxBlob)
	c.time(&x.Time)
}

func codeDelegate(c *coder, x *signet.Delegate) {
	c.array(1)
	num(c, &x.Ino)
}

func codeHandBack(c *coder, x *signet.HandBack) {
	c.array(1)
	list(c, &x.Inos, signet.MaxHandBack, func(c *coder, ino *signet.Ino) { num(c, ino) })
}

func codeRevoke(c *coder, x *signet.Revoke) {
	c.array(2)
	num(c, &x.Ino)
	num(c, &x.Session)
}

func codeFileLock(c *coder, x *signet.FileLock) {
	c.array(6)
	codeLockOwner(c, &x.LockOwner)
	num(c, &x.Type)
	num(c, &x.Start)
	num(c, &x.End)
	num(c, &x.PID)
}

// codeLockOwner is two elements.
func codeLockOwner(c *coder, x *signet.LockOwner) {
	num(c, &x.Session)
	num(c, &x.ID)
}

func codeLock(c *coder, x *signet.Lock) {
	c.array(5)
	num(c, &x.Ino)
	num(c, &x.Kind)
	codeFileLock(c, &x.Lock)
	num(c, &x.Wait)
	c.flag(&x.Test)
}

func codeEndWait(c *coder, x *signet.EndWait) {
	c.array(6)
	num(c, &x.Ino)
	num(c, &x.Kind)
	codeLockOwner(c, &x.Owner)
	num(c, &x.Wait)
	c.flag(&x.Pass)
}

func codeDrain(c *coder, x *signet.Drain) {
	c.array(1)
	num(c, &x.Ino)
}

// acl is two elements.
func (c *coder) acl(x *signet.ACL) {
	c.bytes(&x.Name, maxBlob)
	c.bytes(&x.Value, maxBlob)
}

func codeSetACL(c *coder, x *signet.SetACL) {
	c.array(9)
	num(c, &x.Ino)
	c.flag(&x.Default)
	c.acl(&x.ACL)
	c.flag(&x.SetMode)
	num(c, &x.Mode)
	c.flag(&x.ClearSGID)
	c.time(&x.Time)
}

func codeSetAtimes(c *coder, x *signet.SetAtimes) {
	c.array(1)
	list(c, &x.List, signet.MaxAtimes, func(c *coder, a *signet.Atime) {
		c.array(5)
		num(c, &a.Ino)
		c.time(&a.Was)
		c.time(&a.Now)
	})
}
