package signet

// Limits of the filesystem. Each is checked where input enters and named in the
// error that it causes.
const (
	MaxName       = 255 // bytes of a name, before sealing
	NameOverhead  = 16  // bytes that sealing adds to a name
	MaxSealedName = MaxName + NameOverhead
	MaxTarget     = 4095      // bytes of a symlink's target, before sealing
	MaxXattrName  = 255       // bytes of an attribute's name
	MaxXattrValue = 64 << 10  // bytes of an attribute's value
	MaxLinks      = 65_000    // hard links of an inode; ext4 has the same
	MaxFileSize   = 1<<63 - 1 // bytes of a file: what off_t holds
	MaxObject     = 4 << 20   // bytes of an object, before sealing
	MaxInline     = 4 << 10   // bytes of file data that travel inside a command
	MaxRows       = 4096      // rows that one command may touch
	MaxUnanswered = 1024      // unanswered commands of a session
	MaxHandBack   = 1024      // delegations that one command ends
	MaxArcs       = 1 << 16   // arcs of a ring
	DefaultArcs   = 4096      // arcs of a new ring
	MaxLocks      = 4096      // locks held on an inode, of one kind
	MaxLockWaits  = 1024      // requests queued for locks on an inode, of one kind
	MaxReplicas   = 16        // copies of an object
)
