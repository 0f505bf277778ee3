package integration

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// TestDemo runs what the README begins with: make demo, what it proposes to try, a second
// make demo in place of the first, and make demo-stop. The directory, the ports and the tree
// are its own.
func TestDemo(t *testing.T) {
	need.Time(t)
	need.FUSE(t)
	need.Program(t, "make", "awk", "diff")
	d := newDemo(t)
	out := d.make("demo")
	t.Logf("%s", out)
	d.check(out)
	// Proposals, the last of which kills a host and brings it back.
	_, tries, _ := strings.Cut(out, "Try, for example:\n")
	tries, rest, _ := strings.Cut(tries, "To stop it:\n")
	if n := strings.Count(tries, "\n"); n != 4 || !strings.Contains(rest, "    make demo-stop\n") {
		t.Errorf("it proposes %d things, want 4, and make demo-stop", n)
	}
	for line := range strings.Lines(tries) {
		if got := d.run("sh", "-ec", line); strings.TrimSpace(got) == "" {
			t.Errorf("it proposes this, and nothing comes of it: %s", line)
		}
	}
	d.same("odds", "mnt2")

	again := d.make("demo")
	if !strings.Contains(again, "Stopped 3 hosts.") {
		t.Errorf("the second demo did not end the first:\n%s", again)
	}
	d.check(again)
	if _, err := os.Stat(filepath.Join(d.dir, "demo/mnt1/hello")); !os.IsNotExist(err) {
		t.Errorf("the second demo has files of the first: %v", err)
	}
	if out := d.make("demo-stop"); !strings.Contains(out, "Stopped 3 hosts.") {
		t.Errorf("make demo-stop: %s", out)
	}
	d.wantNothing()
	if out := d.make("demo-stop"); !strings.Contains(out, "No demo is running.") {
		t.Errorf("a second make demo-stop: %s", out)
	}
}

// demo is a checkout with a program that is built, and a small tree to copy.
type demo struct {
	t    *testing.T
	dir  string
	tree string
	env  []string
}

func newDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{t: t, dir: t.TempDir(), tree: t.TempDir()}
	bin := filepath.Join(d.dir, "bin")
	for _, err := range []error{
		os.CopyFS(filepath.Join(d.dir, "scripts"), os.DirFS("../scripts")), os.Mkdir(bin, 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	copyFile(t, "../Makefile", filepath.Join(d.dir, "Makefile"), 0o644)
	copyFile(t, ring.Build(t, false), filepath.Join(bin, "signet"), 0o755)
	for i := range 10 {
		sub := filepath.Join(d.tree, fmt.Sprint("package", i))
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range 20 {
			text := bytes.Repeat([]byte(fmt.Sprintf("line of file %d of %d\n", j, i)), 1+j*j*5)
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("file%d.go", j)), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	d.env = append(os.Environ(), "DEMO_SOURCE="+d.tree, fmt.Sprint("DEMO_PORT=", port), "MAKEFLAGS=", "MAKELEVEL=")
	t.Cleanup(func() {
		if t.Failed() {
			d.logs()
			d.make("demo-stop")
		}
	})
	return d
}

func copyFile(t *testing.T, from, to string, mode fs.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// make makes a target. What is built is given, so nothing is built.
func (d *demo) make(target string) string {
	d.t.Helper()
	return d.run("make", "--no-print-directory", "-o", "build", target)
}

func (d *demo) run(name string, args ...string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// check checks what a demo that has ended well leaves: three mounts, of which each shows what
// was copied, and what is written in one is read in the others.
func (d *demo) check(out string) {
	d.t.Helper()
	for _, step := range []string{"host 3 .*is killed", "hosts 1 and 2 go on", "host 3 has caught up .*healthy", "host 3 reads what it missed .*the same"} {
		if !regexp.MustCompile(step).MatchString(out) {
			d.t.Errorf("nothing like %q in what it says", step)
		}
	}
	points := regexp.MustCompile(`(?m)^    (/.*/mnt[123])$`).FindAllStringSubmatch(out, -1)
	if len(points) != 3 {
		d.t.Fatalf("it names %d mountpoints, want 3", len(points))
	}
	for i, p := range points {
		d.same("go-src", filepath.Base(p[1]))
		if err := os.WriteFile(filepath.Join(p[1], fmt.Sprint("from", i)), []byte("written"), 0o644); err != nil {
			d.t.Error(err)
		}
		for _, q := range points {
			if b, err := os.ReadFile(filepath.Join(q[1], fmt.Sprint("from", i))); err != nil || string(b) != "written" {
				d.t.Errorf("%s: %q, %v", q[1], b, err)
			}
		}
	}
}

// same compares a tree on a mount with what was copied there.
func (d *demo) same(tree, mount string) {
	d.t.Helper()
	original := d.tree
	if tree != "go-src" {
		original = filepath.Join(d.dir, "demo", tree)
	}
	d.run("diff", "-r", "--no-dereference", original, filepath.Join(d.dir, "demo", mount, tree))
}

// wantNothing checks that nothing is mounted and nothing runs any more.
func (d *demo) wantNothing() {
	d.t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		d.t.Fatal(err)
	}
	if strings.Contains(string(mounts), " "+d.dir) {
		d.t.Errorf("still mounted:\n%s", mounts)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, l := range lines {
		if b, _ := os.ReadFile(l); bytes.Contains(b, []byte(d.dir)) {
			d.t.Errorf("still running: %s: %q", l, b)
		}
	}
}

func (d *demo) logs() {
	logs, _ := filepath.Glob(filepath.Join(d.dir, "demo/h?/log"))
	for _, l := range logs {
		b, _ := os.ReadFile(l)
		d.t.Logf("%s:\n%s", l, b[max(0, len(b)-4000):])
	}
}
