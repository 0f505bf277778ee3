package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/cluster/store/storetest"
	"github.com/signetfs/signet/internal/disk"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, k signet.Kind) {
	t.Helper()
	if signet.KindOf(err) != k {
		t.Errorf("got %v, want an error of kind %q", err, k)
	}
}

// put puts the object of a seed.
func put(s store.Store, seed uint64, n int) (signet.Address, error) {
	a, b := storetest.Object(seed, n)
	return a, s.Put(ctx, storetest.Group, a, b, store.Meta{Session: 1})
}

// intact says whether the object of a seed is here and what was put.
func intact(s store.Store, seed uint64, n int) error {
	a, b := storetest.Object(seed, n)
	got, err := s.Get(ctx, storetest.Group, a, 0, store.ToEnd)
	if err == nil && !bytes.Equal(got, b) {
		err = errors.New("other bytes")
	}
	return err
}

// failing returns a hook that fails an operation on object files and directories, or
// on the database's files if path says so.
func failing(l disk.Label, after bool, path string, err error) disk.Hook {
	return func(op disk.Op) error {
		if op.Label == l && op.After == after && strings.Contains(op.Path, path) {
			return err
		}
		return nil
	}
}

// TestFailedOperation fails each operation of a put and of a delete in turn. The
// store goes on, and neither it nor the next start loses or leaks anything.
func TestFailedOperation(t *testing.T) {
	for _, c := range []struct {
		label disk.Label
		errno error
		kind  signet.Kind
	}{
		{disk.ObjectUnnamed, disk.Full, signet.NoSpace},
		{disk.ObjectUnnamed, disk.TooManyFiles, signet.TooBusy},
		{disk.ObjectWrite, disk.Full, signet.NoSpace},
		{disk.ObjectWrite, disk.Broken, signet.Disk},
		{disk.ObjectSync, disk.Broken, signet.Disk},
		{disk.ObjectSync, disk.Full, signet.NoSpace},
		{disk.ObjectLink, disk.Full, signet.NoSpace},
		{disk.DirSync, disk.Broken, signet.Disk},
		{disk.ObjectRemove, disk.Broken, signet.Disk},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v/%v", c.label, c.errno, after), func(t *testing.T) {
				m := disk.NewMem()
				s := openOn(t, m.Disk)
				const n = 70_000
				_, err := put(s, 1, n)
				must(t, err)
				m.SetHook(failing(c.label, after, "objects", c.errno))
				fresh, err := put(s, 2, n)
				if c.label == disk.ObjectRemove {
					must(t, err)
				} else {
					wantKind(t, err, c.kind)
					wantKind(t, intact(s, 2, n), signet.NotFound)
				}
				if c.label == disk.ObjectRemove || c.label == disk.DirSync {
					wantKind(t, s.Delete(ctx, storetest.Group, []signet.Address{fresh}), c.kind)
				}
				m.SetHook(nil)
				must(t, intact(s, 1, n))
				left := m.Crash(50, rng(t))
				_, err = put(s, 2, n)
				must(t, err)
				must(t, intact(s, 2, n))
				must(t, s.Delete(ctx, storetest.Group, []signet.Address{fresh}))
				one, _ := storetest.Object(1, n)
				if f := files(t, m.Disk); len(f) != 1 || !strings.HasSuffix(f[0], one.String()) {
					t.Error("files left:", f)
				}
				// A start after a crash right after the failure finds its way too.
				s = openOn(t, left.Disk)
				must(t, intact(s, 1, n))
				if u := s.Stat(); uint64(len(files(t, left.Disk))) != u.Objects {
					t.Errorf("%d files, %+v", len(files(t, left.Disk)), u)
				}
			})
		}
	}
}

// TestDatabaseCannotWrite fails the database's log. What is durable then is not
// known, so the store ends; the next one knows.
func TestDatabaseCannotWrite(t *testing.T) {
	for _, c := range []struct {
		label disk.Label
		errno error
		kind  signet.Kind
	}{
		{disk.FileSync, disk.Broken, signet.Disk},
		{disk.FileWrite, disk.Full, signet.NoSpace},
	} {
		for _, n := range []int{100, 70_000} {
			t.Run(fmt.Sprintf("%s/%d", c.label, n), func(t *testing.T) {
				m := disk.NewMem()
				var told atomic.Int32
				s, err := store.OpenDisk(store.Options{Disk: m.Disk, Dir: "store", Failed: func(err error) {
					told.Add(1)
					wantKind(t, err, signet.Disk)
				}})
				must(t, err)
				_, err = put(s, 1, n)
				must(t, err)
				m.SetHook(failing(c.label, false, ".log", c.errno))
				_, err = put(s, 2, n)
				wantKind(t, err, c.kind)
				m.SetHook(nil)
				_, err = put(s, 3, n)
				wantKind(t, err, signet.Disk)
				wantKind(t, intact(s, 1, n), signet.Disk)
				wantKind(t, s.Close(), signet.Disk)
				if told.Load() != 1 {
					t.Errorf("told %d times", told.Load())
				}
				again := openOn(t, m.Crash(0, nil).Disk)
				must(t, intact(again, 1, n))
				for seed := range uint64(2) {
					if err := intact(again, seed+2, n); signet.KindOf(err) != signet.NotFound {
						t.Error(err)
					}
				}
			})
		}
	}
}

