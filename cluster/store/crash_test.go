package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/cluster/store/storetest"
	"github.com/signetfs/signet/internal/disk"
)

// witness knows what callers of a store were told.
type witness struct {
	mu       sync.Mutex
	put      map[signet.Address]bool // whose Put has returned
	unnamed  map[signet.Address]bool // of these, for which Named has not been called
	deleting map[signet.Address]bool // for which Delete has been called
	deleted  map[signet.Address]bool // and has returned
}

func newWitness() *witness {
	return &witness{
		put: map[signet.Address]bool{}, unnamed: map[signet.Address]bool{},
		deleting: map[signet.Address]bool{}, deleted: map[signet.Address]bool{},
	}
}

func (w *witness) copy() *witness {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &witness{
		put: maps.Clone(w.put), unnamed: maps.Clone(w.unnamed),
		deleting: maps.Clone(w.deleting), deleted: maps.Clone(w.deleted),
	}
}

func (w *witness) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// picture is a disk as after a power cut, and what had been promised by then.
type picture struct {
	at       string
	disk     *disk.Mem
	promised *witness
	deleting map[signet.Address]bool // including what began while the picture was taken
}

// camera takes pictures of a disk while a store works on it.
type camera struct {
	m    *disk.Mem
	w    *witness
	pick func(disk.Op) bool

	mu     sync.Mutex
	rng    *rand.Rand
	passed int
	took   []picture
}

func (c *camera) hook(op disk.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.pick(op) {
		return nil
	}
	if c.passed++; testing.Short() && c.passed%4 != 0 {
		return nil
	}
	promised := c.w.copy()
	p := picture{
		at:       fmt.Sprintf("%s %s after=%v", op.Label, op.Path, op.After),
		disk:     c.m.Crash([]int{0, 20, 50, 80, 100}[len(c.took)%5], c.rng),
		promised: promised,
	}
	p.deleting = c.w.copy().deleting
	c.took = append(c.took, p)
	return nil
}

// sizeOf mixes small and large objects.
func sizeOf(seed uint64) int { return []int{300, 66_000, 5000, 64 << 10}[seed%4] }

// work puts, names and deletes objects, those with seeds first, first+step, ...
func work(t *testing.T, s *store.Disk, w *witness, first, step, rounds uint64) {
	for i := range rounds {
		seed := first + i*step
		a, b := storetest.Object(seed, sizeOf(seed))
		if err := s.Put(t.Context(), storetest.Group, a, b, store.Meta{Session: 7, Index: signet.Index(seed + 1)}); err != nil {
			t.Error(err)
			return
		}
		w.note(func() { w.put[a], w.unnamed[a] = true, true })
		if i%3 == 1 {
			w.note(func() { delete(w.unnamed, a) })
			if err := s.Named(t.Context(), storetest.Group, []signet.Address{a}); err != nil {
				t.Error(err)
			}
		}
		if i%4 == 3 {
			older, _ := storetest.Object(seed-2*step, sizeOf(seed-2*step))
			as := []signet.Address{a, older}
			w.note(func() { w.deleting[a], w.deleting[older] = true, true })
			if err := s.Delete(t.Context(), storetest.Group, as); err != nil {
				t.Error(err)
			}
			w.note(func() { w.deleted[a], w.deleted[older] = true, true })
		}
	}
}

// check opens a picture and holds it against what was promised.
func check(t *testing.T, p picture, seeds uint64) {
	t.Helper()
	s, err := store.OpenDisk(store.Options{Disk: p.disk.Disk, Dir: "store"})
	if err != nil {
		t.Fatalf("at %s: %v", p.at, err)
	}
	defer s.Close()
	fail := func(format string, args ...any) { t.Helper(); t.Errorf("at "+p.at+": "+format, args...) }

	marked := make(map[signet.Address]bool)
	if err := s.Unnamed(t.Context(), storetest.Group, signet.Address{}, func(a signet.Address, _ store.Meta) bool {
		marked[a] = true
		return true
	}); err != nil {
		fail("%v", err)
	}
	var count, bytes uint64
	here := make(map[string]bool)
	for seed := range seeds {
		a, b := storetest.Object(seed, sizeOf(seed))
		got, err := s.Get(t.Context(), storetest.Group, a, 0, store.ToEnd)
		has, herr := s.Has(t.Context(), storetest.Group, []signet.Address{a})
		if herr != nil || has[0] != (err == nil) {
			fail("object %d: Has says %v, %v, Get says %v", seed, has, herr, err)
		}
		switch {
		case err == nil && string(got) != string(b):
			fail("object %d has other bytes", seed)
		case err != nil && signet.KindOf(err) != signet.NotFound:
			fail("object %d: %v", seed, err)
		case err != nil && p.promised.put[a] && !p.deleting[a]:
			fail("object %d is lost", seed)
		case err == nil && p.promised.deleted[a]:
			fail("object %d is back", seed)
		case err == nil && p.promised.unnamed[a] && !marked[a]:
			fail("object %d has lost its mark", seed)
		case err != nil && marked[a]:
			fail("object %d has a mark and is not here", seed)
		}
		if err == nil {
			count, bytes = count+1, bytes+uint64(len(b))
			here[a.String()] = true
		}
	}
	if u := s.Stat(); u.Objects != count || u.Used != bytes {
		fail("usage says %d objects, %d bytes, and there are %d, %d", u.Objects, u.Used, count, bytes)
	}
	for _, f := range files(t, p.disk.Disk) {
		if !here[path.Base(f)] {
			fail("%s belongs to no object", f)
		}
	}
}

