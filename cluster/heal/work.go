package heal

import (
	"sync"
	"time"
)

// Work is something that is being done and is not finished.
type Work struct {
	Kind  string // "look": arcs to look through; "pull": objects to fetch, as far as known; "stuck": arcs that wait for a host
	Done  uint64
	Total uint64
	ETA   time.Duration // 0: not known
}

// meter counts the work. The keeper writes, anybody reads.
type meter struct {
	mu     sync.Mutex // guards what follows
	look   burst
	pull   burst
	failed uint64 // arcs with a pull that failed
}

// burst is work that began when there was none.
type burst struct {
	began time.Time
	done  uint64
	left  uint64
}

// set notes what is left and how much more was done since the last call.
func (b *burst) set(now time.Time, left, more uint64) {
	if left == 0 {
		*b = burst{}
		return
	}
	if b.left == 0 {
		*b = burst{began: now}
	}
	b.left = left
	b.done += more
}

func (m *meter) work(now time.Time) []Work {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Work
	add := func(kind string, b burst) {
		if b.left == 0 {
			return
		}
		w := Work{Kind: kind, Done: b.done, Total: b.done + b.left}
		if b.done > 0 {
			w.ETA = time.Duration(float64(now.Sub(b.began)) / float64(b.done) * float64(b.left))
			w.ETA = w.ETA.Truncate(time.Second) + time.Second
		}
		out = append(out, w)
	}
	add("look", m.look)
	add("pull", m.pull)
	if m.failed > 0 {
		out = append(out, Work{Kind: "stuck", Total: m.failed})
	}
	return out
}
