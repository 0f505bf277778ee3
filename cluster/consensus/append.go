package consensus

import (
	"math"
	"slices"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/signetfs/signet/internal/clock"
)

// work is a queue between two loops. What is in it is bounded by the library: uncommitted
// entries, entries being applied, messages in flight. Where it is not, putOrMerge does it.
type work[T any] struct {
	mu    sync.Mutex
	items []T
	wake  chan struct{}
}

func newWork[T any]() *work[T] { return &work[T]{wake: make(chan struct{}, 1)} }

func (w *work[T]) put(item T) { w.putOrMerge(item, math.MaxInt, nil) }

// putOrMerge puts item, or merges it into the last one if as many as most wait already.
func (w *work[T]) putOrMerge(item T, most int, merge func(last *T, item T)) {
	w.mu.Lock()
	if n := len(w.items); n >= most {
		merge(&w.items[n-1], item)
	} else {
		w.items = append(w.items, item)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take waits for items and returns all of them, or nothing when stop is closed.
func (w *work[T]) take(stop <-chan struct{}) []T {
	for {
		w.mu.Lock()
		items := w.items
		w.items = nil
		w.mu.Unlock()
		if len(items) > 0 {
			return items
		}
		select {
		case <-stop:
			return nil
		case <-w.wake:
		}
	}
}

// appendLoop writes entries and votes to the log and delivers the answers that depend
// on them being durable. What queued up during one fsync shares the next.
func (n *Node) appendLoop() {
	for {
		msgs := n.appends.take(n.stop)
		if msgs == nil {
			return
		}
		if err := n.appendAll(msgs); err != nil {
			n.failed(err)
			return
		}
	}
}

func (n *Node) appendAll(msgs []*raftpb.Message) error {
	for i, m := range msgs {
		hard := &raftpb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
		if m.Snapshot != nil {
			if err := n.install(m.GetSnapshot(), hard); err != nil {
				return err
			}
			if len(m.GetEntries()) == 0 {
				continue // what install wrote it synced
			}
		}
		// The database writes its own log in order: one sync covers all before it.
		sync := i == len(msgs)-1
		if len(m.GetEntries()) == 0 && m.Term == nil && !sync {
			continue
		}
		if err := n.log.append(m.GetEntries(), hard, sync && n.mustSync(msgs)); err != nil {
			return err
		}
	}
	n.step("log.appended")
	for _, m := range msgs {
		n.driver.respond(slices.DeleteFunc(m.GetResponses(), n.told.again))
	}
	return nil
}

// told is the newest that this host confirmed to a leader. The library answers each
// message that only brings a commit index, too, by saying once more what is in the log;
// that would be a sixth of all messages.
type told struct {
	clock clock.Clock
	every time.Duration // it is said again after that, since what was said may be lost
	at    time.Time
	what  struct{ to, term, index uint64 }
}

// again says whether the message says what was said a moment ago.
func (t *told) again(m *raftpb.Message) bool {
	if m.GetType() != raftpb.MsgAppResp || m.GetReject() {
		return false
	}
	now, what := t.clock.Now(), t.what
	what.to, what.term, what.index = m.GetTo(), m.GetTerm(), m.GetIndex()
	if what == t.what && now.Sub(t.at) < t.every {
		return true
	}
	t.at, t.what = now, what
	return false
}

// mustSync says whether any of the messages holds what must survive a crash before it
// is answered: entries, or a changed term or vote. A commit index alone need not.
func (n *Node) mustSync(msgs []*raftpb.Message) bool {
	must := false
	for _, m := range msgs {
		if len(m.GetEntries()) > 0 {
			must = true
		}
		if m.Term != nil && (m.GetTerm() != n.voted.term || m.GetVote() != n.voted.vote) {
			n.voted.term, n.voted.vote = m.GetTerm(), m.GetVote()
			must = true
		}
	}
	return must
}
