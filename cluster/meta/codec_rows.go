package meta

import (
	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/lock"
)

// The versions of the rows. A row of a newer version is WrongVersion, never guessed.
const rowVersion = 1

// Flags of an inode.
const (
	flagReaping = 1 << iota // an orphan of which parts are gone already
	flagPolicy              // has a row in the table of policies
)

// inode is a row of the table of inodes. Of a regular file, the extents in
// [CutFrom, CutTo) are dead and not removed yet (CutTo 0: none are).
type inode struct {
	signet.Attr
	Parent     signet.Ino // of a directory
	Flags      uint8
	CutFrom    uint64
	CutTo      uint64
	Xattrs     uint32 // how many
	XattrNames uint32 // bytes of their sealed names, a zero byte each
}

func codeInode(c *coder, x *inode) {
	c.row(rowVersion, 25)
	num(c, &x.Mode)
	num(c, &x.Nlink)
	num(c, &x.UID)
	num(c, &x.GID)
	num(c, &x.Rdev)
	num(c, &x.Size)
	num(c, &x.Bytes)
	c.time(&x.Atime)
	c.time(&x.Mtime)
	c.time(&x.Ctime)
	c.time(&x.Btime)
	num(c, &x.Parent)
	num(c, &x.Flags)
	num(c, &x.CutFrom)
	num(c, &x.CutTo)
	num(c, &x.Xattrs)
	num(c, &x.XattrNames)
	num(c, &x.Owner)
	num(c, &x.AccessACL)
	num(c, &x.DefaultACL)
}

// nameRow is a directory entry.
type nameRow struct {
	Ino  signet.Ino
	Mode uint32 // type bits
}

func codeName(c *coder, x *nameRow) {
	c.row(rowVersion, 3)
	num(c, &x.Ino)
	num(c, &x.Mode)
}

// blobRow is a row of sealed bytes: a target, the value of an extended attribute.
type blobRow struct{ Data []byte }

func codeBlob(c *coder, x *blobRow) {
	c.row(rowVersion, 2)
	c.bytes(&x.Data, maxBlob)
}

// codeExtentRow is an extent without its offset, which is in the key.
func codeExtentRow(c *coder, x *signet.Extent) {
	c.row(rowVersion, 6)
	num(c, &x.Len)
	c.address(&x.Object)
	num(c, &x.ObjectOff)
	c.bytes(&x.Inline, maxInline)
	num(c, &x.Floating)
}

// object is a row of the table of objects. An empty list of hosts means the owners
// of its arc; one of host 0 alone, that nobody has it.
type object struct {
	signet.Object
	Died signet.Index // 0: alive
}

func codeObject(c *coder, x *object) {
	c.row(rowVersion, 11)
	num(c, &x.KeyVersion)
	c.fixed(x.Salt[:])
	num(c, &x.Size)
	num(c, &x.Sealed)
	num(c, &x.Form)
	c.hosts(&x.Hosts)
	num(c, &x.Ring)
	num(c, &x.Put)
	num(c, &x.Refs)
	num(c, &x.Died)
}

// codeShort is a row of which the key says everything.
func codeShort(c *coder, _ *struct{}) { c.row(rowVersion, 1) }

func codeDead(c *coder, x *DeadObject) {
	c.row(rowVersion, 2)
	num(c, &x.Sealed)
}

func codeCut(c *coder, x *PendingCut) {
	c.row(1, 2)
	num(c, &x.Since)
}

func codeOrphan(c *coder, x *Orphan) {
	c.row(rowVersion, 3)
	num(c, &x.Since)
	c.flag(&x.Tmpfile)
}

func codePolicy(c *coder, x *Policy) {
	c.row(rowVersion, 3)
	num(c, &x.Copies)
	num(c, &x.Layout)
}

func codeSlot(c *coder, x *Slot) {
	c.row(rowVersion, 3)
	codeNewSlot(c, &x.NewSlot)
	num(c, &x.Added)
}

