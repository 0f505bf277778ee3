package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/signetfs/signet"
)

// However many are open, each part of the numbers has its turn, no open one is ever left
// out of the part in which it lies, and the parts leave no gap.
func TestOrphanWindows(t *testing.T) {
	var w orphanWindow
	now := time.Unix(1e9, 0)
	var open []signet.Ino
	for i := range signet.Ino(100) {
		open = append(open, 1000-i*7)
	}
	if list, more := w.report(slices.Clone(open), 100, now); more || len(list) != 100 {
		t.Fatalf("%d listed, more %v, where all fit", len(list), more)
	}
	ends := []signet.Ino{0} // of the parts, in their order
	for len(ends) < 40 {
		list, more := w.report(slices.Clone(open), 16, now)
		if !more || len(list) > 16 || !slices.IsSorted(list) {
			t.Fatalf("%v, more %v", list, more)
		}
		first, last := list[0], list[len(list)-1]
		for _, ino := range open {
			if first <= ino && ino <= last && !slices.Contains(list, ino) {
				t.Fatalf("%d is left out of %v", ino, list)
			}
		}
		if again, _ := w.report(slices.Clone(open), 16, now.Add(windowTime-1)); !slices.Equal(again, list) {
			t.Fatal("a part was not reported for long enough")
		}
		if before := ends[len(ends)-1]; first != before && !(before == noIno && first == 0) {
			t.Fatalf("a part from %d after one up to %d", first, before)
		}
		ends = append(ends, last)
		now = now.Add(windowTime)
		open = slices.DeleteFunc(open, func(ino signet.Ino) bool { return ino == last && len(open) > 50 }) // closed in between
	}
	if !slices.Contains(ends, noIno) {
		t.Error("the highest never had their turn")
	}
}
