package fuse

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/internal/need"
)

func itoa(n int) string { return strconv.Itoa(n) }

// waitFor waits for what no event tells.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limitOf); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("waited in vain for " + what)
		}
	}
}

// soon fails the test if f does not return in time, and says how long it took.
func soon(t testing.TB, what string, f func()) time.Duration {
	t.Helper()
	done, start := make(chan struct{}), time.Now()
	go func() { f(); close(done) }()
	within20(t, done, what)
	return time.Since(start)
}

func TestNamesAreRememberedUntilDropped(t *testing.T) {
	t.Parallel()
	v := newTiny("a", "b")
	m := mountTiny(t, v)
	for range 3 {
		must(t, "stat", m.Path()+"/a")
	}
	if n := v.count("lookup"); n != 1 {
		t.Fatalf("%d lookups of a name that may be remembered for an hour", n)
	}
	if err := m.server.DropNames(); err != nil {
		t.Fatal(err)
	}
	must(t, "stat", m.Path()+"/a")
	if n := v.count("lookup"); n != 2 {
		t.Errorf("%d lookups after the name was dropped, want 2", n)
	}
	must(t, "stat", m.Path()+"/a")
	if n := v.count("lookup"); n != 2 {
		t.Errorf("%d lookups: a name looked up after the drop was not remembered", n)
	}
}

// The rule that keeps two hosts from waiting for each other: forgetting names waits
// for no request in flight, here one that holds the directory's lock in the kernel.
func TestDroppingNamesWaitsForNobody(t *testing.T) {
	t.Parallel()
	v, h := newTiny("a"), newHeld()
	m := mountTiny(t, v)
	must(t, "stat", m.Path()+"/a")
	v.holding("mkdir", h)
	c := begin(t, "mkdir", m.Path()+"/x")
	h.entered(t, 1)
	took := soon(t, "DropNames beside a mkdir in flight", func() {
		if err := m.server.DropNames(); err != nil {
			t.Error(err)
		}
		m.server.DropAttr(1)
	})
	t.Logf("took %v", took)
	// A lookup of the dropped name waits for the lock of its directory, as any lookup
	// on any filesystem beside a mkdir does. It is the lookup that waits, not we.
	before := v.count("lookup")
	stat := begin(t, "stat", m.Path()+"/a")
	// The mkdir's answer has a lifetime of an hour and was asked for before a drop: it
	// is for the epoch in which it was asked.
	if err := m.server.DropNames(); err != nil {
		t.Error(err)
	}
	close(h.let)
	within20(t, c.exited, "mkdir")
	within20(t, stat.exited, "stat")
	if c.err != nil || stat.err != nil {
		t.Errorf("mkdir: %v %s, stat: %v %s", c.err, c.out.String(), stat.err, stat.out.String())
	}
	if n := v.count("lookup"); n != before+1 {
		t.Errorf("%d lookups of the dropped name, want 1", n-before)
	}
	before = v.count("lookup")
	run(t, "stat", m.Path()+"/x")
	if n := v.count("lookup"); n != before+1 {
		t.Errorf("%d lookups of the name made before the drop, want 1", n-before)
	}
}

func TestAttributesAreRememberedUntilDropped(t *testing.T) {
	t.Parallel()
	v := newTiny("a")
	m := mountTiny(t, v)
	size := func() string { return must(t, "stat", "-c", "%s", m.Path()+"/a") }
	old := size()
	v.set("a", "another content, and longer\n")
	if got := size(); got != old {
		t.Errorf("attributes that may be remembered for an hour changed by themselves to %s", got)
	}
	m.server.DropAttr(v.ino("a"))
	if got := size(); got != "28\n" {
		t.Errorf("size %s after the attributes were dropped", got)
	}
	m.server.DropAttr(12345) // not cached: nothing happens
}

func TestPagesAreRememberedUntilDropped(t *testing.T) {
	t.Parallel()
	v := newTiny("a")
	v.set("a", strings.Repeat("old ", 4096))
	m := mountTiny(t, v)
	first := func() string { return must(t, "head", "-c", "4", m.Path()+"/a") }
	second := func() string { return must(t, "sh", "-c", "tail -c +4097 "+m.Path()+"/a | head -c 4") }
	if first() != "old " || second() != "old " {
		t.Fatal("wrong content")
	}
	v.set("a", strings.Repeat("new ", 4096))
	if first() != "old " {
		t.Fatal("pages that may be remembered changed by themselves")
	}
	m.server.DropPages(v.ino("a"), 4096, 4096)
	if a, b := first(), second(); a != "old " || b != "new " {
		t.Errorf("after the second page was dropped: %q, %q", a, b)
	}
	m.server.DropPages(v.ino("a"), 0, -1)
	if a := first(); a != "new " {
		t.Errorf("after all pages were dropped: %q", a)
	}
}

