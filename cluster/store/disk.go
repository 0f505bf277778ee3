package store

import (
	"context"
	"log/slog"
	"path"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/disk"
)

// smallObject is the length from which an object gets a file of its own. Below, the
// database is several times faster; at 4 MiB it is several times slower, since it
// writes every byte at least twice. It may change: each index row says where its
// object is.
const smallObject = 64 << 10

// Options are what OpenDisk needs.
type Options struct {
	Disk  *disk.Disk
	Dir   string      // in Disk; made if it is not there
	Clock clock.Clock // nil: the machine's
	Log   *slog.Logger
	// Capacity is how many bytes of objects the store may hold; 0: what the disk has.
	Capacity uint64
	// Reserve is how much of the disk stays free, whatever is put; 0: 256 MiB or 5 %
	// of the disk, whichever is more.
	Reserve uint64
	// Failed is called once, with why, when the store cannot go on because its
	// database could not write. Later calls fail with that. nil: nobody is told.
	Failed func(error)
}

// Disk is the store on a local disk. Small objects are rows of a database, others a
// file each; every object has an index row, so who asks what is here asks only the
// database.
//
// What holds at every moment, so that a crash needs no scan:
//
//	I1  An index row of a file exists only while the file is durable under its name.
//	I2  A file has its name only while the object has an index row or a mark, durably.
//	I3  A mark of a put object is durable before its put returns, and goes only after
//	    the index row: both are in one log, of which a crash keeps a prefix.
//	I4  What the objects of a group amount to changes in the same batch as their
//	    index rows.
//
// So after a crash only marks without an index row are in doubt (recover.go).
type Disk struct {
	d     *disk.Disk
	dir   string
	log   *slog.Logger
	db    *pebble.DB
	locks *locks
	room  *room
	dirs  *shards

	failure func(error)
	failed  atomic.Pointer[signet.Error] // set once: why nothing goes any more
	stuck   atomic.Bool                  // the database gave up within a call; it cannot be closed

	// life is held for reading by every call and for writing by Close.
	life   sync.RWMutex
	closed bool
}

var _ Local = (*Disk)(nil)

// OpenDisk opens the store in a directory of a disk, makes it if there is none, and
// settles what a crash left.
func OpenDisk(o Options) (*Disk, error) {
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Log == nil {
		o.Log = discard()
	}
	s := &Disk{d: o.Disk, dir: o.Dir, log: o.Log, locks: newLocks(), failure: o.Failed}
	s.room = &room{ask: o.Disk.Space, clock: o.Clock, capacity: o.Capacity, reserve: o.Reserve}
	s.dirs = &shards{d: o.Disk, root: path.Join(o.Dir, "objects"), groups: map[signet.Group]*[shardCount]shard{}}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if err := s.openDatabase(); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		_ = s.db.Close()
		return nil, err
	}
	return s, nil
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// prepare makes the directories and throws away what puts under way at a crash left
// on file systems where temporary files have names.
func (s *Disk) prepare() error {
	for _, dir := range []string{s.dir, s.dirs.root, s.scratch()} {
		if err := s.d.MakeDirs(dir); err != nil {
			return err
		}
	}
	for _, dir := range []string{path.Dir(s.dir), s.dir} {
		if err := s.d.SyncDir(dir); err != nil {
			return err
		}
	}
	names, err := s.d.List(s.scratch())
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := s.d.RemoveObject(path.Join(s.scratch(), n)); err != nil {
			return err
		}
	}
	return nil
}

// start reads what there is, once the database is open.
func (s *Disk) start() error {
	if err := s.checkVersion(); err != nil {
		return err
	}
	if err := s.settle(); err != nil {
		return err
	}
	sum, err := s.readSums()
	if err != nil {
		return err
	}
	s.room.objects.Store(sum.objects)
	s.room.used.Store(sum.bytes)
	s.dirs.startAt(uint64(max(0, sum.objects)))
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	return s.room.refresh()
}

// scratch is where temporary files are that need a name.
func (s *Disk) scratch() string { return path.Join(s.dir, "tmp") }

// enter begins a call, unless the store is closed or has failed; leave ends it.
func (s *Disk) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.life.RLock()
	err := s.alive()
	if err != nil {
		s.life.RUnlock()
	}
	return err
}

func (s *Disk) leave() { s.life.RUnlock() }

func (s *Disk) alive() error {
	if s.closed {
		return signet.Errorf(signet.Closed, "use store", "", "it is closed")
	}
	if f := s.failed.Load(); f != nil {
		return f
	}
	return nil
}

// fail ends the store: its database could not write, so nobody knows what it will
// have after a crash. It returns err.
func (s *Disk) fail(err error) error {
	f := &signet.Error{Kind: signet.Disk, Op: "use store", Err: err}
	if s.failed.CompareAndSwap(nil, f) {
		s.log.Error("object store has failed", "err", err)
		if s.failure != nil {
			s.failure(f)
		}
	}
	return err
}

// Stat says what is used and what is left.
func (s *Disk) Stat() Usage { return s.room.usage() }

// Close ends the store after the calls under way.
func (s *Disk) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.stuck.Load() {
		return s.failed.Load()
	}
	err := s.db.Close()
	if f := s.failed.Load(); f != nil {
		return f // the database's complaint follows from that
	}
	return disk.Error("close store", s.dir, err)
}
