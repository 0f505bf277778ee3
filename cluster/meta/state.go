package meta

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signetfs/signet"
)

// Options says where the tables are and what they may use.
type Options struct {
	FS         vfs.FS
	Dir        string
	CacheBytes int64         // 0: 16 MiB
	Logger     pebble.Logger // of the database; nil: silent
	Failed     func(error)   // called at most once, when the state failed in the background; may be nil
}

// State is the replicated state on this host.
type State struct {
	db *pebble.DB
}

var errLater = signet.Errorf(signet.NotSupported, "meta", "", "being written")

// Open opens or creates the tables in o.Dir. It fails with WrongVersion for tables of
// a newer version of signet.
func Open(o Options) (*State, error) { return nil, errLater }

// Close flushes and closes the tables. Readers must be closed before.
func (s *State) Close() error { return errLater }

// Applied returns the newest published position.
func (s *State) Applied() (signet.Index, signet.Digest) { return 0, signet.Digest{} }

// Position is Applied with the entry's term.
func (s *State) Position() Position { return Position{} }

// Prepare applies the entries, which must follow the newest one prepared without a
// gap (those at or below it are skipped). The step must be published before the next
// Prepare. An error is final: this host must stop applying. It is ErrUnknown for a
// command that this code does not know, else what the disk said.
func (s *State) Prepare(entries []Entry) (*Step, error) { return nil, errLater }

// Publish makes a prepared step visible to readers at once. It does not wait for the
// disk, only, when the disk cannot keep up, for room in the write buffers.
func (s *State) Publish(st *Step) error { return errLater }

// Flush writes everything published so far to disk and returns the durable position.
func (s *State) Flush() (Position, error) { return Position{}, errLater }

// Durable returns the newest position that a crash cannot take back: the log may be
// cut up to there.
func (s *State) Durable() Position { return Position{} }

// Flushed is sent to, without waiting, whenever Durable may have risen.
func (s *State) Flushed() <-chan struct{} { return nil }

// Checkpoint makes a copy of the tables in dir, which must not exist, out of hard
// links where it can, and returns its position. A State opened on a copy of dir's
// files is at that position.
func (s *State) Checkpoint(dir string) (Position, error) { return Position{}, errLater }

// Reader opens a consistent reading of what is published, of the volume with the
// given group and of the cluster. It must be closed.
func (s *State) Reader(g signet.Group) *Reader { return nil }
