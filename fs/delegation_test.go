package fs_test

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
	"github.com/signetfs/signet/internal/clock"
)

// counted counts a host's commands by what they are.
type counted struct {
	mu sync.Mutex
	n  map[string]int // guarded by mu
}

func count(u *user) *counted {
	c := &counted{n: map[string]int{}}
	u.Names.Before = func(_ context.Context, cmd signet.Command) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch cmd := cmd.(type) {
		case *signet.Write:
			c.n["write"]++
		case *signet.Delegate:
			c.n["delegate"]++
		case *signet.HandBack:
			c.n["hand back"] += len(cmd.Inos)
		}
		return nil
	}
	return c
}

func (c *counted) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n[what]
	c.n[what] = 0
	return n
}

// TestOwnerBuffers holds when an owner's writes cost commands, and that the other host
// sees each at once all the same.
func TestOwnerBuffers(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	clk := clock.NewManual(time.Unix(1_700_000_000, 0))
	v.Clock = clk
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	cmds := count(a)
	h, ino := a.create(root, "f", 0o644)
	wants := func(rh fs.Handle, text string) {
		t.Helper()
		got, err := b.Kernel.Read(t.Context(), b.FS, rh, ino, 0, 100)
		if err != nil || string(got) != text {
			t.Fatalf("read %q, %v; want %q", got, err, text)
		}
	}

	for range 10 {
		a.write(h, 0, "0123456789")
	}
	if n := cmds.of("write"); n != 0 {
		t.Errorf("%d commands for writes that nobody looks at", n)
	}
	direct := b.open(ino, syscall.O_RDONLY)
	wants(direct, "0123456789")
	if n := cmds.of("write"); n != 1 {
		t.Errorf("%d commands for one look", n)
	}
	a.write(h, 0, "abc")
	wants(direct, "abc3456789")
	b.close(direct)
	a.close(h)

	// A handle from before the delegation keeps pages: each write is published at once.
	early := b.open(ino, syscall.O_RDONLY) // hands it back
	if n := cmds.of("hand back"); n != 1 || cmds.of("delegate") != 0 {
		t.Errorf("handed back %d times", n)
	}
	wants(early, "abc3456789")
	h = a.open(ino, syscall.O_RDWR)
	cmds.of("write")
	a.write(h, 0, "A")
	if n := cmds.of("write"); n != 0 {
		t.Error("published before anybody has pages")
	}
	wants(early, "Abc3456789")
	cmds.of("write")
	for _, c := range "BCD" {
		a.write(h, 0, string(c))
		wants(early, string(c)+"bc3456789")
	}
	if n := cmds.of("write"); n != 3 {
		t.Errorf("%d commands for 3 writes that another host has pages of", n)
	}
	// When the others have not looked for a while they are made to forget.
	clk.Advance(2 * time.Second)
	cmds.of("delegate")
	for range 5 {
		a.write(h, 0, "E")
	}
	if d, w := cmds.of("delegate"), cmds.of("write"); d != 1 || w != 0 {
		t.Errorf("%d delegations and %d writes, want to buffer after one", d, w)
	}
	wants(early, "Ebc3456789")
}

// TestGuestsWriteThrough has two hosts write to a file that a third owns, and append.
func TestGuestsWriteThrough(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	us := []*user{newUser(t, v.Mount()), newUser(t, v.Mount()), newUser(t, v.Mount())}
	h, ino := us[0].create(root, "f", 0o644)
	us[0].write(h, 0, "owner")
	var add [3]fs.Handle
	for i, u := range us {
		add[i] = u.open(ino, syscall.O_WRONLY|syscall.O_APPEND)
	}
	want := "owner"
	for round := range 20 {
		i := round % 3
		text := strings.Repeat(string(rune('a'+round)), 1+round*400)
		us[i].appends(add[i], 0, text)
		want += text
		if got := us[(i+1)%3].stat(ino).Size; got != uint64(len(want)) {
			t.Fatalf("%d bytes, want %d", got, len(want))
		}
	}
	// The owner goes; the next who writes takes its place, and buffers.
	us[0].close(h)
	us[0].close(add[0])
	cmds := count(us[1])
	for range 5 {
		us[1].appends(add[1], 0, "x")
		want += "x"
	}
	if d, w := cmds.of("delegate"), cmds.of("write"); d != 1 || w > 1 {
		t.Errorf("%d delegations and %d writes of who writes alone now", d, w)
	}
	rh := us[2].open(ino, syscall.O_RDONLY)
	if got := us[2].read(rh, 0, len(want)+1); got != want {
		t.Errorf("%d bytes, want %d, first difference at %d", len(got), len(want), differ(got, []byte(want)))
	}
}

