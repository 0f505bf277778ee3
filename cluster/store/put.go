package store

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/digest"
	"github.com/signetfs/signet/internal/disk"
)

// Put makes an object durable.
func (s *Disk) Put(ctx context.Context, g signet.Group, a signet.Address, sealed []byte, m Meta) error {
	return s.PutAll(ctx, g, []Item{{Address: a, Sealed: sealed, Meta: m}})
}

// PutAll makes several objects durable: the small ones in one batch, each other one
// by itself.
func (s *Disk) PutAll(ctx context.Context, g signet.Group, items []Item) error {
	if err := s.enter(ctx); err != nil {
		return signet.Wrap("put object", "", err)
	}
	defer s.leave()
	byKey := make(map[objectKey]*Item, len(items))
	keys := make([]objectKey, 0, len(items))
	for i := range items {
		it := &items[i]
		if err := checkSize(it.Address, it.Sealed); err != nil {
			return err
		}
		if err := digest.Verify(it.Address, it.Sealed); err != nil {
			return err
		}
		k := objectKey{g, it.Address}
		byKey[k] = it
		keys = append(keys, k)
	}
	keys = sortKeys(keys)
	if err := s.locks.acquire(ctx, keys, true); err != nil {
		return signet.Wrap("put object", "", err)
	}
	err := s.putAll(keys, byKey)
	if rerr := s.release(keys); err == nil {
		err = rerr
	}
	return err
}

// release ends puts and clears the marks that Named asked for meanwhile.
func (s *Disk) release(keys []objectKey) error {
	var err error
	for len(keys) > 0 {
		if keys = s.locks.release(keys); len(keys) > 0 && err == nil {
			err = s.clearSettled(keys)
		}
	}
	return err
}

// putAll puts objects whose keys are held.
func (s *Disk) putAll(keys []objectKey, items map[objectKey]*Item) error {
	batch := s.db.NewBatch()
	var sum sumRow
	var taken uint64
	defer func() { s.room.give(taken) }()
	for _, k := range keys {
		it := items[k]
		there, err := s.alreadyThere(k, it)
		if err == nil && !there {
			s.locks.noteAbsent(k)
			n := uint64(len(it.Sealed))
			if err = s.room.take(n); err == nil {
				taken += n
			}
		}
		if err == nil && !there && len(it.Sealed) >= smallObject {
			err = s.putFile(k, it)
		}
		if err != nil {
			_ = batch.Close()
			return err
		}
		if !there && len(it.Sealed) < smallObject {
			if err := addSmall(batch, k, it); err != nil {
				_ = batch.Close()
				return err
			}
			sum = sum.add(sumRow{1, int64(len(it.Sealed))})
		}
	}
	if batch.Empty() {
		return batch.Close()
	}
	if err := s.commit(batch, true); err != nil {
		return err
	}
	s.room.count(sum)
	s.d.Step(disk.StepPutIndexed)
	return nil
}

// addSmall adds the rows of a small object, which are all there is of it.
func addSmall(b *pebble.Batch, k objectKey, it *Item) error {
	row := indexRow{length: uint32(len(it.Sealed)), place: inDatabase}
	err := b.Set(rowKey(indexTable, k), row.encode(), nil)
	if err == nil {
		err = b.Set(rowKey(dataTable, k), it.Sealed, nil)
	}
	if err == nil && !it.Meta.Named {
		m := markRow{meta: it.Meta, length: row.length, place: inDatabase}
		err = b.Set(rowKey(markTable, k), m.encode(), nil)
	}
	if err == nil {
		err = b.Merge(tableKey(sumTable, k.group), sumRow{1, int64(row.length)}.encode(), nil)
	}
	return databaseError("put object", k.address.String(), err)
}

// alreadyThere says whether the object is here and intact, and then gives it the
// mark of this put. If it is damaged, it is removed.
func (s *Disk) alreadyThere(k objectKey, it *Item) (bool, error) {
	row, err := s.index(k)
	if signet.KindOf(err) == signet.NotFound {
		return false, nil
	}
	if err == nil {
		_, err = s.load(k, row, 0, row.length)
	}
	switch signet.KindOf(err) {
	case signet.OK:
		return true, s.markAgain(k, row, it.Meta)
	case signet.Corrupt:
		s.log.Warn("replacing a damaged object", "address", k.address, "err", err)
		return false, s.drop([]objectKey{k})
	}
	return false, err
}

