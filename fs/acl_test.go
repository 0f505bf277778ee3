package fs_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
)

const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
)

// aclOf is an ACL as its attribute has it: tag, permissions and id of each entry.
func aclOf(entries ...[3]uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return b
}

const nobody = ^uint32(0)

// named is an ACL that gives user 7 what perm says, masked.
func named(owner, perm, group, mask, other uint32) []byte {
	return aclOf([3]uint32{1, owner, nobody}, [3]uint32{2, perm, 7}, [3]uint32{4, group, nobody}, [3]uint32{0x10, mask, nobody}, [3]uint32{0x20, other, nobody})
}

func (u *user) setACL(ino signet.Ino, name string, value []byte) {
	u.t.Helper()
	u.must(func(r *fs.Request) error { return u.SetXattr(r, ino, name, value, 0) })
}

// acl returns an ACL, nil if there is none.
func (u *user) acl(ino signet.Ino, name string) (value []byte) {
	u.t.Helper()
	if err := u.do(func(r *fs.Request) (err error) {
		value, err = u.GetXattr(r, ino, name)
		return err
	}); err != nil && !errors.Is(err, signet.NoAttr) {
		u.t.Fatal(err)
	}
	return value
}

func (u *user) chmod(ino signet.Ino, mode uint32) {
	u.t.Helper()
	u.must(func(r *fs.Request) error {
		_, _, err := u.SetAttr(r, ino, fs.AttrChange{Set: signet.SetMode, Mode: mode})
		return err
	})
}

func (u *user) expect(ino signet.Ino, mode uint32, access, dflt []byte) {
	u.t.Helper()
	if at := u.stat(ino); at.Mode&0o7777 != mode {
		u.t.Errorf("inode %d: mode %o, want %o", ino, at.Mode&0o7777, mode)
	}
	for name, want := range map[string][]byte{accessACL: access, defaultACL: dflt} {
		if got := u.acl(ino, name); string(got) != string(want) {
			u.t.Errorf("inode %d: %s\n%x, want\n%x", ino, name, got, want)
		}
	}
}

func TestBadACLs(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	d := u.mkdir(root, "d", 0o755).Ino
	good := named(7, 7, 5, 5, 0)
	for what, c := range map[string]struct {
		value []byte
		kind  signet.Kind
	}{
		"nothing":          {nil, signet.Invalid},
		"half an entry":    {good[:len(good)-1], signet.Invalid},
		"no others":        {good[:len(good)-8], signet.Invalid},
		"version":          {append([]byte{3}, good[1:]...), signet.NotSupported},
		"no mask":          {aclOf([3]uint32{1, 7, nobody}, [3]uint32{2, 7, 7}, [3]uint32{4, 5, nobody}, [3]uint32{0x20, 5, nobody}), signet.Invalid},
		"twice":            {aclOf([3]uint32{1, 7, nobody}, [3]uint32{1, 7, nobody}, [3]uint32{4, 5, nobody}, [3]uint32{0x20, 5, nobody}), signet.Invalid},
		"order":            {aclOf([3]uint32{4, 7, nobody}, [3]uint32{1, 7, nobody}, [3]uint32{0x20, 5, nobody}), signet.Invalid},
		"permission":       {aclOf([3]uint32{1, 8, nobody}, [3]uint32{4, 5, nobody}, [3]uint32{0x20, 5, nobody}), signet.Invalid},
		"nobody is named":  {aclOf([3]uint32{1, 7, nobody}, [3]uint32{2, 7, nobody}, [3]uint32{4, 5, nobody}, [3]uint32{0x10, 7, 0}, [3]uint32{0x20, 5, nobody}), signet.Invalid},
		"no tag like that": {aclOf([3]uint32{1, 7, nobody}, [3]uint32{3, 7, 7}, [3]uint32{4, 5, nobody}, [3]uint32{0x20, 5, nobody}), signet.Invalid},
	} {
		err := u.do(func(r *fs.Request) error { return u.SetXattr(r, d, accessACL, c.value, 0) })
		if signet.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want %v", what, err, c.kind)
		}
	}
	u.expect(d, 0o755, nil, nil)
}

