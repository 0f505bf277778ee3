package fuse

import (
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// anything is a volume that agrees to everything.
type anything struct{}

var sampleEntry = fs.Entry{Attr: sample}

func (anything) Lookup(*fs.Request, signet.Ino, string) (fs.Entry, error) { return sampleEntry, nil }
func (anything) GetAttr(*fs.Request, signet.Ino) (signet.Attr, time.Duration, error) {
	return sample, 0, nil
}
func (anything) SetAttr(*fs.Request, signet.Ino, fs.AttrChange) (signet.Attr, time.Duration, error) {
	return sample, 0, nil
}
func (anything) Access(*fs.Request, signet.Ino, uint32) error { return nil }
func (anything) Readlink(*fs.Request, signet.Ino) ([]byte, error) {
	return make([]byte, signet.MaxTarget), nil
}
func (anything) Mknod(*fs.Request, signet.Ino, string, uint32, uint32) (fs.Entry, error) {
	return sampleEntry, nil
}
func (anything) Mkdir(*fs.Request, signet.Ino, string, uint32) (fs.Entry, error) {
	return sampleEntry, nil
}
func (anything) Symlink(*fs.Request, signet.Ino, string, string) (fs.Entry, error) {
	return sampleEntry, nil
}
func (anything) Link(*fs.Request, signet.Ino, signet.Ino, string) (fs.Entry, error) {
	return sampleEntry, nil
}
func (anything) Unlink(*fs.Request, signet.Ino, string) error { return nil }
func (anything) Rmdir(*fs.Request, signet.Ino, string) error  { return nil }
func (anything) Rename(*fs.Request, signet.Ino, string, signet.Ino, string, uint32) error {
	return nil
}
func (anything) Create(*fs.Request, signet.Ino, string, uint32, uint32) (fs.Entry, fs.Handle, fs.OpenFlags, error) {
	return sampleEntry, 1, fs.OpenFlags{DirectIO: true}, nil
}
func (anything) Tmpfile(*fs.Request, signet.Ino, uint32, uint32) (fs.Entry, fs.Handle, fs.OpenFlags, error) {
	return sampleEntry, 1, fs.OpenFlags{}, nil
}
func (anything) Open(*fs.Request, signet.Ino, uint32) (fs.Handle, fs.OpenFlags, error) {
	return 1, fs.OpenFlags{}, nil
}
func (anything) Read(_ *fs.Request, _ fs.Handle, _ int64, dst []byte, _ uint32) (int, error) {
	return len(dst), nil
}
func (anything) Write(_ *fs.Request, _ fs.Handle, _ int64, data []byte, _ uint32) (int, error) {
	return len(data), nil
}
func (anything) Flush(*fs.Request, fs.Handle, uint64) error { return nil }
func (anything) GetLock(*fs.Request, fs.Handle, fs.Lock) (signet.FileLock, error) {
	return signet.FileLock{}, nil
}
func (anything) SetLock(*fs.Request, fs.Handle, fs.Lock, bool) error { return nil }
func (anything) Fsync(*fs.Request, fs.Handle) error                  { return nil }
func (anything) Release(*fs.Request, fs.Handle)                      {}
func (anything) ReleaseDir(*fs.Request, fs.Handle)                   {}
func (anything) FsyncDir(*fs.Request, fs.Handle) error               { return nil }
func (anything) Fallocate(*fs.Request, fs.Handle, uint64, uint64, uint32) error {
	return nil
}
func (anything) Lseek(_ *fs.Request, _ fs.Handle, off uint64, _ uint32) (uint64, error) {
	return off, nil
}
func (anything) CopyFileRange(_ *fs.Request, _ fs.Handle, _ uint64, _ fs.Handle, _, n uint64, _ uint64) (uint64, error) {
	return n, nil
}
func (anything) OpenDir(*fs.Request, signet.Ino) (fs.Handle, error) { return 1, nil }
func (anything) ReadDir(_ *fs.Request, _ fs.Handle, c uint64, limit int, emit func(fs.DirEntry) bool) error {
	for i := range limit {
		e := fs.DirEntry{Name: "name", Ino: 5, Mode: signet.ModeDir, Cookie: c + uint64(i)}
		if !emit(e) {
			break
		}
	}
	return nil
}
func (anything) StatFs(*fs.Request) (fs.Space, error) {
	return fs.Space{Total: 1 << 40, Fits: 1 << 40}, nil
}
func (anything) GetXattr(*fs.Request, signet.Ino, string) ([]byte, error) {
	return []byte("value"), nil
}
func (anything) ListXattr(*fs.Request, signet.Ino) ([]string, error) { return []string{"user.a"}, nil }
func (anything) SetXattr(*fs.Request, signet.Ino, string, []byte, uint32) error {
	return nil
}
func (anything) RemoveXattr(*fs.Request, signet.Ino, string) error { return nil }
