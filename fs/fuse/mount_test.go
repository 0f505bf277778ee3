package fuse

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
	"github.com/signetfs/signet/internal/need"
)

func TestMountAndUnmount(t *testing.T) {
	t.Parallel()
	v := newTiny("a", "b")
	m := mountTiny(t, v)
	at, err := mountAt(m.Path())
	if err != nil || at == nil || at.fstype != FSType || at.source != source() {
		t.Fatalf("mountinfo has %+v, %v", at, err)
	}
	if k := &m.server.kernel; !k.has(wanted) || k.flags&unwanted != 0 || k.maxWrite != maxWrite || k.maxPages != maxWrite/4096 || k.minor < incEpochMinor {
		t.Errorf("this kernel agreed on %s", m.Kernel())
	}
	if got := must(t, "ls", m.Path()); got != "a\nb\n" {
		t.Errorf("ls: %q", got)
	}
	if got := must(t, "cat", m.Path()+"/a"); got != "content of a\n" {
		t.Errorf("cat: %q", got)
	}
	if got := must(t, "df", "--output=source,fstype,size,avail,iused", m.Path()); !strings.Contains(got, "fuse.signet   1048576 524288     7") {
		t.Errorf("df: %s", got)
	}
	if b, _ := os.ReadFile("/sys/class/bdi/" + m.dev + "/read_ahead_kb"); string(b) != "4096\n" {
		t.Errorf("read-ahead is %q", b)
	}
	if err := m.Unmount(t.Context(), Clean); err != nil {
		t.Fatal(err)
	}
	if at, _ := mountAt(m.Path()); at != nil {
		t.Errorf("still mounted: %+v", at)
	}
	within20(t, m.Done(), "the end")
	if err := m.Err(); err != nil {
		t.Error(err)
	}
	if err := m.Unmount(t.Context(), Clean); err != nil {
		t.Error("a second time:", err)
	}
}

func TestUnmountedBySomebodyElse(t *testing.T) {
	t.Parallel()
	m := mountTiny(t, newTiny())
	must(t, "umount", m.Path())
	within20(t, m.Done(), "the mount to notice")
	if err := m.Err(); err != nil {
		t.Error(err)
	}
}

func TestOptionsReachTheKernel(t *testing.T) {
	t.Parallel()
	v := newTiny("a")
	m := mountTiny(t, v, func(o *Options) {
		o.ReadOnly, o.NoSUID, o.NoDev, o.NoExec, o.NoAtime = true, true, true, true, true
		o.Source = source() // with nothing odd in it
	})
	f, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(f)) {
		if !strings.Contains(line, m.Path()+" ") {
			continue
		}
		for _, want := range []string{" ro,", "nosuid", "nodev", "noexec", "noatime", "default_permissions", "allow_other", "max_read=1048576", "user_id=0"} {
			if !strings.Contains(line, want) {
				t.Errorf("no %s in %s", want, line)
			}
		}
	}
	if out, err := run(t, "touch", m.Path()+"/a"); err == nil || !strings.Contains(out, "Read-only") {
		t.Errorf("touch: %v %s", err, out)
	}
}

func TestBusyMountNamesItsUsers(t *testing.T) {
	t.Parallel()
	m := mountTiny(t, newTiny("a"))
	c := begin(t, "sh", "-c", "cd "+m.Path()+" && echo in && exec sleep 600")
	waitFor(t, "the program to be in the mount", func() bool {
		l, _ := os.Readlink("/proc/" + itoa(c.Process.Pid) + "/cwd")
		n, _ := os.ReadFile("/proc/" + itoa(c.Process.Pid) + "/comm")
		return l == m.Path() && string(n) == "sleep\n"
	})
	err := m.Unmount(t.Context(), Clean)
	if signet.KindOf(err) != signet.Busy || !strings.Contains(err.Error(), "sleep (process "+itoa(c.Process.Pid)+", cwd)") {
		t.Errorf("clean: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := m.Unmount(ctx, Lazy); signet.KindOf(err) != signet.Timeout {
		t.Errorf("lazy, while in use: %v", err)
	}
	if at, _ := mountAt(m.Path()); at != nil {
		t.Error("lazy did not take it off its directory")
	}
	c.kill(t)
	within20(t, m.Done(), "the last user to let go")
}

func TestForceFailsWhatWaits(t *testing.T) {
	t.Parallel()
	v, h := newTiny("a"), newHeld()
	v.holding("mkdir", h)
	m := mountTiny(t, v)
	c := begin(t, "mkdir", m.Path()+"/x")
	h.entered(t, 1)
	if err := m.Unmount(t.Context(), Force); err != nil {
		t.Fatal(err)
	}
	within20(t, c.exited, "mkdir to fail")
	if c.err == nil {
		t.Error("mkdir succeeded on a mount that is gone")
	}
}

func TestMountErrors(t *testing.T) {
	t.Parallel()
	m := mountTiny(t, newTiny())
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(m.Path(), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   string
		kind signet.Kind
		says string
	}{
		{dir + "/missing", signet.NotFound, "create it with mkdir"},
		{dir + "/missing/below", signet.NotFound, "create it with mkdir"},
		{file, signet.NotDir, "not a directory"},
		{file + "/below", signet.NotDir, "not a directory"},
		{m.Path(), signet.Busy, source() + " (fuse.signet) is mounted there already: unmount it first"},
		{dir + "/link", signet.Busy, "is mounted there already"},
		{"/proc", signet.Busy, "choose another directory"},
		{"", signet.Invalid, "no mountpoint"},
	} {
		_, err := mountVolume(t.Context(), newTiny(), func(fs.Kernel) {}, options(c.at))
		if signet.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("mount at %q: %v (%v), want %v: ...%s", c.at, err, signet.KindOf(err), c.kind, c.says)
		}
	}
	if got := must(t, "ls", m.Path()); got != "" {
		t.Errorf("the first mount has suffered: %q", got)
	}
}

