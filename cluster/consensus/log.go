package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/signetfs/signet"
)

// The keys of the log's database. Entries sort by index; the rest are single rows.
// The format is described in docs/log.md.
var (
	keyVersion = []byte{0x00}
	keyState   = []byte{0x01} // raftpb.HardState
	keyBase    = []byte{0x02} // index and term just before the first entry, 8 + 8 bytes
)

const (
	entryTable = 0x10

	// LogVersion is the format of the log's database. A log of a newer version is
	// refused.
	LogVersion = 1

	// tailBytes bounds the newest entries kept in memory: what followers are sent next
	// is almost always among them.
	tailBytes = 4 << 20
)

// Log keeps Raft's entries and votes in a database of its own. It is the library's
// Storage. What append was told to sync is durable when it returns. Methods may be called from any
// goroutine, append and reset from one at a time, compact from another.
type Log struct {
	db *pebble.DB

	cut sync.Mutex // held while the beginning moves: compact and reset have loops of their own

	mu    sync.Mutex // guards what follows
	hard  *raftpb.HardState
	base  entryID // just before the first entry
	last  uint64
	tail  []*raftpb.Entry // newest entries, contiguous, up to and including last
	bytes int             // of tail

	// state supplies what belongs to the state machine: its configuration at start and
	// the snapshot that a follower too far behind needs.
	state snapshotSource
}

type entryID struct{ index, term uint64 }

// snapshotSource is what Log asks of the state machine on behalf of the library.
type snapshotSource interface {
	confState() *raftpb.ConfState
	snapshot() (*raftpb.Snapshot, error)
}

func entryKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{entryTable}, index)
}

// openLog opens the log below dir, or makes an empty one.
func openLog(fs vfs.FS, dir string, logger pebble.Logger) (*Log, error) {
	if logger == nil {
		logger = silent{}
	}
	opts := &pebble.Options{
		FS:                          fs,
		FormatMajorVersion:          pebble.FormatTableFormatV6, // pinned: a newer library does not change it by itself
		MemTableSize:                8 << 20,
		MemTableStopWritesThreshold: 4,
		CacheSize:                   1 << 20, // entries are read from tail; the rest is for catching up
		MaxOpenFiles:                64,
		Logger:                      logger,
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, signet.Wrap("open log", dir, err)
	}
	l := &Log{db: db, hard: &raftpb.HardState{}}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return l, nil
}

func (l *Log) load() error {
	v, err := l.row(keyVersion)
	switch {
	case err != nil:
		return err
	case v == nil:
		return signet.Wrap("start log", "", l.db.Set(keyVersion, []byte{LogVersion}, pebble.Sync))
	case len(v) != 1 || v[0] > LogVersion:
		return signet.Errorf(signet.WrongVersion, "open log", "", "the log is of format %x, this program knows %d: use a newer signet", v, LogVersion)
	}
	if v, err = l.row(keyState); err != nil {
		return err
	}
	if err := proto.Unmarshal(v, l.hard); err != nil {
		return signet.Errorf(signet.Corrupt, "open log", "vote", "%w", err)
	}
	if v, err = l.row(keyBase); err != nil {
		return err
	}
	if len(v) == 16 {
		l.base = entryID{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])}
	}
	l.last = l.base.index
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{entryTable}, UpperBound: []byte{entryTable + 1}})
	if err != nil {
		return signet.Wrap("open log", "", err)
	}
	if it.Last() {
		l.last = max(l.last, binary.BigEndian.Uint64(it.Key()[1:]))
	}
	return signet.Wrap("open log", "", it.Close())
}

// row returns a copy of a single row, nil if there is none.
func (l *Log) row(key []byte) ([]byte, error) {
	v, closer, err := l.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, signet.Wrap("read log", "", err)
	}
	v = append([]byte{}, v...)
	return v, signet.Wrap("read log", "", closer.Close())
}

// committedTo notes that everything up to index is known to be committed. Only for use
// before the library starts: a commit index need not be durable, but the tables tell.
func (l *Log) committedTo(index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hard.GetCommit() < index {
		l.hard = &raftpb.HardState{Term: l.hard.Term, Vote: l.hard.Vote, Commit: &index}
	}
}

// Close closes the database.
func (l *Log) Close() error { return l.db.Close() }

