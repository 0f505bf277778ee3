package fs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
)

const root = signet.RootIno

// user is a mount with the calls of a program, as root unless uid says otherwise.
type user struct {
	*fstest.Mount
	t        testing.TB
	uid, gid uint32
	umask    uint32
}

func newUser(t testing.TB, m *fstest.Mount) *user { return &user{Mount: m, t: t} }

func request() *fs.Request { return &fs.Request{Ctx: context.Background()} }

func (u *user) do(fn func(r *fs.Request) error) error {
	return u.Do(func(r *fs.Request) error {
		r.UID, r.GID, r.Umask = u.uid, u.gid, u.umask
		return fn(r)
	})
}

func (u *user) must(fn func(r *fs.Request) error) {
	u.t.Helper()
	if err := u.do(fn); err != nil {
		u.t.Fatal(err)
	}
}

// refused fails the test unless fn fails with the kind.
func (u *user) refused(kind signet.Kind, fn func(r *fs.Request) error) {
	u.t.Helper()
	if err := u.do(fn); signet.KindOf(err) != kind {
		u.t.Fatalf("error %v, want kind %q", err, kind)
	}
}

func (u *user) mkdir(parent signet.Ino, name string, mode uint32) (at signet.Attr) {
	u.t.Helper()
	u.must(func(r *fs.Request) error {
		e, err := u.Mkdir(r, parent, name, mode)
		at = e.Attr
		return err
	})
	return at
}

func (u *user) create(parent signet.Ino, name string, mode uint32) (fs.Handle, signet.Ino) {
	u.t.Helper()
	var h fs.Handle
	var e fs.Entry
	u.must(func(r *fs.Request) (err error) {
		e, h, _, err = u.Create(r, parent, name, mode, syscall.O_RDWR)
		return err
	})
	return h, e.Attr.Ino
}

func (u *user) open(ino signet.Ino, flags uint32) (h fs.Handle) {
	u.t.Helper()
	u.must(func(r *fs.Request) (err error) {
		var o fs.OpenFlags
		h, o, err = u.Open(r, ino, flags)
		u.Kernel.Opened(h, o)
		return err
	})
	return h
}

func (u *user) stat(ino signet.Ino) (at signet.Attr) {
	u.t.Helper()
	u.must(func(r *fs.Request) (err error) {
		at, _, err = u.GetAttr(r, ino)
		return err
	})
	return at
}

func (u *user) find(parent signet.Ino, name string) (at signet.Attr) {
	u.t.Helper()
	u.must(func(r *fs.Request) error {
		e, err := u.Lookup(r, parent, name)
		at = e.Attr
		return err
	})
	return at
}

func (u *user) write(h fs.Handle, off int64, data string) {
	u.t.Helper()
	u.writes(h, off, data, 0)
}

func (u *user) appends(h fs.Handle, off int64, data string) {
	u.t.Helper()
	u.writes(h, off, data, fs.WriteAppend)
}

func (u *user) writes(h fs.Handle, off int64, data string, flags uint32) {
	u.t.Helper()
	u.must(func(r *fs.Request) error {
		n, err := u.Write(r, h, off, []byte(data), flags)
		if err == nil && n != len(data) {
			err = fmt.Errorf("short write of %d", n)
		}
		return err
	})
}

func (u *user) read(h fs.Handle, off int64, n int) string {
	u.t.Helper()
	buf := make([]byte, n)
	u.must(func(r *fs.Request) (err error) {
		n, err = u.Read(r, h, off, buf, 0)
		return err
	})
	return string(buf[:n])
}

func (u *user) fsync(h fs.Handle) {
	u.t.Helper()
	u.must(func(r *fs.Request) error { return u.Fsync(r, h) })
}

// close does what close(2) of the only descriptor does.
func (u *user) close(h fs.Handle) {
	u.t.Helper()
	u.must(func(r *fs.Request) error {
		defer u.Release(r, h)
		return u.Flush(r, h, 0)
	})
}

