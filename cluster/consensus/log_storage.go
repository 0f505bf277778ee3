package consensus

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/signetfs/signet"
)

var _ raft.Storage = (*Log)(nil)

// InitialState implements raft.Storage.
func (l *Log) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hard, l.state.confState(), nil
}

// FirstIndex implements raft.Storage.
func (l *Log) FirstIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base.index + 1, nil
}

// LastIndex implements raft.Storage.
func (l *Log) LastIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, nil
}

// Term implements raft.Storage.
func (l *Log) Term(index uint64) (uint64, error) {
	l.mu.Lock()
	base, last := l.base, l.last
	e := l.cached(index)
	l.mu.Unlock()
	switch {
	case index == base.index:
		return base.term, nil
	case index < base.index:
		return 0, raft.ErrCompacted
	case index > last:
		return 0, raft.ErrUnavailable
	case e != nil:
		return e.GetTerm(), nil
	}
	e, err := l.read(index)
	if err != nil {
		return 0, err
	}
	return e.GetTerm(), nil
}

// cached returns the entry at index if it is in the tail.
func (l *Log) cached(index uint64) *raftpb.Entry {
	if len(l.tail) == 0 || index < l.tail[0].GetIndex() || index > l.last {
		return nil
	}
	return l.tail[index-l.tail[0].GetIndex()]
}

func (l *Log) read(index uint64) (*raftpb.Entry, error) {
	v, closer, err := l.db.Get(entryKey(index))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, raft.ErrCompacted // forgotten between the caller's check and here
	}
	if err != nil {
		return nil, signet.Wrap("read log", "", err)
	}
	defer closer.Close()
	e := &raftpb.Entry{}
	if err := proto.Unmarshal(v, e); err != nil || e.GetIndex() != index {
		return nil, signet.Errorf(signet.Corrupt, "read log", "", "entry %d does not decode", index)
	}
	return e, nil
}

// Entries implements raft.Storage.
func (l *Log) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	l.mu.Lock()
	base, last := l.base, l.last
	if lo <= base.index {
		l.mu.Unlock()
		return nil, raft.ErrCompacted
	}
	if hi > last+1 {
		l.mu.Unlock()
		return nil, raft.ErrUnavailable
	}
	var out []*raftpb.Entry
	var size uint64
	full := func(e *raftpb.Entry) bool {
		size += uint64(proto.Size(e))
		return len(out) > 0 && size > maxSize
	}
	if l.cached(lo) != nil {
		defer l.mu.Unlock()
		for i := lo; i < hi; i++ {
			e := l.cached(i)
			if full(e) {
				break
			}
			out = append(out, e)
		}
		return out, nil
	}
	l.mu.Unlock()
	for i := lo; i < hi; i++ {
		e, err := l.read(i)
		if err != nil {
			return nil, err
		}
		if full(e) {
			break
		}
		out = append(out, e)
	}
	return out, nil
}

// Snapshot implements raft.Storage. It is asked for when a follower needs entries that
// are compacted.
func (l *Log) Snapshot() (*raftpb.Snapshot, error) { return l.state.snapshot() }
