package signet

// Time is a point in time as files have it: seconds since 1970 (negative before)
// and nanoseconds in [0, 1e9).
type Time struct {
	Sec  int64
	Nsec uint32
}

// Before says whether t is earlier than u.
func (t Time) Before(u Time) bool { return t.Sec < u.Sec || t.Sec == u.Sec && t.Nsec < u.Nsec }

// File types and permission bits of Attr.Mode, as in inode(7).
const (
	ModeType    = 0o170000
	ModeSocket  = 0o140000
	ModeSymlink = 0o120000
	ModeRegular = 0o100000
	ModeBlock   = 0o060000
	ModeDir     = 0o040000
	ModeChar    = 0o020000
	ModeFIFO    = 0o010000
	ModeSetUID  = 0o004000
	ModeSetGID  = 0o002000
	ModeSticky  = 0o001000
	ModePerm    = 0o000777
)

// Attr is an inode as stat(2) shows it.
type Attr struct {
	Ino   Ino
	Mode  uint32 // type and permission bits, as in inode(7)
	Nlink uint32 // for a directory: 2 + its subdirectories
	UID   uint32
	GID   uint32
	Rdev  uint32 // for device nodes, as the kernel encodes it (new_encode_dev)
	Size  uint64 // bytes; of a symlink: of its unsealed target; of a directory: its entries
	Bytes uint64 // bytes that extents cover; st_blocks is this over 512, rounded up
	Atime Time
	Mtime Time
	Ctime Time
	Btime Time // creation

	// Owner is the session that has the file delegated: its host may know bytes of it, a
	// size and times that the log does not. 0: nobody, and what the log says is all.
	Owner SessionID

	// The log index at which the access and the default ACL became what they are, 0: there
	// is none. What is computed from an ACL carries it, so that Apply, which cannot read
	// sealed values, knows whether the ACL is still the same.
	AccessACL, DefaultACL Index
}

// ACL is a POSIX ACL as the log keeps it: the sealed name and value of the extended
// attribute that it is. Without a name there is none.
type ACL struct {
	Name  []byte
	Value []byte
}

// Type returns the type bits of the mode.
func (a *Attr) Type() uint32 { return a.Mode & ModeType }

// IsDir says whether the inode is a directory.
func (a *Attr) IsDir() bool { return a.Type() == ModeDir }

// IsRegular says whether the inode is a regular file.
func (a *Attr) IsRegular() bool { return a.Type() == ModeRegular }

// IsSymlink says whether the inode is a symbolic link.
func (a *Attr) IsSymlink() bool { return a.Type() == ModeSymlink }

// Entry is a name in a directory: the sealed name, the inode it leads to and that
// inode's type bits.
type Entry struct {
	Name []byte // sealed
	Ino  Ino
	Mode uint32 // type bits only
}

// Extent is a range of a file and where its bytes are: in an object, or inline.
// Bytes of a file below its size that no extent covers are zero.
type Extent struct {
	Off       uint64  // in the file
	Len       uint32  // bytes, at least 1
	Object    Address // zero if inline
	ObjectOff uint32  // offset of the first byte in the unsealed object or inline data
	Inline    []byte  // a small sealed object, whole; nil if Object is set
	Floating  uint64  // what Inline is sealed for instead of its place in the file, which Apply chose; 0: for its place
}

// End returns the offset just past the extent.
func (e *Extent) End() uint64 { return e.Off + uint64(e.Len) }

// Form says how an object's bytes are kept. The numbers are in the log: append only.
type Form uint8

// The forms of an object.
const (
	FormReplicas Form = 1 // whole copies
)

// Object is what the log knows of an object. Salt and KeyVersion are what a reader
// opens it with, so that another object's bytes are never accepted in its place.
type Object struct {
	Address    Address
	KeyVersion uint32
	Salt       [32]byte
	Size       uint32 // bytes before sealing
	Sealed     uint32 // bytes as stored
	Form       Form
	Hosts      []HostID // who has it, while that differs from the arc's owners; else empty
	Ring       Index    // version of the ring under which Hosts was true
	Put        Index    // log index that the writer had applied before it put the object
	Refs       uint64   // bytes of it that extents refer to
}