func (u *user) list(ino signet.Ino) []string {
	u.t.Helper()
	var h fs.Handle
	u.must(func(r *fs.Request) (err error) {
		h, err = u.OpenDir(r, ino)
		return err
	})
	defer u.must(func(r *fs.Request) error { u.ReleaseDir(r, h); return nil })
	var names []string
	var cookie uint64
	for {
		n := 0
		u.must(func(r *fs.Request) error {
			return u.ReadDir(r, h, cookie, 7, func(e fs.DirEntry) bool {
				names = append(names, e.Name)
				cookie = e.Cookie
				n++
				return true
			})
		})
		if n == 0 {
			slices.Sort(names)
			return names
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	d := u.mkdir(root, "dir", 0o755)
	if d.Mode != signet.ModeDir|0o755 || d.Nlink != 2 {
		t.Errorf("new directory %+v", d)
	}
	h, ino := u.create(d.Ino, "file", 0o644)
	u.close(h)
	u.refused(signet.Exists, func(r *fs.Request) error {
		_, _, _, err := u.Create(r, d.Ino, "file", 0o644, syscall.O_RDWR|syscall.O_EXCL)
		return err
	})
	u.refused(signet.NotEmpty, func(r *fs.Request) error { return u.Rmdir(r, root, "dir") })
	u.refused(signet.IsDir, func(r *fs.Request) error { return u.Unlink(r, root, "dir") })
	u.refused(signet.NotDir, func(r *fs.Request) error { return u.Rmdir(r, d.Ino, "file") })
	u.refused(signet.NotFound, func(r *fs.Request) error { return u.Unlink(r, d.Ino, "other") })
	u.refused(signet.NotDir, func(r *fs.Request) error { _, err := u.Mkdir(r, ino, "x", 0o755); return err })
	u.refused(signet.NameTooLong, func(r *fs.Request) error {
		_, err := u.Mkdir(r, root, strings.Repeat("x", 256), 0o755)
		return err
	})
	u.mkdir(root, strings.Repeat("\xff", 255), 0o755)

	u.must(func(r *fs.Request) error {
		e, err := u.Link(r, ino, root, "second")
		if err == nil && e.Attr.Nlink != 2 {
			t.Error("links", e.Attr.Nlink)
		}
		return err
	})
	u.must(func(r *fs.Request) error { return u.Rename(r, d.Ino, "file", root, "second", 0) }) // the same inode: nothing happens
	u.must(func(r *fs.Request) error { return u.Unlink(r, d.Ino, "file") })
	if got := u.find(root, "second"); got.Ino != ino || got.Nlink != 1 {
		t.Errorf("second name %+v", got)
	}
	u.refused(signet.Exists, func(r *fs.Request) error {
		return u.Rename(r, root, "second", root, "dir", signet.RenameNoReplace)
	})
	u.must(func(r *fs.Request) error { return u.Rename(r, root, "second", root, "dir", signet.RenameExchange) })
	if u.find(root, "dir").Ino != ino || u.find(root, "second").Ino != d.Ino {
		t.Error("not exchanged")
	}
	u.refused(signet.Loop, func(r *fs.Request) error { return u.Rename(r, root, "second", d.Ino, "self", 0) })
	u.refused(signet.Invalid, func(r *fs.Request) error { return u.Rename(r, root, "a", root, "b", 4) })
	if up := u.find(d.Ino, ".."); up.Ino != root {
		t.Error("parent", up.Ino)
	}
	if got := u.list(root); len(got) != 5 || got[0] != "." || got[1] != ".." {
		t.Errorf("listing %q", got)
	}
	u.must(func(r *fs.Request) error { return u.Rmdir(r, root, "second") })
	u.must(func(r *fs.Request) error {
		s, err := u.StatFs(r)
		if s.Total == 0 {
			t.Error("no space at all")
		}
		return err
	})
}

func TestSymlinksAndDevices(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	target := "over/there " + strings.Repeat("y", 4000)
	var link fs.Entry
	u.must(func(r *fs.Request) (err error) {
		link, err = u.Symlink(r, root, "link", target)
		return err
	})
	if link.Attr.Size != uint64(len(target)) || link.Attr.Mode != signet.ModeSymlink|0o777 {
		t.Errorf("symlink %+v", link.Attr)
	}
	u.must(func(r *fs.Request) error {
		got, err := u.Readlink(r, link.Attr.Ino)
		if string(got) != target {
			t.Errorf("target %q", got)
		}
		return err
	})
	u.refused(signet.NameTooLong, func(r *fs.Request) error {
		_, err := u.Symlink(r, root, "l2", strings.Repeat("x", 4096))
		return err
	})
	u.refused(signet.Invalid, func(r *fs.Request) error { _, err := u.Readlink(r, root); return err })
	u.must(func(r *fs.Request) error {
		e, err := u.Mknod(r, root, "null", signet.ModeChar|0o666, 0x103)
		if e.Attr.Rdev != 0x103 || e.Attr.Mode != signet.ModeChar|0o666 {
			t.Errorf("device %+v", e.Attr)
		}
		return err
	})
	u.must(func(r *fs.Request) error {
		e, err := u.Mknod(r, root, "fifo", signet.ModeFIFO|0o600, 7)
		if e.Attr.Rdev != 0 {
			t.Error("a FIFO with a device number")
		}
		return err
	})
	u.refused(signet.Invalid, func(r *fs.Request) error {
		_, err := u.Mknod(r, root, "d", signet.ModeDir|0o777, 0)
		return err
	})
	// Whoever finds a symlink where it wanted to create walks the path anew.
	u.refused(signet.Stale, func(r *fs.Request) error {
		_, _, _, err := u.Create(r, root, "link", 0o644, syscall.O_RDWR)
		return err
	})
}

func TestModes(t *testing.T) {
	t.Parallel()
	m := fstest.NewVolume(t).Mount()
	u := newUser(t, m)
	u.uid, u.gid, u.umask = 1000, 100, 0o022
	team := u.mkdir(root, "team", 0o777)
	if team.Mode&0o7777 != 0o755 || team.UID != 1000 || team.GID != 100 {
		t.Errorf("directory under umask: %+v", team)
	}
	set := func(ino signet.Ino, c fs.AttrChange) (at signet.Attr) {
		t.Helper()
		u.must(func(r *fs.Request) (err error) {
			at, _, err = u.SetAttr(r, ino, c)
			return err
		})
		return at
	}
	set(team.Ino, fs.AttrChange{Set: signet.SetMode | signet.SetGID, Mode: 0o2775, GID: 555})
	sub := u.mkdir(team.Ino, "sub", 0o755)
	if sub.Mode&signet.ModeSetGID == 0 || sub.GID != 555 {
		t.Errorf("directory in a set-gid directory: %+v", sub)
	}
	h, ino := u.create(sub.Ino, "prog", 0o755)
	if at := u.stat(ino); at.GID != 555 || at.Mode != signet.ModeRegular|0o755 {
		t.Errorf("file in a set-gid directory: %+v", at)
	}
	prog := func() { set(ino, fs.AttrChange{Set: signet.SetMode, Mode: 0o6755}) }
	clean := func(what string) {
		t.Helper()
		if at := u.stat(ino); at.Mode&0o7777 != 0o755 {
			t.Errorf("after %s: mode %o", what, at.Mode)
		}
	}
	prog()
	set(ino, fs.AttrChange{Set: signet.SetUID, UID: 1001})
	clean("chown")
	prog()
	u.write(h, 0, "x")
	clean("write, not yet published")
	u.fsync(h)
	clean("write")
	prog()
	set(ino, fs.AttrChange{Set: signet.SetSize})
	clean("truncate")

	// Capabilities go with any of these too.
	u.must(func(r *fs.Request) error { return u.SetXattr(r, ino, "security.capability", []byte("cap"), 0) })
	u.write(h, 0, "y")
	for range 2 { // before it is published and after
		u.refused(signet.NoAttr, func(r *fs.Request) error { _, err := u.GetXattr(r, ino, "security.capability"); return err })
		u.fsync(h)
	}

	// Set-gid without group execution is something else and stays; root keeps all.
	set(ino, fs.AttrChange{Set: signet.SetMode, Mode: 0o2644})
	u.write(h, 0, "z")
	u.fsync(h)
	if at := u.stat(ino); at.Mode&0o7777 != 0o2644 {
		t.Errorf("mode %o", at.Mode)
	}
	prog()
	newUser(t, m).write(h, 0, "root")
	u.close(h)
	if at := u.stat(ino); at.Mode&0o7777 != 0o6755 {
		t.Errorf("after a write by root: mode %o", at.Mode)
	}
}

func TestXattrs(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	d := u.mkdir(root, "d", 0o755)
	put := func(name, value string, flags uint32) error {
		return u.do(func(r *fs.Request) error { return u.SetXattr(r, d.Ino, name, []byte(value), flags) })
	}
	for _, name := range []string{"user.a", "trusted.b", "security.c", "user.d"} {
		if err := put(name, "value of "+name, 1); err != nil {
			t.Fatal(err)
		}
		u.must(func(r *fs.Request) error {
			v, err := u.GetXattr(r, d.Ino, name)
			if string(v) != "value of "+name {
				t.Errorf("%s is %q", name, v)
			}
			return err
		})
	}
	for name, want := range map[string]signet.Kind{
		"system.posix_acl_access": signet.Invalid, "system.other": signet.NotSupported, "other.a": signet.NotSupported, "user.": signet.Invalid,
	} {
		if err := put(name, "\x02", 0); !errors.Is(err, want) {
			t.Error(name, err)
		}
	}
	for name, want := range map[string]signet.Kind{"security.none": signet.NoAttr, "security.selinux": signet.NotSupported} {
		err := u.do(func(r *fs.Request) error { _, err := u.GetXattr(r, d.Ino, name); return err })
		if !errors.Is(err, want) {
			t.Errorf("%s, which is not there: %v", name, err)
		}
	}
	if err := put("user.a", "again", 1); !errors.Is(err, signet.Exists) {
		t.Error("create twice:", err)
	}
	if err := put("user.x", "", 2); !errors.Is(err, signet.NoAttr) {
		t.Error("replace nothing:", err)
	}
	if err := put("user."+strings.Repeat("n", 251), "", 0); !errors.Is(err, signet.Range) {
		t.Error("long name:", err)
	}
	if err := put("user.big", strings.Repeat("v", 64<<10), 0); err != nil {
		t.Error("largest value:", err)
	}
	if err := put("user.big", strings.Repeat("v", 64<<10+1), 0); !errors.Is(err, signet.TooBig) {
		t.Error("too large a value:", err)
	}
	count := func() (n int) {
		u.must(func(r *fs.Request) error {
			names, err := u.ListXattr(r, d.Ino)
			n = len(names)
			return err
		})
		return n
	}
	if n := count(); n != 5 {
		t.Error(n, "attributes for root")
	}
	u.uid = 7
	if n := count(); n != 4 {
		t.Error(n, "attributes for others")
	}
	u.must(func(r *fs.Request) error { return u.RemoveXattr(r, d.Ino, "user.a") })
	u.refused(signet.NoAttr, func(r *fs.Request) error { return u.RemoveXattr(r, d.Ino, "user.a") })
}

// TestSmallListingIsOneMoment lists a directory whose entries fit into one reply: what
// comes after it is listed from the start again, not at its end.
func TestSmallListingIsOneMoment(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	d := u.mkdir(root, "d", 0o755)
	u.mkdir(d.Ino, "first", 0o755)
	var h fs.Handle
	u.must(func(r *fs.Request) (err error) { h, err = u.OpenDir(r, d.Ino); return err })
	var cookie uint64
	list := func() (n int) {
		u.must(func(r *fs.Request) error {
			return u.ReadDir(r, h, cookie, 1000, func(e fs.DirEntry) bool { n++; cookie = e.Cookie; return true })
		})
		return n
	}
	if n := list(); n != 3 {
		t.Error(n, "entries, want one and the two dots")
	}
	for i := range 20 {
		u.mkdir(d.Ino, fmt.Sprint("later", i), 0o755)
	}
	if n := list(); n != 0 {
		t.Error(n, "entries after the end")
	}
	cookie = 0
	if n := list(); n != 23 {
		t.Error(n, "entries from the start again")
	}
}

func TestListingWhileItChanges(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u := newUser(t, v.Mount())
	d := u.mkdir(root, "d", 0o755)
	want := map[string]bool{}
	for i := range 70 {
		name := fmt.Sprint("stays", i)
		want[name] = true
		u.mkdir(d.Ino, name, 0o755)
		u.mkdir(d.Ino, fmt.Sprint("goes", i), 0o755)
	}
	var h fs.Handle
	u.must(func(r *fs.Request) (err error) { h, err = u.OpenDir(r, d.Ino); return err })
	seen := map[string]int{}
	var cookies []uint64
	var cookie uint64
	for n, round := 1, 0; n > 0; round++ {
		n = 0
		u.must(func(r *fs.Request) error {
			return u.ReadDir(r, h, cookie, 11, func(e fs.DirEntry) bool {
				if n == 9 {
					return false // did not fit
				}
				if e.Cookie <= cookie {
					t.Errorf("cookie %d after %d", e.Cookie, cookie)
				}
				seen[e.Name]++
				cookie = e.Cookie
				cookies = append(cookies, cookie)
				n++
				return true
			})
		})
		// Take some away that were listed and some that were not, and add others.
		for i := range 70 {
			if i%7 == round%7 {
				_ = u.do(func(r *fs.Request) error { return u.Rmdir(r, d.Ino, fmt.Sprint("goes", i)) })
				_ = u.do(func(r *fs.Request) error {
					_, err := u.Mkdir(r, d.Ino, fmt.Sprint("new", round, "-", i), 0o755)
					return err
				})
			}
		}
	}
	for name := range want {
		if seen[name] != 1 {
			t.Errorf("%s was listed %d times", name, seen[name])
		}
	}
	for name, n := range seen {
		if n > 1 {
			t.Errorf("%s was listed %d times", name, n)
		}
	}
	// Going back to any place goes on from there.
	at := len(cookies) / 2
	var next uint64
	u.must(func(r *fs.Request) error {
		return u.ReadDir(r, h, cookies[at], 1, func(e fs.DirEntry) bool { next = e.Cookie; return true })
	})
	if next <= cookies[at] {
		t.Error("went back further than asked")
	}
	u.refused(signet.NotDir, func(r *fs.Request) error {
		f, _ := u.create(root, "f", 0o644)
		return u.ReadDir(r, f, 0, 1, nil)
	})
}

func TestRemovedWhileOpen(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u := newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	u.write(h, 0, "before")
	u.must(func(r *fs.Request) error { return u.Unlink(r, root, "f") })
	if got := u.Orphans(); !slices.Equal(got, []signet.Ino{ino}) {
		t.Error("orphans", got)
	}
	u.write(h, 6, " and after")
	u.fsync(h)
	if got := u.read(h, 0, 100); got != "before and after" {
		t.Errorf("read %q", got)
	}
	if at := u.stat(ino); at.Nlink != 0 || at.Size != 16 {
		t.Errorf("%+v", at)
	}
	second := u.open(ino, syscall.O_RDONLY) // /proc/self/fd
	u.close(h)
	if len(u.Orphans()) != 1 {
		t.Error("forgotten while open")
	}
	u.close(second)
	if len(u.Orphans()) != 0 {
		t.Error("still there")
	}
	// Who looked it up before may not open it any more: others were told it is closed.
	u.refused(signet.NotFound, func(r *fs.Request) error { _, _, err := u.Open(r, ino, 0); return err })

	var tmp fs.Handle
	var e fs.Entry
	u.must(func(r *fs.Request) (err error) {
		e, tmp, _, err = u.Tmpfile(r, root, 0o600, syscall.O_RDWR)
		return err
	})
	if len(u.Orphans()) != 1 {
		t.Error("a temporary file is not an orphan")
	}
	u.write(tmp, 0, "kept")
	u.must(func(r *fs.Request) error { _, err := u.Link(r, e.Attr.Ino, root, "kept"); return err })
	u.close(tmp)
	if len(u.Orphans()) != 0 || u.find(root, "kept").Size != 4 {
		t.Error("linked temporary file")
	}
}
