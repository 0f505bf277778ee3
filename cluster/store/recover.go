package store

import (
	"context"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/signetfs/signet"
)

// settle decides about the objects that a crash left in doubt: those with a mark and
// no index row. How many there are depends on what was under way, not on how much the
// store holds. Marked objects with an index row are only looked at.
func (s *Disk) settle() error {
	for g := uint64(0); g <= math.MaxUint32; {
		group, found, err := s.firstGroup(markTable, signet.Group(g))
		if err != nil || !found {
			return err
		}
		err = s.each(context.Background(), markTable, group, signet.Address{}, func(r row) (bool, error) {
			m, err := decodeMark(r.value)
			if err != nil {
				return false, err
			}
			return true, s.settleOne(r.key, m)
		})
		if err != nil {
			return err
		}
		g = uint64(group) + 1
	}
	return nil
}

// firstGroup returns the first group from g that has a row in a table.
func (s *Disk) firstGroup(table byte, g signet.Group) (signet.Group, bool, error) {
	rows, err := s.some(context.Background(), tableKey(table, g), []byte{table + 1})
	if err != nil || len(rows) == 0 {
		return 0, false, err
	}
	return rows[0].key.group, true, nil
}

func (s *Disk) settleOne(k objectKey, m markRow) error {
	_, err := s.index(k)
	if signet.KindOf(err) != signet.NotFound {
		return err // it is here: nothing is in doubt
	}
	if m.doubt == beingPut && m.place == inFile {
		adopted, err := s.adopt(k, m)
		if adopted || err != nil {
			return err
		}
	}
	s.log.Info("removing what a crash left of an object", "address", k.address)
	if m.place == inFile {
		if err := s.removeFiles([]doubtful{{k, m.shard}}); err != nil {
			return err
		}
	}
	return s.clearMarks([]objectKey{k})
}

// adopt makes a file whose put did not return an object, if it is whole. It has its
// mark, so if nothing names it, it is collected.
func (s *Disk) adopt(k objectKey, m markRow) (bool, error) {
	row := indexRow{length: m.length, place: inFile, shard: m.shard}
	if _, err := s.load(k, row, 0, row.length); err != nil {
		if kind := signet.KindOf(err); kind == signet.Corrupt || kind == signet.Disk {
			return false, nil
		}
		return false, err
	}
	if err := s.dirs.sync(k.group, m.shard); err != nil {
		return false, err
	}
	return true, s.addFile(k, m)
}

// readSums adds up what the objects of all groups amount to.
func (s *Disk) readSums() (sumRow, error) {
	var total sumRow
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{sumTable}, UpperBound: []byte{sumTable + 1}})
	if err != nil {
		return total, databaseError("read store", "", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		r, err := decodeSum(it.Value())
		if err != nil {
			_ = it.Close()
			return total, err
		}
		total = total.add(r)
	}
	return total, databaseError("read store", "", it.Close())
}
