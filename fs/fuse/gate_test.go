package fuse

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/need"
)

// A host may acknowledge a change only when no answer from before it can reach its
// kernel any more. Here an answer is stuck on its way: until the kernel has it, a
// change made on another host is not released.
func TestARequestIsDoneWhenItsAnswerIsWritten(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	here, there := v.Mount(), v.Mount()
	k := pair(t, here.FS, clock.Real())
	k.init(0)
	here.Attach(k.server)
	if u, code, _ := k.recv(); u != 0 || code != -notifyIncEpoch {
		t.Fatalf("Attach sent %d, %d", u, code)
	}
	k.server.start()

	const opGetattr = 3
	getattr := append(u32(0, 0), u64(0)...)
	if err := unix.SetsockoptInt(k.server.conn.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 0); err != nil { // the least there is
		t.Fatal(err)
	}
	sent := 0
	for full := false; !full; { // until an answer cannot be written
		k.send(opGetattr, 1, getattr)
		sent++
		answered := k.server.settles(k.unique, 500*time.Millisecond)
		full = !answered
	}

	changed := make(chan error, 1)
	go func() {
		changed <- there.Do(func(r *fs.Request) error {
			_, err := there.Mkdir(r, signet.RootIno, "d", 0o755)
			return err
		})
	}()
	select {
	case err := <-changed:
		t.Errorf("the change was released (%v) while an answer from before it was not yet at the kernel", err)
	case <-time.After(300 * time.Millisecond):
	}
	for done := false; !done; {
		k.recv()
		select {
		case err := <-changed:
			if err != nil {
				t.Error(err)
			}
			done = true
		case <-time.After(20 * time.Millisecond):
			if sent--; sent < -10 {
				t.Fatal("the change was not released after all answers were read")
			}
		}
	}
	k.close()
	within20(t, k.server.done, "the end")
}

// settles says whether the request leaves the table in time.
func (s *server) settles(unique uint64, in time.Duration) bool {
	seen := false
	for end := time.Now().Add(in); time.Now().Before(end); {
		switch k := s.calls.get(unique); {
		case k != nil:
			seen = true
		case seen:
			return true
		}
		if !seen && time.Until(end) < in-50*time.Millisecond {
			return true // it was quicker than we looked
		}
	}
	return false
}

// While a change cannot be released, whoever waits for it can be killed, and what
// can be answered from local state is (the directory itself waits with the change).
func TestNothingHangsWhileNothingIsReleased(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FUSE(t)
	v := fstest.NewVolume(t)
	here, there := v.Mount(), v.Mount()
	m, err := New(t.Context(), here.FS, options(openDir(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endMount(t, m) })
	script(t, `chmod 1777 $1; mkdir $1/d $1/e; echo content >$1/f; : >$1/g; echo content >$1/h`, m.Path())

	there.Names.Hold(true) // acknowledges nothing
	t.Cleanup(func() { there.Names.Hold(false) })
	stuck := map[string]*child{
		"mkdir":  begin(t, "mkdir", m.Path()+"/d/x"),
		"create": begin(t, "cp", "/bin/true", m.Path()+"/e/copy"),
		"chmod":  begin(t, "chmod", "700", m.Path()+"/f"),
		"write":  begin(t, "dd", "if=/bin/true", "of="+m.Path()+"/g", "conv=fsync", "status=none"),
	}
	waitFor(t, "a change that is applied and not released", func() bool {
		released, newest := v.State.Released()
		return newest > released
	})
	for _, c := range [][]string{{"df", m.Path()}, {"cat", m.Path() + "/h"}} {
		start := time.Now()
		must(t, c[0], c[1:]...)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%v took %v", c, d)
		}
	}
	for name, c := range stuck {
		select {
		case <-c.exited:
			t.Errorf("%s ended by itself: %v %s", name, c.err, c.out.String())
		default:
			start := time.Now()
			c.kill(t)
			t.Logf("%s was gone %v after SIGKILL", name, time.Since(start).Round(time.Millisecond))
		}
	}
}

// What forgetting all names costs programs, beside the lookups. Linux drops the names
// and not only their lifetimes, so:
//
//   - a file that is open keeps working, but /proc calls it deleted once its name has
//     been looked up again;
//   - another filesystem that is mounted on a directory of the mount is taken off.
//
// Should this test fail the kernel has become better: tell the docs.
func TestWhatForgettingNamesCosts(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FUSE(t)
	v := fstest.NewVolume(t)
	m, err := New(t.Context(), v.Mount().FS, options(openDir(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endMount(t, m) })
	drop := func() {
		if err := m.server.DropNames(); err != nil {
			t.Fatal(err)
		}
	}
	script(t, `mkdir $1/d $1/work; echo content >$1/f`, m.Path())

	c := begin(t, "sh", "-c", "cd "+m.Path()+"/work; exec sleep 600 <../f")
	link := func(l string) string {
		return strings.TrimSpace(must(t, "readlink", "/proc/"+itoa(c.Process.Pid)+"/"+l))
	}
	waitFor(t, "the program to be there", func() bool { return link("fd/0") == m.Path()+"/f" })
	drop()
	must(t, "stat", m.Path()+"/f", m.Path()+"/work")
	if got := link("cwd"); got != m.Path()+"/work" {
		t.Errorf("a working directory became %q", got)
	}
	if got := link("fd/0"); got != m.Path()+"/f (deleted)" {
		t.Errorf("an open file became %q", got)
	}
	if got := must(t, "cat", "/proc/"+itoa(c.Process.Pid)+"/fd/0"); got != "content\n" {
		t.Errorf("an open file has %q", got)
	}
	c.kill(t)

	bound := openDir(t) // a bind mount of a directory is not one on a directory
	must(t, "mount", "--bind", m.Path()+"/work", bound)
	defer run(t, "umount", bound)
	drop()
	must(t, "stat", m.Path()+"/work")
	must(t, "touch", m.Path()+"/work/x")
	if got := must(t, "ls", bound); got != "x\n" {
		t.Errorf("a bind mount of a directory has %q", got)
	}

	must(t, "mount", "-t", "tmpfs", "none", m.Path()+"/d")
	defer run(t, "umount", m.Path()+"/d")
	drop()
	must(t, "stat", m.Path()+"/d")
	if at, _ := mountAt(m.Path() + "/d"); at != nil {
		t.Error("a filesystem mounted inside survived")
	}
}

// The context that fs sees ends when the kernel says so.
func TestContextReachesTheVolume(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	v := &fake{lookup: func(r *fs.Request, _ signet.Ino, _ string) (fs.Entry, error) {
		ctx, cancel := clock.WithTimeout(r.Ctx, clock.Real(), time.Hour)
		defer cancel()
		ended <- nil
		<-ctx.Done()
		ended <- ctx.Err()
		return fs.Entry{}, ctx.Err()
	}}
	k := connect(t, v, clock.Real())
	u := k.send(opLookup, 1, z("x"))
	<-ended
	k.interrupt(u)
	if err := <-ended; err != context.Canceled {
		t.Errorf("a derived context ended with %v", err)
	}
	k.recv()
}
