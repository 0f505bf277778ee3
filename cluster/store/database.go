package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/disk"
)

// openDatabase opens the database with what memory a host on a small machine has.
func (s *Disk) openDatabase() error {
	cache := pebble.NewCache(16 << 20)
	defer cache.Unref()
	o := &pebble.Options{
		FS:     s.d.FS(),
		Cache:  cache,
		Logger: pebbleLog{s},
		Merger: sumMerger(),
		// Explicit: the default is the oldest. A newer one is a decision, since older
		// programs cannot read it.
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		MemTableSize:                4 << 20,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                256,
		EventListener: &pebble.EventListener{
			// The default ends the process at the first damaged block. Here it is one
			// damaged object, which the ring heals.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				s.log.Error("damaged table in the object store", "path", i.Path, "err", i.Details)
			},
			BackgroundError: func(err error) { s.log.Error("object store in the background", "err", err) },
		},
	}
	// What is sealed does not get smaller.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range o.Levels {
		// Most questions about addresses are about ones that are not here.
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := openPebble(path.Join(s.dir, "db"), o)
	if err != nil {
		return databaseError("open store", s.dir, err)
	}
	s.db = db
	return nil
}

// openPebble opens the database and turns its giving up into an error.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer catch(&err)
	return pebble.Open(dir, o)
}

// checkVersion refuses another layout and notes this one in a new database.
func (s *Disk) checkVersion() error {
	b, err := s.read([]byte{versionTable})
	if signet.KindOf(err) == signet.NotFound {
		batch := s.db.NewBatch()
		if err := batch.Set([]byte{versionTable}, []byte{layoutVersion}, nil); err != nil {
			return err
		}
		return s.commit(batch, true)
	}
	if err != nil {
		return err
	}
	if len(b) != 1 || b[0] != layoutVersion {
		return signet.Errorf(signet.WrongVersion, "open store", s.dir,
			"its layout is of version %x, this program knows %d: use a newer signet", b, layoutVersion)
	}
	return nil
}

// read returns a copy of a row, or NotFound.
func (s *Disk) read(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if err != nil {
		return nil, databaseError("read store", "", err)
	}
	defer closer.Close()
	return append(make([]byte, 0, len(v)), v...), nil
}

// index returns the index row of an object, or NotFound.
func (s *Disk) index(k objectKey) (indexRow, error) {
	v, closer, err := s.db.Get(rowKey(indexTable, k))
	if err != nil {
		return indexRow{}, databaseError("read store", k.address.String(), err)
	}
	defer closer.Close()
	return decodeIndex(v)
}

// mark returns the mark of an object and whether there is one.
func (s *Disk) mark(k objectKey) (markRow, bool, error) {
	v, closer, err := s.db.Get(rowKey(markTable, k))
	if errors.Is(err, pebble.ErrNotFound) {
		return markRow{}, false, nil
	}
	if err != nil {
		return markRow{}, false, databaseError("read store", k.address.String(), err)
	}
	defer closer.Close()
	r, err := decodeMark(v)
	return r, err == nil, err
}

// commit writes a batch, durably if sync is set; else it becomes durable with any
// later batch that is, or not at all. It closes the batch.
func (s *Disk) commit(b *pebble.Batch, sync bool) error {
	if !sync {
		err := apply(func() error { return s.db.Apply(b, pebble.NoSync) })
		return s.committed(b, err)
	}
	if err := s.begin(b); err != nil {
		return err
	}
	return s.finish(b)
}

// begin starts writing a batch durably: its rows are visible, and finish, which must
// be called, waits until they are durable.
func (s *Disk) begin(b *pebble.Batch) error {
	// This way an error of the log comes back from finish, where the plain one would
	// have the database give up.
	err := apply(func() error { return s.db.ApplyNoSyncWait(b, pebble.Sync) })
	if err != nil {
		return s.committed(b, err)
	}
	return nil
}

// finish waits for a batch that begin has started.
func (s *Disk) finish(b *pebble.Batch) error { return s.committed(b, b.SyncWait()) }

// committed ends a batch. After any error it is not known what of it a crash would
// keep, and the log of the database takes no more: the store has failed.
func (s *Disk) committed(b *pebble.Batch, err error) error {
	if err == nil {
		return disk.Error("write store", s.dir, b.Close())
	}
	var up *gaveUp
	if errors.As(err, &up) {
		s.stuck.Store(true)
	}
	return s.fail(databaseError("write store", s.dir, err))
}

// gaveUp is what the database panics with when it cannot go on: it expects its
// logger to end the process then.
type gaveUp struct{ text string }

func (g *gaveUp) Error() string { return g.text }

// apply calls f and turns the database's giving up into an error. Where it gives up
// in a goroutine of its own, or cannot even begin a new log file, the process ends
// all the same: what its tables are then, nobody may guess. The next start knows.
func apply(f func() error) (err error) {
	defer catch(&err)
	return f()
}

func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case *gaveUp:
		*err = r
	default:
		panic(r)
	}
}

// databaseError gives an error of the database its kind.
func databaseError(op, subject string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pebble.ErrNotFound):
		return &signet.Error{Kind: signet.NotFound, Op: op, Subject: subject}
	case pebble.IsCorruptionError(err):
		return &signet.Error{Kind: signet.Corrupt, Op: op, Subject: subject, Err: err}
	}
	return disk.Error(op, subject, err)
}

// pebbleLog is where the database reports.
type pebbleLog struct{ s *Disk }

func (l pebbleLog) Infof(format string, args ...any) {
	if l.s.log.Enabled(context.Background(), slog.LevelDebug) {
		l.s.log.Debug("object store: " + fmt.Sprintf(format, args...))
	}
}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.s.log.Error("object store: " + fmt.Sprintf(format, args...))
}

func (l pebbleLog) Fatalf(format string, args ...any) {
	up := &gaveUp{fmt.Sprintf(format, args...)}
	l.s.stuck.Store(true)
	_ = l.s.fail(up)
	panic(up)
}