// append writes the entries, the vote and the term of m and makes them durable if
// they must be. Entries replace whatever stood at their index and after.
//
// A commit index that comes alone is kept in memory and written with the next entries,
// not later: a change of members follows another only once that is committed, so a host
// that starts again knows of all changes but the last, and cannot elect itself in a
// configuration that is two changes old.
func (l *Log) append(entries []*raftpb.Entry, hard *raftpb.HardState, sync bool) error {
	l.mu.Lock()
	last, known := l.last, l.hard
	l.mu.Unlock()
	if raft.IsEmptyHardState(hard) {
		hard = known
	}
	b := l.db.NewBatch()
	defer b.Close()
	voted := hard.GetTerm() != known.GetTerm() || hard.GetVote() != known.GetVote()
	if voted || len(entries) > 0 {
		v, err := proto.Marshal(hard)
		if err != nil {
			return err
		}
		if err := b.Set(keyState, v, nil); err != nil {
			return err
		}
	}
	if len(entries) > 0 {
		first := entries[0].GetIndex()
		if first <= last { // a new leader's entries replace ours
			if err := b.DeleteRange(entryKey(first), entryKey(last+1), nil); err != nil {
				return err
			}
		}
		for _, e := range entries {
			v, err := proto.Marshal(e)
			if err != nil {
				return err
			}
			if err := b.Set(entryKey(e.GetIndex()), v, nil); err != nil {
				return err
			}
		}
	}
	o := pebble.NoSync
	if sync {
		o = pebble.Sync
		// The database passes over an empty batch, to be synced or not. What earlier calls
		// wrote unsynced must be durable all the same.
		if b.Empty() {
			if err := b.LogData([]byte("sync"), nil); err != nil {
				return err
			}
		}
	}
	if !b.Empty() {
		if err := b.Commit(o); err != nil {
			return signet.Wrap("append to log", "", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hard = hard
	l.remember(entries)
	return nil
}

// remember puts entries at the end of the tail and cuts it to its bound.
func (l *Log) remember(entries []*raftpb.Entry) {
	for _, e := range entries {
		i := e.GetIndex()
		if n := len(l.tail); n > 0 {
			first := l.tail[0].GetIndex()
			switch {
			case i < first || i > first+uint64(n):
				l.tail, l.bytes = nil, 0
			case i < first+uint64(n):
				for _, old := range l.tail[i-first:] {
					l.bytes -= len(old.GetData())
				}
				l.tail = append([]*raftpb.Entry{}, l.tail[:i-first]...)
			}
		}
		l.tail = append(l.tail, e)
		l.bytes += len(e.GetData())
		l.last = i
	}
	drop := 0
	for l.bytes > tailBytes && drop < len(l.tail)-1 {
		l.bytes -= len(l.tail[drop].GetData())
		drop++
	}
	if drop > 0 {
		l.tail = append([]*raftpb.Entry{}, l.tail[drop:]...)
	}
}

// compact forgets the entries up to and including index, which the state machine has
// made durable.
func (l *Log) compact(index uint64) error {
	l.cut.Lock()
	defer l.cut.Unlock()
	l.mu.Lock()
	first := l.base.index + 1
	l.mu.Unlock()
	if index < first {
		return nil // a snapshot came in between
	}
	term, err := l.Term(index)
	if err != nil {
		return signet.Wrap("compact log", "", err)
	}
	b := l.db.NewBatch()
	defer b.Close()
	if err := errors.Join(setBase(b, entryID{index, term}),
		b.DeleteRange(entryKey(first), entryKey(index+1), nil)); err != nil {
		return err
	}
	// Not synced: forgetting is never urgent, and what comes back is only older.
	if err := b.Commit(pebble.NoSync); err != nil {
		return signet.Wrap("compact log", "", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.base = entryID{index, term}
	if n := len(l.tail); n > 0 && l.tail[0].GetIndex() <= index {
		cut := min(uint64(n), index-l.tail[0].GetIndex()+1)
		for _, e := range l.tail[:cut] {
			l.bytes -= len(e.GetData())
		}
		l.tail = append([]*raftpb.Entry{}, l.tail[cut:]...)
	}
	return nil
}

// reset throws all entries away and starts after at, the end of a snapshot that the
// state machine has taken over and made durable.
func (l *Log) reset(at entryID, hard *raftpb.HardState) error {
	l.cut.Lock()
	defer l.cut.Unlock()
	b := l.db.NewBatch()
	defer b.Close()
	err := errors.Join(setBase(b, at), b.DeleteRange(entryKey(0), entryKey(math.MaxUint64), nil))
	if err == nil && !raft.IsEmptyHardState(hard) {
		var v []byte
		if v, err = proto.Marshal(hard); err == nil {
			err = b.Set(keyState, v, nil)
		}
	}
	if err == nil {
		err = b.Commit(pebble.Sync)
	}
	if err != nil {
		return signet.Wrap("reset log", "", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.base, l.last, l.tail, l.bytes = at, at.index, nil, 0
	if !raft.IsEmptyHardState(hard) {
		l.hard = hard
	}
	return nil
}

func setBase(b *pebble.Batch, at entryID) error {
	v := binary.BigEndian.AppendUint64(nil, at.index)
	return b.Set(keyBase, binary.BigEndian.AppendUint64(v, at.term), nil)
}

// silent drops what a database has to say, unless it cannot go on.
type silent struct{}

func (silent) Infof(string, ...any)              {}
func (silent) Errorf(string, ...any)             {}
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
