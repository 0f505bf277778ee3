package disk

import (
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signetfs/signet"
)

// Disk is a directory on the local disk, or in memory.
type Disk struct {
	base backend
	hook atomic.Pointer[Hook]
}

// backend is what a directory and memory do differently. Names are relative.
type backend interface {
	// files returns the file system that databases run on, and abs the path in it.
	files() vfs.FS
	abs(name string) string
	// unnamed makes a file without a name in dir, or fails with NotSupported.
	unnamed(dir string) (tempFile, error)
	// named makes a new file.
	named(name string, perm os.FileMode) (tempFile, error)
	// open opens an object's file for reading.
	open(name string) (objectFile, error)
	// punch makes zeros of a range without giving the file another length.
	punch(name string, off, n int64) error
	// link gives a file a second name; fails if that is taken.
	link(from, to string) error
	space() (Space, error)
}

// tempFile is a file being written.
type tempFile interface {
	io.WriteCloser
	SyncData() error
	// linkTo gives an unnamed file its name; fails if that is taken.
	linkTo(name string) error
}

// objectFile is a file being read.
type objectFile interface {
	io.ReaderAt
	io.Closer
}

// Space is what the file system under a Disk has to give.
type Space struct {
	Total uint64 // bytes
	Free  uint64 // bytes that this process could still use
}

// Open returns the Disk of a directory, which it makes if it is not there, readable
// by nobody else.
func Open(dir string) (*Disk, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(abs, 0o700)
	}
	if err != nil {
		return nil, Error("open state directory", dir, err)
	}
	return &Disk{base: &dirBackend{root: abs}}, nil
}

// SetHook makes hook the one that sees every operation from now on; nil: none.
func (d *Disk) SetHook(hook Hook) {
	if hook == nil {
		d.hook.Store(nil)
		return
	}
	d.hook.Store(&hook)
}

// Step is the function Step, seen by this Disk's hook too.
func (d *Disk) Step(l Label) {
	Step(l)
	if h := d.hook.Load(); h != nil {
		_ = (*h)(Op{Label: l})
	}
}

// before announces an operation to the hook and returns what it wants to fail with.
func (d *Disk) before(l Label, name string) error {
	Step(l)
	if h := d.hook.Load(); h != nil {
		return (*h)(Op{Label: l, Path: name})
	}
	return nil
}

// after tells the hook of an operation's success, which it may hide.
func (d *Disk) after(l Label, name string, err error) error {
	if h := d.hook.Load(); h != nil && err == nil {
		return (*h)(Op{Label: l, Path: name, After: true})
	}
	return err
}

// do carries out an operation between its two hooks.
func (d *Disk) do(l Label, name string, f func() error) error {
	if err := d.before(l, name); err != nil {
		return err
	}
	return d.after(l, name, f())
}

// FS returns the Disk as databases see it. Its names are relative to the Disk.
func (d *Disk) FS() vfs.FS { return &fileSystem{d: d, inner: d.base.files()} }

// Space asks the file system how much room there is.
func (d *Disk) Space() (Space, error) {
	var s Space
	err := d.do(DiskSpace, "", func() (err error) {
		s, err = d.base.space()
		return err
	})
	return s, Error("ask for free space", "", err)
}

// MakeDirs makes a directory and those above it. They are durable once SyncDir of
// each parent has returned.
func (d *Disk) MakeDirs(name string) error {
	return Error("make directory", name, d.FS().MkdirAll(name, 0o700))
}

// SyncDir makes the names in a directory durable: those added and those gone.
func (d *Disk) SyncDir(name string) error {
	f, err := d.FS().OpenDir(name)
	if err != nil {
		return Error("sync directory", name, err)
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return Error("sync directory", name, err)
}

// List returns the names in a directory, in no order.
func (d *Disk) List(name string) ([]string, error) {
	names, err := d.FS().List(name)
	return names, Error("list directory", name, err)
}

// ReadFile returns a small file whole; one longer than max is TooBig.
func (d *Disk) ReadFile(name string, max int) ([]byte, error) {
	f, err := d.FS().Open(name)
	if err != nil {
		return nil, Error("read file", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(max)+1))
	if err != nil {
		return nil, Error("read file", name, err)
	}
	if len(b) > max {
		return nil, signet.Errorf(signet.TooBig, "read file", name, "more than %d bytes", max)
	}
	return b, nil
}

// WriteFile replaces a small file, or makes it: after a crash it has either the old
// or the new content, and the new one for certain once WriteFile has returned.
func (d *Disk) WriteFile(name string, data []byte, perm os.FileMode) error {
	return Error("write file", name, d.writeFile(name, data, perm))
}

func (d *Disk) writeFile(name string, data []byte, perm os.FileMode) error {
	temp := name + ".new"
	if err := d.FS().Remove(temp); signet.KindOf(Error("", "", err)) != signet.NotFound && err != nil {
		return err
	}
	var f tempFile
	err := d.do(FileCreate, temp, func() (err error) {
		f, err = d.base.named(temp, perm)
		return err
	})
	if err != nil {
		return err
	}
	err = d.do(FileWrite, temp, func() error { _, err := f.Write(data); return err })
	if err == nil {
		err = d.do(FileSync, temp, f.SyncData)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.FS().Rename(temp, name)
	}
	if err != nil {
		_ = d.FS().Remove(temp) // the next WriteFile would do it too
		return err
	}
	return d.SyncDir(filepath.Dir(name))
}
