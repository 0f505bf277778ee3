package fstest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// PageSize is the size of a page of Kernel.
const PageSize = 4096

// Kernel stands in for the kernel of one mount. It caches names, attributes and pages
// for as long as it was told it may, and locks pages while a READ of them is
// unanswered: DropPages waits for those, in order, as the real one does. As there, a
// LOOKUP's and a GETATTR's reply takes effect only some time after it was written; by
// then names count for the epoch, and attributes of an inode that it had for the
// version, at which they were asked for. A file ends for it where the last attributes that
// it believed say, or a short READ of the version at which that was sent.
type Kernel struct {
	// Hold, if not nil, is called when a reply was computed, with what it is the reply
	// to, and again when it was written and has no effect yet ("lookup written").
	Hold func(what string)

	mu      sync.Mutex
	changed *sync.Cond
	epoch   int
	names   map[string]cachedName       // guarded by mu
	inodes  map[signet.Ino]*cachedInode // those it has; guarded by mu
	pages   map[pageID]*page
	log     []string
	noEpoch bool
	mapped  map[signet.Ino]bool // guarded by mu
	direct  map[fs.Handle]bool  // guarded by mu; handles that go past the pages
}

var _ fs.Kernel = (*Kernel)(nil)

type cachedName struct {
	ino   signet.Ino
	epoch int
}

type cachedInode struct {
	version int // goes up when the attributes are dropped, and with each size that it gets
	attr    *signet.Attr
	size    int64 // of the file, for read(2), whatever became of attr
}

type pageID struct {
	ino signet.Ino
	no  int64
}

type page struct {
	locked bool
	data   []byte
}

// NewKernel returns a kernel with empty caches.
func NewKernel() *Kernel {
	k := &Kernel{names: map[string]cachedName{}, inodes: map[signet.Ino]*cachedInode{}, pages: map[pageID]*page{}, direct: map[fs.Handle]bool{}, mapped: map[signet.Ino]bool{}}
	k.changed = sync.NewCond(&k.mu)
	return k
}

// Map has a program map an inode shared and writable, or end that.
func (k *Kernel) Map(ino signet.Ino, is bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mapped[ino] = is
}

// Mapped implements fs.Kernel.
func (k *Kernel) Mapped(_ context.Context, ino signet.Ino) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mapped[ino], nil
}

// Opened notes how a handle was opened.
func (k *Kernel) Opened(h fs.Handle, o fs.OpenFlags) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.direct[h] = o.DirectIO
}

// NoEpoch makes the kernel one that cannot forget all names.
func (k *Kernel) NoEpoch() { k.noEpoch = true }

// DropNames forgets all names.
func (k *Kernel) DropNames() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.noEpoch {
		return signet.NotSupported
	}
	k.log = append(k.log, "names")
	k.epoch++
	return nil
}

// DropAttr forgets an inode's attributes.
func (k *Kernel) DropAttr(ino signet.Ino) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, fmt.Sprintf("attr %d", ino))
	return k.dropAttr(ino)
}

// Evict has the kernel give up an inode, as it does when memory is short.
func (k *Kernel) Evict(ino signet.Ino) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.inodes, ino)
}

// dropAttr is called with mu held.
func (k *Kernel) dropAttr(ino signet.Ino) bool {
	i := k.inodes[ino]
	if i != nil {
		i.version++
		i.attr = nil
	}
	return i != nil || ino == signet.RootIno // which it always has
}

// version is called with mu held.
func (k *Kernel) version(ino signet.Ino) int {
	if i := k.inodes[ino]; i != nil {
		return i.version
	}
	return 0
}

// learn takes attributes from a reply to what was asked at a version.
func (k *Kernel) learn(at *signet.Attr, ttl time.Duration, version int) {
	i := k.inodes[at.Ino]
	if i == nil {
		i = &cachedInode{}
		k.inodes[at.Ino] = i
	}
	if i.version > version {
		return
	}
	i.version, i.size = i.version+1, int64(at.Size)
	if ttl > 0 {
		at := *at
		i.attr = &at
	}
}

// grow is called with mu held.
func (k *Kernel) grow(ino signet.Ino, size int64) {
	if i := k.inodes[ino]; i != nil && i.size < size {
		i.version, i.size = i.version+1, size
	}
}

// Grow makes a file at least size bytes long.
func (k *Kernel) Grow(ino signet.Ino, size uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.grow(ino, int64(size))
}

// DropPages forgets pages one after the other, waiting for locked ones.
func (k *Kernel) DropPages(ino signet.Ino, off, n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, fmt.Sprintf("pages %d %d %d", ino, off, n))
	k.dropAttr(ino)
	first, last := off/PageSize, int64(1)<<52
	if n >= 0 {
		last = (off + n - 1) / PageSize
	}
	for {
		next := pageID{ino, last + 1}
		for id := range k.pages {
			if id.ino == ino && id.no >= first && id.no < next.no {
				next = id
			}
		}
		if next.no > last {
			return
		}
		for k.pages[next] != nil && k.pages[next].locked {
			k.changed.Wait()
		}
		delete(k.pages, next)
		first = next.no + 1
	}
}

// Log returns what the kernel was asked to forget, and empties the list.
func (k *Kernel) Log() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.log
	k.log = nil
	return l
}

