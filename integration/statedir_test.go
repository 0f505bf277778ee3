package integration

import (
	"crypto/sha256"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signetfs/signet/integration/ring"
)

// TestHostWithoutKey has a host that joined with --no-key be one of the two that vote, and
// the only one that has an object.
func TestHostWithoutKey(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 3, NoKey: []int{2}})
	one, two := bytesOf(5<<20, 1), bytesOf(5<<20, 2)
	r.Host(0).WriteSync("/one", one)
	r.WantWhole()
	r.Host(0).Kill()
	r.Host(1).WantFile("/one", one)
	r.Host(1).WriteSync("/two", two) // committed by the vote of host 2, with two copies
	r.Host(1).Kill()
	r.Host(0).Boot()
	r.Host(0).WantFile("/two", two) // there is no other host to have it from
	r.Host(0).WriteSync("/three", "3")
	r.Host(1).Boot()
	r.WantVoters(3)
	for _, h := range r.Hosts()[:2] {
		h.WantFile("/one", one)
		h.WantFile("/two", two)
		h.WantFile("/three", "3")
	}
}

// files returns a digest of every file below a state directory, but for those that are
// written whoever comes.
func files(t *testing.T, state string) map[string][32]byte {
	t.Helper()
	out := map[string][32]byte{}
	err := filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, state+"/")
		if err != nil || !d.Type().IsRegular() || name == "lock" || name == "log" {
			return err
		}
		b, err := os.ReadFile(path)
		out[name] = sha256.Sum256(b)
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("%s: %d files, %v", state, len(out), err)
	}
	return out
}

// wantRefused wants a command to fail with a text that holds all words, and to leave
// the state directory as it is.
func wantRefused(t *testing.T, h *ring.Host, what string, f func() error, words ...string) {
	t.Helper()
	before := files(t, h.State())
	err := f()
	if err == nil {
		t.Errorf("%s: it was done", what)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: the message does not say %q: %v", what, w, err)
		}
	}
	after := files(t, h.State())
	if !maps.Equal(before, after) {
		for _, name := range slices.Sorted(maps.Keys(after)) {
			if after[name] != before[name] {
				t.Errorf("%s: %s was changed", what, name)
			}
		}
		for name := range before {
			if _, ok := after[name]; !ok {
				t.Errorf("%s: %s is gone", what, name)
			}
		}
	}
}

// daemonFails runs a daemon that ends at once, and returns its complaint.
func daemonFails(h *ring.Host) func() error {
	return func() error {
		_, err := h.Signet("daemon")
		return err
	}
}

// TestForeignState starts hosts on state directories that are not for them.
func TestForeignState(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 1, Spare: 1})
	ours, theirs := r.Host(0), r.Host(1)
	ours.WriteSync("/kept", "kept")

	// Another cluster's host does not become one of ours.
	theirs.Must("init", "--cluster", "other", "--listen", theirs.Address())
	wantRefused(t, theirs, "join with another cluster's directory", func() error { return theirs.Join(r.Init.JoinToken) },
		theirs.State(), "already belongs to a host")
	if s, err := ours.Status(); err != nil || len(s.Hosts) != 1 {
		t.Errorf("the cluster has these hosts now: %+v, %v", s, err)
	}

	// A newer program has been here. The version is the first element of an array.
	ours.Must("daemon", "--stop")
	for _, name := range []string{"identity", "host", "start"} {
		path := filepath.Join(ours.State(), name)
		b, err := os.ReadFile(path)
		if err != nil || len(b) < 2 || b[1] != 1 {
			t.Fatalf("%s: %x, %v", name, b, err)
		}
		newer := slices.Clone(b)
		newer[1] = 2
		write(t, path, newer)
		wantRefused(t, ours, name+" of a newer version", daemonFails(ours), name, "format 2", "use a newer signet")
		write(t, path, b)
	}

	ours.Boot()
	ours.WantFile("/kept", "kept")
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
