package store

import (
	"context"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/digest"
)

// Get returns a part of an object, or all of it.
func (s *Disk) Get(ctx context.Context, g signet.Group, a signet.Address, off, n uint32) ([]byte, error) {
	if err := s.enter(ctx); err != nil {
		return nil, signet.Wrap("get object", a.String(), err)
	}
	defer s.leave()
	k := objectKey{g, a}
	for {
		row, err := s.index(k)
		if err != nil {
			return nil, signet.Wrap("get object", a.String(), err)
		}
		n, err := span(a, off, n, row.length)
		if err != nil {
			return nil, err
		}
		b, err := s.load(k, row, off, n)
		if err == nil {
			return b, nil
		}
		// Deleted, or replaced, between the two looks? Then look again.
		if now, ierr := s.index(k); ierr == nil && now == row || ctx.Err() != nil {
			return nil, err
		}
	}
}

// load reads n bytes from offset off of an object whose index row is row. If that is
// the whole object it is verified. Bytes that are not there are damage: the row says
// that they are.
func (s *Disk) load(k objectKey, row indexRow, off, n uint32) ([]byte, error) {
	var b []byte
	var err error
	if row.place == inFile {
		b = make([]byte, n)
		var got int
		got, err = s.d.ReadObject(s.dirs.file(k, row.shard), b, int64(off))
		if err == nil && got < int(n) {
			return nil, signet.Errorf(signet.Corrupt, "get object", k.address.String(),
				"its file is cut: %d bytes of %d at %d", got, n, off)
		}
	} else {
		b, err = s.loadSmall(k, row, off, n)
	}
	if signet.KindOf(err) == signet.NotFound {
		return nil, signet.Errorf(signet.Corrupt, "get object", k.address.String(), "its bytes are gone")
	}
	if err != nil {
		return nil, signet.Wrap("get object", k.address.String(), err)
	}
	if n == row.length {
		if err := digest.Verify(k.address, b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (s *Disk) loadSmall(k objectKey, row indexRow, off, n uint32) ([]byte, error) {
	v, closer, err := s.db.Get(rowKey(dataTable, k))
	if err != nil {
		return nil, databaseError("get object", k.address.String(), err)
	}
	defer closer.Close()
	if len(v) != int(row.length) {
		return nil, signet.Errorf(signet.Corrupt, "get object", k.address.String(),
			"%d bytes instead of %d", len(v), row.length)
	}
	return append(make([]byte, 0, n), v[off:off+n]...), nil
}

// Has says which objects are here.
func (s *Disk) Has(ctx context.Context, g signet.Group, as []signet.Address) ([]bool, error) {
	if err := s.enter(ctx); err != nil {
		return nil, signet.Wrap("look for objects", "", err)
	}
	defer s.leave()
	there := make([]bool, len(as))
	for i, a := range as {
		k := objectKey{g, a}
		_, err := s.index(k)
		switch signet.KindOf(err) {
		case signet.OK:
			// The rows of a put show before they are durable.
			there[i] = !s.locks.absent(k)
		case signet.NotFound:
		default:
			return nil, err
		}
	}
	return there, nil
}
