// Package metatest gives tests of other rooms real tables and a log without Raft: one
// list of entries that any number of hosts apply, each at its own pace.
//
// It has no lock: a Log belongs to one goroutine.
package metatest

import (
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// T is what is needed of a test: *testing.T, or a test of properties.
type T interface {
	Helper()
	Cleanup(func())
	Error(args ...any)
	Fatal(args ...any)
}

// Open returns empty tables in memory, which are closed when the test ends.
func Open(t T) *meta.State {
	t.Helper()
	s, err := meta.Open(meta.Options{FS: vfs.NewMem(), Dir: "tables", CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Log is a log that everybody has agreed on.
type Log struct{ entries []meta.Entry }

// Last is the index of the newest entry.
func (l *Log) Last() signet.Index { return signet.Index(len(l.entries)) }

// Append appends an entry and returns its index.
func (l *Log) Append(t T, envelopes ...meta.Envelope) signet.Index {
	t.Helper()
	raw := make([][]byte, 0, len(envelopes))
	for i := range envelopes {
		b, err := meta.EncodeEnvelope(&envelopes[i])
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, b)
	}
	index := l.Last() + 1
	l.entries = append(l.entries, meta.Entry{Index: index, Term: 1, Data: meta.EncodeEntry(raw)})
	return index
}

// Feed applies and publishes the entries that s lacks up to the given index, one by one,
// and calls fn, if there is one, after each.
func (l *Log) Feed(t T, s *meta.State, to signet.Index, fn func(*meta.Step)) {
	t.Helper()
	at, _ := s.Applied()
	for ; at < to; at++ {
		step, err := s.Prepare(l.entries[at : at+1])
		if err == nil {
			err = s.Publish(step)
		}
		if err != nil {
			t.Fatal(err)
		}
		if fn != nil {
			fn(step)
		}
	}
}
