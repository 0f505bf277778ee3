package fs_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
	"github.com/signetfs/signet/internal/clock"
)

// atimes is two hosts with a file that was written long ago and is not open.
type atimes struct {
	clk  *clock.Manual
	a, b *user
	file signet.Ino
	sent chan struct{} // one for each SetAtimes of a
}

func newAtimes(t *testing.T, kind fs.AtimeKind) *atimes {
	t.Helper()
	v := fstest.NewVolume(t)
	x := &atimes{clk: clock.NewManual(time.Unix(1_700_000_000, 0)), sent: make(chan struct{}, 100)}
	v.Clock = x.clk
	m := v.Mount()
	m.Names.After = func(_ context.Context, c signet.Command) error {
		if _, is := c.(*signet.SetAtimes); is {
			x.sent <- struct{}{}
		}
		return nil
	}
	x.a, x.b = newUser(t, m), newUser(t, v.Mount())
	x.a.SetAtime(fs.Atime{Kind: kind})
	x.b.SetAtime(fs.Atime{Kind: kind})
	h, f := x.a.create(root, "f", 0o644)
	x.a.write(h, 0, "content")
	x.a.close(h)
	x.file = f
	x.clk.Advance(100 * time.Second)
	return x
}

// reads has u read the file.
func (x *atimes) reads(u *user) {
	h := u.open(x.file, syscall.O_RDONLY)
	u.read(h, 0, 10)
	u.close(h)
}

// after is how many seconds after the file was made its time of access is, as u sees it.
func (x *atimes) after(u *user) int64 { return u.stat(x.file).Atime.Sec - 1_700_000_000 }

// published advances the clock until what host a noted is in the log.
func (x *atimes) published(t *testing.T, want int64) {
	t.Helper()
	for range 7 {
		x.clk.Advance(time.Second)
	}
	<-x.sent
	x.a.mkdir(root, "released", 0o755) // and so is what came before
	if got := x.after(x.b); got != want {
		t.Fatalf("another host sees %d, want %d", got, want)
	}
}

func TestRelatime(t *testing.T) {
	t.Parallel()
	x := newAtimes(t, fs.AtimeRelative)
	if got := x.after(x.a); got != 0 {
		t.Fatal(got)
	}
	ctime := x.a.stat(x.file).Ctime
	x.reads(x.a)
	if here, there := x.after(x.a), x.after(x.b); here != 100 || there != 0 {
		t.Errorf("%d here, %d there", here, there)
	}
	x.clk.Advance(3 * time.Second)
	x.reads(x.a)
	if got := x.after(x.a); got != 100 {
		t.Errorf("moved again, to %d", got)
	}
	x.published(t, 100)
	if got := x.a.stat(x.file).Ctime; got != ctime {
		t.Errorf("a read changed ctime to %v", got)
	}
	x.clk.Advance(24 * time.Hour)
	x.reads(x.b)
	if got := x.after(x.b); got <= 24*60*60 {
		t.Errorf("%d after a day", got)
	}
}

func TestStrictatime(t *testing.T) {
	t.Parallel()
	x := newAtimes(t, fs.AtimeStrict)
	for i := range int64(3) {
		x.reads(x.a)
		if got := x.after(x.a); got != 100+i {
			t.Errorf("read %d: %d", i, got)
		}
		x.clk.Advance(time.Second)
	}
	x.published(t, 102)
}

func TestWhatMovesNoAtime(t *testing.T) {
	t.Parallel()
	x := newAtimes(t, fs.AtimeNever)
	x.reads(x.a)
	x.a.SetAtime(fs.Atime{Kind: fs.AtimeStrict})
	h := x.a.open(x.file, syscall.O_RDONLY)
	x.a.must(func(r *fs.Request) error {
		_, err := x.a.Read(r, h, 0, make([]byte, 4), syscall.O_NOATIME)
		return err
	})
	x.a.close(h)
	if got := x.after(x.a); got != 0 {
		t.Error(got)
	}
}

func TestUtimensatWinsOverAtime(t *testing.T) {
	t.Parallel()
	for _, elsewhere := range []bool{false, true} {
		x := newAtimes(t, fs.AtimeStrict)
		x.reads(x.a)
		by := x.a
		if elsewhere {
			by = x.b
		}
		by.must(func(r *fs.Request) error {
			_, _, err := by.SetAttr(r, x.file, fs.AttrChange{Set: signet.SetAtime, Atime: signet.Time{Sec: 1_700_000_007}})
			return err
		})
		if got := x.after(x.a); got != 7 {
			t.Errorf("elsewhere %v: %d", elsewhere, got)
		}
		if err := x.a.Sync(context.Background()); err != nil {
			t.Error(err)
		}
		if got := x.after(x.b); got != 7 {
			t.Errorf("elsewhere %v: %d after all is published", elsewhere, got)
		}
	}
}

// What cannot be published is forgotten, and no read ever fails for it.
func TestAtimesOnAHostThatMayNotChange(t *testing.T) {
	t.Parallel()
	x := newAtimes(t, fs.AtimeStrict)
	x.a.Names.SetReadOnly(signet.ReadOnly)
	x.reads(x.a)
	if got := x.after(x.a); got != 100 {
		t.Error(got)
	}
	_ = x.a.Sync(context.Background())
	if got := x.after(x.a); got != 0 {
		t.Error(got)
	}
}

func TestSquash(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	uid, gid := uint32(7), uint32(8)
	b.SetSquash(fs.Squash{UID: &uid, GID: &gid})
	d := a.mkdir(root, "d", 0o755).Ino
	if at := b.stat(d); at.UID != 7 || at.GID != 8 {
		t.Errorf("%+v", at)
	}
	if at := b.find(root, "d"); at.UID != 7 || at.GID != 8 {
		t.Errorf("%+v", at)
	}
	h, f := b.create(d, "f", 0o644)
	b.close(h)
	if at := a.stat(f); at.UID != 7 || at.GID != 8 {
		t.Errorf("recorded as %+v", at)
	}
	if at := a.stat(d); at.UID != 0 {
		t.Errorf("what was there is changed: %+v", at)
	}
	chown := func(set, uid, gid uint32) error {
		return b.do(func(r *fs.Request) error {
			_, _, err := b.SetAttr(r, d, fs.AttrChange{Set: set, UID: uid, GID: gid})
			return err
		})
	}
	if err := chown(signet.SetUID|signet.SetGID, 7, 8); err != nil {
		t.Error(err)
	}
	if err := chown(signet.SetGID, 0, 9); signet.KindOf(err) != signet.NotPermitted {
		t.Error(err)
	}
	if at := a.stat(d); at.UID != 0 || at.GID != 0 {
		t.Errorf("%+v", at)
	}
}
