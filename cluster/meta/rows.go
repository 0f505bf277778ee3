package meta

import "github.com/signetfs/signet"

// Cluster is the cluster's own row.
type Cluster struct {
	ID      [16]byte
	Name    string
	Arcs    uint32
	Copies  uint8
	First   signet.HostID // owner of every arc that was never moved
	Made    signet.Index
	Ring    signet.Index // version of the ring: index of the newest SetRing
	Hosts   uint64       // hosts that ever joined
	Created signet.Time
}

// Roles of a host.
const (
	RoleStore = 1 << iota // keeps objects
	RoleVote              // may vote on the log
	RoleMount             // may mount volumes
	RoleAll   = RoleStore | RoleVote | RoleMount
)

// HostState is where a host is in its life. The numbers are in the log: append only.
type HostState uint8

// The states of a host.
const (
	HostJoining  HostState = 1 // admitted, has not caught up
	HostUp       HostState = 2
	HostDown     HostState = 3 // does not answer
	HostDraining HostState = 4 // its arcs are being moved away
	HostRemoved  HostState = 5 // no member any more
)

// Host is a row of the host table.
type Host struct {
	ID signet.HostID
	NewHost
	State  HostState
	Start  uint64 // the newest start counter that the log has seen
	Joined signet.Index
}

// Arc is an arc of the ring. While it moves, Previous are those who may hold what the
// owners still lack, and Done the owners who have everything. Version is the index of
// the arc's last move.
type Arc struct {
	Arc      signet.Arc
	Owners   []signet.HostID
	Previous []signet.HostID
	Done     []signet.HostID
	Version  signet.Index
}

// Moving says whether some owner does not have everything yet.
func (a *Arc) Moving() bool { return len(a.Previous) > 0 }

// Session is a row of the session table.
type Session struct {
	ID     signet.SessionID
	Host   signet.HostID
	Start  uint64
	Opened signet.Time
	Lowest uint64 // requests below are answered and forgotten
	High   uint64 // highest request that was answered
	Ended  bool   // over; its answers are still being forgotten
}

// Orphan is an inode without a name.
type Orphan struct {
	Ino     signet.Ino
	Since   signet.Index
	Tmpfile bool // made without a name, so it may still get one
}

// PendingCut is an inode of which a cut has begun and is not finished: the rest is to be
// drained.
type PendingCut struct {
	Ino   signet.Ino
	Since signet.Index
}

// DeadObject is an object that nothing refers to any more.
type DeadObject struct {
	Died    signet.Index
	Address signet.Address
	Sealed  uint32
}

// Slot is a key slot of a volume.
type Slot struct {
	ID uint32
	NewSlot
	Added signet.Index
}

// Token is a join token, without its secret.
type Token struct {
	Digest  signet.Digest
	Expires signet.Time
	Left    uint32 // uses left; 0: used up or revoked
	Used    uint32
	Roles   uint8
	Made    signet.Time
}

// Layouts of Policy. The numbers are in the log: append only.
const (
	LayoutSpread uint8 = 1 // an object's place on the ring follows from its digest
	LayoutWhole  uint8 = 2 // all objects of an inode lie in one arc
)

// Policy is what a volume or a tree of it wants.
type Policy struct {
	Copies uint8
	Layout uint8
}

// Feature is a switched-on feature.
type Feature struct {
	Feature uint32
	Since   signet.Index
}

// FeatureBase is everything that the first release knows; Init switches it on.
// FeatureNewest is the newest feature that this code knows.
const (
	FeatureBase   uint32 = 1
	FeatureNewest        = FeatureBase
)

// Counters are the sums over a volume that statfs and status show.
type Counters struct {
	Inodes      uint64 // all, orphans too
	Orphans     uint64
	Bytes       uint64 // of files, as their extents cover them
	Objects     uint64 // named, the dead not counted
	ObjectBytes uint64 // their sealed sizes
	Dead        uint64
	DeadBytes   uint64
	Short       uint64 // objects whose hosts differ from their arc's owners
	NextIno     signet.Ino
	Horizon     signet.Index
}

// MaxArcsDone is how many arcs one ArcsDone may carry.
const MaxArcsDone = 2048

// MaxPlaced is how many addresses one Placed or Collect may carry.
const MaxPlaced = 1024
