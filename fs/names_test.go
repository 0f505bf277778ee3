package fs

import (
	"fmt"
	"testing"
	"time"

	"github.com/signetfs/signet"
)

// TestKeptNames wants no name that was given a lifetime to be missed, and few others taken
// for one.
func TestKeptNames(t *testing.T) {
	t.Parallel()
	var n keptNames
	n.begin()
	now := time.Unix(1_700_000_000, 0)
	name := func(i int) (signet.Ino, string) { return signet.Ino(i%100 + 1), fmt.Sprint("name", i) }
	has := func(from, to int) (count int) {
		for i := from; i < to; i++ {
			if n.has(name(i)) {
				count++
			}
		}
		return count
	}
	keep := func(from, to int, at time.Time) (count int) {
		for i := from; i < to; i++ {
			if dir, sealed := name(i); n.keep(dir, sealed, at) {
				count++
			}
		}
		return count
	}
	for _, kept := range []int{1000, 200_000} { // the second has several names share each mark
		if got := keep(0, kept, now); got != kept {
			t.Fatalf("%d of %d names may have a lifetime", got, kept)
		}
		if got := has(0, kept); got != kept {
			t.Errorf("%d of %d names that have a lifetime are known", got, kept)
		}
		if got := has(1_000_000, 1_100_000); kept == 1000 && got > 100 {
			t.Errorf("%d of 100,000 other names are taken for some of %d", got, kept)
		}
	}
	n.forget(now)
	if got := has(0, 200_000) + keep(0, 1000, now.Add(namesRest-1)) + has(0, 1000); got != 0 {
		t.Errorf("%d names after they were forgotten", got)
	}
	later := now.Add(namesRest)
	if got := keep(0, 10, later); got != 10 || has(0, 10) != 10 || has(10, 1000) > 1 {
		t.Errorf("after the rest %d of 10 names may have a lifetime", got)
	}
}
