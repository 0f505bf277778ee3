package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/signetfs/signet"
)

// Temp is a new file on its way to a name: Write, Sync, Link, Close.
type Temp struct {
	d       *Disk
	f       tempFile
	name    string // its temporary name where it has one, else the directory it is in
	hasName bool
	failed  error // why it can only be thrown away
}

// tempSeq makes temporary names differ within the process; what another process left
// is removed at its start.
var tempSeq atomic.Uint64

// NewTemp makes a file without a name in directory dir. A crash leaves nothing of
// it. Where the file system has no such files, it has a name in directory scratch
// until it is closed; who uses that removes what is in scratch at start.
func (d *Disk) NewTemp(dir, scratch string) (*Temp, error) {
	t := &Temp{d: d, name: dir}
	err := d.do(ObjectUnnamed, dir, func() (err error) {
		t.f, err = d.base.unnamed(dir)
		return err
	})
	if signet.KindOf(Error("", "", err)) == signet.NotSupported {
		t.name = filepath.Join(scratch, "put-"+strconv.FormatUint(tempSeq.Add(1), 10))
		t.hasName = true
		err = d.do(ObjectTemp, t.name, func() (err error) {
			t.f, err = d.base.named(t.name, 0o600)
			return err
		})
	}
	if err != nil {
		return nil, Error("create object file", dir, err)
	}
	return t, nil
}

// Write appends to the file.
func (t *Temp) Write(b []byte) (int, error) {
	if t.failed != nil {
		return 0, t.failed
	}
	var n int
	err := t.d.do(ObjectWrite, t.name, func() (err error) {
		n, err = t.f.Write(b)
		return err
	})
	return n, t.fail("write object file", err)
}

// Sync makes the bytes durable. It is not tried twice: after an error the file can
// only be closed.
func (t *Temp) Sync() error {
	if t.failed != nil {
		return t.failed
	}
	return t.fail("sync object file", t.d.do(ObjectSync, t.name, t.f.SyncData))
}

// Link gives the file its name, which is durable once its directory is synced. If
// the name is taken, the error is of kind Exists and nothing has changed.
func (t *Temp) Link(name string) error {
	if t.failed != nil {
		return t.failed
	}
	err := t.d.do(ObjectLink, name, func() error {
		if t.hasName {
			return t.d.base.link(t.name, name)
		}
		return t.f.linkTo(name)
	})
	return Error("name object file", name, err)
}

// Close lets go of the file. Without a Link it is gone.
func (t *Temp) Close() error {
	err := t.f.Close()
	if t.hasName {
		err = errors.Join(err, t.d.FS().Remove(t.name))
	}
	return Error("close object file", t.name, err)
}

func (t *Temp) fail(op string, err error) error {
	if err != nil {
		t.failed = Error(op, t.name, err)
	}
	return t.failed
}

// ReadObject fills buf from offset off of a file and returns how much there was: less
// than len(buf) only at its end.
func (d *Disk) ReadObject(name string, buf []byte, off int64) (int, error) {
	var n int
	err := d.do(ObjectRead, name, func() error {
		f, err := d.base.open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err = f.ReadAt(buf, off)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	})
	return n, Error("read object file", name, err)
}

// RemoveObject takes a file's name away. A crash may bring it back until its
// directory is synced.
func (d *Disk) RemoveObject(name string) error {
	err := d.do(ObjectRemove, name, func() error { return d.base.files().Remove(d.base.abs(name)) })
	return Error("remove object file", name, err)
}

// Punch gives back the space of a range of a file, which reads as zeros then.
func (d *Disk) Punch(name string, off, n int64) error {
	err := d.do(ObjectPunch, name, func() error { return d.base.punch(name, off, n) })
	return Error("punch object file", name, err)
}

// dirBackend is a real directory.
type dirBackend struct {
	root string
	// noUnnamed remembers that the file system has no O_TMPFILE.
	noUnnamed atomic.Bool
}

func (b *dirBackend) abs(name string) string { return filepath.Join(b.root, name) }

func (b *dirBackend) open(name string) (objectFile, error) { return os.Open(b.abs(name)) }

func (b *dirBackend) link(from, to string) error { return os.Link(b.abs(from), b.abs(to)) }

func (b *dirBackend) named(name string, perm os.FileMode) (tempFile, error) {
	f, err := os.OpenFile(b.abs(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	return &osTemp{File: f, b: b}, nil
}