// A read(2) near the end asks for the file's size. If the kernel is made to forget the attributes
// meanwhile it does not believe the answer and goes on with the size it had. Grow is for that.
func TestSizeThatWasAskedForInVain(t *testing.T) {
	t.Parallel()
	need.Program(t, "python3")
	for _, size := range []int{5, 4096, 4097, 10000, 1 << 20} {
		for _, grow := range []bool{false, true} {
			v, opened, h := newTiny("a"), newHeld(), newHeld()
			v.set("a", "old")
			m := mountTiny(t, v)
			must(t, "cat", m.Path()+"/a")
			v.holding("getxattr user.x", opened)
			c := begin(t, "python3", "-c", `import os,sys
f=os.open(sys.argv[1],os.O_RDONLY)
try: os.getxattr(f,"user.x")
except OSError: pass
os.write(1,os.read(f,2<<20))`, m.Path()+"/a")
			opened.entered(t, 1)
			data := strings.Repeat("new ", size/4+1)[:size]
			v.set("a", data)
			a := v.ino("a")
			m.server.DropPages(a, 0, -1)
			v.holding("getattr", h)
			close(opened.let)
			h.entered(t, 1)
			m.server.DropAttr(a)
			want := "new"
			if grow {
				m.server.Grow(12345, 100) // not cached: nothing happens
				m.server.Grow(a, uint64(size))
				m.server.Grow(a, 2) // it is longer than that
				m.server.Grow(a, 0)
				want = data
			}
			close(h.let)
			within20(t, c.exited, "python3")
			if got := c.out.String(); got != want {
				t.Errorf("of %d bytes %d were read, grown: %v: %.20q", size, len(got), grow, got)
			}
		}
	}
}

// Dropping pages waits for a READ of them that is in flight, and for nothing else;
// dropping attributes does not even wait for that. fs builds on exactly this.
func TestDroppingPagesBesideARead(t *testing.T) {
	t.Parallel()
	v, h := newTiny("a", "b"), newHeld()
	v.set("a", strings.Repeat("old ", 1<<18))
	m := mountTiny(t, v)
	must(t, "cat", m.Path()+"/b")
	v.holding("read", h)
	c := begin(t, "sh", "-c", "head -c 4 "+m.Path()+"/a")
	h.entered(t, 1)
	a := v.ino("a")
	soon(t, "DropAttr beside a READ", func() { m.server.DropAttr(a) })
	soon(t, "DropPages of another file", func() { m.server.DropPages(v.ino("b"), 0, -1) })
	soon(t, "DropPages of other pages", func() { m.server.DropPages(a, 1<<20-4096, 4096) })
	dropped := make(chan struct{})
	go func() { m.server.DropPages(a, 0, 4096); close(dropped) }()
	select {
	case <-dropped:
		t.Error("the page of a READ in flight was dropped without waiting: fs could do with less")
	case <-time.After(200 * time.Millisecond):
	}
	v.set("a", strings.Repeat("new ", 1<<18))
	v.holding("read", nil)
	close(h.let)
	within20(t, dropped, "DropPages after the READ was answered")
	within20(t, c.exited, "head")
	if got := must(t, "head", "-c", "4", m.Path()+"/a"); got != "new " {
		t.Errorf("read %q after the pages were dropped", got)
	}
}

func TestSIGKILLEndsWhoeverWaits(t *testing.T) {
	t.Parallel()
	for kind, args := range map[string][]string{
		"mkdir":   {"mkdir", "%/x"},
		"lookup":  {"stat", "%/other"},
		"getattr": {"stat", "%"},
		"readdir": {"ls", "%"},
		"read":    {"cat", "%/a"},
		"open":    {"cat", "%/a"},
		"write":   {"sh", "-c", "exec echo x 1<>%/a"},
		"setattr": {"touch", "%/a"},
		"statfs":  {"df", "%"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			v, h := newTiny("a"), newHeld()
			m := mountTiny(t, v)
			v.holding(kind, h)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "%", m.Path())
			}
			if kind == "write" {
				args = []string{"dd", "if=/dev/zero", "of=" + m.Path() + "/a", "count=1", "conv=notrunc"}
			}
			c := begin(t, args[0], args[1:]...)
			h.entered(t, 1)
			c.kill(t)
			if s := c.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGKILL {
				t.Errorf("it ended by itself: %v %s", c.ProcessState, c.out.String())
			}
			v.holding(kind, nil)
			close(h.let)
		})
	}
}

