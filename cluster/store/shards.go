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
	groups map[signet.Group]*[shardCount]shard
}

// shard is one directory.
type shard struct {
	syncs rounds

	mu   sync.Mutex // held while the directory is made
	made bool
}

// startAt makes the directories' turns go on about where they were.
func (s *shards) startAt(objects uint64) { s.turn = objects }

// next returns the directory for a new file, which is durably there.
func (s *shards) next(g signet.Group) (uint8, error) {
	s.mu.Lock()
	s.turn++
	number := uint8(s.turn / perShard % shardCount)
	s.mu.Unlock()
	sh := s.shard(g, number)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.made {
		return number, nil
	}
	// Even if it is there it may not be durable: the last start may have died here.
	if err := s.d.MakeDirs(s.dir(g, number)); err != nil {
		return 0, err
	}
	for _, above := range []string{s.groupDir(g), s.root} {
		if err := s.d.SyncDir(above); err != nil {
			return 0, err
		}
	}
	sh.made = true
	return number, nil
}

func (s *shards) shard(g signet.Group, number uint8) *shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.groups[g]
	if of == nil {
		of = new([shardCount]shard)
		s.groups[g] = of
	}
	return &of[number]
}

func (s *shards) groupDir(g signet.Group) string {
	return path.Join(s.root, fmt.Sprintf("%08x", uint32(g)))
}

func (s *shards) dir(g signet.Group, number uint8) string {
	return path.Join(s.groupDir(g), hex.EncodeToString([]byte{number}))
}

func (s *shards) file(k objectKey, number uint8) string {
	return path.Join(s.dir(k.group, number), k.address.String())
}

// sync makes the names in a directory durable, once for all who ask meanwhile.
func (s *shards) sync(g signet.Group, number uint8) error {
	return s.shard(g, number).syncs.join(func() error { return s.d.SyncDir(s.dir(g, number)) })
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
