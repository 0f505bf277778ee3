package fs

import (
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/signetfs/signet"
)

// handle is one open file or directory.
type handle struct {
	id    Handle
	node  *node
	flags uint32 // of open(2)
	dir   *listing
	// direct says that the kernel caches no pages of what is done through the handle, and
	// locks none while a call waits.
	direct bool
	// closing says that a descriptor was closed and nothing was written since; guarded by
	// node.mu.
	closing bool

	lost   atomic.Bool  // locks taken through it have ended with their session
	closed atomic.Int64 // when a descriptor of it was closed last, in nanoseconds

	mu     sync.Mutex
	seen   uint64 // guarded by mu; failures of the node that were told
	stream stream // guarded by mu; how it is read
}

func (h *handle) writes() bool {
	return h.dir == nil && h.flags&syscall.O_ACCMODE != syscall.O_RDONLY
}

func (h *handle) reads() bool {
	return h.dir == nil && h.flags&syscall.O_ACCMODE != syscall.O_WRONLY
}

// failed returns what went wrong with the file in the background, once.
func (h *handle) failed() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.node.fails.since(&h.seen)
}

// firstFailure is what a call that published has come to: an error of the background is
// told now, and not again later.
func (h *handle) firstFailure(err error) error {
	if failed := h.failed(); failed != nil {
		return failed
	}
	return err
}

// handles are the open handles of an FS.
type handles struct {
	mu   sync.RWMutex
	of   map[Handle]*handle // guarded by mu
	last Handle             // guarded by mu
}

// add makes a handle of a node that is held for it.
func (t *handles) add(n *node, flags uint32, dir *listing, direct bool) *handle {
	h := &handle{node: n, flags: flags, dir: dir, direct: direct, seen: n.fails.total()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = make(map[Handle]*handle)
	}
	t.last++
	h.id = t.last
	t.of[h.id] = h
	return h
}

func (t *handles) get(id Handle) (*handle, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if h := t.of[id]; h != nil {
		return h, nil
	}
	return nil, signet.Errorf(signet.BadHandle, "use handle", strconv.FormatUint(uint64(id), 10), "it is not open")
}

// file returns the handle of an open file, which must be open for writing if
// writing is set, else for reading.
func (t *handles) file(id Handle, writing bool) (*handle, error) {
	h, err := t.get(id)
	if err != nil {
		return nil, err
	}
	if writing && !h.writes() || !writing && !h.reads() {
		return nil, signet.Errorf(signet.BadHandle, "use handle", inodeText(h.node.ino), "it is not open for that")
	}
	return h, h.intact()
}

// open returns the handle of an open file.
func (t *handles) open(id Handle) (*handle, error) {
	h, err := t.get(id)
	switch {
	case err != nil:
		return nil, err
	case h.dir != nil:
		return nil, signet.Errorf(signet.BadHandle, "use handle", inodeText(h.node.ino), "it is a directory's")
	}
	return h, h.intact()
}

// intact fails with Ended if locks that were taken through the handle are lost: what its
// program does next may rest on them.
func (h *handle) intact() error {
	if h.lost.Load() {
		return signet.Errorf(signet.Ended, "use handle", inodeText(h.node.ino), "its locks were lost: this host was away for too long")
	}
	return nil
}

func (t *handles) remove(id Handle) *handle {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.of[id]
	delete(t.of, id)
	return h
}
