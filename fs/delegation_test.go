package fs_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
)

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
