package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/cmd/signet/internal/daemon"
	"github.com/signetfs/signet/internal/need"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"signet": main, "mount.signet": main, "mount.fuse.signet": main})
}

// The scripts run real processes on loopback ports.
func TestScripts(t *testing.T) {
	testscript.Run(t, params("testdata/script"))
}

// Those that mount.
func TestMountScripts(t *testing.T) {
	need.FUSE(t)
	testscript.Run(t, params("testdata/mount"))
}

// Ordinary users can do the same.
func TestScriptsAsOrdinaryUser(t *testing.T) {
	need.Root(t)
	need.FUSE(t)
	need.Program(t, "fusermount3", "setpriv", "mount")
	dir := openDir(t)
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "signet.test")
	copyProgram(t, self, program)
	here, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "testdata")
	if err := os.CopyFS(data, os.DirFS(here)); err != nil {
		t.Fatal(err)
	}
	// A device of our own, because not every machine lets users open the real one.
	const asUser = `set -e
mknod "$1/fuse" c 10 229 && chmod 666 "$1/fuse" && mount --bind "$1/fuse" /dev/fuse
cd "$1" && exec setpriv --reuid=65534 --regid=65534 --clear-groups env -u XDG_STATE_HOME HOME="$1/home" TMPDIR="$1/home" \
	"$1/signet.test" -test.run='^(TestScripts|TestMountScripts)$' -test.v="$2"`
	own := need.OwnMounts(t)
	cmd := exec.Command(own[0], append(own[1:], "sh", "-c", asUser, "sh", dir, fmt.Sprint(testing.Verbose()))...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else if testing.Verbose() {
		t.Logf("%s", out)
	}
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func params(dir string) testscript.Params {
	return testscript.Params{
		Dir: dir, RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "xdg"))
			e.Setenv("FSTAB", os.Getenv("FSTAB")) // of TestMountCommand; elsewhere nobody may write to one
			e.Defer(func() {
				stopAll(e.WorkDir)
				if f, ok := e.T().(interface{ Failed() bool }); ok && f.Failed() {
					showLogs(e)
				}
			})
			return nil
		},
		Condition: func(c string) (bool, error) {
			if c != "root" {
				return false, fmt.Errorf("unknown condition %q", c)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport": freePort, "save": save, "until": until, "murder": murder, "nowhere": nowhere, "shows": shows,
			"exitcode": exitStatus, "forge": forge,
		},
	}
}

// stopAll ends the daemons of all state directories below dir.
func stopAll(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == control.SocketName {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_, _ = daemon.Stop(ctx, filepath.Dir(path), func(string) {})
		}
		if err != nil && d != nil && d.IsDir() {
			return filepath.SkipDir // a dead mount
		}
		return nil
	})
}

// exitStatus N CMD...: runs a command that has to end with exit status N.
func exitStatus(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// showLogs shows how the logs of all hosts end.
func showLogs(e *testscript.Env) {
	logs, _ := filepath.Glob(filepath.Join(e.WorkDir, "*", "log"))
	for _, l := range logs {
		b, _ := os.ReadFile(l)
		e.T().Log(l + "\n" + string(b[max(0, len(b)-8000):]))
	}
}

// freePort VAR...: sets each variable to a loopback address that nobody uses.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv(name, l.Addr().String())
		ts.Check(l.Close())
	}
}

// save FILE PATTERN [FROM]: writes what the pattern finds in stdout, or in the file FROM.
func save(ts *testscript.TestScript, _ bool, args []string) {
	from := "stdout"
	if len(args) > 2 {
		from = args[2]
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile(from))
	if found == nil {
		ts.Fatalf("nothing like %q in %s", args[1], from)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(found[len(found)-1]+"\n"), 0o600))
}

// until PATTERN CMD...: runs a command until its output matches.
func until(ts *testscript.TestScript, neg bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	again := time.NewTicker(20 * time.Millisecond) // another process: there is nothing to wait on
	defer again.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-again.C {
		cmd := exec.Command(args[1], args[2:]...)
		cmd.Dir = ts.MkAbs(".")
		cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"), "HOME="+ts.Getenv("HOME"), "XDG_STATE_HOME="+ts.Getenv("XDG_STATE_HOME"))
		out, _ := cmd.CombinedOutput()
		if pattern.Match(out) != neg {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("waited in vain for %q:\n%s", args[0], out)
		}
	}
}

// murder DIR: kills the daemon of a state directory.
func murder(ts *testscript.TestScript, _ bool, args []string) {
	var pid int
	_, err := fmt.Sscan(ts.ReadFile(filepath.Join(args[0], "lock")), &pid)
	ts.Check(err)
	fd, err := unix.PidfdOpen(pid, 0)
	ts.Check(err)
	defer unix.Close(fd)
	ts.Check(unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0))
	for {
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
		if err != unix.EINTR {
			break
		}
	}
	ts.Check(err)
}

// nowhere FILE DIR...: fails if a file below one of the directories, a command line of a
// running process or the environment of one contains the first line of FILE, or if the
// search finds nothing at all to look at.
func nowhere(ts *testscript.TestScript, _ bool, args []string) {
	secret := strings.TrimSpace(ts.ReadFile(args[0]))
	if len(secret) < 8 {
		ts.Fatalf("%s holds no secret worth looking for", args[0])
	}
	looked := 0
	look := func(path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			return
		}
		looked++
		if strings.Contains(string(b), secret) {
			ts.Fatalf("%s is in %s", args[0], path)
		}
	}
	for _, dir := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				look(path)
			}
			return err
		}))
	}
	if looked < len(args)-1 {
		ts.Fatalf("looked at %d files only", looked)
	}
	pids, err := filepath.Glob("/proc/[0-9]*")
	ts.Check(err)
	for _, p := range pids {
		look(p + "/cmdline")
		look(p + "/environ")
	}
}

// forge secret|sponsor FROM TO: writes a token that is well formed and has a wrong part.
func forge(ts *testscript.TestScript, _ bool, args []string) {
	token, err := member.ParseToken(ts.ReadFile(args[1]))
	ts.Check(err)
	if args[0] == "secret" {
		token.Secret[0]++
	} else {
		token.Sponsor[0]++
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(token.Text()+"\n"), 0o600))
}

// shows FILE SECRETFILE: the opposite for one file, to see that looking finds.
func shows(ts *testscript.TestScript, neg bool, args []string) {
	if strings.Contains(ts.ReadFile(args[0]), strings.TrimSpace(ts.ReadFile(args[1]))) == neg {
		ts.Fatalf("%s in %s: not as expected", args[1], args[0])
	}
}
