package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/signetfs/signet"
)

// windowTime is how long a host reports the same part of its open orphans, if not all fit
// into a report: longer than the leader takes from one look at the reports to the next.
const windowTime = 3 * time.Second

// noIno is greater than all inode numbers.
const noIno = ^signet.Ino(0)

// orphanWindow chooses which open orphans to report. When there are more than fit, each
// report covers the numbers from its first to its last entry, both included, and one
// part follows the other; 0 and noIno stand for the ends, where no inode is.
type orphanWindow struct {
	mu    sync.Mutex // guards what follows
	from  signet.Ino
	next  signet.Ino
	until time.Time
}

// report returns what to report of the open ones, at most so many, and whether that is
// only a part.
func (w *orphanWindow) report(open []signet.Ino, most int, now time.Time) ([]signet.Ino, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(open)
	open = slices.Compact(open)
	if len(open) <= most {
		w.from, w.next, w.until = 0, 0, time.Time{}
		return open, false
	}
	if !now.Before(w.until) {
		w.from, w.until = w.next, now.Add(windowTime)
	}
	list := make([]signet.Ino, 0, most)
	if w.from == 0 {
		list = append(list, 0)
	}
	i, _ := slices.BinarySearch(open, w.from)
	if w.from != 0 && (i == len(open) || open[i] != w.from) {
		list = append(list, w.from) // it was closed; the parts still join here
	}
	room := most - len(list)
	rest := open[i:]
	if len(rest) < room {
		w.next = 0
		return append(append(list, rest...), noIno), true
	}
	list = append(list, rest[:room]...)
	w.next = list[len(list)-1]
	return list, true
}
