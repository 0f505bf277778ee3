package meta

import (
	"encoding/binary"
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/extent"
)

// Reader is a consistent reading of the tables. It has the reading methods of
// signet.View for its volume and those of the cluster's tables. It may be used by
// several goroutines; callers that must know what was read wrap it. A missing row is
// NotFound (NoAttr for an extended attribute). Slices in results belong to the caller.
// Functions given to the listing methods stop the listing by returning false.
type Reader struct {
	group  signet.Group
	snap   *pebble.Snapshot
	closed atomic.Bool
	at     *Position // nil: to be read from the tables
}

// Reader opens a consistent reading of what is published, of the volume with the
// given group and of the cluster. It must be closed.
func (s *State) Reader(g signet.Group) *Reader {
	turn, at := s.turn.Load(), s.at.Load()
	r := &Reader{group: g, snap: s.db.NewSnapshot()}
	if turn%2 == 0 && s.turn.Load() == turn {
		r.at = at // nothing was published meanwhile
	}
	return r
}

// NoReader returns a reading that is closed already: everything read from it is Closed.
func NoReader(g signet.Group) *Reader {
	r := &Reader{group: g}
	r.closed.Store(true)
	return r
}

// Close ends the reading. Closing twice does nothing.
func (r *Reader) Close() {
	if r.closed.CompareAndSwap(false, true) {
		_ = r.snap.Close() // it cannot fail, and there is nothing to lose
	}
}

// Position is the newest position in the log that the reader shows.
func (r *Reader) Position() (Position, error) {
	if r.at != nil {
		return *r.at, nil
	}
	p, err := fetch(r, metaKey(0, rowApplied), codePosition)
	if signet.KindOf(err) == signet.NotFound {
		return Position{}, nil
	}
	return p, err
}

// Index is the newest log index that the reader shows.
func (r *Reader) Index() (signet.Index, error) {
	p, err := r.Position()
	return p.Index, err
}

// coders are readers' coders, kept for their memory.
var coders = sync.Pool{New: func() any { return &coder{reading: true} }}

// fetch reads a row. Byte strings in it belong to the caller.
func fetch[T any](r *Reader, key []byte, code func(*coder, *T)) (v T, err error) {
	if r.closed.Load() {
		return v, signet.Errorf(signet.Closed, "read tables", "", "the reader was closed")
	}
	b, done, err := r.snap.Get(key)
	if err == pebble.ErrNotFound {
		return v, signet.NotFound
	}
	if err != nil {
		return v, signet.Wrap("read tables", "", err)
	}
	c := coders.Get().(*coder)
	err = decode(c, b, code, &v)
	cloneBytes(&v)
	*c = coder{reading: true}
	coders.Put(c)
	return v, errors.Join(err, signet.Wrap("read tables", "", done.Close()))
}

// cloneBytes gives a row its own copy of the byte strings that decoding left in the
// database's memory.
func cloneBytes(v any) {
	switch v := v.(type) {
	case *blobRow:
		v.Data = append([]byte(nil), v.Data...)
	case *Host:
		v.Seal = append([]byte(nil), v.Seal...)
	case *Slot:
		v.Data = append([]byte(nil), v.Data...)
	}
}

