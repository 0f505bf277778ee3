package disk

// Label names an operation of the disk, or a step between two of them, at which a
// test may inject an error, take a picture of the disk, or kill the process.
type Label string

// Operations on files by their path, mostly those of databases.
const (
	FileCreate  Label = "file.create"
	FileOpen    Label = "file.open"
	FileRead    Label = "file.read"
	FileWrite   Label = "file.write"
	FileReserve Label = "file.reserve"
	FileSync    Label = "file.sync"
	FileLink    Label = "file.link"
	FileRename  Label = "file.rename"
	FileRemove  Label = "file.remove"
	FileStat    Label = "file.stat"
	FileLock    Label = "file.lock"
	DirMake     Label = "dir.make"
	DirList     Label = "dir.list"
	DirSync     Label = "dir.sync"
	DiskSpace   Label = "disk.space"
)

// Operations on objects' files.
const (
	ObjectUnnamed Label = "object.unnamed" // O_TMPFILE; NotSupported leads to ObjectTemp
	ObjectTemp    Label = "object.temp"    // a named temporary, where there is no O_TMPFILE
	ObjectWrite   Label = "object.write"
	ObjectSync    Label = "object.sync"
	ObjectLink    Label = "object.link"
	ObjectRead    Label = "object.read"
	ObjectRemove  Label = "object.remove"
	ObjectPunch   Label = "object.punch"
)

// Steps of a put of an object into the store on disk, and of its other changes, each
// between the operation before it and the one after it.
const (
	StepPutMarked     Label = "put.marked"     // the mark is on its way to the log
	StepPutSynced     Label = "put.synced"     // the bytes are durable, without a name
	StepPutLinked     Label = "put.linked"     // they have a name that a crash may take
	StepPutDurable    Label = "put.durable"    // the name is durable
	StepPutIndexed    Label = "put.indexed"    // the index knows the object
	StepDeleteMarked  Label = "delete.marked"  // the index has forgotten the object, durably
	StepDeleteRemoved Label = "delete.removed" // the name is gone, a crash may bring it back
	StepDeleteDone    Label = "delete.done"    // and the mark too
	StepNamed         Label = "named"          // the marks of named objects are cleared
)

// Steps lists the steps above in the order in which a put and a delete pass them, for
// tests that crash at every one.
func Steps() []Label {
	return []Label{
		StepPutMarked, StepPutSynced, StepPutLinked, StepPutDurable, StepPutIndexed,
		StepDeleteMarked, StepDeleteRemoved, StepDeleteDone, StepNamed,
	}
}

// Op is an operation as a Hook sees it.
type Op struct {
	Label Label
	Path  string // relative to the Disk; empty for a step
	After bool   // the operation has been carried out; false: it is about to be
}

// Hook is called before and after every operation and at every step. If it returns
// an error, the operation fails with that: before, it is not carried out; after, it
// was and only its success is hidden. At a step the error is ignored. It runs in the
// goroutine of the operation, several at once, and holds up nothing else.
type Hook func(Op) error
