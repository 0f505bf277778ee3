package fuse

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/need"
)

// roleVar makes the test binary play another role than the tests: a daemon that can
// be killed, or a user that must not be the daemon's own process.
const roleVar = "SIGNET_FUSE_TEST_ROLE"

var roles = map[string]func(args []string) error{
	"daemon": daemonRole,
	"try":    tryRole,
	"load":   loadRole,
	"locker": lockerRole,
}

func TestMain(m *testing.M) {
	if role := roles[os.Getenv(roleVar)]; role != nil {
		if err := role(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if left := leftovers(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "left mounted:", left)
		code = 1
	}
	os.Exit(code)
}

// source names the mounts of this test process.
func source() string { return fmt.Sprintf("test-%d:/", os.Getpid()) }

// leftovers unmounts what the tests of this process left mounted.
func leftovers() []string {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close()
	all, _ := parseMountinfo(f)
	var left []string
	for _, m := range all {
		if m.source == source() {
			left = append(left, m.path)
			detach(context.Background(), m.path, Force)
		}
	}
	return left
}

func options(dir string) Options {
	return Options{
		Mountpoint: dir, Source: source(), AllowOther: true, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler),
		Panicked: func(v any, stack []byte) { panic(fmt.Sprintf("%v\n%s", v, stack)) },
	}
}

// mountTiny mounts v for as long as the test runs.
func mountTiny(t testing.TB, v volume, change ...func(*Options)) *Mount {
	t.Helper()
	need.Root(t)
	need.FUSE(t)
	o := options(openDir(t))
	for _, c := range change {
		c(&o)
	}
	m, err := mountVolume(t.Context(), v, func(fs.Kernel) {}, o)
	if err != nil {
		t.Fatal("mount:", err)
	}
	t.Cleanup(func() { endMount(t, m) })
	return m
}

func endMount(t testing.TB, m *Mount) {
	ctx, cancel := context.WithTimeout(context.Background(), limitOf)
	defer cancel()
	if err := m.Unmount(ctx, Clean); err != nil {
		t.Error(err)
		if err := m.Unmount(ctx, Force); err != nil {
			t.Error("by force:", err)
		}
	}
}

// openDir returns a new directory that every user can reach and write to.
func openDir(t testing.TB) string {
	t.Helper()
	base, err := os.MkdirTemp("", "signet-fuse-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	dir := filepath.Join(base, "mnt")
	for _, err := range []error{os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777), os.Chmod(base, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a program to its end, in time, and returns what it printed.
func run(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limitOf)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = "/", time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s %s hangs", name, args)
	}
	return string(out), err
}

// must is run that must succeed.
func must(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := run(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args, err, out)
	}
	return out
}

// child is a program that runs beside the test.
type child struct {
	*exec.Cmd
	out    strings.Builder
	exited chan struct{} // closed when it has; err is valid then
	err    error
}

// begin starts a program. It is killed with the test, and the test fails if that
// does not work.
func begin(t testing.TB, name string, args ...string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(name, args...), exited: make(chan struct{})}
	c.Dir, c.Stdout, c.Stderr, c.WaitDelay = "/", &c.out, &c.out, time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	c.watch(t)
	return c
}

func (c *child) watch(t testing.TB) {
	go func() {
		c.err = c.Wait()
		close(c.exited)
	}()
	t.Cleanup(func() { c.kill(t) })
}

// kill sends SIGKILL and waits for the end, which must come.
func (c *child) kill(t testing.TB) {
	t.Helper()
	c.Process.Kill()
	within20(t, c.exited, "a killed process to end: "+strings.Join(c.Args, " "))
}

// selfIn returns the command that runs this binary in another role, below prefix
// (such as setpriv and its options).
func selfIn(role string, prefix []string, bin string, args ...string) *exec.Cmd {
	all := append(append(prefix, bin), args...)
	cmd := exec.Command(all[0], all[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	return cmd
}

// daemonRole mounts a tiny volume at args[0], starts a child of its own, prints the
// child's pid and serves until standard input ends.
func daemonRole(args []string) error {
	o := options(args[0])
	o.Source = args[1]
	o.AllowOther = len(args) > 2
	m, err := mountVolume(context.Background(), newTiny("file"), func(fs.Kernel) {}, o)
	if err != nil {
		return err
	}
	sleep := exec.Command("sleep", "600")
	if err := sleep.Start(); err != nil {
		return err
	}
	defer sleep.Process.Kill()
	fmt.Println(sleep.Process.Pid)
	io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), limitOf)
	defer cancel()
	return m.Unmount(ctx, Clean)
}

// tryRole mounts at args[0] and unmounts again, to see the error.
func tryRole(args []string) error {
	if len(args) > 1 && args[1] == "nodev" { // a host without FUSE: see TestNoDevice
		if err := unix.Mount("none", "/dev", "tmpfs", 0, ""); err != nil { // in mounts of our own
			return err
		}
	}
	o := options(args[0])
	o.AllowOther = len(args) > 1 && args[1] == "allow_other"
	m, err := mountVolume(context.Background(), newTiny(), func(fs.Kernel) {}, o)
	if err != nil {
		return err
	}
	return m.Unmount(context.Background(), Clean)
}
