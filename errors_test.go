package signet_test

import (
	"testing"

	"github.com/signetfs/signet"
)

// The kinds in the order of their numbers, which cross the wire and lie in the log: a new
// one is appended, none is ever moved or taken out.
var kinds = [...]signet.Kind{
	signet.OK, signet.Other, signet.NotFound, signet.Exists, signet.NotDir, signet.IsDir,
	signet.NotEmpty, signet.Invalid, signet.Permission, signet.NotPermitted,
	signet.NameTooLong, signet.TooManyLinks, signet.TooBig, signet.NoAttr, signet.BadHandle,
	signet.CrossDevice, signet.ReadOnly, signet.NoSpace, signet.Corrupt, signet.Interrupted,
	signet.Timeout, signet.Unavailable, signet.NotLeader, signet.Stale, signet.Ended,
	signet.TooBusy, signet.BadMessage, signet.WrongVersion, signet.NotSupported,
	signet.NoKey, signet.BadToken, signet.BadPassphrase, signet.Draining, signet.Closed,
	signet.Range, signet.Loop, signet.Disk, signet.Busy, signet.PastEnd,
	signet.WouldBlock, signet.Deadlock, signet.TooManyLocks,
}

func TestKindsKeepTheirNumbers(t *testing.T) {
	for i, k := range kinds {
		if int(k) != i {
			t.Errorf("%q has number %d, was %d", k, k, i)
		}
	}
	if len(kinds) != int(signet.KindEnd) {
		t.Errorf("%d kinds are pinned, there are %d", len(kinds), signet.KindEnd)
	}
}

func TestEveryKindHasItsText(t *testing.T) {
	seen := map[string]signet.Kind{}
	for _, k := range kinds {
		text := k.String()
		if other, twice := seen[text]; twice || text == "" {
			t.Errorf("kind %d is called %q, as is %d", k, text, other)
		}
		seen[text] = k
	}
}
