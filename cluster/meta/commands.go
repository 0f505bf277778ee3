package meta

import "github.com/signetfs/signet"

// The commands of the cluster itself, beside those of a volume's tree in package
// signet. A command that concerns a volume is in an envelope of that volume's group,
// all others in one of signet.ClusterGroup. Result.Err is Invalid for a command in
// the wrong group.

// Init is the first command of a cluster: it makes the host table with one host, the
// ring that this host owns alone, and the default volume with its root directory. It
// fails with Exists in a cluster that has been made.
type Init struct {
	Cluster [16]byte
	Name    string
	Arcs    uint32 // a power of two up to signet.MaxArcs
	Copies  uint8  // wanted copies of an object
	Host    NewHost
	Slots   []NewSlot
	UID     uint32 // of the root directory
	GID     uint32
	Mode    uint32 // permission bits of the root directory
	Time    signet.Time
}

// OpenSession makes a session of Host. Start is the host's start counter; sessions of
// earlier starts end. Result.Index is the session's id: its own index, or that of the
// session which this start of the host has already. It fails with Stale if Start is
// lower than one that the log has seen: the host runs from an old copy of its state.
// It fails with TooBusy for the second of two in one entry, which would have one id.
type OpenSession struct {
	Host  signet.HostID
	Start uint64
	Time  signet.Time
}

// EndSession ends a session and forgets its answers. Ending one that is not there
// succeeds. Result.More says that answers are left to forget: send it again.
type EndSession struct{ Session signet.SessionID }

// GrantInodes reserves Count inode numbers of the envelope's volume for its session.
// Answer.Extra is the first.
type GrantInodes struct{ Count uint32 }

// Join admits a host that showed a token. Answer.Extra is the host's number. A host
// that is a member already gets its number again and uses nothing of the token.
type Join struct {
	Token signet.Digest // of the token's secret
	Host  NewHost
	Time  signet.Time // at which the token must not have expired
}

// NewHost is what a joining host says of itself.
type NewHost struct {
	Key      signet.HostKey
	Seal     []byte // HPKE public key; empty if it is to hold no volume key
	Name     string
	Addrs    []string
	Zone     string
	Capacity uint64 // bytes it offers
	Weight   uint32 // share of the ring, in units of the operator's choice
	Roles    uint8  // bits of RoleStore...
	Knows    uint32 // the newest feature that its software knows
}

// What SetHost sets.
const (
	SetName = 1 << iota
	SetAddrs
	SetZone
	SetCapacity
	SetWeight
	SetRoles
	SetKnows
	SetSeal
)

// SetHost changes what the host table says of a host. Value.Key is not used.
type SetHost struct {
	Host  signet.HostID
	Set   uint32 // bits of SetName...
	Value NewHost
}

// SetHostState changes a host's state to any but HostRemoved.
type SetHostState struct {
	Host  signet.HostID
	State HostState
}

// RemoveHost ends a host's membership for ever, with its sessions and key slots. Its
// row and number stay. It fails with Busy for the last host.
type RemoveHost struct{ Host signet.HostID }

// SetRing gives arcs new owners. It fails with Stale unless Base is the version of the
// ring, which becomes the index of this command; so a change of more arcs than one
// command may touch is several commands, each with the version of the one before.
type SetRing struct {
	Base signet.Index
	Arcs []ArcOwners // sorted by arc
}

// ArcOwners is an arc and who is to own it, the primary first.
type ArcOwners struct {
	Arc    signet.Arc
	Owners []signet.HostID
}

// ArcDone says that Host has every object of the arc that the log knew at Version, the
// arc's last move. When every owner has said so the previous owners are let go. It
// fails with Stale if the arc has moved again.
type ArcDone struct {
	Arc     signet.Arc
	Host    signet.HostID
	Version signet.Index
}

// ArcsDone says of several arcs what ArcDone says of one. Arcs that have moved again, and
// those that Host does not own, are passed over. At most MaxArcsDone arcs.
type ArcsDone struct {
	Host signet.HostID
	Arcs []ArcVersion
}

// ArcVersion is an arc as of its last move.
type ArcVersion struct {
	Arc     signet.Arc
	Version signet.Index
}

// Placed says that Host has the objects durable, or has lost them (Gone). Addresses
// that the log does not know are passed over. At most MaxPlaced addresses.
type Placed struct {
	Host      signet.HostID
	Gone      bool
	Addresses []signet.Address
}

// Collect raises the collection horizon of the envelope's volume and forgets dead
// objects: those of Addresses that died at or before Horizon. At most MaxPlaced
// addresses. Whoever sends it knows that no live session reads as far back.
type Collect struct {
	Horizon   signet.Index
	Addresses []signet.Address
}

// Reap frees an orphan. Result.More says that there is more to free: send it again.
// It fails with NotFound for what is no orphan.
type Reap struct{ Ino signet.Ino }

// SetPolicy sets what holds for the tree below Ino (the volume, if that is the root).
type SetPolicy struct {
	Ino    signet.Ino
	Policy Policy
}

// SetFeature switches a feature on for ever. A host that does not know it stops.
type SetFeature struct{ Feature uint32 }

// AddSlot adds a key slot of the envelope's volume. Answer.Extra is its number.
type AddSlot struct{ Slot NewSlot }

// NewSlot is a wrapped volume key.
type NewSlot struct {
	Kind  uint8         // passphrase, host, recovery key: package crypto says
	Host  signet.HostID // whose slot it is, if it is a host's, else 0; in Init the first host is 1
	Label string
	Data  []byte // opaque
}

// RemoveSlot removes a key slot. It fails with NotPermitted for the last.
type RemoveSlot struct{ Slot uint32 }

// CreateToken makes a join token. Tokens that have expired at Time are forgotten.
type CreateToken struct {
	Digest  signet.Digest // of the secret
	Expires signet.Time
	Uses    uint32
	Roles   uint8 // what a host that joins with it may be
	Time    signet.Time
}

// RevokeToken makes a token worthless.
type RevokeToken struct{ Digest signet.Digest }
