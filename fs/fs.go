package fs

import (
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// Config is what an FS is made of. Names, Objects, Sealer and Clock must be set.
type Config struct {
	Names   Names
	Objects Objects
	Sealer  Sealer
	Clock   clock.Clock
	Limits  Limits // zero fields take their default
	// Report is told of what nobody else will be told of, such as data that was given
	// up after its file was closed. May be nil.
	Report func(error)
}

// FS is one mount of a volume. Its methods are used from many goroutines at once;
// each serves one Request and returns when its answer stands, with an error that has
// a signet.Kind. Names in arguments and results are unsealed.
type FS struct {
	names   Names
	objects Objects
	seal    Sealer
	clock   clock.Clock
	gate    Gate
}

// Handle is an open file or directory of an FS. Zero is none.
type Handle uint64

// Entry is an inode found or made under a name, and for how long the kernel may go
// on believing that without asking.
type Entry struct {
	Attr     signet.Attr
	EntryTTL time.Duration
	AttrTTL  time.Duration
}

// OpenFlags tells the kernel how to treat an opened file.
type OpenFlags struct {
	KeepCache bool // its cached pages are still right
	DirectIO  bool // cache no pages
}

// DirEntry is one entry of a listing.
type DirEntry struct {
	Name   string
	Ino    signet.Ino
	Mode   uint32 // type bits
	Cookie uint64 // where a listing goes on after this entry
	Entry  Entry  // only if attributes were asked for; Attr.Ino is 0 if they could not be had
}

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
	AtimeNow bool // instead of Atime; SetAtime must be set too
	MtimeNow bool
	KillPriv bool // the kernel asks to clear set-uid and set-gid (HANDLE_KILLPRIV_V2)
}

// Flags of Write.
const (
	WriteFromCache = 1 << iota // the kernel writes back pages of a mapping; it must not wait for memory
	WriteKillPriv              // the kernel asks to clear set-uid and set-gid
)

// Modes of Fallocate, as in fallocate(2).
const (
	FallocKeepSize  = 0x01
	FallocPunchHole = 0x02
	FallocZeroRange = 0x10
)

// Ways of Lseek, as in lseek(2).
const (
	SeekData = 3
	SeekHole = 4
)
