package store_test

import (
	"testing"

	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/cluster/store/storetest"
	"github.com/signetfs/signet/internal/disk"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return store.NewMemory(0) })
}

func TestDisk(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openDir(t, t.TempDir()) })
}

func TestDiskInMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openOn(t, disk.NewMem().Disk) })
}

func TestDiskWithoutUnnamedFiles(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		m := disk.NewMem()
		m.SetHook(func(op disk.Op) error {
			if op.Label == disk.ObjectUnnamed {
				return disk.NoUnnamed
			}
			return nil
		})
		return openOn(t, m.Disk)
	})
}

func openDir(t testing.TB, dir string) *store.Disk {
	t.Helper()
	d, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, d)
}

func openOn(t testing.TB, d *disk.Disk) *store.Disk {
	t.Helper()
	s, err := store.OpenDisk(store.Options{Disk: d, Dir: "store"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
