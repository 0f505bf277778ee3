package meta

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/lock"
	"github.com/signetfs/signet/internal/pack"
)

var update = flag.Bool("update", false, "write the golden files anew: only before a format is released")

func testAddress(n byte) signet.Address {
	return signet.NewAddress(signet.DigestBLAKE3, signet.ArcKey(n)<<8, signet.Digest{n, 31: n})
}

// samples has one command of every kind with no field zero, in the order of kinds.
func samples() []any {
	at := signet.Time{Sec: 1_700_000_000, Nsec: 5}
	host := NewHost{Key: hostKey, Seal: []byte("hpke"), Name: "a", Addrs: []string{"10.0.0.1:7420", "[::1]:7420"}, Zone: "z",
		Capacity: 1 << 40, Weight: 100, Roles: RoleAll, Knows: 1}
	slot := NewSlot{Kind: 2, Host: 3, Label: "host a", Data: []byte("wrapped key")}
	object := signet.Object{Address: testAddress(1), KeyVersion: 2, Salt: [32]byte{9}, Size: 100, Sealed: 164, Form: signet.FormReplicas,
		Hosts: []signet.HostID{1, 2}, Ring: 7, Put: 8}
	return []any{
		&signet.Create{Parent: 1, Name: []byte("name"), Ino: 300, Mode: signet.ModeSymlink | 0o777, UID: 1, GID: 2, Rdev: 3,
			Target: []byte("target"), Size: 9, Own: true, Time: at, Inherits: 8,
			Access:  signet.ACL{Name: []byte("access"), Value: []byte("acl")},
			Default: signet.ACL{Name: []byte("default"), Value: []byte("acl")}},
		&signet.Link{Ino: 300, Parent: 1, Name: []byte("name"), Time: at},
		&signet.Remove{Parent: 1, Name: []byte("name"), Dir: true, Time: at},
		&signet.Rename{Parent: 1, Name: []byte("name"), NewParent: 2, NewName: []byte("new"), Flags: signet.RenameExchange, Time: at},
		&signet.SetAttr{Ino: 300, Set: 255, Mode: 0o755, UID: 1, GID: 2, Size: 1 << 40, Atime: at, Mtime: at, Ctime: at, Own: true, Asked: 400,
			Time: signet.Time{Sec: -1, Nsec: 999_999_999}, Based: 8, Access: signet.ACL{Name: []byte("access"), Value: []byte("acl")}},
		&signet.Write{Ino: 300, Size: 4096, Extents: []signet.Extent{
			{Off: 0, Len: 100, Object: testAddress(1)},
			{Off: 200, Len: 3, ObjectOff: 1, Inline: []byte("sealed"), Floating: 77},
		}, Objects: []signet.Object{object}, Mtime: at, ClearSUID: true, Punch: []signet.Hole{{Off: 300, Len: 1 << 33}}, Append: true, Owned: true, Asked: 400},
		&signet.SetXattr{Ino: 300, Name: []byte("name"), Value: []byte("value"), Flags: 2, Time: at},
		&signet.RemoveXattr{Ino: 300, Name: []byte("name"), Time: at},
		&signet.Drain{Ino: 300},
		&Init{Cluster: clusterID, Name: "home", Arcs: 4096, Copies: 3, Host: host, Slots: []NewSlot{slot}, UID: 1, GID: 2, Mode: 0o755, Time: at},
		&OpenSession{Host: 1, Start: 2, Time: at},
		&EndSession{Session: 70_000},
		&GrantInodes{Count: 1024},
		&Join{Token: signet.Digest{1}, Host: host, Time: at},
		&SetHost{Host: 1, Set: SetAddrs | SetZone, Value: host},
		&SetHostState{Host: 1, State: HostDraining},
		&RemoveHost{Host: 1},
		&SetRing{Base: 9, Arcs: []ArcOwners{{Arc: 1, Owners: []signet.HostID{1, 2, 3}}, {Arc: 70, Owners: []signet.HostID{2}}}},
		&ArcDone{Arc: 1, Host: 2, Version: 9},
		&Placed{Host: 2, Gone: true, Addresses: []signet.Address{testAddress(1), testAddress(2)}},
		&Collect{Horizon: 9, Addresses: []signet.Address{testAddress(1)}},
		&Reap{Ino: 300},
		&SetPolicy{Ino: 1, Policy: Policy{Copies: 3, Layout: LayoutWhole}},
		&SetFeature{Feature: FeatureBase},
		&AddSlot{Slot: slot},
		&RemoveSlot{Slot: 4},
		&CreateToken{Digest: signet.Digest{1}, Expires: at, Uses: 3, Roles: RoleStore | RoleVote, Time: at},
		&RevokeToken{Digest: signet.Digest{1}},
		&ArcsDone{Host: 2, Arcs: []ArcVersion{{Arc: 1, Version: 9}, {Arc: 70, Version: 300}}},
		&signet.Delegate{Ino: 300},
		&signet.HandBack{Inos: []signet.Ino{300, 70_000}},
		&signet.Revoke{Ino: 300, Session: 500},
		&signet.SetACL{Ino: 300, Default: true, ACL: signet.ACL{Name: []byte("default"), Value: []byte("acl")}, SetMode: true, Mode: 0o750,
			ClearSGID: true, Time: at},
		&signet.SetAtimes{List: []signet.Atime{{Ino: 300, Was: at, Now: signet.Time{Sec: 1_700_000_001}}}},
		&signet.Lock{Ino: 300, Kind: signet.LockPOSIX, Lock: sampleLock, Wait: 7, Test: true},
		&signet.EndWait{Ino: 300, Kind: signet.LockFlock, Owner: sampleLock.LockOwner, Wait: 7, Pass: true},
	}
}

