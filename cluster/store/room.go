package store

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/disk"
)

const (
	// askEvery and askAfter bound how wrong the known free space can be: others write
	// to the disk too. Asking costs a system call, so not every put does.
	askEvery = time.Second
	askAfter = 16 << 20 // bytes taken since

	minReserve     = 256 << 20 // a compaction of the database, and the log, must always fit
	reservePercent = 5
)

// room watches the space. Its lock is held while the disk is asked.
type room struct {
	ask      func() (disk.Space, error)
	clock    clock.Clock
	capacity uint64 // 0: as much as the disk has
	reserve  uint64 // 0: minReserve or reservePercent, what is more

	objects atomic.Int64
	used    atomic.Int64

	mu      sync.Mutex
	space   disk.Space // as of asked
	asked   time.Time
	taken   uint64 // since asked
	pending uint64 // taken by puts that are not done
}

// take makes sure that n more bytes fit and keeps them until give.
func (r *room) take(n uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.capacity != 0 && uint64(max(0, r.used.Load()))+r.pending+n > r.capacity {
		return signet.Errorf(signet.NoSpace, "put object", "", "the capacity of %d bytes is used up", r.capacity)
	}
	// Before refusing it asks too: something may have been deleted.
	if r.taken+n > askAfter || r.clock.Now().Sub(r.asked) >= askEvery || r.free() < n {
		if err := r.refresh(); err != nil {
			return err
		}
	}
	if free := r.free(); free < n {
		return signet.Errorf(signet.NoSpace, "put object", "",
			"%d bytes are free, and %d of them kept in reserve", r.space.Free, r.keep())
	}
	r.taken += n
	r.pending += n
	return nil
}

// give ends the put of n bytes.
func (r *room) give(n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending -= n
}

// count notes that the objects that are here have changed.
func (r *room) count(s sumRow) {
	r.objects.Add(s.objects)
	r.used.Add(s.bytes)
}

// refresh asks the disk. What pending puts have not written yet stays subtracted.
func (r *room) refresh() error {
	s, err := r.ask()
	if err != nil {
		return err
	}
	r.space, r.asked, r.taken = s, r.clock.Now(), r.pending
	return nil
}

func (r *room) keep() uint64 {
	if r.reserve != 0 {
		return r.reserve
	}
	return max(minReserve, r.space.Total/100*reservePercent)
}

// free returns what puts may still take of the disk.
func (r *room) free() uint64 {
	out := r.keep() + r.taken
	if r.space.Free < out {
		return 0
	}
	return r.space.Free - out
}

// usage reports; if the disk does not answer, what it said last.
func (r *room) usage() Usage {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clock.Now().Sub(r.asked) >= askEvery {
		_ = r.refresh()
	}
	u := Usage{Objects: uint64(max(0, r.objects.Load())), Used: uint64(max(0, r.used.Load())), Free: r.free()}
	if keep := r.keep(); r.space.Total > keep {
		u.Capacity = r.space.Total - keep
	}
	if r.capacity != 0 {
		u.Capacity = r.capacity
		u.Free = min(u.Free, r.capacity-min(r.capacity, u.Used+r.pending))
	}
	return u
}
