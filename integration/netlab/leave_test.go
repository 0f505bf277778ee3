package netlab_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/netlab"
	"github.com/signetfs/signet/internal/need"
)

// fakeT is as much of a test as a lab needs outside of one, but it never cleans up,
// like a test process that does not get to it.
type fakeT struct{ testing.TB }

func (fakeT) Helper()               {}
func (fakeT) Name() string          { return "fake" }
func (fakeT) Cleanup(func())        {}
func (fakeT) Fatal(a ...any)        { panic(fmt.Sprint(a...)) }
func (fakeT) Fatalf(string, ...any) { panic("fatal") }

// lab makes a lab with something running and mounted, says so, and ends badly.
func lab(how string) {
	l := netlab.New(fakeT{}, 2)
	dir := filepath.Join(l.Host(0).Dir(), "mnt")
	l.Host(0).Run("mkdir", dir)
	l.Host(0).Run("mount", "-t", "tmpfs", "lab", dir)
	p := l.Host(0).Start("sleep", netlab.Cmd{Args: []string{"sleep", "10000"}})
	q := l.Host(1).Start("sleep", netlab.Cmd{Args: []string{"sh", "-c", "setsid sleep 10000 & sleep 10000"}})
	l.Host(1).Freeze()
	fmt.Println(p.Pid(), q.Pid(), l.Host(0).Dir())
	if how == "panic" {
		panic("as wanted")
	}
	select {}
}

// TestNothingIsLeft ends test processes in the ways that leave no time to clean up.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	need.Root(t)
	for _, how := range []string{"panic", "kill"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			c := role("lab", how)
			cmd := exec.Command(c.Args[0], c.Args[1:]...)
			cmd.Env = append(os.Environ(), append(c.Env, "TMPDIR="+temp)...)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var p, q int
			var dir string
			line, err := bufio.NewReader(out).ReadString('\n')
			if _, err2 := fmt.Sscan(line, &p, &q, &dir); err != nil || err2 != nil {
				t.Fatalf("the lab said %q: %v, %v", line, err, err2)
			}
			if how == "kill" {
				cmd.Process.Kill()
			}
			cmd.Wait()
			eventually(t, "all processes are gone", func() bool {
				return gone(p) && gone(q)
			})
			if _, err := os.Stat(dir); err != nil {
				t.Fatalf("its directory: %v", err)
			}
			netlab.Sweep(temp)
			if left, _ := filepath.Glob(filepath.Join(temp, "*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// gone says whether a process has ended; a zombie that nobody waited for has.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

// TestLiveLabsAreNotSwept checks that a lab's directory is safe while its test runs.
func TestLiveLabsAreNotSwept(t *testing.T) {
	t.Parallel()
	l := netlab.New(t, 1)
	netlab.Sweep(os.TempDir())
	if _, err := os.Stat(l.Host(0).Dir()); err != nil {
		t.Error(err)
	}
}

// TestLogsOfAFailure checks that a failed test shows what the hosts printed.
func TestLogsOfAFailure(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t, failed: true}
	l := netlab.New(r, 2)
	p := l.Host(1).Start("speaker", netlab.Cmd{Args: []string{"echo", "last words"}})
	<-p.Done()
	dir := l.Host(1).Dir()
	r.cleanUp()
	if !strings.Contains(r.said, "host 1 (10.77.") || !strings.Contains(r.said, "speaker\nlast words\n") {
		t.Errorf("it said %q", r.said)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is still there")
	}
	if err := syscall.Kill(p.Pid(), 0); err == nil {
		t.Error("the process is still there")
	}
}

// recorder is a test that has failed, and keeps what is said about it.
type recorder struct {
	testing.TB
	failed  bool
	said    string
	cleanup []func()
}

func (r *recorder) Failed() bool     { return r.failed }
func (r *recorder) Log(a ...any)     { r.said += fmt.Sprint(a...) }
func (r *recorder) Cleanup(f func()) { r.cleanup = append(r.cleanup, f) }

func (r *recorder) Deadline() (time.Time, bool) { return time.Time{}, false }

func (r *recorder) cleanUp() {
	for _, f := range r.cleanup {
		f()
	}
}