// TestTakenAway holds that what was buffered by a host that lost the file never comes up,
// and that its program is told.
func TestTakenAway(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := a.create(root, "f", 0o644)
	a.write(h, 0, "synced")
	a.fsync(h)
	a.write(h, 0, "BUFFER")
	owner := a.Names.Session()
	if _, _, err := b.Names.Do(t.Context(), &signet.Revoke{Ino: ino, Session: owner}); err != nil {
		t.Fatal(err)
	}
	rh := b.open(ino, syscall.O_RDONLY)
	if got := b.read(rh, 0, 10); got != "synced" {
		t.Errorf("read %q", got)
	}
	err := a.Do(func(r *fs.Request) error { return a.Fsync(r, h) })
	if signet.KindOf(err) != signet.Ended {
		t.Errorf("fsync of what is lost: %v", err)
	}
	a.write(h, 0, "S") // it may go on
	if got := b.read(rh, 0, 10); got != "Synced" {
		t.Errorf("read %q", got)
	}
}

// TestOwnerFails has the owner of a file answer with an error: a READ of the file does so
// too, instead of asking again and again.
func TestOwnerFails(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := a.create(root, "f", 0o644)
	a.write(h, 0, "not published")
	hb := b.open(ino, syscall.O_RDONLY)
	asked := 0
	a.Names.Answer(func(context.Context, signet.Ino, signet.Recall) (signet.Recalled, error) {
		asked++
		return signet.Recalled{}, signet.NoSpace
	})
	began := time.Now()
	b.refused(signet.NoSpace, func(r *fs.Request) error { _, err := b.Read(r, hb, 0, make([]byte, 5), 0); return err })
	if took := time.Since(began); took > 5*time.Second || asked > 2 {
		t.Errorf("the owner was asked %d times in %v", asked, took)
	}
	a.Names.Answer(a.Recalled)
	if got := b.read(hb, 0, 5); got != "not p" {
		t.Errorf("%q", got)
	}
}

// TestLeaseIsBack has a host without a lease for so short a time that it has one again when the
// question to a file's owner has failed for want of it: it asks again, and shows nothing old.
func TestLeaseIsBack(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := a.create(root, "f", 0o644)
	a.write(h, 0, "old")
	a.fsync(h)
	a.write(h, 0, "newer")
	hb := b.open(ino, syscall.O_RDONLY)
	failing := func() { // the next question fails
		var once sync.Once
		a.Names.Answer(func(ctx context.Context, ino signet.Ino, why signet.Recall) (r signet.Recalled, err error) {
			once.Do(func() { err = signet.Errorf(signet.Unavailable, "ask", "", "no lease") })
			if err != nil {
				return r, err
			}
			return a.Recalled(ctx, ino, why)
		})
	}
	failing()
	if at := b.stat(ino); at.Size != 5 {
		t.Errorf("the size is %d", at.Size)
	}
	failing()
	if got := b.read(hb, 0, 10); got != "newer" {
		t.Errorf("read %q", got)
	}
}

// TestTakenInAGap takes a file away from a host while its change feed has a gap. What it
// had buffered is lost, and it buffers nothing more without asking.
func TestTakenInAGap(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := a.create(root, "f", 0o644)
	a.write(h, 0, "lost")
	a.Names.Deafen(true)
	_, applied, err := b.Names.Do(t.Context(), &signet.Revoke{Ino: ino, Session: a.Names.Session()})
	if err == nil {
		err = applied.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	a.Names.Deafen(false)
	if err := a.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.refused(signet.Ended, func(r *fs.Request) error { _, err := a.Write(r, h, 0, []byte("told"), 0); return err })
	a.write(h, 0, "new")
	if got := b.stat(ino).Size; got != 3 {
		t.Errorf("after a write of 3 bytes the other host sees %d", got)
	}
}
