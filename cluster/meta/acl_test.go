package meta

import (
	"testing"

	"github.com/signetfs/signet"
)

func acl(name, value string) signet.ACL {
	return signet.ACL{Name: []byte(name), Value: []byte(value)}
}

func (w *world) xattr(ino signet.Ino, name string) (value string) {
	w.read(func(r *Reader) {
		if b, err := r.Xattr(ino, []byte(name)); err == nil {
			value = string(b)
		}
	})
	return value
}

// refused is do, which must not change anything but the memory of its answer.
func (w *world) refused(what string, do func()) {
	w.t.Helper()
	do()
	if len(w.step.Batch.Changes) > 0 {
		w.t.Errorf("%s was refused, and changed %v", what, w.step.Batch.Changes)
	}
	w.check()
}

func TestAccessACLAndModeAreOne(t *testing.T) {
	w := made(t)
	w.file(1, "f", 2)
	w.ok(&signet.SetAttr{Ino: 2, Set: signet.SetMode, Mode: 0o2755})
	w.ok(&signet.SetACL{Ino: 2, ACL: acl("a", "one"), SetMode: true, Mode: 0o670, ClearSGID: true, Time: signet.Time{Sec: 7}})
	at := w.attr(2)
	if at.Mode&0o7777 != 0o670 || at.AccessACL == 0 || at.DefaultACL != 0 || at.Ctime.Sec != 7 || w.xattr(2, "a") != "one" {
		t.Errorf("%+v", at)
	}
	// A chmod that knows nothing of the ACL, or of another one, does nothing.
	for _, c := range []*signet.SetAttr{
		{Ino: 2, Set: signet.SetMode, Mode: 0o600},
		{Ino: 2, Set: signet.SetMode, Mode: 0o600, Based: at.AccessACL - 1, Access: acl("a", "two")},
	} {
		w.refused("chmod", func() { w.want(c, signet.Stale) })
	}
	for _, c := range []*signet.SetAttr{
		{Ino: 2, Set: signet.SetMode, Mode: 0o600, Based: at.AccessACL},
		{Ino: 2, Set: signet.SetMode, Mode: 0o600, Based: at.AccessACL, Access: acl("a", "")},
	} {
		w.refused("chmod", func() { w.want(c, signet.Invalid) })
	}
	w.ok(&signet.SetAttr{Ino: 2, Set: signet.SetMode, Mode: 0o600, Based: at.AccessACL, Access: acl("a", "two")})
	now := w.attr(2)
	if now.Mode&0o7777 != 0o600 || now.AccessACL <= at.AccessACL || w.xattr(2, "a") != "two" {
		t.Errorf("%+v", now)
	}
	// What does not set the mode need not know; clearing set-uid does not touch the ACL.
	w.ok(&signet.SetAttr{Ino: 2, Set: signet.SetUID | signet.SetPlain, UID: 5})
	// Taken away: the mode stays, a second time is no error and changes nothing.
	w.ok(&signet.SetACL{Ino: 2, ACL: acl("a", "")})
	if now = w.attr(2); now.AccessACL != 0 || now.Mode&0o7777 != 0o600 || w.xattr(2, "a") != "" {
		t.Errorf("%+v", now)
	}
	at = now
	w.ok(&signet.SetACL{Ino: 2, ACL: acl("a", ""), Time: signet.Time{Sec: 99}})
	if now = w.attr(2); now != at {
		t.Errorf("%+v, was %+v", now, at)
	}
	w.check()
}

func TestWhatCannotHaveACLs(t *testing.T) {
	w := made(t)
	w.file(1, "f", 2)
	w.ok(&signet.Create{Parent: 1, Name: []byte("l"), Ino: 3, Mode: signet.ModeSymlink | 0o777, Target: []byte("x"), Size: 1})
	for _, c := range []struct {
		kind signet.Kind
		cmd  *signet.SetACL
	}{
		{signet.NotSupported, &signet.SetACL{Ino: 3, ACL: acl("a", "v")}},
		{signet.Permission, &signet.SetACL{Ino: 2, Default: true, ACL: acl("d", "v")}},
		{signet.Invalid, &signet.SetACL{Ino: 2, ACL: acl("", "v")}},
		{signet.NotFound, &signet.SetACL{Ino: 9, ACL: acl("a", "v")}},
		{signet.TooBig, &signet.SetACL{Ino: 2, ACL: acl("a", string(make([]byte, maxSealedXattrValue+1)))}},
	} {
		w.refused("set ACL", func() { w.want(c.cmd, c.kind) })
	}
}