func TestHostsThatCannotMount(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FUSE(t)
	need.Program(t, "setpriv")
	if !inOpenNamespace(t) {
		return
	}
	bin := copyOfSelf(t)
	shut := openDir(t)
	if err := os.Chmod(shut, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		prefix []string
		args   []string
		says   string
	}{
		{"no device", need.OwnMounts(t), []string{openDir(t), "nodev"}, "modprobe fuse"},
		{"no CAP_SYS_ADMIN", []string{"setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"}, []string{openDir(t)}, "CAP_SYS_ADMIN"},
		{"no fusermount3", append(append(need.OwnMounts(t), "sh", "-c", `mount --bind /dev/null "$(readlink -f "$(command -v fusermount3)")" && exec "$@"`, "sh"), nobody()...), []string{openDir(t)}, "apt install fuse3"},
		{"allow_other", nobody(), []string{openDir(t), "allow_other"}, "user_allow_other"},
		{"somebody else's directory", nobody(), []string{shut}, "may write to"},
	} {
		cmd := selfIn("try", c.prefix, bin, c.args...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %v, %swant ...%s", c.name, err, out, c.says)
		}
	}
}

// copyOfSelf puts this binary where every user can run it.
func copyOfSelf(t testing.TB) string {
	t.Helper()
	to := filepath.Join(filepath.Dir(openDir(t)), "self")
	must(t, "cp", "/proc/"+itoa(os.Getpid())+"/exe", to)
	must(t, "chmod", "755", to)
	return to
}

func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FUSE(t)
	need.Program(t, "setpriv", "fusermount3")
	if !inOpenNamespace(t) {
		return
	}
	dir := openDir(t)
	d := startDaemon(t, nobody(), copyOfSelf(t), dir, `a,b\c:/`)
	if at, err := mountAt(dir); err != nil || at == nil || at.fstype != FSType || at.source != `a,b\c:/` {
		t.Errorf("mountinfo has %+v, %v", at, err)
	}
	if got := must(t, "setpriv", append(nobody()[1:], "cat", dir+"/file")...); got != "content of file\n" {
		t.Errorf("the user reads %q", got)
	}
	if out, err := run(t, "cat", dir+"/file"); err == nil {
		t.Errorf("without allow_other even root must not get in, and reads %q", out)
	}
	d.noDevice(t)
	d.stdin.Close() // has it unmount and end
	within20(t, d.exited, "the daemon to unmount")
	if d.err != nil {
		t.Errorf("the daemon: %v\n%s", d.err, d.out.String())
	}
	if at, _ := mountAt(dir); at != nil {
		t.Errorf("still mounted: %+v", at)
	}

	d = startDaemon(t, nobody(), copyOfSelf(t), dir, source())
	d.kill(t) // the next one clears away what it leaves
	d = startDaemon(t, nobody(), copyOfSelf(t), dir, source())
	c := begin(t, "setpriv", append(nobody()[1:], "sh", "-c", "cd "+dir+"; exec sleep 600")...)
	waitFor(t, "a program to be in the mount", func() bool {
		l, _ := os.Readlink("/proc/" + itoa(c.Process.Pid) + "/cwd")
		return l == dir
	})
	d.stdin.Close()
	within20(t, d.exited, "the daemon to refuse to unmount")
	if d.err == nil || !strings.Contains(d.out.String(), "(process "+itoa(c.Process.Pid)+", cwd)") {
		t.Errorf("unmount of a busy mount: %v\n%s", d.err, d.out.String())
	}
}

// nobody is the beginning of a command that runs as an ordinary user.
func nobody() []string {
	return []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
}