// INTERRUPT does not say which signal it is for; /proc does.
func TestKilledAndInterruptedAreToldApart(t *testing.T) {
	t.Parallel()
	need.Program(t, "python3")
	v := newTiny("a")
	m := mountTiny(t, v)
	interrupted, wasKilled := make(chan struct{}), make(chan struct{})
	v.mu.Lock()
	v.hold["mkdir"] = func(r *fs.Request) error {
		if r.Killed() {
			t.Error("killed before it was")
		}
		<-r.Ctx.Done()
		if r.Killed() {
			t.Error("killed by a signal that it handles")
		}
		close(interrupted)
		waitFor(t, "SIGKILL to show", r.Killed)
		close(wasKilled)
		return signet.Interrupted
	}
	v.mu.Unlock()
	c := begin(t, "python3", "-c", "import os,signal,sys; signal.signal(signal.SIGALRM,lambda *a:0); signal.setitimer(signal.ITIMER_REAL,0.2); os.mkdir(sys.argv[1])", m.Path()+"/x")
	within20(t, interrupted, "the request to be interrupted")
	c.kill(t)
	within20(t, wasKilled, "it to be known")
}

// With HANDLE_KILLPRIV_V2 the kernel leaves it to us to clear set-uid, and says when.
func TestKernelSaysWhenToClearSetUID(t *testing.T) {
	t.Parallel()
	need.Program(t, "setpriv")
	v := newTiny("a")
	v.mode = 0o4777
	m := mountTiny(t, v)
	must(t, "dd", "if=/dev/zero", "of="+m.Path()+"/a", "count=1", "conv=notrunc")
	if f := v.writeFlags(); f != 0 {
		t.Errorf("root's WRITE had flags %#x", f)
	}
	must(t, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "dd", "if=/dev/zero", "of="+m.Path()+"/a", "count=1", "conv=notrunc")
	if f := v.writeFlags(); f != fs.WriteKillPriv {
		t.Errorf("the WRITE of an ordinary user had flags %#x", f)
	}
}

// Without HANDLE_KILLPRIV_V2 the kernel would ask for security.capability before
// every single WRITE.
func TestWritesAreOneRequestEach(t *testing.T) {
	t.Parallel()
	v := newTiny("a")
	m := mountTiny(t, v)
	must(t, "dd", "if=/dev/zero", "of="+m.Path()+"/a", "count=100", "conv=notrunc")
	if w, x := v.count("write"), v.count("getxattr security.capability"); w != 100 || x > 1 {
		t.Errorf("100 writes were %d WRITEs, and security.capability was asked for %d times", w, x)
	}
}

func TestMountinfo(t *testing.T) {
	t.Parallel()
	got, err := parseMountinfo(strings.NewReader(`25 30 0:23 / /sys rw,nosuid - sysfs sysfs rw
30 1 253:0 / / rw shared:1 - ext4 /dev/vda rw
41 30 0:52 / /tmp/with\040blank\134\134and\011tab rw,nosuid shared:3 master:1 - fuse.signet demo:/ rw,user_id=0
42 30 0:53 / /no/source rw - fuse.signet
short line
`))
	if err != nil || len(got) != 4 {
		t.Fatalf("%d mounts, %v", len(got), err)
	}
	if m := got[2]; m.path != "/tmp/with blank\\\\and\ttab" || m.dev != "0:52" || m.minor() != "52" || !m.isFUSE() || m.source != "demo:/" {
		t.Errorf("%+v", m)
	}
	if got[1].isFUSE() || !got[3].isFUSE() {
		t.Error("which of them are FUSE?")
	}
	if m, err := mountAt("/proc"); err != nil || m == nil { // not "/", which is no mount in a chroot
		t.Errorf("/proc: %v, %v", m, err)
	}
	if m, _ := mountAt(os.TempDir() + "/no such directory"); m != nil {
		t.Errorf("%+v", m)
	}
}
