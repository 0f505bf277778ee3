package store

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/signetfs/signet"
)

// listStep is how many rows are read at once. Between two steps nothing is held: a
// long look at the objects must not pin what is deleted meanwhile.
const listStep = 512

// row is a key and a value of a table.
type row struct {
	key   objectKey
	value []byte
}

// Addresses lists the objects that are here.
func (s *Disk) Addresses(ctx context.Context, g signet.Group, from signet.Address, fn func(signet.Address, uint32) bool) error {
	return s.each(ctx, indexTable, g, from, func(r row) (bool, error) {
		i, err := decodeIndex(r.value)
		if err != nil || s.locks.absent(r.key) {
			return true, err
		}
		return fn(r.key.address, i.length), nil
	})
}

// Unnamed lists the marked objects.
func (s *Disk) Unnamed(ctx context.Context, g signet.Group, from signet.Address, fn func(signet.Address, Meta) bool) error {
	return s.each(ctx, markTable, g, from, func(r row) (bool, error) {
		m, err := decodeMark(r.value)
		if err != nil || m.doubt == beingDeleted {
			return true, err
		}
		return fn(r.key.address, m.meta), nil
	})
}

// each calls fn for the rows of a table until it returns false.
func (s *Disk) each(ctx context.Context, table byte, g signet.Group, from signet.Address, fn func(row) (bool, error)) error {
	next := rowKey(table, objectKey{g, from})
	for {
		rows, err := s.some(ctx, next, tableEnd(table, g))
		if err != nil {
			return signet.Wrap("list objects", "", err)
		}
		for _, r := range rows {
			more, err := fn(r)
			if err != nil {
				return signet.Wrap("list objects", r.key.address.String(), err)
			}
			if !more {
				return nil
			}
		}
		if len(rows) < listStep {
			return nil
		}
		// The shortest key after the last one: itself and a zero byte.
		next = append(rowKey(table, rows[len(rows)-1].key), 0)
	}
}

// some returns the first rows in [from, to).
func (s *Disk) some(ctx context.Context, from, to []byte) ([]row, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, databaseError("list objects", "", err)
	}
	var rows []row
	for ok := it.First(); ok && len(rows) < listStep; ok = it.Next() {
		k, err := parseKey(it.Key())
		if err != nil {
			_ = it.Close()
			return nil, err
		}
		rows = append(rows, row{k, append([]byte(nil), it.Value()...)})
	}
	return rows, databaseError("list objects", "", it.Close())
}
