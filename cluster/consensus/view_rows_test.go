package consensus

import (
	"testing"

	"github.com/signetfs/signet"
)

func change(ino signet.Ino, name string, what uint8) signet.Change {
	c := signet.Change{Ino: ino, What: what}
	if name != "" {
		c.Name = []byte(name)
	}
	return c
}

func (t *rows) step(b signet.Batch) { t.mark(b); t.publish(b.Index) }

// A reader waits for the changes that it read and for no others.
func TestSettleWaitsForWhatWasRead(t *testing.T) {
	r := newRows()
	r.step(signet.Batch{Index: 5, Changes: []signet.Change{change(1, "a", signet.AddedName)}})
	view := r.enter()
	if got := r.settle(r.nameRow(1, []byte("a")), view); got != 5 {
		t.Errorf("a name added at 5 settles at %d", got)
	}
	if got := r.settle(r.nameRow(1, []byte("b")), view); got != 0 {
		t.Errorf("an untouched name waits for %d", got)
	}
	if got := r.settle(row{1, rowNames, 0}, view); got != 5 {
		t.Errorf("a listing settles at %d", got)
	}
}

// A change after the view was opened makes it wait for nothing newer than itself.
func TestSettleNeverWaitsForLaterChanges(t *testing.T) {
	r := newRows()
	r.step(signet.Batch{Index: 5, Changes: []signet.Change{change(1, "a", signet.AddedName)}})
	view := r.enter()
	r.step(signet.Batch{Index: 9, Changes: []signet.Change{change(1, "a", signet.RemovedName)}})
	n := r.nameRow(1, []byte("a"))
	if got := r.settle(n, view); got != view {
		t.Errorf("settle = %d, want the view's own index %d", got, view)
	}
	if r.fresh([]row{n}, view) {
		t.Error("a changed row counts as fresh")
	}
	if !r.fresh([]row{r.nameRow(1, []byte("b"))}, view) {
		t.Error("an unchanged row does not count as fresh")
	}
}

// What was released stays known for as long as an older view is open.
func TestFreshRemembersForOpenViews(t *testing.T) {
	r := newRows()
	r.step(signet.Batch{Index: 1})
	view := r.enter()
	r.step(signet.Batch{Index: 2, Changes: []signet.Change{change(7, "", signet.ChangedAttr)}})
	r.release(2)
	r.step(signet.Batch{Index: 3})
	r.release(3)
	if r.fresh([]row{{7, rowInode, 0}}, view) {
		t.Error("forgotten while a view from before was open")
	}
	r.leave(view)
	if len(r.newest) != 0 || len(r.log) != 0 {
		t.Errorf("kept %d rows that nobody can ask about", len(r.newest))
	}
}

// A batch that is marked but not yet in the tables keeps what views opened meanwhile need.
func TestMarkedBeforePublished(t *testing.T) {
	r := newRows()
	r.step(signet.Batch{Index: 1})
	r.release(1)
	r.mark(signet.Batch{Index: 2, Changes: []signet.Change{change(7, "", signet.ChangedAttr)}})
	view := r.enter()
	if view != 1 {
		t.Fatalf("entered at %d before the tables had 2", view)
	}
	r.publish(2)
	r.release(2)
	if r.fresh([]row{{7, rowInode, 0}}, view) {
		t.Error("a view from before the batch counts as fresh")
	}
}

func TestReleaseWakes(t *testing.T) {
	r := newRows()
	r.step(signet.Batch{Index: 4})
	a, b := r.releasedBy(3), r.releasedBy(4)
	r.release(3)
	select {
	case <-a:
	default:
		t.Error("3 is released and nobody was told")
	}
	select {
	case <-b:
		t.Error("4 is not released")
	default:
	}
	if r.releasedBy(3) != nil {
		t.Error("3 is released, yet there is something to wait for")
	}
}

// Beyond the bound the oldest changes are forgotten, and older views are never fresh.
func TestRowsAreBounded(t *testing.T) {
	r := newRows()
	r.step(signet.Batch{Index: 1})
	view := r.enter()
	b := signet.Batch{Index: 2}
	for i := range maxRows + 10 {
		b.Changes = append(b.Changes, change(signet.Ino(i+10), "", signet.ChangedAttr))
	}
	r.step(b)
	r.step(signet.Batch{Index: 3, Changes: []signet.Change{change(3, "", signet.ChangedAttr)}})
	if len(r.log) > maxRows {
		t.Errorf("%d rows remembered, the bound is %d", len(r.log), maxRows)
	}
	if r.fresh([]row{{5, rowInode, 0}}, view) {
		t.Error("fresh although changes after the view are forgotten")
	}
	if got := r.settle(row{10, rowInode, 0}, 3); got < 2 {
		t.Errorf("a reader of a forgotten unreleased change waits for %d, want at least 2", got)
	}
}
