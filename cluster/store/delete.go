package store

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/disk"
)

// dropStep is how many objects one step of a Delete removes: it bounds the batch and
// how long an address is held.
const dropStep = 256

// Delete removes objects for good.
func (s *Disk) Delete(ctx context.Context, g signet.Group, as []signet.Address) error {
	if err := s.enter(ctx); err != nil {
		return signet.Wrap("delete objects", "", err)
	}
	defer s.leave()
	for len(as) > 0 {
		n := min(len(as), dropStep)
		keys := keysOf(g, as[:n])
		as = as[n:]
		if err := s.locks.acquire(ctx, keys, false); err != nil {
			return signet.Wrap("delete objects", "", err)
		}
		err := s.drop(keys)
		s.locks.release(keys)
		if err != nil {
			return err
		}
	}
	return nil
}

// keysOf returns addresses of a group as sorted keys.
func keysOf(g signet.Group, as []signet.Address) []objectKey {
	keys := make([]objectKey, len(as))
	for i, a := range as {
		keys[i] = objectKey{g, a}
	}
	return sortKeys(keys)
}

// doubtful is a file that may be there and must not be.
type doubtful struct {
	key   objectKey
	shard uint8
}

// drop removes objects whose keys are held. First the index forgets them, durably,
// and their marks say so; then the files go; then, when that is durable, the marks.
func (s *Disk) drop(keys []objectKey) error {
	b := s.db.NewBatch()
	var files []doubtful
	var sum sumRow
	for _, k := range keys {
		f, less, err := s.forget(b, k)
		if err != nil {
			_ = b.Close()
			return signet.Wrap("delete object", k.address.String(), err)
		}
		files = append(files, f...)
		sum = sum.add(less)
	}
	if b.Empty() {
		return b.Close()
	}
	if err := s.commit(b, true); err != nil {
		return err
	}
	s.room.count(sum)
	s.d.Step(disk.StepDeleteMarked)
	if err := s.removeFiles(files); err != nil {
		return err // the marks stay: the next Delete, put or start tries again
	}
	if err := s.clearMarks(fileKeys(files)); err != nil {
		return err
	}
	s.d.Step(disk.StepDeleteDone)
	return nil
}

// forget adds to b what makes the store forget an object, and returns its file, if it
// has or may have one, and by how much the sum changes.
func (s *Disk) forget(b *pebble.Batch, k objectKey) ([]doubtful, sumRow, error) {
	row, err := s.index(k)
	there := err == nil
	if err != nil && signet.KindOf(err) != signet.NotFound {
		return nil, sumRow{}, err
	}
	mark, marked, err := s.mark(k)
	if err != nil || !there && !marked {
		return nil, sumRow{}, err
	}
	if !there {
		row = indexRow{length: mark.length, place: mark.place, shard: mark.shard}
	}
	var sum sumRow
	if there {
		sum = sumRow{-1, -int64(row.length)}
		err = b.Delete(rowKey(indexTable, k), nil)
		if err == nil {
			err = b.Merge(tableKey(sumTable, k.group), sum.encode(), nil)
		}
	}
	if err != nil {
		return nil, sum, err
	}
	if row.place == inDatabase {
		if err = b.Delete(rowKey(dataTable, k), nil); err == nil {
			err = b.Delete(rowKey(markTable, k), nil)
		}
		return nil, sum, err
	}
	gone := markRow{doubt: beingDeleted, meta: mark.meta, length: row.length, place: inFile, shard: row.shard}
	err = b.Set(rowKey(markTable, k), gone.encode(), nil)
	return []doubtful{{k, row.shard}}, sum, err
}

// removeFiles takes away the names of files, durably. Those that are not there are no
// error.
func (s *Disk) removeFiles(files []doubtful) error {
	type dir struct {
		group signet.Group
		shard uint8
	}
	dirs := make(map[dir]bool)
	for _, f := range files {
		err := s.d.RemoveObject(s.dirs.file(f.key, f.shard))
		if err != nil && signet.KindOf(err) != signet.NotFound {
			return err
		}
		// One that is not there may have gone just now, and not durably.
		dirs[dir{f.key.group, f.shard}] = true
	}
	if len(files) > 0 {
		s.d.Step(disk.StepDeleteRemoved)
	}
	for d := range dirs {
		// A directory that is not there never had the file.
		if err := s.dirs.sync(d.group, d.shard); err != nil && signet.KindOf(err) != signet.NotFound {
			return err
		}
	}
	return nil
}

func fileKeys(files []doubtful) []objectKey {
	keys := make([]objectKey, len(files))
	for i, f := range files {
		keys[i] = f.key
	}
	return keys
}

// clearMarks removes marks whose keys are held. Should a crash bring one back, it
// leads to the same again.
func (s *Disk) clearMarks(keys []objectKey) error {
	if len(keys) == 0 {
		return nil
	}
	b := s.db.NewBatch()
	for _, k := range keys {
		if err := b.Delete(rowKey(markTable, k), nil); err != nil {
			_ = b.Close()
			return databaseError("clear mark", k.address.String(), err)
		}
	}
	return s.commit(b, false)
}

// Named clears the marks of objects that the log names now.
func (s *Disk) Named(ctx context.Context, g signet.Group, as []signet.Address) error {
	if err := s.enter(ctx); err != nil {
		return signet.Wrap("clear marks", "", err)
	}
	defer s.leave()
	for len(as) > 0 {
		n := min(len(as), dropStep)
		keys := s.locks.tryName(keysOf(g, as[:n]))
		as = as[n:]
		err := s.clearSettled(keys)
		s.locks.release(keys)
		if err != nil {
			return err
		}
	}
	s.d.Step(disk.StepNamed)
	return nil
}

// clearSettled clears the marks of objects that are here. A mark without an index row
// stays, whatever the log says: it is all that leads to a file in doubt.
func (s *Disk) clearSettled(keys []objectKey) error {
	marked := make([]objectKey, 0, len(keys))
	for _, k := range keys {
		_, there, err := s.mark(k)
		if err == nil && there {
			_, err = s.index(k)
			there = err == nil
		}
		if err != nil && signet.KindOf(err) != signet.NotFound {
			return err
		}
		if there {
			marked = append(marked, k)
		}
	}
	return s.clearMarks(marked)
}
