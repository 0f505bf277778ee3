package meta

import (
	"fmt"
	"sync"
	"sync/atomic"

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
	opts    Options
	db      *pebble.DB
	flushed chan struct{}

	// apply belongs to the goroutine that calls Prepare and Publish.
	apply   *tx
	pending *Step

	// turn is odd while a step is being published. A reader opened while it was even
	// and did not move shows exactly the position at.
	turn atomic.Uint64
	at   atomic.Pointer[Position]

	mu      sync.Mutex // guards what follows
	failed  error
	durable Position
	stale   bool // durable may be behind
}

// Applied returns the newest published position.
func (s *State) Applied() (signet.Index, signet.Digest) {
	p := s.at.Load()
	return p.Index, p.Digest
}

// Position is Applied with the entry's term.
func (s *State) Position() Position { return *s.at.Load() }

// Prepare applies the entries, which must follow the newest one prepared without a
// gap (those at or below it are skipped). The step must be published before the next
// Prepare. An error is final: this host must stop applying. It is ErrUnknown for a
// command that this code does not know, else what the disk said.
func (s *State) Prepare(entries []Entry) (*Step, error) {
	if err := s.Err(); err != nil {
		return nil, err
	}
	if s.pending != nil {
		return nil, signet.Errorf(signet.Invalid, "prepare entries", "", "the step before is not published")
	}
	st, err := s.prepare(entries)
	if err != nil {
		s.fail(err)
		st.batch.Close()
		return nil, err
	}
	s.pending = st
	return st, nil
}

func (s *State) prepare(entries []Entry) (*Step, error) {
	t := s.apply
	st := t.begin()
	for i := range entries {
		e := &entries[i]
		if e.Index <= t.last.Index {
			continue
		}
		if e.Index != t.last.Index+1 {
			return st, signet.Errorf(signet.Invalid, "apply entry", fmt.Sprint(e.Index), "does not follow %d", t.last.Index)
		}
		if err := t.entry(e); err != nil {
			return st, err
		}
	}
	st.End = t.last
	st.Batch.Index = t.last.Index
	t.out.enc.Reset()
	codePosition(&t.out, &st.End)
	err := t.batch.Set(metaKey(0, rowApplied), t.out.enc.Buf(), nil)
	t.fail(signet.Wrap("write tables", "", err))
	return st, t.err
}

// Publish makes a prepared step visible to readers at once. It does not wait for the
// disk, only, when the disk cannot keep up, for room in the write buffers.
func (s *State) Publish(st *Step) error {
	if err := s.Err(); err != nil {
		return err
	}
	if st == nil || st != s.pending {
		return signet.Errorf(signet.Invalid, "publish step", "", "not the step that was prepared last")
	}
	s.pending = nil
	s.turn.Add(1)
	err := s.db.Apply(st.batch, pebble.NoSync)
	if err == nil {
		s.at.Store(&Position{st.End.Index, st.End.Term, st.End.Digest})
	}
	s.turn.Add(1)
	if err == nil {
		err = st.batch.Close()
	}
	st.batch = nil
	if err != nil {
		err = signet.Wrap("publish step", "", err)
		s.fail(err)
	}
	return err
}

// Err returns why the state has failed, nil if it has not.
func (s *State) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// fail ends the state.
func (s *State) fail(err error) {
	s.mu.Lock()
	first := s.failed == nil
	if first {
		s.failed = err
	}
	s.mu.Unlock()
	if first && s.opts.Failed != nil {
		s.opts.Failed(err)
	}
}