func TestModeAndACLFollowEachOther(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	_, f := u.create(root, "f", 0o644)
	u.setACL(f, accessACL, named(6, 7, 5, 4, 1))
	u.expect(f, 0o641, named(6, 7, 5, 4, 1), nil)
	u.chmod(f, 0o4730)
	u.expect(f, 0o4730, named(7, 7, 5, 3, 0), nil) // the mask, not the group
	u.must(func(r *fs.Request) error { return u.RemoveXattr(r, f, accessACL) })
	u.expect(f, 0o4730, nil, nil)
	u.must(func(r *fs.Request) error { return u.RemoveXattr(r, f, accessACL) })
	// One that a mode can say is a mode.
	u.setACL(f, accessACL, named(6, 7, 5, 4, 1))
	u.setACL(f, accessACL, aclOf([3]uint32{1, 6, nobody}, [3]uint32{4, 2, nobody}, [3]uint32{0x20, 0, nobody}))
	u.expect(f, 0o4620, nil, nil)
	// Without entries it is taken away.
	u.setACL(f, accessACL, named(6, 7, 5, 4, 1))
	u.setACL(f, accessACL, aclOf())
	u.expect(f, 0o4641, nil, nil)
}

func TestDefaultACL(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	d := u.mkdir(root, "d", 0o755).Ino
	dflt := named(7, 7, 5, 7, 4)
	u.setACL(d, defaultACL, dflt)
	u.expect(d, 0o755, nil, dflt)
	u.umask = 0o077 // has no say
	h, f := u.create(d, "f", 0o664)
	u.close(h)
	u.expect(f, 0o664, named(6, 7, 5, 6, 4), nil)
	s := u.mkdir(d, "s", 0o751).Ino
	u.expect(s, 0o750, named(7, 7, 5, 5, 0), dflt)
	var e fs.Entry
	u.must(func(r *fs.Request) (err error) {
		e, err = u.Mknod(r, d, "p", signet.ModeFIFO|0o600, 0)
		return err
	})
	u.expect(e.Attr.Ino, 0o600, named(6, 7, 5, 0, 0), nil)
	u.must(func(r *fs.Request) (err error) {
		e, h, _, err = u.Tmpfile(r, d, 0o622, syscall.O_RDWR)
		return err
	})
	u.expect(e.Attr.Ino, 0o620, named(6, 7, 5, 2, 0), nil)
	u.close(h)
	u.must(func(r *fs.Request) (err error) {
		e, err = u.Symlink(r, d, "l", "f")
		return err
	})
	u.expect(e.Attr.Ino, 0o777, nil, nil)
	// One of three entries is kept as a default, and becomes a mode in what inherits it.
	plain := aclOf([3]uint32{1, 7, nobody}, [3]uint32{4, 4, nobody}, [3]uint32{0x20, 0, nobody})
	u.setACL(d, defaultACL, plain)
	u.expect(d, 0o755, nil, plain)
	s = u.mkdir(d, "t", 0o777).Ino
	u.expect(s, 0o740, nil, plain)
	u.must(func(r *fs.Request) error { return u.RemoveXattr(r, d, defaultACL) })
	h, f = u.create(d, "g", 0o666)
	u.close(h)
	u.expect(f, 0o600, nil, nil)
}

// Another host changes the ACL between the look at it and the command.
func TestACLChangesMeanwhile(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	m := v.Mount()
	var meanwhile atomic.Pointer[func()]
	m.Names.Before = func(context.Context, signet.Command) error {
		if fn := meanwhile.Swap(nil); fn != nil {
			(*fn)()
		}
		return nil
	}
	a, b := newUser(t, m), newUser(t, v.Mount())
	before := func(fn func()) { meanwhile.Store(&fn) }
	d := a.mkdir(root, "d", 0o755).Ino

	before(func() { b.setACL(d, defaultACL, named(7, 7, 5, 7, 4)) })
	h, f := a.create(d, "f", 0o664)
	a.close(h)
	a.expect(f, 0o664, named(6, 7, 5, 6, 4), nil)
	before(func() { b.setACL(d, defaultACL, named(7, 1, 1, 1, 0)) })
	b.expect(a.mkdir(d, "s", 0o777).Ino, 0o710, named(7, 1, 1, 1, 0), named(7, 1, 1, 1, 0))
	before(func() { b.must(func(r *fs.Request) error { return b.RemoveXattr(r, d, defaultACL) }) })
	h, g := a.create(d, "g", 0o666)
	a.close(h)
	b.expect(g, 0o666, nil, nil)

	before(func() { b.setACL(g, accessACL, named(6, 7, 5, 4, 1)) })
	a.chmod(g, 0o750)
	b.expect(g, 0o750, named(7, 7, 5, 5, 0), nil)
	before(func() { b.setACL(g, accessACL, named(6, 3, 3, 3, 1)) })
	a.chmod(g, 0o700)
	b.expect(g, 0o700, named(7, 3, 3, 0, 0), nil)
	before(func() { b.must(func(r *fs.Request) error { return b.RemoveXattr(r, g, accessACL) }) })
	a.chmod(g, 0o444)
	b.expect(g, 0o444, nil, nil)
}
