package fs_test

import (
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
)

// TestMovedElsewhere holds that each thread is told once to walk its path anew when it
// finds a file that another host has just renamed, and nobody else ever.
func TestMovedElsewhere(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := a.create(root, "old", 0o644)
	a.close(h)
	look := func(u *user, thread uint32, want signet.Kind) {
		t.Helper()
		err := u.Do(func(r *fs.Request) error {
			r.PID = thread
			e, err := u.Lookup(r, root, "new")
			if err == nil && e.Attr.Ino != ino {
				t.Error("another file:", e.Attr.Ino)
			}
			return err
		})
		if signet.KindOf(err) != want {
			t.Errorf("thread %d: %v, want %v", thread, err, want)
		}
	}
	look(b, 1, signet.NotFound)
	a.must(func(r *fs.Request) error { return a.Rename(r, root, "old", root, "new", 0) })
	look(a, 1, signet.OK)
	look(b, 1, signet.Stale)
	look(b, 1, signet.OK)
	look(b, 2, signet.Stale)
	look(b, 1, signet.OK)
	look(b, 2, signet.OK)

	// Thread 3 is told of one move. What else happens to the file before it has walked
	// its path again it is not told, for then its call would fail.
	look(b, 3, signet.Stale)
	a.must(func(r *fs.Request) error { _, err := a.Link(r, ino, root, "other"); return err })
	a.must(func(r *fs.Request) error { return a.Unlink(r, root, "other") })
	look(b, 3, signet.OK)
	a.must(func(r *fs.Request) error { return a.Rename(r, root, "new", root, "away", 0) })
	look(b, 3, signet.NotFound)
	a.must(func(r *fs.Request) error { return a.Rename(r, root, "away", root, "new", 0) })
	look(b, 3, signet.Stale)
	look(b, 3, signet.OK)

	// Nor is it told of another name, at which the second walk passes by.
	a.must(func(r *fs.Request) error { return a.Rename(r, root, "new", root, "away", 0) })
	a.must(func(r *fs.Request) error { return a.Rename(r, root, "away", root, "new", 0) })
	look(b, 4, signet.Stale)
	h, _ = a.create(root, "x", 0o644)
	a.close(h)
	a.must(func(r *fs.Request) error { return a.Rename(r, root, "x", root, "y", 0) })
	for range 2 {
		b.must(func(r *fs.Request) error {
			r.PID = 4
			_, err := b.Lookup(r, root, "y")
			return err
		})
	}
	look(b, 4, signet.OK)
}
