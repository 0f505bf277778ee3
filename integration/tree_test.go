package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
)

// TestTree copies a real tree in on one host and compares it on the others.
func TestTree(t *testing.T) {
	r := ring.Start(t, 3)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(strings.TrimSpace(string(root)), "src", "net")
	r.Host(0).Run(3*time.Minute, "cp", "-a", src, "tree")
	for _, h := range r.Hosts() {
		h.Run(3*time.Minute, "diff", "-r", "--no-dereference", src, "tree")
	}
	// Modes, times, owners and links too, as tar sees them.
	list := []string{"sh", "-c", `find "$1" -printf '%P %y %m %U %G %T@ %s %l\n' | grep -v ' d ' | sort`, "list"}
	want := r.Host(0).Run(time.Minute, append(list, src)...)
	for _, h := range r.Hosts() {
		if got := h.Run(time.Minute, append(list, "tree")...); got != want {
			t.Errorf("%s lists the tree differently:\n%s", h.Name(), firstDifference(got, want))
		}
	}

	r.Host(1).Rename("/tree", "/moved")
	r.Host(2).WantNone("/tree")
	r.Host(0).Run(time.Minute, "diff", "-r", "--no-dereference", src, "moved")
	r.Host(2).Run(2*time.Minute, "rm", "-r", "moved")
	for _, h := range r.Hosts() {
		h.WantNames("/")
	}
}

// firstDifference shows the first line that differs.
func firstDifference(got, want string) string {
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	cut := func(s string) string { return s[max(0, min(n, len(s))-80):min(len(s), n+120)] }
	return "got  ..." + cut(got) + "\nwant ..." + cut(want)
}

// TestAtOnce changes names on one host and looks on the others as soon as the call has
// returned.
func TestAtOnce(t *testing.T) {
	r := ring.Start(t, 3)
	a, b, c := r.Host(0), r.Host(1), r.Host(2)
	a.Write("/a", "one")
	b.WantFile("/a", "one")
	c.WantFile("/a", "one")
	b.Write("/a", "two, and longer")
	a.WantFile("/a", "two, and longer")
	c.WantFile("/a", "two, and longer")
	c.Mkdir("/d")
	a.Rename("/a", "/d/b")
	b.WantNone("/a")
	c.WantNames("/d", "b")
	c.WantFile("/d/b", "two, and longer")
	b.MustDo(ring.Call{Op: ring.OpSymlink, Path: "/link", To: "d/b"})
	if got := string(a.MustDo(ring.Call{Op: ring.OpReadlink, Path: "/link"}).Data); got != "d/b" {
		t.Errorf("the link leads to %q", got)
	}
	c.WantFile("/link", "two, and longer")
	a.MustDo(ring.Call{Op: ring.OpSetXattr, Path: "/d/b", To: "user.colour", Data: []byte("red")})
	if got := string(c.MustDo(ring.Call{Op: ring.OpGetXattr, Path: "/d/b", To: "user.colour"}).Data); got != "red" {
		t.Errorf("the attribute is %q", got)
	}
	c.Remove("/d/b")
	a.WantNames("/d")
	b.MustDo(ring.Call{Op: ring.OpRmdir, Path: "/d"})
	c.WantNames("/", "link")
}