// Cached returns how many pages of an inode are cached.
func (k *Kernel) Cached(ino signet.Ino) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for id, p := range k.pages {
		if id.ino == ino && !p.locked {
			n++
		}
	}
	return n
}

func (k *Kernel) hold(what string) {
	if k.Hold != nil {
		k.Hold(what)
	}
}

// Lookup finds a name as a program's path walk would: from the cache while that is
// allowed, else from f.
func (k *Kernel) Lookup(ctx context.Context, f *fs.FS, parent signet.Ino, name string) (signet.Ino, error) {
	key := fmt.Sprintf("%d/%s", parent, name)
	k.mu.Lock()
	c, ok := k.names[key]
	epoch := k.epoch
	versions := make(map[signet.Ino]int, len(k.inodes))
	for ino, i := range k.inodes {
		versions[ino] = i.version
	}
	k.mu.Unlock()
	if ok && c.epoch == epoch {
		return c.ino, nil
	}
	r := &fs.Request{Ctx: ctx}
	defer r.Done()
	e, err := f.Lookup(r, parent, name)
	if signet.KindOf(err) == signet.Stale { // the kernel walks the path once more
		e, err = f.Lookup(r, parent, name)
	}
	if err != nil {
		return 0, err
	}
	k.hold("lookup")
	r.Done()
	k.hold("lookup written")
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.EntryTTL > 0 {
		k.names[key] = cachedName{e.Attr.Ino, epoch}
	}
	k.learn(&e.Attr, e.AttrTTL, versions[e.Attr.Ino])
	return e.Attr.Ino, nil
}

// Stat returns attributes, from the cache while that is allowed.
func (k *Kernel) Stat(ctx context.Context, f *fs.FS, ino signet.Ino) (signet.Attr, error) {
	k.mu.Lock()
	if i := k.inodes[ino]; i != nil && i.attr != nil {
		defer k.mu.Unlock()
		return *i.attr, nil
	}
	version := k.version(ino)
	k.mu.Unlock()
	r := &fs.Request{Ctx: ctx}
	defer r.Done()
	at, ttl, err := f.GetAttr(r, ino)
	if err != nil {
		return at, err
	}
	k.hold("getattr")
	r.Done()
	k.hold("getattr written")
	k.mu.Lock()
	defer k.mu.Unlock()
	k.learn(&at, ttl, version)
	return at, nil
}

// Read reads [off, off+n), through the page cache unless the handle is direct.
func (k *Kernel) Read(ctx context.Context, f *fs.FS, h fs.Handle, ino signet.Ino, off, n int64) ([]byte, error) {
	k.mu.Lock()
	direct := k.direct[h]
	k.mu.Unlock()
	if direct {
		buf := make([]byte, n)
		r := &fs.Request{Ctx: ctx}
		defer r.Done()
		got, err := f.Read(r, h, off, buf, 0)
		return buf[:got], err
	}
	if off+n > k.size(ino) {
		if _, err := k.Stat(ctx, f, ino); err != nil {
			return nil, err
		}
	}
	var out []byte
	for no := off / PageSize; no*PageSize < min(off+n, k.size(ino)); no++ {
		data, err := k.page(ctx, f, h, pageID{ino, no})
		if err != nil {
			return nil, err
		}
		from := max(off-no*PageSize, 0)
		to := min(off+n, k.size(ino), (no+1)*PageSize) - no*PageSize
		if from < to {
			out = append(out, data[from:to]...)
		}
	}
	return out, nil
}

func (k *Kernel) size(ino signet.Ino) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i := k.inodes[ino]; i != nil {
		return i.size
	}
	return 0
}

func (k *Kernel) page(ctx context.Context, f *fs.FS, h fs.Handle, id pageID) ([]byte, error) {
	k.mu.Lock()
	for k.pages[id] != nil && k.pages[id].locked {
		k.changed.Wait()
	}
	if p := k.pages[id]; p != nil {
		k.mu.Unlock()
		return p.data, nil
	}
	p := &page{locked: true}
	k.pages[id] = p
	version := k.version(id.ino)
	k.mu.Unlock()

	buf := make([]byte, PageSize)
	r := &fs.Request{Ctx: ctx}
	n, err := f.Read(r, h, id.no*PageSize, buf, 0)
	k.hold("read")
	k.mu.Lock()
	p.locked = false
	if err != nil {
		delete(k.pages, id)
	} else {
		p.data = buf // zeros where there is nothing, and the size tells how much there is
		if i, end := k.inodes[id.ino], id.no*PageSize+int64(n); n < PageSize && i != nil && i.version <= version && end < i.size {
			i.version, i.size = i.version+1, end
		}
	}
	k.changed.Broadcast()
	k.mu.Unlock()
	r.Done()
	return p.data, err
}

// Wrote puts what a program wrote into cached pages, as write(2) does.
func (k *Kernel) Wrote(ino signet.Ino, off int64, data []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dropAttr(ino)
	for no := off / PageSize; no*PageSize < off+int64(len(data)); no++ {
		p := k.pages[pageID{ino, no}]
		if p == nil {
			continue
		}
		full := make([]byte, PageSize) // who reads the page now may have the old one
		copy(full, p.data)
		from := max(off, no*PageSize)
		to := min(off+int64(len(data)), (no+1)*PageSize)
		copy(full[from-no*PageSize:], data[from-off:to-off])
		p.data = full
	}
	k.grow(ino, off+int64(len(data)))
}
