package fs_test

import (
	"syscall"
	"testing"

	"github.com/signetfs/signet/fs/fstest"
)

// TestReadWhoseSizeIsOvertaken has a program read a file that has grown on another host. Between
// the answer that tells of the size and its effect, the file changes once more: the kernel then
// does not believe the size, and the program must be given all bytes nevertheless.
func TestReadWhoseSizeIsOvertaken(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := a.create(root, "f", 0o644)
	a.write(h, 0, "old")
	a.close(h)
	rh := b.open(ino, syscall.O_RDONLY)
	read := func() string {
		t.Helper()
		got, err := b.Kernel.Read(t.Context(), b.FS, rh, ino, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	if got := read(); got != "old" {
		t.Fatalf("read %q", got)
	}
	change := func(text string) {
		h := a.open(ino, syscall.O_RDWR)
		a.write(h, 0, text)
		a.fsync(h)
		a.close(h)
	}
	change("old and new")
	overtaken := 0
	b.Kernel.Hold = func(what string) {
		if what == "getattr written" && overtaken == 0 {
			overtaken++
			change("OLD")
		}
	}
	if got := read(); got != "OLD and new" || overtaken == 0 {
		t.Errorf("read %q, overtaken %d times", got, overtaken)
	}
}
