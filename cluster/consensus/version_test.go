package consensus

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/signetfs/signet"
)

// A log of a newer version is refused with the advice to update, and left as it is: after
// the update it goes on.
func TestLogOfANewerVersion(t *testing.T) {
	disk := vfs.NewMem()
	set := func(version byte) {
		t.Helper()
		db, err := pebble.Open("log", &pebble.Options{FS: disk, Logger: silent{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Set(keyVersion, []byte{version}, pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l, err := openLog(disk, "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.append([]*raftpb.Entry{entry(1, 1)}, nil, true); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	set(LogVersion + 1)
	for range 2 { // a refusal that changed something would show at the second
		_, err = openLog(disk, "log", nil)
		if signet.KindOf(err) != signet.WrongVersion || !strings.Contains(err.Error(), "use a newer signet") {
			t.Fatalf("got %v", err)
		}
	}
	set(LogVersion)
	l, err = openLog(disk, "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if last, err := l.LastIndex(); last != 1 || err != nil {
		t.Errorf("the log ends at %d, want 1: %v", last, err)
	}
}
