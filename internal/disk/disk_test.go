package disk_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/disk"
)

// each runs a test on a real directory and in memory.
func each(t *testing.T, f func(t *testing.T, d *disk.Disk)) {
	t.Run("directory", func(t *testing.T) {
		d, err := disk.Open(filepath.Join(t.TempDir(), "state"))
		if err != nil {
			t.Fatal(err)
		}
		f(t, d)
	})
	t.Run("memory", func(t *testing.T) { f(t, disk.NewMem().Disk) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, k signet.Kind) {
	t.Helper()
	if signet.KindOf(err) != k {
		t.Errorf("got %v, want an error of kind %q", err, k)
	}
}

// store writes an object's file the way a store does.
func store(d *disk.Disk, dir, name, content string) error {
	f, err := d.NewTemp(dir, "scratch")
	if err != nil {
		return err
	}
	given := []byte(content)
	_, err = f.Write(given)
	if string(given) != content {
		err = errors.New("the bytes that were only lent have changed")
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Link(dir + "/" + name)
	}
	if err == nil {
		err = d.SyncDir(dir)
	}
	return errors.Join(err, f.Close())
}

func read(t *testing.T, d *disk.Disk, name string) string {
	t.Helper()
	buf := make([]byte, 100)
	n, err := d.ReadObject(name, buf, 0)
	must(t, err)
	return string(buf[:n])
}

func TestObjects(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Disk) {
		must(t, d.MakeDirs("objects/07"))
		must(t, store(d, "objects/07", "a", "hello, sealed world"))
		if got := read(t, d, "objects/07/a"); got != "hello, sealed world" {
			t.Errorf("%q", got)
		}
		buf := make([]byte, 6)
		n, err := d.ReadObject("objects/07/a", buf, 14)
		if n != 5 || err != nil || string(buf[:n]) != "world" {
			t.Error(n, err)
		}
		if n, err := d.ReadObject("objects/07/a", buf, 99); n != 0 || err != nil {
			t.Error("past the end:", n, err)
		}
		wantKind(t, store(d, "objects/07", "a", "again"), signet.Exists)
		must(t, d.Punch("objects/07/a", 0, 6))
		if got := read(t, d, "objects/07/a"); got != "\x00\x00\x00\x00\x00\x00 sealed world" {
			t.Errorf("%q after a punch", got)
		}
		must(t, d.RemoveObject("objects/07/a"))
		_, err = d.ReadObject("objects/07/a", buf, 0)
		wantKind(t, err, signet.NotFound)
		wantKind(t, d.RemoveObject("objects/07/a"), signet.NotFound)
		if _, err := d.NewTemp("nowhere", "scratch"); signet.KindOf(err) != signet.NotFound {
			t.Error(err)
		}
		names, err := d.List("objects")
		if err != nil || !slices.Equal(names, []string{"07"}) {
			t.Error(names, err)
		}
	})
}

func TestAbandonedTempLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Disk) {
		must(t, d.MakeDirs("objects"))
		f, err := d.NewTemp("objects", "scratch")
		must(t, err)
		_, err = f.Write([]byte("x"))
		must(t, err)
		must(t, f.Close())
		if names, _ := d.List("objects"); len(names) != 0 {
			t.Error(names)
		}
	})
}

// failAt returns a hook that fails the operation named, once it comes.
func failAt(l disk.Label, after bool, err error) disk.Hook {
	return func(op disk.Op) error {
		if op.Label == l && op.After == after {
			return err
		}
		return nil
	}
}

func TestWithoutUnnamedFiles(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Disk) {
		must(t, d.MakeDirs("objects"))
		must(t, d.MakeDirs("scratch"))
		d.SetHook(failAt(disk.ObjectUnnamed, false, syscall.EOPNOTSUPP))
		f, err := d.NewTemp("objects", "scratch")
		must(t, err)
		if names, _ := d.List("scratch"); len(names) != 1 {
			t.Error("where is the temporary file?", names)
		}
		must(t, f.Close())
		must(t, store(d, "objects", "a", "one"))
		wantKind(t, store(d, "objects", "a", "two"), signet.Exists)
		if got := read(t, d, "objects/a"); got != "one" {
			t.Errorf("%q", got)
		}
		if names, _ := d.List("scratch"); len(names) != 0 {
			t.Error("left over:", names)
		}
	})
}

func TestFailedSyncIsFinal(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Disk) {
		must(t, d.MakeDirs("objects"))
		f, err := d.NewTemp("objects", "scratch")
		must(t, err)
		d.SetHook(failAt(disk.ObjectSync, false, syscall.EIO))
		wantKind(t, f.Sync(), signet.Disk)
		d.SetHook(nil)
		wantKind(t, f.Sync(), signet.Disk)
		wantKind(t, f.Link("objects/a"), signet.Disk)
		_, err = f.Write([]byte("x"))
		wantKind(t, err, signet.Disk)
		must(t, f.Close())
	})
}

