package fs_test

import (
	"syscall"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
)

// What programs can tell from a local filesystem, where the kernel leaves it to us.

// changed says which times of an inode fn changes.
func (u *user) changed(ino signet.Ino, fn func(r *fs.Request) error) (mtime, ctime bool) {
	u.t.Helper()
	was := u.stat(ino)
	u.must(fn)
	is := u.stat(ino)
	return is.Mtime != was.Mtime, is.Ctime != was.Ctime
}

func TestCallsThatChangeOnlyTimes(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	h, ino := u.create(root, "f", 0o644)
	u.write(h, 0, "12345")
	u.fsync(h)
	set := func(c fs.AttrChange) func(*fs.Request) error {
		return func(r *fs.Request) error { _, _, err := u.SetAttr(r, ino, c); return err }
	}
	for _, c := range []struct {
		name         string
		mtime, ctime bool
		fn           func(r *fs.Request) error
	}{
		{"chown to nothing", false, true, set(fs.AttrChange{})},
		{"truncate to the same size", true, true, set(fs.AttrChange{Set: signet.SetSize, Size: 5})},
		{"allocate, keeping the size", true, true, func(r *fs.Request) error { return u.Fallocate(r, h, 0, 10, fs.FallocKeepSize) }},
	} {
		if mtime, ctime := u.changed(ino, c.fn); mtime != c.mtime || ctime != c.ctime {
			t.Errorf("%s: mtime changed %v, ctime changed %v", c.name, mtime, ctime)
		}
	}
}

// The kernel asks for nothing to be set when somebody is to clear set-uid by changing the
// owner to what it is, or by an allocation, and does not say which.
func TestClearingSetUIDBySettingNothing(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	m := v.Mount()
	owner, stranger := newUser(t, m), newUser(t, m)
	stranger.uid = 5
	_, ino := owner.create(root, "f", 0o644)
	owner.must(func(r *fs.Request) error {
		_, _, err := owner.SetAttr(r, ino, fs.AttrChange{Set: signet.SetMode, Mode: 0o4755})
		return err
	})
	nothing := func(r *fs.Request) error { _, _, err := owner.SetAttr(r, ino, fs.AttrChange{}); return err }
	stranger.must(nothing)
	if at := owner.stat(ino); at.Mode&0o7777 != 0o4755 {
		t.Errorf("a stranger made it %o", at.Mode)
	}
	owner.must(nothing)
	if at := owner.stat(ino); at.Mode&0o7777 != 0o755 {
		t.Errorf("the owner made it %o", at.Mode)
	}
}

func TestTruncatingByAReader(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	h, ino := u.create(root, "f", 0o644)
	u.write(h, 0, "12345")
	u.fsync(h)
	u.open(ino, syscall.O_RDONLY|syscall.O_TRUNC)
	if at := u.stat(ino); at.Size != 0 {
		t.Errorf("%d bytes", at.Size)
	}
}

// What appends is the write, not the handle: fcntl(2) may have changed it since.
func TestAppendIsOfTheWrite(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	_, ino := u.create(root, "f", 0o644)
	h := u.open(ino, syscall.O_RDWR|syscall.O_APPEND)
	u.write(h, 0, "12345")
	u.write(h, 0, "x")
	u.appends(h, 0, "y")
	if got := u.read(h, 0, 10); got != "x2345y" {
		t.Errorf("%q", got)
	}
}

// A file that was written to, then got another name, is published after that: ctime
// neither goes back nor hides the later change.
func TestCtimeOfADirtyFileThatIsLinked(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	h, ino := u.create(root, "f", 0o644)
	u.write(h, 0, "12345")
	link := func(r *fs.Request) error { _, err := u.Link(r, ino, root, "g"); return err }
	if _, ctime := u.changed(ino, link); !ctime {
		t.Error("the link does not show")
	}
	if mtime, ctime := u.changed(ino, func(r *fs.Request) error { return u.Fsync(r, h) }); mtime || ctime {
		t.Errorf("publishing changed mtime %v, ctime %v", mtime, ctime)
	}
}

func TestBlocksOfWhatIsOverwritten(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	h, ino := u.create(root, "f", 0o644)
	u.write(h, 0, "12345")
	u.fsync(h)
	u.write(h, 0, "abcde")
	if at := u.stat(ino); at.Bytes != 5 {
		t.Errorf("%d bytes", at.Bytes)
	}
}

func TestNamespacesOfAttributes(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	_, ino := u.create(root, "f", 0o644)
	for name, kind := range map[string]signet.Kind{"user.": signet.Invalid, "user": signet.NotSupported, "other.x": signet.NotSupported, "": signet.NotSupported, "trusted.": signet.Invalid} {
		u.refused(kind, func(r *fs.Request) error { return u.SetXattr(r, ino, name, nil, 0) })
		u.refused(kind, func(r *fs.Request) error { _, err := u.GetXattr(r, ino, name); return err })
		u.refused(kind, func(r *fs.Request) error { return u.RemoveXattr(r, ino, name) })
	}
}
