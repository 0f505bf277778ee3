package signet

// LockKind tells the two sorts of file locks apart, which do not see each other. The
// numbers are in the log: append only.
type LockKind uint8

// The kinds of locks.
const (
	LockPOSIX LockKind = 1 // of ranges: fcntl(2), also those of open file descriptions
	LockFlock LockKind = 2 // of whole files: flock(2)
)

// LockType is what a lock lets others do. The numbers are in the log: append only.
type LockType uint8

// The types of locks.
const (
	LockNone  LockType = 0 // nothing is locked
	LockRead  LockType = 1 // others may hold LockRead too
	LockWrite LockType = 2 // others may hold nothing
)

// LockEnd is the last byte of a lock that goes to the end of the file, wherever that is.
const LockEnd = MaxFileSize

// LockOwner is who holds a lock: in POSIX a process or an open file description, as
// the kernel of the session's host numbers them.
type LockOwner struct {
	Session SessionID
	ID      uint64
}

// FileLock is a range of a file that an owner holds or wants.
type FileLock struct {
	LockOwner
	Type  LockType
	Start uint64
	End   uint64 // the last byte; LockEnd: to the end of the file
	PID   uint32 // who asked for it; means something on the owner's host only
}

// Lock takes a lock, or gives it up (LockNone). Of an owner's own locks it replaces those
// in its range; with LockFlock it drops the owner's lock first if that is of another type,
// also when the new one is not to be had. Result.Held says whether the lock is held now.
// If not, Result.Lock is one that is in the way, and with Wait the request is queued: the
// change feed tells when it is granted (ChangedLock).
//
// It fails with Deadlock if the owner would wait, by way of others, for itself (LockPOSIX
// only), with TooManyLocks at a limit, and with Stale if the command's session is not
// Lock.Session.
type Lock struct {
	Ino  Ino
	Kind LockKind
	Lock FileLock
	Wait uint64 // names the request while it is queued, unique in its session; 0: do not queue
	Test bool   // only tell whether it could be held
}

// EndWait ends the waiting of a queued Lock, or (Pass) has it wait no longer for those that
// asked before it, only for those that hold something. It fails with NotFound if the
// request is not queued: it was granted, or ended with its session.
type EndWait struct {
	Ino   Ino
	Kind  LockKind
	Owner LockOwner
	Wait  uint64
	Pass  bool
}

func (*Lock) isCommand()    {}
func (*EndWait) isCommand() {}