func TestInjectedErrorsHaveTheirKind(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Disk) {
		must(t, d.MakeDirs("objects"))
		for l, c := range map[disk.Label]struct {
			errno error
			kind  signet.Kind
		}{
			disk.ObjectUnnamed: {syscall.EMFILE, signet.TooBusy},
			disk.ObjectWrite:   {syscall.ENOSPC, signet.NoSpace},
			disk.ObjectSync:    {syscall.EIO, signet.Disk},
			disk.ObjectLink:    {syscall.EDQUOT, signet.NoSpace},
			disk.DirSync:       {syscall.EROFS, signet.Disk},
		} {
			for _, after := range []bool{false, true} {
				d.SetHook(failAt(l, after, c.errno))
				wantKind(t, store(d, "objects", fmt.Sprint(l, after), "x"), c.kind)
			}
		}
		d.SetHook(failAt(disk.ObjectRemove, true, syscall.EIO))
		must(t, store(d, "objects", "a", "x"))
		wantKind(t, d.RemoveObject("objects/a"), signet.Disk)
		d.SetHook(nil)
		_, err := d.ReadObject("objects/a", nil, 0)
		wantKind(t, err, signet.NotFound) // it was carried out, only its success was hidden
	})
}

func TestErrorKeepsAKindAndNil(t *testing.T) {
	if disk.Error("op", "x", nil) != nil {
		t.Error("nil became an error")
	}
	err := disk.Error("op", "x", signet.Errorf(signet.Corrupt, "", "", "bad"))
	wantKind(t, err, signet.Corrupt)
	wantKind(t, disk.Error("op", "x", fmt.Errorf("deep: %w", syscall.EIO)), signet.Disk)
	if !errors.Is(disk.Error("op", "x", syscall.EIO), syscall.EIO) {
		t.Error("the cause is lost")
	}
}

func TestSmallFiles(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Disk) {
		_, err := d.ReadFile("host", 10)
		wantKind(t, err, signet.NotFound)
		must(t, d.WriteFile("host", []byte("one"), 0o600))
		must(t, d.WriteFile("host", []byte("two"), 0o600))
		b, err := d.ReadFile("host", 3)
		if string(b) != "two" || err != nil {
			t.Error(string(b), err)
		}
		_, err = d.ReadFile("host", 2)
		wantKind(t, err, signet.TooBig)
		for _, l := range []disk.Label{disk.FileCreate, disk.FileWrite, disk.FileSync, disk.FileRename} {
			d.SetHook(failAt(l, false, syscall.ENOSPC))
			wantKind(t, d.WriteFile("host", []byte("three"), 0o600), signet.NoSpace)
		}
		d.SetHook(nil)
		if b, err := d.ReadFile("host", 10); string(b) != "two" || err != nil {
			t.Error("a failed write changed the file:", string(b), err)
		}
		must(t, d.WriteFile("host", []byte("four"), 0o600))
		if names, _ := d.List("."); !slices.Equal(names, []string{"host"}) {
			t.Error("left over:", names)
		}
	})
}

func TestSmallFilesSurviveACrashWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for percent := 0; percent <= 100; percent += 10 {
		m := disk.NewMem()
		must(t, m.WriteFile("host", []byte("old"), 0o600))
		var pictures []*disk.Mem
		m.SetHook(func(disk.Op) error {
			pictures = append(pictures, m.Crash(percent, rng))
			return nil
		})
		must(t, m.WriteFile("host", []byte("new"), 0o600))
		m.SetHook(nil)
		for _, p := range pictures {
			if b, err := p.ReadFile("host", 10); err != nil || string(b) != "old" && string(b) != "new" {
				t.Fatalf("%q %v", b, err)
			}
		}
		if b, err := m.Crash(0, nil).ReadFile("host", 10); string(b) != "new" || err != nil {
			t.Fatal(string(b), err)
		}
	}
}

func TestCrashTakesWhatWasNotSynced(t *testing.T) {
	m := disk.NewMem()
	must(t, m.MakeDirs("objects"))
	must(t, m.SyncDir("."))
	must(t, store(m.Disk, "objects", "safe", "x"))
	f, err := m.NewTemp("objects", "scratch")
	must(t, err)
	_, err = f.Write([]byte("y"))
	must(t, err)
	must(t, f.Link("objects/unsafe"))
	must(t, m.RemoveObject("objects/safe"))

	lost := m.Crash(0, nil)
	if names, _ := lost.List("objects"); !slices.Equal(names, []string{"safe"}) {
		t.Error("after a crash that keeps nothing unsynced:", names)
	}
	kept := m.Crash(100, rand.New(rand.NewPCG(1, 2)))
	names, _ := kept.List("objects")
	slices.Sort(names)
	if !slices.Equal(names, []string{"safe", "unsafe"}) {
		t.Error("after a crash that keeps everything:", names)
	}
	if root, _ := kept.List("."); !slices.Equal(root, []string{"objects"}) {
		t.Error("unnamed files came through:", root)
	}
	must(t, f.Close())
}