func codeSession(c *coder, x *Session) {
	c.row(rowVersion, 8)
	num(c, &x.Host)
	num(c, &x.Start)
	c.time(&x.Opened)
	num(c, &x.Lowest)
	num(c, &x.High)
	c.flag(&x.Ended)
}

// answerRow is a remembered answer. Its key says the session and the request modulo
// signet.MaxUnanswered; a row of another request is a forgotten one.
type answerRow struct {
	Request uint64
	Extra   uint64
	Result  signet.Result
}

func codeAnswer(c *coder, x *answerRow) {
	a := &x.Result.Attr
	c.row(rowVersion, 27)
	num(c, &x.Request)
	num(c, &x.Extra)
	num(c, &x.Result.Err)
	num(c, &x.Result.Index)
	c.flag(&x.Result.More)
	num(c, &a.Ino)
	num(c, &a.Mode)
	num(c, &a.Nlink)
	num(c, &a.UID)
	num(c, &a.GID)
	num(c, &a.Rdev)
	num(c, &a.Size)
	num(c, &a.Bytes)
	c.time(&a.Atime)
	c.time(&a.Mtime)
	c.time(&a.Ctime)
	c.time(&a.Btime)
	num(c, &a.Owner)
	num(c, &a.AccessACL)
	num(c, &a.DefaultACL)
	c.flag(&x.Result.Held)
	codeFileLock(c, &x.Result.Lock)
}

// codeLocks is the locks of one kind on an inode.
func codeLocks(c *coder, x *lock.Table) {
	c.row(rowVersion, 3)
	list(c, &x.Held, lock.MaxHeld, codeFileLock)
	list(c, &x.Queue, signet.MaxLockWaits, func(c *coder, w *lock.Waiter) {
		c.array(3)
		codeFileLock(c, &w.FileLock)
		num(c, &w.Wait)
		c.flag(&w.Pass)
	})
}

func codeHost(c *coder, x *Host) {
	c.row(rowVersion, 5)
	codeNewHost(c, &x.NewHost)
	num(c, &x.State)
	num(c, &x.Start)
	num(c, &x.Joined)
}

// keyRow leads from a host's public key to its number.
type keyRow struct{ Host signet.HostID }

func codeKey(c *coder, x *keyRow) {
	c.row(rowVersion, 2)
	num(c, &x.Host)
}

func codeArc(c *coder, x *Arc) {
	c.row(rowVersion, 5)
	c.hosts(&x.Owners)
	c.hosts(&x.Previous)
	c.hosts(&x.Done)
	num(c, &x.Version)
}

func codeToken(c *coder, x *Token) {
	c.row(rowVersion, 8)
	c.time(&x.Expires)
	num(c, &x.Left)
	num(c, &x.Used)
	num(c, &x.Roles)
	c.time(&x.Made)
}

func codeFeature(c *coder, x *Feature) {
	c.row(rowVersion, 2)
	num(c, &x.Since)
}

func codeCluster(c *coder, x *Cluster) {
	c.row(rowVersion, 11)
	c.fixed(x.ID[:])
	c.text(&x.Name, maxText)
	num(c, &x.Arcs)
	num(c, &x.Copies)
	num(c, &x.First)
	num(c, &x.Made)
	num(c, &x.Ring)
	num(c, &x.Hosts)
	c.time(&x.Created)
}

// counters is the row of a volume: what is public of it, and the number of the next
// key slot.
type counters struct {
	Counters
	NextSlot uint32
}

func codeCounters(c *coder, x *counters) {
	c.row(rowVersion, 12)
	num(c, &x.Inodes)
	num(c, &x.Orphans)
	num(c, &x.Bytes)
	num(c, &x.Objects)
	num(c, &x.ObjectBytes)
	num(c, &x.Dead)
	num(c, &x.DeadBytes)
	num(c, &x.Short)
	num(c, &x.NextIno)
	num(c, &x.Horizon)
	num(c, &x.NextSlot)
}

func codePosition(c *coder, x *Position) {
	c.row(rowVersion, 4)
	num(c, &x.Index)
	num(c, &x.Term)
	c.fixed(x.Digest[:])
}