// files lists the object files and the temporary ones.
func files(t *testing.T, d *disk.Disk) []string {
	var all []string
	var walk func(dir string)
	walk = func(dir string) {
		names, err := d.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if len(n) < 2*signet.AddressSize && !strings.HasPrefix(n, "put-") {
				walk(path.Join(dir, n))
			} else {
				all = append(all, path.Join(dir, n))
			}
		}
	}
	walk("store/objects")
	walk("store/tmp")
	return all
}

// TestPowerCutAtEveryStep cuts the power at every labelled step of a sequence of
// changes, and at every operation on object files and directories.
func TestPowerCutAtEveryStep(t *testing.T) {
	for _, unnamed := range []bool{true, false} {
		t.Run(fmt.Sprintf("unnamed files %v", unnamed), func(t *testing.T) {
			m, w := disk.NewMem(), newWitness()
			s := openOn(t, m.Disk)
			steps := disk.Steps()
			seen := make(map[disk.Label]bool)
			c := &camera{m: m, w: w, rng: rand.New(rand.NewPCG(1, 2)), pick: func(op disk.Op) bool {
				seen[op.Label] = true
				return slices.Contains(steps, op.Label) || strings.HasPrefix(string(op.Label), "object.") || op.Label == disk.DirSync
			}}
			m.SetHook(func(op disk.Op) error {
				err := c.hook(op)
				if op.Label == disk.ObjectUnnamed && !unnamed {
					err = signet.NotSupported
				}
				return err
			})
			const rounds = 16
			work(t, s, w, 0, 1, rounds)
			m.SetHook(nil)
			for _, l := range steps {
				if !seen[l] {
					t.Errorf("nothing passed the step %s", l)
				}
			}
			for _, p := range c.took {
				check(t, p, rounds)
			}
			t.Logf("%d pictures", len(c.took))
		})
	}
}

// TestPowerCutAnywhere cuts the power at random operations, of the database too,
// while several callers work.
func TestPowerCutAnywhere(t *testing.T) {
	m, w := disk.NewMem(), newWitness()
	s := openOn(t, m.Disk)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	c := &camera{m: m, w: w, rng: rng, pick: func(disk.Op) bool { return rng.IntN(100) < 4 }}
	m.SetHook(c.hook)
	const callers, rounds = 4, 24
	var wg sync.WaitGroup
	for i := range uint64(callers) {
		wg.Go(func() { work(t, s, w, i, callers, rounds) })
	}
	wg.Wait()
	m.SetHook(nil)
	for _, p := range c.took {
		check(t, p, callers*rounds)
	}
	t.Logf("%d pictures", len(c.took))
}

// TestPowerCutWhileSettling cuts the power again while a start settles what the first
// cut left.
func TestPowerCutWhileSettling(t *testing.T) {
	m, w := disk.NewMem(), newWitness()
	s := openOn(t, m.Disk)
	rng := rand.New(rand.NewPCG(3, 4))
	first := &camera{m: m, w: w, rng: rng, pick: func(op disk.Op) bool { return slices.Contains(disk.Steps(), op.Label) }}
	m.SetHook(first.hook)
	const rounds = 12
	work(t, s, w, 0, 1, rounds)
	m.SetHook(nil)
	for _, p := range first.took {
		settled := 0
		second := &camera{m: p.disk, w: p.promised, rng: rng, pick: func(op disk.Op) bool {
			// The database's own recovery is its own business.
			settled++
			return !strings.Contains(op.Path, "store/db") && settled%7 == 0
		}}
		p.disk.SetHook(second.hook)
		again, err := store.OpenDisk(store.Options{Disk: p.disk.Disk, Dir: "store"})
		if err != nil {
			t.Fatal(err)
		}
		p.disk.SetHook(nil)
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		for _, q := range second.took {
			q.at = p.at + ", then " + q.at
			q.deleting = p.deleting
			check(t, q, rounds)
		}
	}
}
