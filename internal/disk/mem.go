package disk

import (
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// unnamedDir is where a Mem keeps files that have no name. A crash removes it.
const unnamedDir = "unnamed-files"

// Mem is a Disk in memory that knows what was synced and what was not, so that a
// test can have the disk as after a power cut.
type Mem struct {
	*Disk
	b *memBackend
}

// NewMem returns an empty disk of 1 TiB.
func NewMem() *Mem { return newMem(vfs.NewCrashableMem(), Space{Total: 1 << 40, Free: 1 << 40}) }

func newMem(fs *vfs.MemFS, s Space) *Mem {
	b := &memBackend{fs: fs}
	b.room.Store(&s)
	return &Mem{Disk: &Disk{base: b}, b: b}
}

// Crash returns a disk as this one might be found after a power cut now: what was
// synced, and of what was not each block and each name with the given probability
// in percent, chosen by rng (which may be nil for 0). This disk goes on as if
// nothing had happened; the new one has no hook.
func (m *Mem) Crash(percent int, rng *rand.Rand) *Mem {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	fs := m.b.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
	if err := fs.RemoveAll(unnamedDir); err != nil {
		panic(err) // memory does not fail
	}
	return newMem(fs, *m.b.room.Load())
}

// SetSpace sets what Space says.
func (m *Mem) SetSpace(s Space) { m.b.room.Store(&s) }

// memBackend keeps files in a vfs.MemFS.
type memBackend struct {
	fs   *vfs.MemFS
	room atomic.Pointer[Space]
	seq  atomic.Uint64
	// mu is held for reading by links and for writing by crashes: MemFS.Link takes its
	// own lock for crashes twice, and a crash in between would wait for ever.
	mu sync.RWMutex
}

func (b *memBackend) files() vfs.FS         { return b.fs }
func (b *memBackend) space() (Space, error) { return *b.room.Load(), nil }

// abs makes names absolute: MemFS does not know "." everywhere.
func (b *memBackend) abs(name string) string { return path.Join("/", name) }

func (b *memBackend) unnamed(dir string) (tempFile, error) {
	if _, err := b.fs.Stat(dir); err != nil {
		return nil, err
	}
	if err := b.fs.MkdirAll(unnamedDir, 0o700); err != nil {
		return nil, err
	}
	name := unnamedDir + "/" + strconv.FormatUint(b.seq.Add(1), 10)
	f, err := b.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	return &memTemp{File: f, b: b, hidden: name}, nil
}

func (b *memBackend) named(name string, _ os.FileMode) (tempFile, error) {
	if _, err := b.fs.Stat(name); err == nil {
		return nil, &os.PathError{Op: "create", Path: name, Err: os.ErrExist}
	}
	f, err := b.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	return &memTemp{File: f, b: b}, nil
}

func (b *memBackend) open(name string) (objectFile, error) { return b.fs.Open(name) }

func (b *memBackend) link(from, to string) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.fs.Link(from, to)
}

// punch is durable at once, which the real one is not; nobody may rely on either.
func (b *memBackend) punch(name string, off, n int64) error {
	f, err := b.fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if n = min(n, info.Size()-off); n <= 0 {
		return nil
	}
	if _, err := f.WriteAt(make([]byte, n), off); err != nil {
		return err
	}
	return f.Sync()
}

// memTemp is a file being written; without a name it has a hidden one.
type memTemp struct {
	vfs.File
	b      *memBackend
	hidden string
}

// Write writes a copy: MemFS may change what it is given, and with the race detector
// on it does.
func (t *memTemp) Write(b []byte) (int, error) { return t.File.Write(slices.Clone(b)) }

func (t *memTemp) linkTo(name string) error {
	if t.hidden == "" {
		return unix.ENOENT
	}
	return t.b.link(t.hidden, name)
}

func (t *memTemp) Close() error {
	if t.hidden != "" {
		if err := t.b.fs.Remove(t.hidden); err != nil {
			return err
		}
	}
	return t.File.Close()
}
