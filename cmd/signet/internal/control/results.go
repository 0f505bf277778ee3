package control

// The calls that a daemon serves.
const (
	CallStatus      = "status"
	CallMount       = "mount"
	CallUnmount     = "unmount"
	CallMounts      = "mounts"
	CallRemount     = "remount"
	CallLocked      = "locked"
	CallUnlock      = "unlock"
	CallTokenCreate = "token.create"
	CallTokenList   = "token.ls"
	CallTokenRevoke = "token.revoke"
	CallRing        = "ring"
	CallStat        = "stat"
	CallShutdown    = "shutdown"
	CallProfile     = "profile"
)

// MountArgs asks for a mount, or (CallRemount) for other options of one. Options are those of mount(8), checked already.
type MountArgs struct {
	Mountpoint string       `json:"mountpoint"`
	Cluster    string       `json:"cluster,omitempty"` // must be this host's, if given
	Options    MountOptions `json:"options"`
}

// MountOptions are the options that mount -o knows.
type MountOptions struct {
	ReadOnly    bool    `json:"ro,omitempty"`
	NoSUID      bool    `json:"nosuid,omitempty"`
	NoDev       bool    `json:"nodev,omitempty"`
	NoExec      bool    `json:"noexec,omitempty"`
	Sync        bool    `json:"sync,omitempty"`
	DirSync     bool    `json:"dirsync,omitempty"`
	NoAtime     bool    `json:"noatime,omitempty"`
	NoDirAtime  bool    `json:"nodiratime,omitempty"`
	StrictAtime bool    `json:"strictatime,omitempty"`
	AllowOther  bool    `json:"allow_other,omitempty"`
	UID         *uint32 `json:"uid,omitempty"`    // everything belongs to this user
	GID         *uint32 `json:"gid,omitempty"`    // and this group
	Cutoff      string  `json:"cutoff,omitempty"` // "stale" or "eio"
}

// Mount is a mount of the host.
type Mount struct {
	Mountpoint string `json:"mountpoint"`
	Source     string `json:"source"`
	Cutoff     string `json:"cutoff"`
	Warning    string `json:"warning,omitempty"` // what is not as it should be
}

// UnmountArgs asks for an unmount.
type UnmountArgs struct {
	Mountpoint string `json:"mountpoint"`
	Lazy       bool   `json:"lazy,omitempty"`
	Force      bool   `json:"force,omitempty"`
}

// Locked is what it takes to open the volume for a host with a secret that people hold.
type Locked struct {
	Public []byte   `json:"public"` // to seal the key to
	Slots  [][]byte `json:"slots"`  // those that people can open
}

// UnlockArgs gives a host the volume's key, sealed to Locked.Public.
type UnlockArgs struct {
	Slot []byte `json:"slot"`
}

// Fault is an error as commands print it.
type Fault struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Exit int    `json:"exit"`
}

// Init is what a new cluster has.
type Init struct {
	Cluster     string `json:"cluster"`
	Name        string `json:"name"`
	Volume      string `json:"volume"`
	Host        uint64 `json:"host"`
	RecoveryKey string `json:"recovery_key"`
	JoinToken   string `json:"join_token"`
	Expires     string `json:"expires"` // of the token
	Uses        uint32 `json:"uses"`    // of the token
	State       string `json:"state"`
	Address     string `json:"address"`
	Mount       *Mount `json:"mount,omitempty"`
	Error       *Fault `json:"error,omitempty"` // why the mount failed
}

// Join is what a host that joined has.
type Join struct {
	Cluster string `json:"cluster"`
	Host    uint64 `json:"host"`
	State   string `json:"state"`
	Address string `json:"address"`
	Mount   *Mount `json:"mount,omitempty"`
	Error   *Fault `json:"error,omitempty"` // why the mount failed
}

// Status is a cluster's health at a glance, as one of its hosts sees it.
type Status struct {
	Healthy  bool      `json:"healthy"`
	Problems []Problem `json:"problems"`
	Cluster  string    `json:"cluster"`
	Name     string    `json:"name"`
	Volume   string    `json:"volume,omitempty"`
	Self     uint64    `json:"self"`
	Version  string    `json:"version"`
	State    string    `json:"state"`
	Leader   uint64    `json:"leader"` // 0: nobody
	Leased   bool      `json:"leased"`
	Key      bool      `json:"key"` // this host can open the volume
	Copies   int       `json:"copies"`
	Hosts    []Host    `json:"hosts"`
	Objects  Objects   `json:"objects"`
	Files    Files     `json:"files"`
	Work     []Work    `json:"work"`
	Mounts   []Mount   `json:"mounts"`
	Process  Process   `json:"process"`
}

// Problem is something that is not as it should be. A warning does not make a cluster
// unhealthy.
type Problem struct {
	Code    string `json:"code"`
	Text    string `json:"text"`
	Hint    string `json:"hint"`
	Warning bool   `json:"warning,omitempty"`
}

