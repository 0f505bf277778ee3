package meta

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/signetfs/signet"
)

const (
	// formatOfTables is the database's own format. It is raised with a note in
	// docs/tables.md, never by a new version of the library.
	formatOfTables = pebble.FormatTableFormatV6

	defaultCache = 16 << 20
	writeBuffer  = 4 << 20 // twice: one that is written to, one that is being flushed
	maxOpenFiles = 256
)

// Open opens or creates the tables in o.Dir. It fails with WrongVersion for tables of
// a newer version of signet.
func Open(o Options) (*State, error) {
	s := &State{opts: o, flushed: make(chan struct{}, 1), stale: true}
	db, err := openTables(o, s.events(), false)
	if err != nil {
		return nil, err
	}
	last, err := positionIn(db, nil)
	if err != nil {
		return nil, errors.Join(signet.Wrap("open tables", o.Dir, err), db.Close())
	}
	s.db, s.apply = db, newTx(db, last)
	s.at.Store(&last)
	return s, nil
}

// openTables opens the database.
func openTables(o Options, events *pebble.EventListener, readOnly bool) (*pebble.DB, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	if o.Logger == nil {
		o.Logger = silent{}
	}
	opts := &pebble.Options{
		FS:                          o.FS,
		CacheSize:                   o.CacheBytes,
		DisableWAL:                  true, // the log of the group is its log
		FormatMajorVersion:          formatOfTables,
		MemTableSize:                writeBuffer,
		MemTableStopWritesThreshold: 2,
		MaxOpenFiles:                maxOpenFiles,
		Logger:                      o.Logger,
		EventListener:               events,
		ReadOnly:                    readOnly,
	}
	for i := range opts.Levels {
		// Most lookups are for names and inodes that are there, but every new name
		// and number is looked up once to see that it is not.
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		opts.Levels[i].FilterType = pebble.TableFilter
	}
	db, err := pebble.Open(o.Dir, opts)
	if err != nil {
		return nil, signet.Wrap("open tables", o.Dir, err)
	}
	return db, nil
}

// events are the database's own that matter here. They are called in the middle of
// its work, so they only leave a note.
func (s *State) events() *pebble.EventListener {
	return &pebble.EventListener{
		FlushEnd: func(i pebble.FlushInfo) {
			if i.Err != nil {
				return
			}
			s.mu.Lock()
			s.stale = true
			s.mu.Unlock()
			select {
			case s.flushed <- struct{}{}:
			default: // a note lies there already
			}
		},
		BackgroundError: func(err error) { s.fail(signet.Wrap("write tables", "", err)) },
	}
}

// silent is the logger of a database that nobody listens to.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}

// Fatalf is called where the database cannot go on, from whatever goroutine, and must
// not return.
func (silent) Fatalf(format string, args ...any) {
	panic("meta: database: " + fmt.Sprintf(format, args...))
}

// positionIn reads the position in the log.
func positionIn(db *pebble.DB, o *pebble.IterOptions) (p Position, err error) {
	it, err := db.NewIter(o)
	if err != nil {
		return p, err
	}
	if key := metaKey(0, rowApplied); it.SeekGE(key) && string(it.Key()) == string(key) {
		c := coder{reading: true}
		err = decode(&c, it.Value(), codePosition, &p)
	}
	return p, errors.Join(err, it.Close())
}

// Close flushes and closes the tables. Readers must be closed before.
func (s *State) Close() error {
	if s.pending != nil {
		s.pending.batch.Close()
		s.pending = nil
	}
	_, err := s.Flush()
	return errors.Join(err, signet.Wrap("close tables", s.opts.Dir, s.db.Close()))
}

// Flush writes everything published so far to disk and returns the durable position.
func (s *State) Flush() (Position, error) {
	if err := s.db.Flush(); err != nil {
		err = signet.Wrap("flush tables", s.opts.Dir, err)
		s.fail(err)
		return Position{}, err
	}
	p, err := s.readDurable()
	if err != nil {
		s.fail(err)
	}
	return p, err
}

// Durable returns the newest position that a crash cannot take back: the log may be
// cut up to there.
func (s *State) Durable() Position {
	s.mu.Lock()
	p, stale := s.durable, s.stale
	// The note is taken down before reading: a flush that ends meanwhile puts it back.
	s.stale = false
	s.mu.Unlock()
	if !stale {
		return p
	}
	p, err := s.readDurable()
	if err != nil {
		s.fail(err)
	}
	return p
}

// readDurable asks the database what of it is on disk.
func (s *State) readDurable() (Position, error) {
	p, err := positionIn(s.db, &pebble.IterOptions{OnlyReadGuaranteedDurable: true})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		return s.durable, signet.Wrap("read tables", s.opts.Dir, err)
	}
	if p.Index > s.durable.Index {
		s.durable = p
	}
	return s.durable, nil
}

// Flushed is sent to, without waiting, whenever Durable may have risen.
func (s *State) Flushed() <-chan struct{} { return s.flushed }

// Checkpoint makes a copy of the tables in dir, which must not exist, out of hard
// links where it can, and returns its position. A State opened on a copy of dir's
// files is at that position.
func (s *State) Checkpoint(dir string) (Position, error) {
	if _, err := s.Flush(); err != nil {
		return Position{}, err
	}
	if err := s.db.Checkpoint(dir); err != nil {
		return Position{}, signet.Wrap("copy tables", dir, err)
	}
	// More may have been flushed since: the copy itself knows where it is.
	db, err := openTables(Options{FS: s.opts.FS, Dir: dir, CacheBytes: 1 << 20, Logger: s.opts.Logger}, nil, true)
	if err != nil {
		return Position{}, err
	}
	p, err := positionIn(db, nil)
	return p, signet.Wrap("copy tables", dir, errors.Join(err, db.Close()))
}