func TestDefaultACLIsInherited(t *testing.T) {
	w := made(t)
	w.dir(1, "d", 2)
	w.ok(&signet.SetACL{Ino: 2, Default: true, ACL: acl("d", "default")})
	since := w.attr(2).DefaultACL
	file := &signet.Create{Parent: 2, Name: []byte("f"), Ino: 3, Mode: signet.ModeRegular | 0o640}
	w.refused("create", func() { w.want(file, signet.Stale) }) // computed from no ACL
	file.Inherits, file.Access = since, acl("a", "access")
	w.ok(file)
	dir := &signet.Create{Parent: 2, Name: []byte("s"), Ino: 4, Mode: signet.ModeDir | 0o750, Inherits: since, Access: acl("a", "access"), Default: acl("d", "default")}
	w.ok(dir)
	f, d := w.attr(3), w.attr(4)
	if f.AccessACL == 0 || f.DefaultACL != 0 || d.AccessACL == 0 || d.DefaultACL == 0 || w.xattr(4, "d") != "default" || w.xattr(3, "a") != "access" {
		t.Errorf("%+v\n%+v", f, d)
	}
	// The ACL of the directory changes: what was computed from the old one is refused.
	w.ok(&signet.SetACL{Ino: 2, Default: true, ACL: acl("d", "other")})
	late := &signet.Create{Parent: 2, Name: []byte("g"), Ino: 5, Mode: signet.ModeRegular | 0o640, Inherits: since, Access: acl("a", "access")}
	w.refused("create", func() { w.want(late, signet.Stale) })
	// A symlink inherits nothing and does not ask.
	w.ok(&signet.Create{Parent: 2, Name: []byte("l"), Ino: 5, Mode: signet.ModeSymlink | 0o777, Target: []byte("x"), Size: 1})
	now := w.attr(2).DefaultACL
	for _, c := range []*signet.Create{
		{Parent: 2, Name: []byte("x"), Ino: 6, Mode: signet.ModeRegular, Inherits: now, Default: acl("d", "v")},
		{Parent: 2, Name: []byte("x"), Ino: 6, Mode: signet.ModeDir, Inherits: now, Access: acl("d", "v"), Default: acl("d", "v")},
		{Parent: 2, Name: []byte("x"), Ino: 6, Mode: signet.ModeRegular, Inherits: now, Access: acl("a", "")},
		{Parent: 1, Name: []byte("x"), Ino: 6, Mode: signet.ModeRegular, Access: acl("a", "v")},
	} {
		w.refused("create", func() { w.want(c, signet.Invalid) })
	}
	w.check()
}

func TestSetGIDIsInherited(t *testing.T) {
	w := made(t)
	w.dir(1, "d", 2)
	w.ok(&signet.SetAttr{Ino: 2, Set: signet.SetMode | signet.SetGID, Mode: 0o2775, GID: 77})
	w.ok(&signet.Create{Parent: 2, Name: []byte("f"), Ino: 3, Mode: signet.ModeRegular | 0o644, GID: 5})
	w.ok(&signet.Create{Parent: 2, Name: []byte("s"), Ino: 4, Mode: signet.ModeDir | 0o755, GID: 5})
	if f, s := w.attr(3), w.attr(4); f.GID != 77 || f.Mode&0o7777 != 0o644 || s.GID != 77 || s.Mode&0o7777 != 0o2755 {
		t.Errorf("%+v\n%+v", f, s)
	}
}

func TestAtimesMoveAlone(t *testing.T) {
	w := made(t)
	w.file(1, "a", 2)
	w.file(1, "b", 3)
	a, b := w.attr(2), w.attr(3)
	w.ok(&signet.SetAttr{Ino: 3, Set: signet.SetAtime, Atime: signet.Time{Sec: 1}, Time: signet.Time{Sec: 50}})
	later := signet.Time{Sec: 100, Nsec: 1}
	w.ok(&signet.SetAtimes{List: []signet.Atime{{Ino: 2, Was: a.Atime, Now: later}, {Ino: 3, Was: b.Atime, Now: later}, {Ino: 99, Now: later}}})
	a.Atime = later
	if got := w.attr(2); got != a {
		t.Errorf("%+v, want %+v", got, a)
	}
	if got := w.attr(3); got.Atime.Sec != 1 {
		t.Errorf("what utimensat set was overwritten: %+v", got)
	}
}

func TestXattrFlagsTogether(t *testing.T) {
	w := made(t)
	w.file(1, "a", 2)
	both := &signet.SetXattr{Ino: 2, Name: []byte("n"), Value: []byte("v"), Flags: 3}
	w.want(both, signet.NoAttr)
	w.ok(&signet.SetXattr{Ino: 2, Name: []byte("n"), Value: []byte("v")})
	w.want(both, signet.Exists)
}
