package signet

import "context"

// Ticket follows a command from applied-here to released: committed, and seen or
// awaited by every host that may answer from its own copy.
type Ticket interface {
	// Wait returns nil once the command is released. It fails with Timeout or
	// Interrupted when ctx ends first; the command stays committed.
	Wait(ctx context.Context) error
}

// View is a consistent reading of the state as this host has applied it when the
// view was opened. It remembers what was read through it, so that Settle can wait
// until all hosts would answer the same. A View is used by one goroutine and must
// be closed; it is cheap for as long as a filesystem call lasts and pins disk space
// for as long as it is open.
//
// Slices in results belong to the caller. A missing row is NotFound (NoAttr for an
// extended attribute).
type View interface {
	// Index is the newest log index that the view shows.
	Index() Index
	// Attr returns an inode.
	Attr(ino Ino) (Attr, error)
	// Lookup returns the entry under a sealed name.
	Lookup(parent Ino, name []byte) (Entry, error)
	// ReadDir calls fn for the entries of a directory in the order of their sealed
	// names, from the first name greater than after (nil: from the first), until fn
	// returns false. The entry's name is only valid during the call.
	ReadDir(parent Ino, after []byte, fn func(Entry) bool) error
	// Parent returns a directory's parent.
	Parent(dir Ino) (Ino, error)
	// Target returns a symlink's sealed target.
	Target(ino Ino) ([]byte, error)
	// Xattr returns the sealed value of an attribute under its sealed name.
	Xattr(ino Ino, name []byte) ([]byte, error)
	// Xattrs returns the sealed names of an inode's attributes in their order.
	Xattrs(ino Ino) ([][]byte, error)
	// Extents returns the extents that touch [off, off+n) in order, at most limit of
	// them, clipped to nothing.
	Extents(ino Ino, off, n uint64, limit int) ([]Extent, error)
	// Object returns an object's row.
	Object(a Address) (Object, error)

	// Settle waits until everything read so far is released, so that no program sees
	// a change before programs on all other hosts would. It never waits for changes
	// made after the view was opened.
	Settle(ctx context.Context) error
	// Fresh says whether everything read so far is still the newest applied here.
	// Only then may an answer be given a lifetime in the kernel's caches.
	Fresh() bool
	// Close ends the view.
	Close()
}

// What a Change changed.
const (
	ChangedAttr  = 1 << iota // attributes of Ino
	ChangedData              // bytes [Off, Off+Len) of Ino
	RemovedName              // a name in directory Ino no longer leads where it led
	AddedName                // a new name in directory Ino
	ChangedXattr             // extended attributes of Ino
	Orphaned                 // Ino lost its last name
	Reaped                   // Ino is gone
	ChangedLock              // Session's request Off for a lock on Ino was granted; Ino 0: all locks of Session are gone
)

// Change is one item of the change feed: what hosts must forget.
type Change struct {
	Ino     Ino
	What    uint8  // 0: only to whom Ino is delegated
	Name    []byte // sealed, for AddedName and RemovedName
	Off     uint64 // for ChangedData; for ChangedLock the request, Lock.Wait
	Len     uint64 // for ChangedData; MaxUint64: to the end
	Session SessionID
	Index   Index // of the entry that brought it: a batch may have several
}

// Batch is a step of the change feed: the changes of the commands that were applied
// together, up to and including Index.
type Batch struct {
	Index   Index
	Changes []Change
	All     bool // the state jumped here: anything may have changed
}

// Recall says what a host wants of the owner of a delegated file. The numbers are on the
// wire: append, never reorder.
type Recall uint8

// What can be wanted. Whatever it is, an owner whose programs do not have the file open
// for writing hands it back.
const (
	RecallAttr  Recall = 1 // the attributes as programs on the owner's host see them
	RecallRead  Recall = 2 // that everything written so far is published
	RecallPages Recall = 3 // the same by who keeps pages: each write is published before it returns, until all forget (Delegate)
	RecallWrite Recall = 4 // RecallRead by who is about to change the file: Apply says where it ends from now on
	RecallOpen  Recall = 5 // whether the owner hands the file back
	RecallShare Recall = 6 // RecallOpen by who opens it to write: Busy while a program there has it mapped shared and writable
)

// Recalled is the owner's answer.
type Recalled struct {
	Held    bool // the owner keeps the file
	Passing bool // it buffers through cached handles, for another host writes the file too: keep no pages
	Attr    Attr // only for RecallAttr, and only if Held
}
