package integration

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/ring"
)

// bytesOf returns n bytes that no other seed gives, and that do not compress.
func bytesOf(n int, seed uint64) string {
	b := make([]byte, n)
	c := rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, seed)))
	_, _ = c.Read(b) // never fails
	return string(b)
}

// TestCloseThenOpen closes a file on one host and opens it on another: always the new
// bytes, whatever sizes the old ones and the new ones have.
func TestCloseThenOpen(t *testing.T) {
	r := ring.Start(t, 3)
	rnd := crash.Random(t)
	sizes := []int{0, 1, 4 << 10, 4<<10 + 1, 100 << 10, 9 << 20}
	n := uint64(0)
	for _, first := range sizes {
		for _, second := range sizes {
			a := rnd.IntN(3)
			b := (a + 1 + rnd.IntN(2)) % 3
			path := fmt.Sprintf("/%d-%d", first, second)
			n += 2
			one, two := bytesOf(first, n), bytesOf(second, n+1)
			r.Host(a).Write(path, one)
			r.Host(b).WantFile(path, one)
			r.Host(a).Write(path, two)
			r.Host(b).WantFile(path, two)
			r.Host(b).Write(path, one) // back, by the one that has it in its kernel
			r.Host(a).WantFile(path, one)
			r.Host(3-a-b).WantFile(path, one)
			if second > 1<<20 {
				r.Host(a).Remove(path)
			}
		}
	}
}

// TestAway has a host away during changes of all sorts. When it is back it catches up;
// then it alone has everything.
func TestAway(t *testing.T) {
	r := ring.Start(t, 3) // cutoff=stale, the default
	want := map[string]string{}
	write := func(h *ring.Host, path string, n int, seed uint64) {
		want[path] = bytesOf(n, seed)
		h.WriteSync(path, want[path])
	}
	sizes := []int{0, 1, 100, 4 << 10, 20 << 10, 300 << 10, 5 << 20}
	for i, n := range sizes {
		write(r.Host(i%3), fmt.Sprintf("/before%d", i), n, uint64(i))
		write(r.Host(i%3), fmt.Sprintf("/rewritten%d", i), n, uint64(i+100))
		write(r.Host(i%3), fmt.Sprintf("/removed%d", i), n, uint64(i+200))
	}

	r.Host(2).Kill()
	r.Host(0).Mkdir("/meanwhile")
	for i, n := range sizes {
		h := r.Host(i % 2)
		write(h, fmt.Sprintf("/meanwhile/new%d", i), n, uint64(i+300))
		write(h, fmt.Sprintf("/rewritten%d", i), n/2, uint64(i+400))
		h.Remove(fmt.Sprintf("/removed%d", i))
		delete(want, fmt.Sprintf("/removed%d", i))
		from, to := fmt.Sprintf("/before%d", i), fmt.Sprintf("/meanwhile/moved%d", i)
		h.Rename(from, to)
		want[to] = want[from]
		delete(want, from)
	}

	r.Host(2).Boot()
	for path, content := range want {
		r.Host(2).WantFile(path, content) // at once, from the others where need be
	}
	r.WantWhole()
	r.Lab().Cut(0) // in silence, as a cable does it
	r.Lab().Cut(1)
	r.Host(0).Kill()
	r.Host(1).Kill()
	r.Host(2).Kill() // nothing may come from its kernel's caches
	r.Host(2).Boot()
	began := time.Now()
	for path, content := range want {
		r.Host(2).WantFile(path, content)
	}
	for i := range sizes {
		r.Host(2).WantNone(fmt.Sprintf("/removed%d", i))
	}
	t.Logf("alone, %d files read in %v", len(want), time.Since(began).Round(time.Millisecond))
	// It changes nothing, and says so in time.
	if _, err := r.Host(2).Do(ring.Call{Op: ring.OpMkdir, Path: "/alone", Mode: 0o755}); err == nil {
		t.Error("a host without a majority made a directory")
	}
	s, err := r.Host(2).Status()
	if err != nil || s.Healthy || len(s.Problems) == 0 {
		t.Errorf("status of a host that is alone: %+v, %v", s, err)
	}

	r.Heal()
	r.Host(0).Boot()
	r.Host(1).Boot()
	r.WantVoters(3)
	for _, h := range r.Hosts() {
		h.WantNone("/alone")
		for path, content := range want {
			h.WantFile(path, content)
		}
	}
	r.Host(2).Write("/again", "changes")
	r.Host(0).WantFile("/again", "changes")
}

// TestGrow writes with one host, has two others join, and kills the first.
func TestGrow(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 1, Spare: 2})
	want := map[string]string{}
	for i, n := range []int{0, 1, 4 << 10, 20 << 10, 300 << 10, 5 << 20} {
		path := fmt.Sprintf("/f%d", i)
		want[path] = bytesOf(n, uint64(i))
		r.Host(0).WriteSync(path, want[path])
	}
	r.Add(2)
	r.WantVoters(3)
	r.WantWhole()
	r.Host(0).Kill()
	for _, h := range r.Hosts()[1:] {
		for path, content := range want {
			h.WantFile(path, content)
		}
	}
	r.Host(1).WriteSync("/after", "its death")
	r.Host(2).WantFile("/after", "its death")
	r.Host(0).Boot()
	r.Host(0).WantFile("/after", "its death")
}
