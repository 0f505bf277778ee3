package fs

import (
	"context"

	"github.com/signetfs/signet"
)

// Names is the replicated state of one volume as this host has it, and the way to
// change it. It is used from many goroutines at once.
type Names interface {
	// Ready returns nil once this host may answer from its own state: it holds a lease,
	// or its mount's policy lets it show an older state while it has none. It fails with
	// Unavailable otherwise. A view opened afterwards shows all that was released before
	// Ready returned.
	Ready(ctx context.Context) error

	// View opens a reading of the newest state applied here. It is quick and never
	// waits for other hosts.
	View() signet.View

	// Do proposes c and returns once it has been applied here: its result, and the
	// ticket with which to wait until it is released. A refusal by the state machine
	// is in Result.Err and has a ticket too, because it tells something of the state.
	// After an error the command was not proposed (ReadOnly, TooBusy) or its outcome
	// is unknown (any other kind); it may then still be applied later. Views opened
	// after Do has returned show the change. c is not kept.
	Do(ctx context.Context, c signet.Command) (signet.Result, signet.Ticket, error)

	// NextIno returns an inode number that nobody else has or ever will have.
	NextIno(ctx context.Context) (signet.Ino, error)

	// Space tells from local state how large and how full the volume is.
	Space(ctx context.Context) (Space, error)

	// Writable returns nil, or why no change is possible now. It never waits.
	Writable(ctx context.Context) error

	// Recall asks the owner of a file, another session that the log names, for what why
	// says. It returns when what the answer rests on is released: a view that is opened
	// afterwards shows it. An owner that is gone holds nothing. It fails with Unavailable
	// if this host has no lease, so cannot know who is gone.
	Recall(ctx context.Context, owner signet.SessionID, ino signet.Ino, why signet.Recall) (signet.Recalled, error)
	// Session returns the session in which Do proposes, 0 while there is none. It ends when
	// this host was away for long; the next has another number.
	Session() signet.SessionID

	// Own says whether commands of session s come from this mount. The kernel here
	// has the pages of its own writes already.
	Own(s signet.SessionID) bool
}

// Space is what statfs(2) shows.
type Space struct {
	Total  uint64 // bytes of user data that the volume can hold, copies counted once
	Free   uint64 // bytes of Total that are left
	Used   uint64 // bytes in use
	Fits   uint64 // bytes of Free that can be written now; the rest is yet to be cleared
	Inodes uint64 // inodes in use
}

// Objects keeps sealed objects on the ring. It is used from many goroutines at once.
type Objects interface {
	// Put makes sealed durable under its address on enough hosts. The returned row has
	// Address, Sealed, Hosts, Ring and Put filled. sealed is borrowed until release is
	// called, exactly once and maybe after Put has returned: copies beyond those that
	// were needed may still be on their way. Safe to repeat. After an error some hosts
	// may have a copy.
	Put(ctx context.Context, a signet.Address, sealed []byte, release func()) (signet.Object, error)

	// Get returns the sealed bytes [off, off+n) of o, which the caller then owns. They
	// are not verified: the opening does that.
	Get(ctx context.Context, o signet.Object, off, n uint32) ([]byte, error)
}