// listRows calls fn for the rows with keys in [from, to) until it returns false. fn gets
// what follows the first skip bytes of a key, and the row, which it may copy.
func listRows[T any](r *Reader, from, to []byte, skip int, code func(*coder, *T), fn func(rest []byte, v *T) bool) error {
	it, err := r.iterator(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	c := coder{reading: true}
	var v, none T
	for ok := it.First(); ok; ok = it.Next() {
		v = none
		if err = decode(&c, it.Value(), code, &v); err != nil {
			break
		}
		cloneBytes(&v)
		if !fn(it.Key()[skip:], &v) {
			break
		}
	}
	return errors.Join(err, signet.Wrap("scan tables", "", it.Close()))
}

func (r *Reader) iterator(o *pebble.IterOptions) (*pebble.Iterator, error) {
	if r.closed.Load() {
		return nil, signet.Errorf(signet.Closed, "scan tables", "", "the reader was closed")
	}
	it, err := r.snap.NewIter(o)
	return it, signet.Wrap("scan tables", "", err)
}

// inode returns an inode's row; one that is being reaped is gone.
func (r *Reader) inode(ino signet.Ino) (inode, error) {
	in, err := fetch(r, numKey(r.group, tableInodes, ino), codeInode)
	if err == nil && in.Flags&flagReaping != 0 {
		return in, signet.NotFound
	}
	in.Ino = ino
	if in.Owner != 0 {
		switch s, gone := r.Session(in.Owner); {
		case gone == nil && !s.Ended:
		case gone == nil, signet.KindOf(gone) == signet.NotFound:
			in.Owner = 0 // its delegations ended with it
		default:
			return in, gone
		}
	}
	return in, err
}

// Attr returns an inode.
func (r *Reader) Attr(ino signet.Ino) (signet.Attr, error) {
	in, err := r.inode(ino)
	if err != nil {
		return signet.Attr{}, err
	}
	return in.Attr, nil
}

// Lookup returns the entry under a sealed name.
func (r *Reader) Lookup(parent signet.Ino, name []byte) (signet.Entry, error) {
	row, err := fetch(r, nameKey(r.group, parent, name), codeName)
	if err != nil {
		return signet.Entry{}, err
	}
	return signet.Entry{Name: append([]byte(nil), name...), Ino: row.Ino, Mode: row.Mode}, nil
}

// ReadDir lists a directory in the order of sealed names, from the first greater than
// after. The entry's name is only valid during the call.
func (r *Reader) ReadDir(parent signet.Ino, after []byte, fn func(signet.Entry) bool) error {
	p := numKey(r.group, tableNames, parent)
	from := p
	if len(after) > 0 {
		from = append(nameKey(r.group, parent, after), 0)
	}
	return listRows(r, from, next(p), len(p), codeName, func(name []byte, row *nameRow) bool {
		return fn(signet.Entry{Name: name, Ino: row.Ino, Mode: row.Mode})
	})
}

// Parent returns a directory's parent.
func (r *Reader) Parent(dir signet.Ino) (signet.Ino, error) {
	in, err := r.inode(dir)
	switch {
	case err != nil:
		return 0, err
	case !in.IsDir():
		return 0, signet.NotDir
	}
	return in.Parent, nil
}

// Target returns a symlink's sealed target.
func (r *Reader) Target(ino signet.Ino) ([]byte, error) {
	row, err := fetch(r, numKey(r.group, tableTargets, ino), codeBlob)
	return row.Data, err
}

// Xattr returns the sealed value of an attribute under its sealed name.
func (r *Reader) Xattr(ino signet.Ino, name []byte) ([]byte, error) {
	row, err := fetch(r, xattrKey(r.group, ino, name), codeBlob)
	if err == signet.NotFound {
		return nil, signet.NoAttr
	}
	return row.Data, err
}

// Xattrs returns the sealed names of an inode's attributes in their order.
func (r *Reader) Xattrs(ino signet.Ino) ([][]byte, error) {
	var names [][]byte
	p := numKey(r.group, tableXattrs, ino)
	err := listRows(r, p, next(p), len(p), codeBlob, func(name []byte, _ *blobRow) bool {
		names = append(names, append([]byte(nil), name...))
		return true
	})
	return names, err
}

// Extents returns the extents that touch [off, off+n) in order, at most limit.
func (r *Reader) Extents(ino signet.Ino, off, n uint64, limit int) ([]signet.Extent, error) {
	in, err := r.inode(ino)
	if err != nil || in.Bytes == 0 || n == 0 || limit <= 0 {
		return nil, err
	}
	to := uint64(math.MaxUint64)
	if n < to-off {
		to = off + n
	}
	it, err := r.iterator(extentBounds(r.group, ino, to))
	if err != nil {
		return nil, err
	}
	c := coder{reading: true}
	var out []signet.Extent
	err = eachExtent(it, &c, extentKey(r.group, ino, off), off, func(e signet.Extent) bool {
		out = append(out, visible(&in, e, off, to)...)
		return len(out) < limit
	})
	if len(out) > limit {
		out = out[:limit]
	}
	return out, errors.Join(err, signet.Wrap("scan tables", "", it.Close()))
}

// visible returns what a pending cut leaves of an extent, as far as it touches
// [off, to).
func visible(in *inode, e signet.Extent, off, to uint64) []signet.Extent {
	if e.End() <= in.CutFrom || e.Off >= in.CutTo {
		return []signet.Extent{e}
	}
	kept, _ := extent.Cut([]signet.Extent{e}, in.CutFrom, in.CutTo-in.CutFrom)
	out := kept[:0]
	for _, k := range kept {
		if k.End() > off && k.Off < to {
			out = append(out, k)
		}
	}
	return out
}

// Object returns an object's row; a dead one has no Refs.
func (r *Reader) Object(a signet.Address) (signet.Object, error) {
	o, err := fetch(r, addressKey(r.group, tableObjects, a), codeObject)
	o.Address = a
	return o.Object, err
}

// number reads the number at the end of a key.
func number[T ~uint64](rest []byte) T { return T(binary.BigEndian.Uint64(rest)) }
