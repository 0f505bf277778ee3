package lock_test

import (
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/lock"
)

func request(owner uint64, typ signet.LockType, from, to, wait uint64) lock.Request {
	return lock.Request{Wait: wait, FileLock: signet.FileLock{
		LockOwner: signet.LockOwner{Session: 1, ID: owner}, Type: typ, Start: from, End: to, PID: uint32(owner)}}
}

func never() bool { return false }

// TestLimits holds that what a table may hold is bounded, also when the middle of a lock is
// unlocked or those who wait get theirs, and that unlocking everything always works.
func TestLimits(t *testing.T) {
	var x lock.Table
	for i := range uint64(signet.MaxLocks - 1) {
		x.Ask(request(1, signet.LockWrite, 10*i, 10*i+4, 0), never)
	}
	for i := range uint64(signet.MaxLockWaits) {
		if out := x.Ask(request(100+i, signet.LockRead, 0, 9, i+1), never); out.Err != signet.OK || out.Held {
			t.Fatalf("%d: %+v", i, out)
		}
	}
	for i, c := range []struct {
		typ      signet.LockType
		from, to uint64
		want     signet.Kind
	}{
		{signet.LockWrite, 1 << 40, 1 << 40, signet.OK},
		{signet.LockWrite, 1 << 41, 1 << 41, signet.TooManyLocks},
		{signet.LockNone, 21, 22, signet.TooManyLocks},
		{signet.LockNone, 20, 22, signet.OK},
		{signet.LockWrite, 23, 29, signet.OK}, // joins two
		{signet.LockNone, 26, 26, signet.OK},
		{signet.LockNone, 0, 9, signet.OK}, // lets those in who wait
	} {
		before := len(x.Held)
		if out := x.Ask(request(1, c.typ, c.from, c.to, 0), never); out.Err != c.want || out.Err != signet.OK && len(x.Held) != before {
			t.Errorf("%d: %v, want %v", i, out.Err, c.want)
		}
	}
	if len(x.Queue) != 0 || len(x.Held) > lock.MaxHeld {
		t.Errorf("%d held, %d wait", len(x.Held), len(x.Queue))
	}
	if out := x.Ask(request(7, signet.LockWrite, 0, 9, 5000), never); out.Err != signet.TooManyLocks {
		t.Errorf("a request in a full table: %v", out.Err)
	}
	if out := x.Ask(request(1, signet.LockNone, 0, signet.LockEnd, 0), never); out.Err != signet.OK || len(x.Held) != signet.MaxLockWaits {
		t.Errorf("close: %v, %d left", out.Err, len(x.Held))
	}
	x.EndSession(1)
	if !x.Empty() {
		t.Errorf("left: %+v", x)
	}
}

// TestQueueIsBounded: as many as may wait, and no more.
func TestQueueIsBounded(t *testing.T) {
	var x lock.Table
	for i := range uint64(signet.MaxLockWaits + 2) {
		want := signet.OK
		if i > signet.MaxLockWaits {
			want = signet.TooManyLocks
		}
		if out := x.Ask(request(i, signet.LockWrite, 0, 9, i+1), never); out.Err != want || out.Held != (i == 0) {
			t.Fatalf("%d: %+v", i, out)
		}
	}
}

// TestSnapshot holds that a copy of a table is not changed with it.
func TestSnapshot(t *testing.T) {
	var x lock.Table
	x.Ask(request(1, signet.LockWrite, 0, 99, 0), never)
	x.Ask(request(2, signet.LockRead, 5, 9, 1), never)
	x.Ask(request(3, signet.LockRead, 50, 59, 2), never)
	before := x
	x.End(signet.LockOwner{Session: 1, ID: 3}, 2, true)
	x.Ask(request(1, signet.LockNone, 10, 19, 0), never)
	x.Ask(request(1, signet.LockRead, 0, 9, 0), never)
	if len(before.Held) != 1 || before.Held[0].End != 99 || len(before.Queue) != 2 || before.Queue[1].Pass {
		t.Errorf("the copy is %+v", before)
	}
	if len(x.Queue) != 1 || len(x.Held) != 3 {
		t.Errorf("the table is %+v", x)
	}
}