func TestFilesOfDatabases(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Disk) {
		var seen []string
		d.SetHook(func(op disk.Op) error {
			if filepath.IsAbs(op.Path) {
				t.Error("the hook sees an absolute path:", op.Path)
			}
			if !op.After {
				seen = append(seen, string(op.Label))
			}
			return nil
		})
		fs := d.FS()
		must(t, fs.MkdirAll("db/sub", 0o755))
		f, err := fs.Create("db/one", vfs.WriteCategoryUnspecified)
		must(t, err)
		must(t, f.Preallocate(0, 100))
		_, err = f.Write([]byte("one"))
		must(t, err)
		must(t, f.Sync())
		must(t, f.SyncData())
		_, err = f.SyncTo(1)
		must(t, err)
		must(t, f.Close())
		must(t, fs.Link("db/one", "db/two"))
		must(t, fs.Rename("db/two", "db/three"))
		f, err = fs.OpenReadWrite("db/three", vfs.WriteCategoryUnspecified)
		must(t, err)
		_, err = f.WriteAt([]byte("T"), 0)
		must(t, err)
		must(t, f.Close())
		f, err = fs.Open("db/three")
		must(t, err)
		b, err := io.ReadAll(f)
		if string(b) != "Tne" || err != nil {
			t.Error(string(b), err)
		}
		_, err = f.ReadAt(b[:1], 1)
		if err != nil || b[0] != 'n' {
			t.Error(err)
		}
		must(t, f.Close())
		info, err := fs.Stat("db/one")
		if err != nil || info.Size() != 3 {
			t.Error(info, err)
		}
		dir, err := fs.OpenDir("db")
		must(t, err)
		must(t, dir.Sync())
		must(t, dir.Close())
		lock, err := fs.Lock("db/LOCK")
		must(t, err)
		if _, err := fs.Lock("db/LOCK"); err == nil {
			t.Error("locked twice")
		}
		must(t, lock.Close())
		f, err = fs.ReuseForWrite("db/three", "db/four", vfs.WriteCategoryUnspecified)
		must(t, err)
		must(t, f.Close())
		must(t, fs.Remove("db/four"))
		must(t, fs.RemoveAll("db"))
		if _, err := fs.List("db"); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		for _, l := range []disk.Label{
			disk.DirMake, disk.FileCreate, disk.FileReserve, disk.FileWrite, disk.FileSync, disk.FileLink,
			disk.FileRename, disk.FileOpen, disk.FileRead, disk.FileStat, disk.DirSync, disk.FileLock,
			disk.FileRemove, disk.DirList,
		} {
			if !slices.Contains(seen, string(l)) {
				t.Errorf("no operation had the label %s", l)
			}
		}
	})
}

func TestFaultsReachDatabases(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Disk) {
		fs := d.FS()
		must(t, fs.MkdirAll("db", 0o700))
		for _, after := range []bool{false, true} {
			d.SetHook(failAt(disk.FileCreate, after, syscall.ENOSPC))
			if _, err := fs.Create("db/a", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
				t.Error(err)
			}
			d.SetHook(failAt(disk.FileLock, after, syscall.EIO))
			if c, err := fs.Lock("db/LOCK"); c != nil || !errors.Is(err, syscall.EIO) {
				t.Error(c, err)
			}
		}
	})
}

func TestSpace(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Disk) {
		s, err := d.Space()
		if err != nil || s.Total == 0 || s.Free > s.Total {
			t.Error(s, err)
		}
		u, err := d.FS().GetDiskUsage("anything")
		if err != nil || u.TotalBytes != s.Total {
			t.Error(u, err)
		}
	})
	m := disk.NewMem()
	m.SetSpace(disk.Space{Total: 100, Free: 7})
	if s, _ := m.Crash(0, nil).Space(); s.Free != 7 {
		t.Error(s)
	}
}

func TestStepReachesTheHook(t *testing.T) {
	d := disk.NewMem().Disk
	d.Step(disk.StepPutLinked) // no hook
	var got []disk.Label
	d.SetHook(func(op disk.Op) error { got = append(got, op.Label); return errors.New("ignored") })
	for _, l := range disk.Steps() {
		d.Step(l)
	}
	if !slices.Equal(got, disk.Steps()) {
		t.Error(got)
	}
}

func TestOpenRefusesAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(name, nil, 0o600))
	_, err := disk.Open(name)
	wantKind(t, err, signet.NotDir)
	if !strings.Contains(err.Error(), name) {
		t.Error("the error does not say which:", err)
	}
}
