package disk

import (
	"io"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fileSystem is a Disk as a vfs.FS: names are relative, operations pass the hook.
type fileSystem struct {
	d     *Disk
	inner vfs.FS
}

var _ vfs.FS = (*fileSystem)(nil)

// file does an operation that yields a file.
func (s *fileSystem) file(l Label, name string, f func() (vfs.File, error)) (vfs.File, error) {
	if err := s.d.before(l, name); err != nil {
		return nil, err
	}
	inner, err := f()
	if err != nil {
		return nil, err
	}
	if err := s.d.after(l, name, nil); err != nil {
		_ = inner.Close()
		return nil, err
	}
	return &file{File: inner, d: s.d, name: name, sync: FileSync}, nil
}

func (s *fileSystem) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.file(FileCreate, name, func() (vfs.File, error) { return s.inner.Create(s.d.base.abs(name), c) })
}

func (s *fileSystem) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return s.file(FileOpen, name, func() (vfs.File, error) { return s.inner.Open(s.d.base.abs(name), opts...) })
}

func (s *fileSystem) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return s.file(FileOpen, name, func() (vfs.File, error) {
		return s.inner.OpenReadWrite(s.d.base.abs(name), c, opts...)
	})
}

func (s *fileSystem) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.file(FileRename, to, func() (vfs.File, error) {
		return s.inner.ReuseForWrite(s.d.base.abs(from), s.d.base.abs(to), c)
	})
}

func (s *fileSystem) OpenDir(name string) (vfs.File, error) {
	f, err := s.file(FileOpen, name, func() (vfs.File, error) { return s.inner.OpenDir(s.d.base.abs(name)) })
	if err == nil {
		f.(*file).sync = DirSync
	}
	return f, err
}

func (s *fileSystem) Link(from, to string) error {
	return s.d.do(FileLink, to, func() error { return s.d.base.link(from, to) })
}

func (s *fileSystem) Remove(name string) error {
	return s.d.do(FileRemove, name, func() error { return s.inner.Remove(s.d.base.abs(name)) })
}

func (s *fileSystem) RemoveAll(name string) error {
	return s.d.do(FileRemove, name, func() error { return s.inner.RemoveAll(s.d.base.abs(name)) })
}

func (s *fileSystem) Rename(from, to string) error {
	return s.d.do(FileRename, to, func() error { return s.inner.Rename(s.d.base.abs(from), s.d.base.abs(to)) })
}

// MkdirAll ignores perm: what is below the state directory is nobody else's.
func (s *fileSystem) MkdirAll(name string, _ os.FileMode) error {
	return s.d.do(DirMake, name, func() error { return s.inner.MkdirAll(s.d.base.abs(name), 0o700) })
}

func (s *fileSystem) Lock(name string) (c io.Closer, err error) {
	err = s.d.do(FileLock, name, func() (err error) { c, err = s.inner.Lock(s.d.base.abs(name)); return err })
	if err != nil && c != nil {
		_ = c.Close()
		c = nil
	}
	return c, err
}

func (s *fileSystem) List(name string) (names []string, err error) {
	err = s.d.do(DirList, name, func() (err error) { names, err = s.inner.List(s.d.base.abs(name)); return err })
	return names, err
}

func (s *fileSystem) Stat(name string) (info vfs.FileInfo, err error) {
	err = s.d.do(FileStat, name, func() (err error) { info, err = s.inner.Stat(s.d.base.abs(name)); return err })
	return info, err
}

func (s *fileSystem) GetDiskUsage(string) (vfs.DiskUsage, error) {
	sp, err := s.d.Space()
	return vfs.DiskUsage{AvailBytes: sp.Free, TotalBytes: sp.Total, UsedBytes: sp.Total - sp.Free}, err
}

func (s *fileSystem) PathBase(p string) string       { return filepath.Base(p) }
func (s *fileSystem) PathJoin(elem ...string) string { return filepath.Join(elem...) }
func (s *fileSystem) PathDir(p string) string        { return filepath.Dir(p) }

// Unwrap returns nil: nobody may go around the hook and the names.
func (s *fileSystem) Unwrap() vfs.FS { return nil }

// file is an open file of a fileSystem.
type file struct {
	vfs.File
	d    *Disk
	name string
	sync Label // FileSync, or DirSync for a directory
}

func (f *file) Read(p []byte) (n int, err error) {
	err = f.d.do(FileRead, f.name, func() (err error) { n, err = f.File.Read(p); return err })
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.d.do(FileRead, f.name, func() (err error) { n, err = f.File.ReadAt(p, off); return err })
	return n, err
}

func (f *file) Write(p []byte) (n int, err error) {
	err = f.d.do(FileWrite, f.name, func() (err error) { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.d.do(FileWrite, f.name, func() (err error) { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f *file) Preallocate(off, n int64) error {
	return f.d.do(FileReserve, f.name, func() error { return f.File.Preallocate(off, n) })
}

func (f *file) Sync() error { return f.d.do(f.sync, f.name, f.File.Sync) }

func (f *file) SyncData() error { return f.d.do(f.sync, f.name, f.File.SyncData) }

func (f *file) SyncTo(n int64) (full bool, err error) {
	err = f.d.do(f.sync, f.name, func() (err error) { full, err = f.File.SyncTo(n); return err })
	return full, err
}