var sampleLock = signet.FileLock{LockOwner: signet.LockOwner{Session: 70_000, ID: 1 << 63}, Type: signet.LockWrite, Start: 5, End: signet.LockEnd, PID: 6}

// golden compares lines with a file of testdata.
func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	got := strings.Join(lines, "\n") + "\n"
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	old := strings.Split(string(want), "\n")
	for i, l := range lines {
		if i >= len(old) || l != old[i] {
			t.Errorf("the format has changed:\n%s", l)
		}
	}
	t.Errorf("%s differs", path)
}

func TestGoldenCommands(t *testing.T) {
	all := samples()
	if len(all) != int(kindEnd)-1 {
		t.Fatalf("%d samples of %d kinds", len(all), kindEnd-1)
	}
	var lines []string
	for i, c := range all {
		if k := kindOf(c); int(k) != i+1 || reflect.TypeOf(layouts[k].fresh()) != reflect.TypeOf(c) {
			t.Errorf("%T is of kind %d", c, k)
		}
		e := Envelope{Group: 1, Session: 500, Request: 70_000, Lowest: 69_000, Command: c}
		b := encode(t, e)
		lines = append(lines, fmt.Sprintf("%T %x", c, b))
		got, err := DecodeEnvelope(b)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%T: %v\n%+v\n%+v", c, err, got.Command, c)
		}
		for n := range b {
			if _, err := DecodeEnvelope(b[:n]); err == nil {
				t.Errorf("%T: %d of %d bytes are enough", c, n, len(b))
			}
		}
	}
	lines = append(lines, fmt.Sprintf("entry %x", EncodeEntry([][]byte{{1, 2}, {3}})))
	golden(t, "commands.golden", lines)
}

