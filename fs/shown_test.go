package fs

import "testing"

func TestRecent(t *testing.T) {
	t.Parallel()
	r := new(recent)
	if r.has(7, 1) {
		t.Error("an inode that was never noted")
	}
	r.note(7, 1)
	if !r.has(7, shownFor) {
		t.Error("forgotten early")
	}
	if r.has(7, 1+shownFor) {
		t.Error("remembered for ever")
	}
	if r.has(8, 2) {
		t.Error("its neighbour is remembered, too")
	}
}
