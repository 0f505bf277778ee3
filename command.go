package signet

// Command is one change of a volume's tree, proposed by a mount and carried out by
// every host in the same order. It holds everything that carrying it out needs:
// times, sealed names, inode numbers. The types below are all there are; their
// encoding belongs to package cluster/meta.
type Command interface{ isCommand() }

// Create makes an inode with one name: a file, directory, symlink, device, FIFO or
// socket, by the type bits of Mode. An empty Name makes an orphan (O_TMPFILE).
// If the name is taken the result is Exists and carries the inode that has it.
//
// In a set-gid directory the inode gets the directory's group, and a directory the bit.
// Unless it is a symlink, Mode, Access and Default were computed from the parent's default
// ACL as of Inherits (Attr.DefaultACL); if that is another one by now the result is Stale.
type Create struct {
	Parent Ino
	Name   []byte // sealed under Parent
	Ino    Ino    // from the range granted to this host
	Mode   uint32
	UID    uint32
	GID    uint32
	Rdev   uint32
	Target []byte // of a symlink, sealed under Ino
	Size   uint64 // of a symlink: length of the unsealed target
	Own    bool   // delegate the file, a regular one, to the session that makes it
	Time   Time

	Inherits Index
	Access   ACL // sealed under Ino, as is Default
	Default  ACL // of a directory
}

// Link gives an inode another name. An orphan may be linked once more (linkat of
// O_TMPFILE) if it was made as one.
type Link struct {
	Ino    Ino
	Parent Ino
	Name   []byte
	Time   Time
}

// Remove takes a name away: rmdir(2) if Dir, else unlink(2). The inode becomes an
// orphan with its last name.
type Remove struct {
	Parent Ino
	Name   []byte
	Dir    bool
	Time   Time
}

// Flags of Rename, as in renameat2(2).
const (
	RenameNoReplace = 1
	RenameExchange  = 2
)

// Rename moves a name, atomically replacing what NewName led to (or exchanging the
// two, or refusing, by Flags). Both names are sealed, each under its own parent.
type Rename struct {
	Parent    Ino
	Name      []byte
	NewParent Ino
	NewName   []byte
	Flags     uint32
	Time      Time
}

// What SetAttr sets.
const (
	SetMode = 1 << iota
	SetUID
	SetGID
	SetAtime
	SetMtime
	SetSize
	SetCtime // to Ctime instead of Time
	SetPlain // clear set-uid and set-gid, as a change by an ordinary user does; not of a directory
)

// SetAttr changes attributes. A smaller Size drops the extents beyond it, a larger
// one leaves a hole. With SetMode, Access is the inode's access ACL with the new mode in it,
// computed from the one as of Based (Attr.AccessACL, 0: it has none, and gets none); if that
// is another one by now the result is Stale.
type SetAttr struct {
	Ino   Ino
	Set   uint32 // bits of SetMode...
	Mode  uint32 // permission bits only
	UID   uint32
	GID   uint32
	Size  uint64
	Atime Time
	Mtime Time
	Ctime Time
	Own   bool      // delegate the file to this session too; Busy if another has it
	Asked SessionID // as in Write; of a change of the size
	Time  Time      // becomes ctime

	Based  Index
	Access ACL
}

// Write names bytes that are already durable (or inline): the extents replace what
// was there, and the file is at least Size long afterwards. Objects holds a row for
// every object that the extents name and the log does not know yet. It fails with
// Stale if an object was put before the collection horizon or under a ring older than
// its arc's last move, or has died: put again.
//
// With Append, offsets of extents and Size count from the end of the file. It fails with
// Busy if another session has the file delegated that was not asked (RecallWrite): two
// hosts that each believe to know where it ends would write over each other.
type Write struct {
	Ino       Ino
	Size      uint64 // lower bound of the new size
	Extents   []Extent
	Objects   []Object
	Mtime     Time
	ClearSUID bool // clear set-uid and set-gid as write(2) by an ordinary user does
	Punch     []Hole
	Append    bool
	Owned     bool      // it was buffered under a delegation: Ended if this session has it no more
	Asked     SessionID // the owner that was asked; 0: none
}

// Hole is a range of a file to become zeros without taking space.
type Hole struct{ Off, Len uint64 }

// SetXattr sets an extended attribute; name and value are sealed. Flags are those
// of setxattr(2): 1 create only, 2 replace only.
type SetXattr struct {
	Ino   Ino
	Name  []byte
	Value []byte
	Flags uint32
	Time  Time
}

// RemoveXattr removes an extended attribute.
type RemoveXattr struct {
	Ino  Ino
	Name []byte
	Time Time
}

// SetACL sets the access or the default ACL of an inode, or takes it away if the ACL has no
// value; the mode changes in the same step. That there was none to take away is no error.
type SetACL struct {
	Ino       Ino
	Default   bool
	ACL       ACL
	SetMode   bool   // the permission bits become those of Mode
	Mode      uint32 // permission bits only
	ClearSGID bool
	Time      Time
}

// MaxAtimes is how many inodes one SetAtimes may carry.
const MaxAtimes = 512

// SetAtimes moves times of access and nothing else. One that is not what it was any more
// stays: somebody has set it. It never fails.
type SetAtimes struct{ List []Atime }

// Atime is an inode that was read, and its time of access before and after.
type Atime struct {
	Ino      Ino
	Was, Now Time
}

// Drain carries out a further bounded step of a large change of Ino (a truncation
// that left more extents than one command may touch). Result.More says whether
// anything is left.
type Drain struct{ Ino Ino }

// Delegate gives a regular file to the command's session: its host may buffer what is
// written to it, and all others forget its pages and ask that host before they tell of its
// bytes, size or times. Busy while another session has it (Result.Attr). Who has it may
// ask again, to have the others forget what they have read meanwhile.
type Delegate struct{ Ino Ino }

// HandBack ends this session's delegations of at most MaxHandBack files.
type HandBack struct{ Inos []Ino }

// Revoke ends the delegation of a file to Session, whose host does not answer. What that
// host had buffered is refused from then on.
type Revoke struct {
	Ino     Ino
	Session SessionID
}

func (*Create) isCommand()      {}
func (*Link) isCommand()        {}
func (*Remove) isCommand()      {}
func (*Rename) isCommand()      {}
func (*SetAttr) isCommand()     {}
func (*Write) isCommand()       {}
func (*SetXattr) isCommand()    {}
func (*RemoveXattr) isCommand() {}
func (*Drain) isCommand()       {}
func (*Delegate) isCommand()    {}
func (*HandBack) isCommand()    {}
func (*Revoke) isCommand()      {}
func (*SetACL) isCommand()      {}
func (*SetAtimes) isCommand()   {}

// Result is a command's outcome as Apply computed it, the same on every host. Err
// is OK or why nothing was changed.
type Result struct {
	Err   Kind
	Index Index    // of the log entry that carried the command
	Attr  Attr     // of the inode made, linked, changed, removed or moved; with Exists, of the one in the way
	More  bool     // a Drain of Attr.Ino is needed
	Held  bool     // of a Lock: it is held
	Lock  FileLock // of a Lock that is not held: one that is in the way; its Type is LockNone if only the queue is
}