// markAgain gives an object that is here already the mark of another put.
func (s *Disk) markAgain(k objectKey, row indexRow, m Meta) error {
	old, marked, err := s.mark(k)
	if err != nil || !marked || old.meta == m {
		return err // one without a mark has been named: it needs none
	}
	b := s.db.NewBatch()
	if m.Named {
		err = b.Delete(rowKey(markTable, k), nil)
	} else {
		mark := markRow{meta: m, length: row.length, place: row.place, shard: row.shard}
		err = b.Set(rowKey(markTable, k), mark.encode(), nil)
	}
	if err != nil {
		return databaseError("put object", k.address.String(), err)
	}
	return s.commit(b, !m.Named)
}

// putFile puts an object into a file of its own.
func (s *Disk) putFile(k objectKey, it *Item) error {
	if err := s.clearDoubt(k); err != nil {
		return err
	}
	shard, err := s.dirs.next(k.group)
	if err != nil {
		return err
	}
	mark := markRow{meta: it.Meta, length: uint32(len(it.Sealed)), place: inFile, shard: shard}
	b := s.db.NewBatch()
	if err := b.Set(rowKey(markTable, k), mark.encode(), nil); err != nil {
		return databaseError("put object", k.address.String(), err)
	}
	// The mark becomes durable while the bytes do (I2 asks for it before the name).
	if err := s.begin(b); err != nil {
		return err
	}
	s.d.Step(disk.StepPutMarked)
	temp, err := s.writeTemp(k, shard, it.Sealed)
	if merr := s.finish(b); err == nil {
		err = merr
	}
	if temp != nil {
		defer temp.Close() // its error means nothing once the file has its name
	}
	if err != nil {
		return s.withdraw(k, err)
	}
	s.d.Step(disk.StepPutSynced)
	if err := s.nameFile(k, shard, temp); err != nil {
		return err // the mark stays: the name may have been given
	}
	s.d.Step(disk.StepPutDurable)
	if err := s.addFile(k, mark); err != nil {
		return err
	}
	s.d.Step(disk.StepPutIndexed)
	return nil
}

// writeTemp makes the bytes durable in a file without a name.
func (s *Disk) writeTemp(k objectKey, shard uint8, sealed []byte) (*disk.Temp, error) {
	temp, err := s.d.NewTemp(s.dirs.dir(k.group, shard), s.scratch())
	if err != nil {
		return nil, err
	}
	if _, err = temp.Write(sealed); err == nil {
		err = temp.Sync()
	}
	return temp, err
}

// withdraw takes back the mark of a put that failed before its file had a name, and
// returns why it failed. Nothing depends on the mark's going.
func (s *Disk) withdraw(k objectKey, why error) error {
	if s.failed.Load() == nil {
		_ = s.clearMarks([]objectKey{k})
	}
	return why
}

// nameFile gives a durable file its name, durably.
func (s *Disk) nameFile(k objectKey, shard uint8, temp *disk.Temp) error {
	name := s.dirs.file(k, shard)
	err := temp.Link(name)
	if signet.KindOf(err) == signet.Exists {
		// The index does not know it, so it is not ours: a copied or restored directory.
		s.log.Warn("replacing an object file that nothing knew", "file", name)
		if err = s.d.RemoveObject(name); err == nil {
			err = temp.Link(name)
		}
	}
	if err != nil {
		return err
	}
	s.d.Step(disk.StepPutLinked)
	return s.dirs.sync(k.group, shard)
}

// addFile makes a durable file an object. The row need not be durable yet: should a
// crash take it, the mark, which is, leads to the file again.
func (s *Disk) addFile(k objectKey, mark markRow) error {
	row := indexRow{length: mark.length, place: inFile, shard: mark.shard}
	sum := sumRow{1, int64(mark.length)}
	b := s.db.NewBatch()
	err := b.Set(rowKey(indexTable, k), row.encode(), nil)
	if err == nil && mark.meta.Named {
		err = b.Delete(rowKey(markTable, k), nil)
	}
	if err == nil {
		err = b.Merge(tableKey(sumTable, k.group), sum.encode(), nil)
	}
	if err != nil {
		return databaseError("put object", k.address.String(), err)
	}
	if err := s.commit(b, false); err != nil {
		return err
	}
	s.room.count(sum)
	return nil
}

// clearDoubt removes what a failed change has left of an object: its mark is about to
// be overwritten, and with it the note of where its file may be.
func (s *Disk) clearDoubt(k objectKey) error {
	old, marked, err := s.mark(k)
	if err != nil || !marked || old.place != inFile {
		return err
	}
	return s.removeFiles([]doubtful{{k, old.shard}})
}
