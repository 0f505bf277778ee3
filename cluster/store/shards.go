package store

import (
	"encoding/hex"
	"fmt"
	"path"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/disk"
)

const (
	shardCount = 256
	// perShard is how many files go into one directory before the next is used. Puts
	// at the same time share a directory, so that they share its sync; with 256 of
	// them taking turns none grows beyond what file systems like.
	perShard = 1024
)

// shards are the directories of object files: root/group/shard/address.
type shards struct {
	d    *disk.Disk
	root string

	mu     sync.Mutex
	turn   uint64 // files made so far, roughly
	groups map[signet.Group]*groupDirs
}

// groupDirs are the directories of one group.
type groupDirs struct {
	once  sync.Once
	err   error
	syncs [shardCount]rounds
}

// startAt makes the directories' turns go on about where they were.
func (s *shards) startAt(objects uint64) { s.turn = objects }

// next returns the directory for a new file, which exists.
func (s *shards) next(g signet.Group) (uint8, error) {
	s.mu.Lock()
	s.turn++
	shard := uint8(s.turn / perShard % shardCount)
	s.mu.Unlock()
	return shard, s.ensure(g)
}

// ensure makes the directories of a group before their first use.
func (s *shards) ensure(g signet.Group) error {
	dirs := s.group(g)
	dirs.once.Do(func() { dirs.err = s.make(g) })
	if dirs.err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[g] == dirs {
		delete(s.groups, g) // the next put tries again
	}
	return dirs.err
}

func (s *shards) make(g signet.Group) error {
	top := s.groupDir(g)
	if names, err := s.d.List(top); err == nil && len(names) == shardCount {
		// They may be there without being durable, if the last start died right here.
		return s.syncAbove(top)
	}
	for i := range shardCount {
		if err := s.d.MakeDirs(s.dir(g, uint8(i))); err != nil {
			return err
		}
	}
	return s.syncAbove(top)
}

func (s *shards) syncAbove(top string) error {
	if err := s.d.SyncDir(top); err != nil {
		return err
	}
	return s.d.SyncDir(s.root)
}

func (s *shards) group(g signet.Group) *groupDirs {
	s.mu.Lock()
	defer s.mu.Unlock()
	dirs := s.groups[g]
	if dirs == nil {
		dirs = new(groupDirs)
		s.groups[g] = dirs
	}
	return dirs
}

func (s *shards) groupDir(g signet.Group) string {
	return path.Join(s.root, fmt.Sprintf("%08x", uint32(g)))
}

func (s *shards) dir(g signet.Group, shard uint8) string {
	return path.Join(s.groupDir(g), hex.EncodeToString([]byte{shard}))
}

func (s *shards) file(k objectKey, shard uint8) string {
	return path.Join(s.dir(k.group, shard), k.address.String())
}

// sync makes the names in a directory durable, once for all who ask meanwhile.
func (s *shards) sync(g signet.Group, shard uint8) error {
	return s.group(g).syncs[shard].join(func() error { return s.d.SyncDir(s.dir(g, shard)) })
}

// rounds lets callers share one run of something that takes time: who comes while it
// runs shares the next run, which begins after they came.
type rounds struct {
	run  sync.Mutex // held by the run under way
	mu   sync.Mutex
	next *round // not begun yet; guarded by mu
}

type round struct {
	done chan struct{}
	err  error
}

// join returns what a run of f says that began after join was called.
func (r *rounds) join(f func() error) error {
	r.mu.Lock()
	mine := r.next
	if mine != nil {
		r.mu.Unlock()
		<-mine.done
		return mine.err
	}
	mine = &round{done: make(chan struct{})}
	r.next = mine
	r.mu.Unlock()

	r.run.Lock()
	r.mu.Lock()
	r.next = nil // from here on it is too late to share this one
	r.mu.Unlock()
	mine.err = f()
	r.run.Unlock()
	close(mine.done)
	return mine.err
}
