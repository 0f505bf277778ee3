package heal

import (
	"context"
	"log/slog"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/internal/clock"
)

// Times of a Healer.
const (
	// patience is how long a copy of a newly named object may still be on its way here
	// before it is pulled.
	patience = time.Second
	// claimDelay is how long what is to be reported waits for more of it.
	claimDelay = 50 * time.Millisecond
	// doneDelay is how long an arc that was looked through waits for others, while there
	// are any.
	doneDelay = time.Second
	// dropDelay is how long a surplus copy stays. Hosts that are a little behind still
	// read it, and a host that returns may be given its arcs again.
	dropDelay = 10 * time.Second
	// shortEvery is how often objects with a wrong number of copies are looked at again,
	// if there are any: what was missed, and copies that stood in.
	shortEvery = 10 * time.Second
	// marksEvery is how often copies that wait for a name are looked at although no horizon
	// rose: more than it takes to raise one.
	marksEvery = 3 * time.Minute
	// What failed is tried again after retryFirst, then twice that, up to retryLast.
	retryFirst = time.Second
	retryLast  = time.Minute
	// pullTimeout is how long one host may take to hand over an object.
	pullTimeout = 20 * time.Second
)

// Sizes of a Healer.
const (
	pageRows     = 256  // rows that are looked at in one go
	maxWanted    = 1024 // objects that wait to be pulled, or are being pulled
	maxEvents    = 8192 // objects of which something was heard and not acted on
	defaultPulls = 4
	claimWidth   = 32 // reports that are on their way at once
)

// Log is the replicated state as this host sees it.
type Log interface {
	// Read calls fn with a consistent reading of what is published on this host, which fn
	// must not keep.
	Read(g signet.Group, fn func(*meta.Reader) error) error
	// Propose proposes a command and returns its answer once it is applied here. A command
	// that was refused may come back as an error of its kind, or in Answer.Result.Err.
	Propose(ctx context.Context, g signet.Group, command any) (meta.Answer, error)
}

// Store is what a Healer needs of its host's store.
type Store interface {
	store.Store
	store.Marks
	store.Lister
}

// Peers are the stores of the other hosts.
type Peers interface {
	Get(ctx context.Context, h signet.HostID, g signet.Group, a signet.Address, off, n uint32) ([]byte, error)
}

// Config is what a Healer is made of.
type Config struct {
	Self  signet.HostID
	Store Store
	Log   Log
	Peers Peers
	// Up says whether a host seems to answer: those are asked first. It may be nil.
	Up     func(signet.HostID) bool
	Groups []signet.Group // the volumes; nil: the default one
	// Floor is the last index in this host's log when it started. All that the host ever
	// applied lies at or below it, so from there on its tables are no older than its store.
	Floor  signet.Index
	Clock  clock.Clock
	Logger *slog.Logger
	Pulls  int // objects that are pulled at the same time; 0: 4
}

func (c *Config) fill() {
	if len(c.Groups) == 0 {
		c.Groups = []signet.Group{signet.DefaultVolume}
	}
	if c.Pulls == 0 {
		c.Pulls = defaultPulls
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// propose proposes a command and makes an error of a refusal.
func propose(ctx context.Context, l Log, g signet.Group, command any) (meta.Answer, error) {
	a, err := l.Propose(ctx, g, command)
	if err == nil && a.Result.Err != signet.OK {
		err = a.Result.Err
	}
	return a, err
}