// sampleRows encodes one row of every layout with no field zero.
func sampleRows() (lines []string) {
	at := signet.Time{Sec: 1_700_000_000, Nsec: 5}
	attr := signet.Attr{Mode: 1, Nlink: 2, UID: 3, GID: 4, Rdev: 5, Size: 6, Bytes: 7, Atime: at, Mtime: at, Ctime: at, Btime: at, Owner: 70_000, AccessACL: 14, DefaultACL: 15}
	object := object{signet.Object{KeyVersion: 1, Salt: [32]byte{2}, Size: 3, Sealed: 4, Form: 1, Hosts: []signet.HostID{5}, Ring: 6, Put: 7, Refs: 8}, 9}
	answer := answerRow{1, 2, signet.Result{Err: 3, Index: 4, Attr: attr, More: true, Held: true, Lock: sampleLock}}
	answer.Result.Attr.Ino = 9
	host := samples()[kindJoin-1].(*Join).Host
	slot := samples()[kindAddSlot-1].(*AddSlot).Slot
	add := func(name string, key []byte, row string) {
		lines = append(lines, fmt.Sprintf("%s %x %s", name, key, row))
	}
	add("position", metaKey(0, rowApplied), hexRow(codePosition, Position{1, 2, signet.Digest{3}}))
	add("cluster", metaKey(0, rowCluster), hexRow(codeCluster, Cluster{clusterID, "home", 16, 3, 1, 2, 3, 4, at}))
	add("members", metaKey(0, rowMembers), hexRow(codeBlob, blobRow{[]byte("raft")}))
	add("counters", metaKey(1, rowCounters), hexRow(codeCounters, counters{Counters{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 11}))
	add("inode", numKey(1, tableInodes, signet.Ino(300)), hexRow(codeInode, inode{attr, 8, 9, 10, 11, 12, 13}))
	add("name", nameKey(1, 300, []byte("name")), hexRow(codeName, nameRow{301, signet.ModeDir}))
	add("target", numKey(1, tableTargets, signet.Ino(300)), hexRow(codeBlob, blobRow{[]byte("target")}))
	add("xattr", xattrKey(1, 300, []byte("name")), hexRow(codeBlob, blobRow{[]byte("value")}))
	add("extent", extentKey(1, 300, 4096), hexRow(codeExtentRow, signet.Extent{Len: 5, Object: testAddress(1), ObjectOff: 6}))
	add("inline", extentKey(1, 300, 4101), hexRow(codeExtentRow, signet.Extent{Len: 5, Inline: []byte("sealed"), ObjectOff: 6, Floating: 7}))
	add("object", addressKey(1, tableObjects, testAddress(1)), hexRow(codeObject, object))
	add("short", addressKey(1, tableShort, testAddress(1)), hexRow(codeShort, struct{}{}))
	add("dead", deadKey(1, 9, testAddress(1)), hexRow(codeDead, DeadObject{Sealed: 4}))
	add("orphan", numKey(1, tableOrphans, signet.Ino(300)), hexRow(codeOrphan, Orphan{Since: 9, Tmpfile: true}))
	add("policy", numKey(1, tablePolicies, signet.RootIno), hexRow(codePolicy, Policy{3, LayoutWhole}))
	add("slot", smallKey(1, tableSlots, uint32(4)), hexRow(codeSlot, Slot{NewSlot: slot, Added: 9}))
	add("session", numKey(0, tableSessions, signet.SessionID(70_000)), hexRow(codeSession, Session{0, 1, 2, at, 3, 4, true}))
	add("answer", answerKey(70_000, 2049), hexRow(codeAnswer, answer))
	add("host", numKey(0, tableHosts, signet.HostID(1)), hexRow(codeHost, Host{NewHost: host, State: HostUp, Start: 2, Joined: 3}))
	add("key", digestKey(tableKeys, hostKey), hexRow(codeKey, keyRow{1}))
	add("arc", smallKey(0, tableArcs, signet.Arc(7)), hexRow(codeArc, Arc{0, []signet.HostID{1}, []signet.HostID{2}, []signet.HostID{3}, 4}))
	add("token", digestKey(tableTokens, signet.Digest{1}), hexRow(codeToken, Token{signet.Digest{}, at, 1, 2, RoleAll, at}))
	add("feature", smallKey(0, tableFeatures, FeatureBase), hexRow(codeFeature, Feature{Since: 9}))
	add("cut", numKey(1, tableCuts, signet.Ino(300)), hexRow(codeCut, PendingCut{Since: 9}))
	add("locks", lockKey(1, 300, signet.LockPOSIX), hexRow(codeLocks, lock.Table{Held: []signet.FileLock{sampleLock}, Queue: []lock.Waiter{{FileLock: sampleLock, Wait: 7, Pass: true}}}))
	add("locker", lockerKey(70_000, 1, 300, signet.LockPOSIX), hexRow(codeShort, struct{}{}))
	add("wait", waitKey(1, sampleLock.LockOwner, 300), hexRow(codeShort, struct{}{}))
	return lines
}

func hexRow[T any](code func(*coder, *T), v T) string {
	var c coder
	code(&c, &v)
	var again T
	r := coder{reading: true}
	if err := decode(&r, c.enc.Buf(), code, &again); err != nil || !reflect.DeepEqual(v, again) {
		return fmt.Sprintf("not what was written: %+v, %v", again, err)
	}
	return hex.EncodeToString(c.enc.Buf())
}

func TestGoldenRows(t *testing.T) { golden(t, "rows.golden", sampleRows()) }

func TestFromTheFuture(t *testing.T) {
	b := encode(t, Envelope{Group: 1, Session: 1, Request: 1, Command: &signet.Drain{Ino: 2}})
	change := func(at int, to byte) []byte {
		c := bytes.Clone(b)
		c[at] = to
		return c
	}
	for name, c := range map[string][]byte{
		"envelope":     change(1, envelopeVersion+1),
		"kind":         change(6, byte(kindEnd)),
		"command":      change(7, 2),
		"feature":      encode(t, Envelope{Command: &SetFeature{FeatureNewest + 1}}),
		"longer":       append([]byte{0x99, 2, 1, 1, 1, 1, 9}, 1, 0x91, 2, 1),
		"unknown kind": {0x98, 1, 1, 1, 1, 1, 0xcd, 0x70, 0, 1, 0x91, 2},
	} {
		if _, err := DecodeEnvelope(c); !errors.Is(err, ErrUnknown) || signet.KindOf(err) != signet.WrongVersion {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeEnvelope(change(2, 0xc0)); errors.Is(err, ErrUnknown) || signet.KindOf(err) != signet.BadMessage {
		t.Errorf("garbage: %v", err)
	}
	if _, err := DecodeEntry([]byte{0x91, entryVersion + 1}); !errors.Is(err, ErrUnknown) {
		t.Errorf("entry: %v", err)
	}
	if _, err := EncodeEnvelope(&Envelope{Command: 7}); signet.KindOf(err) != signet.Invalid {
		t.Errorf("no command: %v", err)
	}
	var row Policy
	c := coder{reading: true}
	if err := decode(&c, []byte{0x94, rowVersion + 1, 1, 2, 3}, codePolicy, &row); signet.KindOf(err) != signet.WrongVersion {
		t.Errorf("row: %v", err)
	}
	c = coder{reading: true}
	if err := decode(&c, []byte{0x92, rowVersion, 1}, codePolicy, &row); signet.KindOf(err) != signet.Corrupt {
		t.Errorf("short row: %v", err)
	}
}

// FuzzDecodeEnvelope holds that anything that decodes is encoded to the same bytes.
func FuzzDecodeEnvelope(f *testing.F) {
	for _, c := range samples() {
		b, err := EncodeEnvelope(&Envelope{Group: 1, Session: 2, Request: 3, Lowest: 3, Command: c})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0x98, 1, 1, 1, 1, 1, 6, 1, 0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x98, 1, 1, 1, 1, 1, 6, 1, 0x98, 1, 0, 0xdc, 0x10, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEnvelope(b)
		if err != nil {
			if !errors.Is(err, ErrUnknown) && signet.KindOf(err) != signet.BadMessage {
				t.Fatal(err)
			}
			return
		}
		again, err := EncodeEnvelope(&e)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%v\n%x\n%x", err, b, again)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(EncodeEntry([][]byte{{1}, {2, 3}}))
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := DecodeEntry(b); err == nil && !bytes.Equal(EncodeEntry(all), b) {
			t.Fatalf("%x", b)
		}
	})
}

// FuzzRows holds that no row, whatever the disk says, makes a reader panic.
func FuzzRows(f *testing.F) {
	f.Add(byte(0), []byte{0x94, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		var c coder
		var again []byte
		var err error
		switch which % 7 {
		case 0:
			again, err = reencode(&c, b, codeInode)
		case 1:
			again, err = reencode(&c, b, codeExtentRow)
		case 2:
			again, err = reencode(&c, b, codeObject)
		case 3:
			again, err = reencode(&c, b, codeHost)
		case 4:
			again, err = reencode(&c, b, codeAnswer)
		case 5:
			again, err = reencode(&c, b, codeArc)
		case 6:
			again, err = reencode(&c, b, codeLocks)
		}
		if err == nil && !bytes.Equal(again, b) {
			t.Fatalf("%d: %x %x", which%7, b, again)
		}
	})
}

func reencode[T any](c *coder, b []byte, code func(*coder, *T)) ([]byte, error) {
	var v T
	c.reading = true
	if err := decode(c, b, code, &v); err != nil {
		return nil, err
	}
	out := coder{enc: *pack.NewEncoder(nil)}
	code(&out, &v)
	return out.enc.Buf(), nil
}