// Host is a host of the cluster.
type Host struct {
	ID       uint64   `json:"id"`
	Name     string   `json:"name"`
	Address  string   `json:"address"` // the first of Addresses
	Zone     string   `json:"zone"`
	State    string   `json:"state"`
	Voter    bool     `json:"voter"`
	Leader   bool     `json:"leader"`
	Key      bool     `json:"key"` // has a slot with the volume's key
	Roles    []string `json:"roles"`
	Used     uint64   `json:"used"`
	Capacity uint64   `json:"capacity"`
	Lag      uint64   `json:"lag"` // log entries behind the leader
	SilentMS int64    `json:"silent_ms"`
	Differs  bool     `json:"differs,omitempty"` // its state is not the leader's
	PublicID string   `json:"public_key"`
	Others   []string `json:"addresses"`
}

// Objects says how the objects are.
type Objects struct {
	Total uint64 `json:"total"`
	Bytes uint64 `json:"bytes"`
	Short uint64 `json:"short"` // have fewer copies than they should, or are not where they should be
	Lost  uint64 `json:"lost"`  // no member has them
}

// Files says what the volume holds.
type Files struct {
	Inodes uint64 `json:"inodes"`
	Bytes  uint64 `json:"bytes"`
	Total  uint64 `json:"total"` // bytes that the volume can hold
	Free   uint64 `json:"free"`
}

// Work is something that the cluster is busy with.
type Work struct {
	Kind  string `json:"kind"`
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
	ETA   int64  `json:"eta_s"` // -1: not known
}

// Process says how the daemon is.
type Process struct {
	PID     int    `json:"pid"`
	UptimeS int64  `json:"uptime_s"`
	RSS     uint64 `json:"rss"`
	Applied uint64 `json:"applied"` // log index
}

// TokenArgs asks for a join token.
type TokenArgs struct {
	Uses    uint32 `json:"uses"`
	Seconds int64  `json:"seconds"`
	Roles   uint8  `json:"roles"`
}

// Token is a join token that was just made.
type Token struct {
	Token   string `json:"token"`
	ID      string `json:"id"`
	Expires string `json:"expires"` // RFC 3339
	Uses    uint32 `json:"uses"`
}

// TokenRow is what the cluster remembers of a token.
type TokenRow struct {
	ID      string   `json:"id"`
	Expires string   `json:"expires"`
	State   string   `json:"state"` // "valid", "expired", "used up"
	Left    uint32   `json:"left"`
	Used    uint32   `json:"used"`
	Roles   []string `json:"roles"`
	Made    string   `json:"made"`
}

// RevokeArgs names a token by the start of its id.
type RevokeArgs struct {
	ID string `json:"id"`
}

// RingArgs asks for the ring.
type RingArgs struct {
	Arcs bool `json:"arcs"` // each arc too
}

// Ring is the ring and who has what of it.
type Ring struct {
	Arcs   uint32     `json:"arcs"`
	Copies int        `json:"copies"`
	Moving int        `json:"moving"`
	Hosts  []RingHost `json:"hosts"`
	List   []Arc      `json:"list,omitempty"`
}

// RingHost is a host's part in the ring.
type RingHost struct {
	ID      uint64  `json:"id"`
	Name    string  `json:"name"`
	Zone    string  `json:"zone"`
	State   string  `json:"state"`
	Weight  uint32  `json:"weight"`
	Primary int     `json:"primary"` // arcs that it is the first owner of
	Owned   int     `json:"owned"`   // arcs that it is an owner of
	Share   float64 `json:"share"`   // of all copies
}

// Arc is an arc of the ring.
type Arc struct {
	Arc         uint32   `json:"arc"`
	From        string   `json:"from"` // first and last key, hexadecimal
	To          string   `json:"to"`
	Owners      []uint64 `json:"owners"`
	Previous    []uint64 `json:"previous,omitempty"`
	Predecessor uint64   `json:"predecessor"` // primary of the arc before
	Successor   uint64   `json:"successor"`
}

// StatArgs names an inode. Path is only handed back.
type StatArgs struct {
	Path  string `json:"path"`
	Inode uint64 `json:"inode"`
}

// Stat says where a file's bytes are.
type Stat struct {
	Path    string   `json:"path"`
	Inode   uint64   `json:"inode"`
	Type    string   `json:"type"`
	Size    uint64   `json:"size"`
	Extents []Extent `json:"extents"`
	CanLose int      `json:"can_lose"` // hosts
}

// Extent is a range of a file and where its bytes are.
type Extent struct {
	Offset uint64   `json:"offset"`
	Length uint64   `json:"length"`
	Object string   `json:"object,omitempty"` // address; empty: inline
	Form   string   `json:"form"`             // "replicas", "inline"
	Arc    *uint32  `json:"arc,omitempty"`
	Hosts  []uint64 `json:"hosts"`
	Down   []uint64 `json:"down,omitempty"` // of Hosts, those that do not answer
}

// Version says what program this is.
type Version struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Feature uint32 `json:"feature"` // the newest that it knows
	Control int    `json:"control"`
}
