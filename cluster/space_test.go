package cluster

import "testing"

func TestSpace(t *testing.T) {
	t.Parallel()
	const g = 1 << 30
	for _, c := range []struct {
		offers []uint64
		copies uint64
		want   uint64
	}{
		{nil, 3, 0},
		{[]uint64{9 * g}, 1, 9 * g},
		{[]uint64{9 * g, 9 * g, 9 * g}, 3, 9 * g},
		{[]uint64{9 * g, 1 * g, 9 * g}, 3, 1 * g},         // the smallest has a copy of everything
		{[]uint64{9 * g, 9 * g, 9 * g, 9 * g}, 3, 12 * g}, // three quarters each
		{[]uint64{100 * g, 3 * g, 3 * g}, 2, 6 * g},       // the large one has a copy of everything
		{[]uint64{4 * g, 2 * g}, 1, 6 * g},
	} {
		if got := usable(c.offers, c.copies); got != c.want {
			t.Errorf("%d copies on %d: %d, want %d", c.copies, c.offers, got, c.want)
		}
	}
	for _, c := range [][4]uint64{
		{5 * g, 9 * g, 9 * g, 5 * g},   // it has a copy of everything
		{5 * g, 100 * g, 6 * g, 5 * g}, // even if it offers more
		{3 * g, 9 * g, 12 * g, 4 * g},  // it has three quarters
		{0, 9 * g, 12 * g, 0},
		{1 << 62, 1, 1 << 60, 1 << 62},
	} {
		if got := fits(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("room for %d of %d, %d in all: %d, want %d", c[0], c[1], c[2], got, c[3])
		}
	}
}