// damages are what a disk may do to a file. Each reports the new content.
var damages = map[string]func([]byte) []byte{
	"one bit":   func(b []byte) []byte { b[len(b)/3] ^= 4; return b },
	"cut":       func(b []byte) []byte { return b[:len(b)/2] },
	"empty":     func([]byte) []byte { return nil },
	"all zeros": func(b []byte) []byte { clear(b); return b },
	"longer":    func(b []byte) []byte { return append(b, 0) },
	"gone":      nil,
}

// damage rewrites a file of a disk.
func damage(t *testing.T, d *disk.Disk, name string, f func([]byte) []byte) {
	t.Helper()
	b, err := d.ReadFile(name, 16<<20)
	must(t, err)
	must(t, d.RemoveObject(name))
	if f == nil {
		return
	}
	file, err := d.FS().Create(name, vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = file.Write(f(b))
	must(t, err)
	must(t, file.Sync())
	must(t, file.Close())
	must(t, d.SyncDir(name[:strings.LastIndex(name, "/")]))
}

func TestDamagedFile(t *testing.T) {
	for name, f := range damages {
		t.Run(name, func(t *testing.T) {
			d := disk.NewMem().Disk
			s := openOn(t, d)
			const n = 100_000
			a, err := put(s, 1, n)
			must(t, err)
			damage(t, d, files(t, d)[0], f)
			if name == "longer" {
				// What is past the end is never read, so the object is whole.
				must(t, intact(s, 1, n))
				return
			}
			wantKind(t, intact(s, 1, n), signet.Corrupt)
			if name != "one bit" && name != "all zeros" { // whoever opens a part finds those
				_, err := s.Get(ctx, storetest.Group, a, n-10, 5)
				wantKind(t, err, signet.Corrupt)
			}
			_, err = put(s, 1, n) // as a repair does
			must(t, err)
			must(t, intact(s, 1, n))
			if u := s.Stat(); u.Objects != 1 || u.Used != n || len(files(t, d)) != 1 {
				t.Errorf("%+v, %v", u, files(t, d))
			}
			damage(t, d, files(t, d)[0], f)
			must(t, s.Delete(ctx, storetest.Group, []signet.Address{a}))
			if u := s.Stat(); u.Objects != 0 || len(files(t, d)) != 0 {
				t.Errorf("%+v, %v", u, files(t, d))
			}
		})
	}
}

// TestDamagedTable flips a bit of a small object in a table of the database: that one
// is damaged, the process goes on, and a repair makes it good.
func TestDamagedTable(t *testing.T) {
	d := disk.NewMem().Disk
	s, err := store.OpenDisk(store.Options{Disk: d, Dir: "store"})
	must(t, err)
	const n, count = 40_000, 150 // more than the database keeps in memory
	for seed := range uint64(count) {
		_, err := put(s, seed, n)
		must(t, err)
	}
	must(t, s.Close())
	_, victim := storetest.Object(0, n)
	names, err := d.List("store/db")
	must(t, err)
	hit := false
	for _, name := range names {
		b, err := d.ReadFile("store/db/"+name, 64<<20)
		must(t, err)
		if i := bytes.Index(b, victim[100:200]); i >= 0 && strings.HasSuffix(name, ".sst") {
			damage(t, d, "store/db/"+name, func(b []byte) []byte { b[i] ^= 1; return b })
			hit = true
		}
	}
	if !hit {
		t.Fatal("the object is in no table")
	}
	s = openOn(t, d)
	wantKind(t, intact(s, 0, n), signet.Corrupt)
	must(t, intact(s, count-1, n))
	_, err = put(s, 0, n)
	must(t, err)
	must(t, intact(s, 0, n))
}

func TestUnknownFileInTheWay(t *testing.T) {
	d := disk.NewMem().Disk
	s := openOn(t, d)
	_, err := put(s, 1, 70_000)
	must(t, err)
	a, b := storetest.Object(2, 70_000)
	name := files(t, d)[0]
	name = name[:strings.LastIndex(name, "/")+1] + a.String()
	f, err := d.FS().Create(name, vfs.WriteCategoryUnspecified)
	must(t, err)
	must(t, f.Close())
	must(t, s.Put(ctx, storetest.Group, a, b, store.Meta{}))
	must(t, intact(s, 2, 70_000))
}

func TestStrangeDatabase(t *testing.T) {
	m := disk.NewMem()
	s, err := store.OpenDisk(store.Options{Disk: m.Disk, Dir: "store"})
	must(t, err)
	if _, err := store.OpenDisk(store.Options{Disk: m.Disk, Dir: "store"}); signet.KindOf(err) != signet.Busy {
		t.Errorf("opened twice: %v", err)
	}
	must(t, s.Close())
	m.SetHook(failing(disk.DirMake, false, "store/tmp", disk.Frozen))
	_, err = store.OpenDisk(store.Options{Disk: m.Disk, Dir: "store"})
	wantKind(t, err, signet.Disk)
	m.SetHook(nil)
	damage(t, m.Disk, "store/db/"+manifest(t, m.Disk), func([]byte) []byte { return []byte("garbage") })
	_, err = store.OpenDisk(store.Options{Disk: m.Disk, Dir: "store"})
	if err == nil {
		t.Error("opened a store without a manifest")
	}
}

func manifest(t *testing.T, d *disk.Disk) string {
	names, err := d.List("store/db")
	must(t, err)
	for _, n := range names {
		if strings.HasPrefix(n, "MANIFEST") {
			return n
		}
	}
	t.Fatal("no manifest in", names)
	return ""
}
