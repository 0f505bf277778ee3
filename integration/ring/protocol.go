package ring

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Op is what an agent can do: a system call, or a few that belong together.
type Op string

// What an agent can do. Path and To are on the mount; FD is of an earlier OpOpen, Map of
// an earlier OpMap.
const (
	OpOpen     Op = "open"      // Path, Flags, Mode -> FD
	OpClose    Op = "close"     // FD
	OpRead     Op = "read"      // FD, Off, Len -> Data; one pread
	OpWrite    Op = "write"     // FD, Off, Data -> N; one pwrite
	OpSync     Op = "fsync"     // FD
	OpStatFD   Op = "fstat"     // FD -> Stat
	OpTruncFD  Op = "ftrunc"    // FD, Len
	OpMap      Op = "map"       // FD, Len, Flags 1: writable, 2: private -> Map
	OpPeek     Op = "peek"      // Map, Off, Len -> Data
	OpPoke     Op = "poke"      // Map, Off, Data
	OpMapSync  Op = "msync"     // Map
	OpResident Op = "mincore"   // Map -> Data, a byte for each page: 1 if it is in memory
	OpUnmap    Op = "unmap"     // Map
	OpStat     Op = "stat"      // Path -> Stat; of the name itself, not of what it points to
	OpMkdir    Op = "mkdir"     // Path, Mode
	OpUnlink   Op = "unlink"    // Path
	OpRmdir    Op = "rmdir"     // Path
	OpRename   Op = "rename"    // Path, To, Flags
	OpLink     Op = "link"      // Path, To
	OpSymlink  Op = "symlink"   // To is the target, Path the name
	OpReadlink Op = "readlink"  // Path -> Data
	OpChmod    Op = "chmod"     // Path, Mode
	OpChown    Op = "chown"     // Path, Off: user, Len: group
	OpTruncate Op = "truncate"  // Path, Len
	OpTimes    Op = "utimes"    // Path, Off: modification time in seconds
	OpNames    Op = "readdir"   // Path -> Names, sorted
	OpGetXattr Op = "getxattr"  // Path, To: attribute -> Data
	OpSetXattr Op = "setxattr"  // Path, To, Data
	OpDelXattr Op = "delxattr"  // Path, To
	OpSpace    Op = "statfs"    // Path
	OpMknod    Op = "mknod"     // Path, Mode with the type, Off: device
	OpXattrs   Op = "listxattr" // Path -> Data, the names with a zero byte after each
	OpAllocate Op = "fallocate" // FD, Flags, Off, Len
	OpCopy     Op = "copyrange" // FD to FD2, Off in both, Len -> N
	OpSeek     Op = "lseek"     // FD, Off, Flags: whence -> N
	OpSyncDir  Op = "syncdir"   // Path
	OpLoad     Op = "load"      // Path -> Data: open, read all, close
	OpSave     Op = "save"      // Path, Mode, Data: open (create, truncate), write all, close
	OpSaveSync Op = "savesync"  // the same with an fsync before the close
	OpPing     Op = "ping"      // does nothing
	OpFlock    Op = "flock"     // FD, Flags as flock(2) has them
	OpFcntl    Op = "fcntl"     // FD, Flags: F_SETLK, F_SETLKW, F_OFD_..., Mode: F_RDLCK, F_WRLCK, F_UNLCK, Off, Len
)

// Call is one request to an agent.
type Call struct {
	ID       uint64
	Op       Op
	Path, To string
	FD, FD2  int
	Map      int
	Flags    int
	Mode     uint32
	Off, Len int64
	Data     []byte

	root string // the agent's own: what Path and To begin with
}

// Reply is how a Call ended.
type Reply struct {
	ID      uint64
	Errno   syscall.Errno // 0: it succeeded
	FD, Map int
	N       int64
	Data    []byte
	Names   []string
	Stat    Stat
	// When the agent began it and when it had its end, on the one monotonic clock of the
	// machine, which all hosts of a lab share.
	From, To time.Duration
}

// Stat is what stat(2) tells.
type Stat struct {
	Ino            uint64
	Mode           uint32
	Nlink          uint64
	UID, GID       uint32
	Size, Blocks   int64
	Mtime          int64 // seconds
	MtimeNsec      int64
	Ctime, CtimeNs int64
}

// Now is the clock of Reply.From and Reply.To.
func Now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // a kernel without it runs no Go
	}
	return time.Duration(t.Nano())
}
