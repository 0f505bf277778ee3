package store

import (
	"context"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/digest"
	"github.com/signetfs/signet/internal/disk"
)

// A store of a newer version is refused with the advice to update, and left as it is: after
// the update its objects are there.
func TestStoreOfANewerVersion(t *testing.T) {
	d := disk.NewMem().Disk
	open := func() (*Disk, error) { return OpenDisk(Options{Disk: d, Dir: "store"}) }
	set := func(version byte) {
		t.Helper()
		db, err := pebble.Open("store/db", &pebble.Options{FS: d.FS(), Merger: sumMerger()})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Set([]byte{versionTable}, []byte{version}, pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	sealed := []byte("sealed")
	a := signet.NewAddress(digest.Default, 7, digest.Sum(digest.Default, sealed))
	if err := s.Put(context.Background(), 1, a, sealed, Meta{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	set(layoutVersion + 1)
	for range 2 { // a refusal that changed something would show at the second
		_, err = open()
		if signet.KindOf(err) != signet.WrongVersion || !strings.Contains(err.Error(), "use a newer signet") {
			t.Fatalf("got %v", err)
		}
	}
	set(layoutVersion)
	if s, err = open(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := s.Get(context.Background(), 1, a, 0, uint32(len(sealed))); string(got) != string(sealed) || err != nil {
		t.Errorf("the object is %q: %v", got, err)
	}
}
