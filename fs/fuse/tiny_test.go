package fuse

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// tiny is a volume of a root directory and some files in it, which the kernel may
// remember for an hour. It counts what it is asked, and a test can have it hold
// requests. What it does not do it agrees to (anything).
type tiny struct {
	anything
	mode uint32 // permission bits of the files

	mu    sync.Mutex
	files map[string][]byte
	asked map[string]int                       // by kind of request
	hold  map[string]func(r *fs.Request) error // likewise
	flags uint32                               // all that came with WRITEs
	opens uint32                               // the flags of the last OPEN
}

func newTiny(names ...string) *tiny {
	t := &tiny{mode: 0o644, files: map[string][]byte{}, asked: map[string]int{}, hold: map[string]func(*fs.Request) error{}}
	for _, n := range names {
		t.files[n] = []byte("content of " + n + "\n")
	}
	return t
}

// meet counts a request of the kind, and holds it if it is to be held.
func (v *tiny) meet(r *fs.Request, kind string) error {
	v.mu.Lock()
	v.asked[kind]++
	hold := v.hold[kind]
	v.mu.Unlock()
	if hold != nil {
		return hold(r)
	}
	return nil
}

func (v *tiny) count(kind string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked[kind]
}

// holding has requests of the kind wait in h from now on; nil: no longer.
func (v *tiny) holding(kind string, h *held) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if h == nil {
		delete(v.hold, kind)
		return
	}
	v.hold[kind] = func(r *fs.Request) error { return h.wait(r.Ctx) }
}

func (v *tiny) writeFlags() uint32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.flags
}

func (v *tiny) set(name, content string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.files[name] = []byte(content)
}

// names are the files in order; the nth has inode number 100+n.
func (v *tiny) names() []string { return slices.Sorted(maps.Keys(v.files)) }

func (v *tiny) ino(name string) signet.Ino {
	v.mu.Lock()
	defer v.mu.Unlock()
	return signet.Ino(100 + slices.Index(v.names(), name))
}

func (v *tiny) attr(ino signet.Ino) (signet.Attr, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := signet.Attr{Ino: ino, Mode: signet.ModeDir | 0o777, Nlink: 2, Mtime: signet.Time{Sec: 1}}
	if ino >= 100 {
		names := v.names()
		if int(ino-100) >= len(names) {
			return a, nil // a directory that was made
		}
		a.Mode, a.Nlink, a.Size = signet.ModeRegular|v.mode, 1, uint64(len(v.files[names[ino-100]]))
	}
	return a, nil
}

func (v *tiny) Lookup(r *fs.Request, _ signet.Ino, name string) (fs.Entry, error) {
	if err := v.meet(r, "lookup"); err != nil {
		return fs.Entry{}, err
	}
	ino := v.ino(name)
	if ino < 100 {
		return fs.Entry{}, signet.NotFound
	}
	a, err := v.attr(ino)
	return fs.Entry{Attr: a, EntryTTL: time.Hour, AttrTTL: time.Hour}, err
}

func (v *tiny) GetAttr(r *fs.Request, ino signet.Ino) (signet.Attr, time.Duration, error) {
	if err := v.meet(r, "getattr"); err != nil {
		return signet.Attr{}, 0, err
	}
	a, err := v.attr(ino)
	return a, time.Hour, err
}

func (v *tiny) SetAttr(r *fs.Request, ino signet.Ino, c fs.AttrChange) (signet.Attr, time.Duration, error) {
	if err := v.meet(r, "setattr"); err != nil {
		return signet.Attr{}, 0, err
	}
	a, err := v.attr(ino)
	return a, time.Hour, err
}

func (v *tiny) Mkdir(r *fs.Request, _ signet.Ino, name string, mode uint32) (fs.Entry, error) {
	if err := v.meet(r, "mkdir"); err != nil {
		return fs.Entry{}, err
	}
	return fs.Entry{Attr: signet.Attr{Ino: 1000, Mode: signet.ModeDir | mode, Nlink: 2}, EntryTTL: time.Hour, AttrTTL: time.Hour}, nil
}

func (v *tiny) Create(r *fs.Request, _ signet.Ino, name string, mode, flags uint32) (fs.Entry, fs.Handle, fs.OpenFlags, error) {
	return fs.Entry{}, 0, fs.OpenFlags{}, signet.NotPermitted
}

func (v *tiny) Open(r *fs.Request, ino signet.Ino, flags uint32) (fs.Handle, fs.OpenFlags, error) {
	err := v.meet(r, "open")
	v.mu.Lock()
	v.opens = flags
	v.mu.Unlock()
	return fs.Handle(ino), fs.OpenFlags{KeepCache: true}, err
}

func (v *tiny) Read(r *fs.Request, h fs.Handle, off int64, dst []byte, _ uint32) (int, error) {
	if err := v.meet(r, "read"); err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	b := v.files[v.names()[h-100]]
	return copy(dst, b[min(int(off), len(b)):]), nil
}

func (v *tiny) Write(r *fs.Request, h fs.Handle, off int64, data []byte, flags uint32) (int, error) {
	if err := v.meet(r, "write"); err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.flags |= flags
	return len(data), nil
}

func (v *tiny) ReadDir(r *fs.Request, _ fs.Handle, cookie uint64, _ int, emit func(fs.DirEntry) bool) error {
	if err := v.meet(r, "readdir"); err != nil {
		return err
	}
	v.mu.Lock()
	names := v.names()
	v.mu.Unlock()
	for i := int(cookie); i < len(names); i++ {
		e := fs.DirEntry{Name: names[i], Ino: signet.Ino(100 + i), Mode: signet.ModeRegular, Cookie: uint64(i) + 1}
		if !emit(e) {
			break
		}
	}
	return nil
}

func (v *tiny) StatFs(r *fs.Request) (fs.Space, error) {
	return fs.Space{Total: 1 << 30, Free: 1 << 29, Fits: 1 << 29, Inodes: 7}, v.meet(r, "statfs")
}

func (v *tiny) ListXattr(*fs.Request, signet.Ino) ([]string, error) { return nil, nil }
func (v *tiny) GetXattr(r *fs.Request, _ signet.Ino, name string) ([]byte, error) {
	v.meet(r, "getxattr "+name)
	return nil, signet.NoAttr
}
