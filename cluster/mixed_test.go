package cluster

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signetfs/signet"
)

// A state directory in which the log is another cluster's is refused, and left as it is.
func TestLogOfAnotherCluster(t *testing.T) {
	a, b := newBench(t, 1), newBench(t, 1)
	for _, c := range []*bench{a, b} {
		if err := c.create(c.ctx(), 0, "f"); err != nil {
			t.Fatal(err)
		}
		if err := c.hosts[0].Close(); err != nil {
			t.Fatal(err)
		}
		c.hosts[0] = nil
	}
	ours, theirs := filepath.Join(a.dirs[0], logDir), filepath.Join(b.dirs[0], logDir)
	aside := ours + ".aside"
	for _, move := range [][2]string{{ours, aside}, {theirs, ours}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	open := func(c *bench) error {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c.hosts[0], err = Open(c.options(0, l))
		return err
	}
	err := open(a)
	if signet.KindOf(err) != signet.Corrupt || !strings.Contains(err.Error(), "mixed up") {
		t.Fatalf("opened with another cluster's log: %v", err)
	}
	// Put back where they belong, both work.
	for _, move := range [][2]string{{ours, theirs}, {aside, ours}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*bench{a, b} {
		if err := open(c); err != nil {
			t.Fatal(err)
		}
		if err := c.create(c.ctx(), 0, "g"); err != nil {
			t.Error(err)
		}
	}
}