// inOpenNamespace has the test run once more in a mount namespace of its own, in
// which every user may open /dev/fuse, as udev has it (and containers do not), and
// returns true there.
func inOpenNamespace(t *testing.T) bool {
	t.Helper()
	const marker = "SIGNET_FUSE_TEST_NAMESPACE"
	if os.Getenv(marker) == t.Name() {
		node := filepath.Join(filepath.Dir(openDir(t)), "fuse")
		must(t, "mknod", "-m", "666", node, "c", "10", "229")
		must(t, "mount", "--bind", node, "/dev/fuse")
		return true
	}
	own := need.OwnMounts(t)
	cmd := exec.Command(own[0], append(own[1:], "/proc/"+itoa(os.Getpid())+"/exe", "-test.v", "-test.timeout=60s", "-test.run=^"+t.Name()+"$")...)
	cmd.Env = append(os.Environ(), marker+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

func TestKilledDaemonLeavesNobodyHanging(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FUSE(t)
	dir := openDir(t)
	for range 2 { // the second daemon finds what the first left
		d := startDaemon(t, nil, copyOfSelf(t), dir, source())
		must(t, "cat", dir+"/file")
		d.noDevice(t)
		d.kill(t)
		if out, err := run(t, "ls", dir); err == nil || !strings.Contains(out, "not connected") {
			t.Errorf("after kill -9, beside a living child of the daemon: %v, %s", err, out)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	m, err := mountVolume(t.Context(), newTiny("new"), func(fs.Kernel) {}, options(link))
	if err != nil {
		t.Fatal("on the dead mount:", err)
	}
	defer endMount(t, m)
	if got := must(t, "ls", dir); got != "new\n" {
		t.Errorf("ls: %q", got)
	}
}

// daemon is another process that serves a tiny volume.
type daemon struct {
	*child
	stdin io.Closer
	pid   string // of the child it has
}

func startDaemon(t testing.TB, prefix []string, bin, dir, source string) *daemon {
	t.Helper()
	cmd := selfIn("daemon", prefix, bin, dir, source)
	d := &daemon{child: &child{Cmd: cmd, exited: make(chan struct{})}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.stdin = in
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = w, &d.out, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		if d.pid != "" {
			exec.Command("kill", "-9", d.pid).Run()
		}
		detach(context.Background(), dir, Lazy)
	})
	d.watch(t)
	r.SetReadDeadline(time.Now().Add(limitOf))
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		d.kill(t)
		t.Fatalf("the daemon did not start: %v\n%s", err, d.out.String())
	}
	d.pid = strings.TrimSpace(line)
	return d
}

// noDevice fails the test if the daemon's child has /dev/fuse open.
func (d *daemon) noDevice(t testing.TB) {
	t.Helper()
	fds, err := os.ReadDir("/proc/" + d.pid + "/fd")
	if err != nil || len(fds) == 0 {
		t.Fatalf("the daemon's child has no descriptors to look at: %v", err)
	}
	for _, f := range fds {
		if to, _ := os.Readlink("/proc/" + d.pid + "/fd/" + f.Name()); to == "/dev/fuse" {
			t.Errorf("the daemon's child has /dev/fuse open")
		}
	}
}

// What the options forbid, the kernel forbids; it is the same kernel for everybody.
func TestOptionsHold(t *testing.T) {
	t.Parallel()
	need.Program(t, "setpriv")
	d := mountVolumes(t, 1, func(o *Options) { o.NoSUID, o.NoDev, o.NoExec = true, true, true })
	script(t, `cd $1; printf '#!/bin/sh\n' >run; chmod 755 run; no ./run; mknod null c 1 3; no sh -c 'echo x >null'
		cp /usr/bin/id id; chmod 6755 id; no ./id`, d...)
	d = mountVolumes(t, 1, func(o *Options) { o.NoSUID = true })
	script(t, `cd $1; cp /usr/bin/id id; chown 0:0 id; chmod 6755 id; test "$(setpriv --reuid=1234 --regid=1234 --clear-groups ./id -u)" = 1234`, d...)
	d = mountVolumes(t, 1)
	script(t, `cd $1; cp /usr/bin/id id; chown 0:0 id; chmod 6755 id; test "$(setpriv --reuid=1234 --regid=1234 --clear-groups ./id -u)" = 0; mknod null c 1 3; echo x >null`, d...)
}

func TestRemount(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FUSE(t)
	m, err := New(t.Context(), fstest.NewVolume(t).Mount().FS, options(openDir(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endMount(t, m) })
	script(t, `cd $1; echo x >f; mkdir d`, m.Path())
	busy := begin(t, "sh", "-c", "exec 3>>"+m.Path()+"/f; exec sleep 600")
	waitFor(t, "the file to be open", func() bool { l, _ := os.Readlink("/proc/" + itoa(busy.Process.Pid) + "/fd/3"); return l != "" })
	ro := Options{ReadOnly: true, NoDev: true}
	if err := m.Remount(ro); err == nil {
		t.Error("read-only while a file is open for writing")
	} else if signet.KindOf(err) != signet.Busy {
		t.Error(err)
	}
	busy.kill(t)
	waitFor(t, "the remount", func() bool { return m.Remount(ro) == nil })
	if got, err := OptionsAt(m.Path()); err != nil || !strings.HasPrefix(got, "ro,nodev,relatime") {
		t.Errorf("%q, %v", got, err)
	}
	script(t, `cd $1; cat f; no touch f; no sh -c 'echo y >>f'; no rmdir d; no chmod 600 f`, m.Path())
	if err := m.Remount(Options{StrictAtime: true}); err != nil {
		t.Fatal(err)
	}
	script(t, `cd $1; echo y >>f; touch -a -d 2037-01-01 d; ls d; test $(stat -c %X d) -lt 2000000000`, m.Path())
}
