package store

import (
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// sumMerger lets a batch say "one object and so many bytes more": the sum goes with
// the change in one step, concurrent batches need not agree on a total, and a start
// reads the sum instead of all objects. The name is in the database: a database is
// not opened with another.
func sumMerger() *pebble.Merger {
	return &pebble.Merger{
		Name: "signet.sum.1",
		Merge: func(_, value []byte) (pebble.ValueMerger, error) {
			r, err := decodeSum(value)
			return &sumOf{r}, err
		},
	}
}

// sumOf adds up; order does not matter.
type sumOf struct{ sum sumRow }

func (s *sumOf) MergeNewer(value []byte) error {
	r, err := decodeSum(value)
	s.sum = s.sum.add(r)
	return err
}

func (s *sumOf) MergeOlder(value []byte) error { return s.MergeNewer(value) }

func (s *sumOf) Finish(bool) ([]byte, io.Closer, error) { return s.sum.encode(), nil, nil }
