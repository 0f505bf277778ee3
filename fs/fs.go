package fs

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// Config is what an FS is made of. Names, Objects, Sealer and Clock must be set.
type Config struct {
	Names   Names
	Objects Objects
	Sealer  Sealer
	Clock   clock.Clock
	Limits  Limits // zero fields take their default
	// Report is told of what no caller will be told of, such as data that was given up
	// after its file was closed. It must not block. May be nil.
	Report func(error)
}

// FS is one mount of a volume. Its methods are used from many goroutines at once;
// each serves one Request and returns when its answer stands, with an error that has
// a signet.Kind. Names in arguments and results are unsealed.
type FS struct {
	names   Names
	objects Objects
	seal    Sealer
	clock   clock.Clock
	limits  Limits
	report  func(error)

	kernel kernelPort
	shown  shown
	moved  moved
	gate   Gate
	reads  reads
	kept   kept
	doubts doubts

	locks   locks
	reached reached // by the change feed

	nodes   nodes
	handles handles
	dirty   dirtyNodes
	atimes  atimes
	squash  squash
	idle    idle
	idleNow chan struct{} // there are many idle files
	memory  *budget       // bytes that programs wrote and that are not durable
	puts    *budget       // bytes being sealed and put
	ahead   *blocks       // sealed bytes read ahead

	life context.Context // of everything that goes on without a request
	end  context.CancelFunc
	work sync.WaitGroup
}

// Handle is an open file or directory of an FS. Zero is none.
type Handle uint64

// Entry is an inode found or made under a name, and for how long the kernel may go
// on believing that without asking.
type Entry struct {
	Attr     signet.Attr
	EntryTTL time.Duration
	AttrTTL  time.Duration
}

// OpenFlags tells the kernel how to treat an opened file.
type OpenFlags struct {
	KeepCache bool // its cached pages are still right
	DirectIO  bool // cache no pages
}

// New returns a mount of a volume. Its kernel comes with Attach, its change feed with
// Changed. Close must be called.
func New(c Config) *FS {
	f := &FS{
		names: c.Names, objects: c.Objects, seal: c.Sealer, clock: c.Clock,
		limits: c.Limits.withDefaults(), report: c.Report, idleNow: make(chan struct{}, 1),
	}
	if f.report == nil {
		f.report = func(error) {}
	}
	f.life, f.end = context.WithCancel(context.Background())
	f.memory = newBudget(f.limits.Dirty)
	f.puts = newBudget(int64(f.limits.Puts) * chunk)
	f.ahead = newBlocks(f.limits.Cache)
	f.atimes.sending = make(turn, 1)
	f.kernel.attach(NoKernel{})
	f.shown.begin(f.clock)
	f.work.Go(f.writeBack)
	f.work.Go(f.handBackIdle)
	return f
}

// Attach gives the FS the kernel of its mount. It must be called before the first
// request.
func (f *FS) Attach(k Kernel) { f.kernel.attach(k) }

// Close publishes what is dirty and unlocks what is locked, as far as ctx allows, and ends
// the background work.
// No request may be under way or come later.
func (f *FS) Close(ctx context.Context) error {
	err := f.Sync(ctx)
	f.unlockAll(ctx)
	f.handBackOlder(ctx, 0)
	f.end()
	f.work.Wait()
	return err
}

// kernelPort is the kernel and what is known of it.
type kernelPort struct {
	at     atomic.Pointer[Kernel]
	epochs atomic.Bool // it can forget names, so names may have a lifetime
	names  keptNames
}

func (p *kernelPort) attach(k Kernel) {
	p.names.begin()
	p.epochs.Store(k.DropNames() == nil)
	p.at.Store(&k)
}

func (p *kernelPort) get() Kernel { return *p.at.Load() }

// dropNames makes the kernel forget all names. If it cannot, no name has had a
// lifetime since it was attached, so there is nothing to forget.
func (p *kernelPort) dropNames(now time.Time) {
	if p.epochs.Load() {
		p.names.forget(now) // before: what is given a lifetime meanwhile may be forgotten or not
		if err := p.get().DropNames(); err != nil {
			p.epochs.Store(false)
		}
	}
}

// now is the time that changes made now carry.
func (f *FS) now() signet.Time {
	t := f.clock.Now()
	return signet.Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())}
}

// begin returns the context of a request's work. It ends at the deadline of calls,
// or a moment after the program was interrupted: the kernel passes harmless signals
// on too, and a call that is nearly done should rather be done.
func (f *FS) begin(r *Request) (context.Context, context.CancelFunc) {
	ctx, cancel := clock.WithTimeout(context.WithoutCancel(r.Ctx), f.clock, callTimeout)
	stop := context.AfterFunc(r.Ctx, func() {
		f.beGraceful(ctx, r.Killed)
		cancel()
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

// beGraceful waits for the grace of an interrupted call to be over, or ctx to end.
func (f *FS) beGraceful(ctx context.Context, killed func() bool) {
	grace := f.clock.NewTimer(interruptGrace)
	defer grace.Stop()
	var look <-chan time.Time
	if killed != nil {
		if killed() {
			return
		}
		t := f.clock.NewTicker(killedCheck)
		defer t.Stop()
		look = t.C()
	}
	for {
		select {
		case <-look:
			if killed() {
				return
			}
		case <-grace.C():
			return
		case <-ctx.Done():
			return
		}
	}
}

// later runs fn in the background, with a context that ends with the FS or the
// deadline of calls.
func (f *FS) later(fn func(ctx context.Context)) {
	f.work.Go(func() {
		ctx, cancel := clock.WithTimeout(f.life, f.clock, callTimeout)
		defer cancel()
		fn(ctx)
	})
}
