package store

import (
	"context"
	"slices"
	"sync"
)

// locks lets one change of an object go on at a time.
type locks struct {
	mu   sync.Mutex
	held map[objectKey]*flight
}

// flight is a change under way.
type flight struct {
	done  chan struct{} // closed at the end
	put   bool          // a put
	new   bool          // of an object that is not durably here until the end
	named bool          // Named came meanwhile: the put clears the mark when it is done
}

func newLocks() *locks { return &locks{held: make(map[objectKey]*flight)} }

// acquire waits until nothing else changes any of the keys, which are sorted and
// different; so two callers never wait for each other.
func (l *locks) acquire(ctx context.Context, keys []objectKey, put bool) error {
	for i, k := range keys {
		if err := l.acquireOne(ctx, k, put); err != nil {
			l.release(keys[:i])
			return err
		}
	}
	return nil
}

func (l *locks) acquireOne(ctx context.Context, k objectKey, put bool) error {
	for {
		l.mu.Lock()
		f := l.held[k]
		if f == nil {
			l.held[k] = &flight{done: make(chan struct{}), put: put}
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryName acquires those of the keys that nothing changes now and returns them. At
// those under a put it leaves word; those being deleted need no more.
func (l *locks) tryName(keys []objectKey) []objectKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	free := make([]objectKey, 0, len(keys))
	for _, k := range keys {
		if f := l.held[k]; f != nil {
			f.named = true
			continue
		}
		l.held[k] = &flight{done: make(chan struct{})}
		free = append(free, k)
	}
	return free
}

// release ends the changes of keys, except of those at which tryName has left word
// since: they stay acquired and are returned.
func (l *locks) release(keys []objectKey) (named []objectKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		f := l.held[k]
		if f.named && f.put {
			f.named = false
			named = append(named, k)
			continue
		}
		delete(l.held, k)
		close(f.done)
	}
	return named
}

// noteAbsent notes that k, which is held, is not here yet, whatever its rows say.
func (l *locks) noteAbsent(k objectKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[k].new = true
}

// absent says whether k is being put and not durably here yet.
func (l *locks) absent(k objectKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.held[k]
	return f != nil && f.new
}

// sortKeys puts keys in order and drops repetitions.
func sortKeys(keys []objectKey) []objectKey {
	slices.SortFunc(keys, func(a, b objectKey) int {
		if a.group != b.group {
			if a.group < b.group {
				return -1
			}
			return 1
		}
		return slices.Compare(a.address[:], b.address[:])
	})
	return slices.Compact(keys)
}
