package meta

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/signetfs/signet"
)

// Entry is a committed entry of the log.
type Entry struct {
	Index   signet.Index
	Term    uint64
	Data    []byte // of EncodeEntry; empty: only the position moves on
	Members []byte // if not nil, what Reader.Members returns from here on
}

// Position is a place in the log and the digest over everything up to it.
type Position struct {
	Index  signet.Index
	Term   uint64
	Digest signet.Digest
}

// Answer is what became of one envelope.
type Answer struct {
	Session  signet.SessionID
	Request  uint64
	Result   signet.Result
	Extra    uint64 // the number of what the command made: inode, host, slot
	Repeated bool   // the answer was given before; nothing was done now
	Over     bool   // the session is; a refusal as Ended may also mean something smaller
}

// Effects are a step's changes of the cluster's tables, for the rooms that store and
// move objects.
type Effects struct {
	Named     []Named            // objects that the log names from here on
	Collected []Named            // objects that it forgot: drop them (only Address is set)
	Moved     []Arc              // arcs with new owners
	Settled   []SettledArc       // arcs whose previous owners were let go
	Ended     []signet.SessionID // sessions that are over
	Hosts     []signet.HostID    // hosts whose rows changed
	Slots     bool               // key slots changed
	Horizon   bool               // a collection horizon rose
}

// Named is an object of a volume. Its Hosts are those that the writer named, even
// where the row leaves them out because they are the arc's owners.
type Named struct {
	Group  signet.Group
	Object signet.Object
}

// SettledArc is an arc that has moved, and who need not keep it any more.
type SettledArc struct {
	Arc  Arc
	Free []signet.HostID
}

// Step is the outcome of applying entries, not yet visible to readers.
type Step struct {
	Answers []Answer
	Batch   signet.Batch
	Effects Effects
	Digests []signet.Digest // after each entry
	End     Position

	batch *pebble.Batch
}
