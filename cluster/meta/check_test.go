package meta

import (
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signetfs/signet"
)

// dump reads a whole table.
func dump[T any](w *world, g signet.Group, tab table, code func(*coder, *T), fn func(rest []byte, v T)) {
	w.t.Helper()
	r := w.s.Reader(g)
	defer r.Close()
	p := prefix(g, tab)
	if err := listRows(r, p, next(p), len(p), code, func(rest []byte, v *T) bool {
		fn(rest, *v)
		return true
	}); err != nil {
		w.t.Fatal(err)
	}
}

// rows returns everything in the tables but answers and sessions, which a refused
// command may change.
func (w *world) rows() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	it, err := w.s.db.NewIter(&pebble.IterOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		k := it.Key()
		if table(k[4]) == tableAnswers || table(k[4]) == tableSessions || string(k) == string(metaKey(0, rowApplied)) {
			continue
		}
		all[string(k)] = string(it.Value())
	}
	return all
}

// sums is what check counts of a volume.
type sums struct {
	want   Counters
	inodes map[signet.Ino]inode
	links  map[signet.Ino]uint32 // names of an inode
	subs   map[signet.Ino]uint32 // directories in a directory
	size   map[signet.Ino]uint64 // entries of a directory
	bytes  map[signet.Ino]uint64
	xattrs map[signet.Ino][2]uint32
	refs   map[signet.Address]uint64
}

// check holds everything that must be true of the tables at any index.
func (w *world) check() {
	w.t.Helper()
	s := sums{
		inodes: map[signet.Ino]inode{}, links: map[signet.Ino]uint32{}, subs: map[signet.Ino]uint32{}, size: map[signet.Ino]uint64{},
		bytes: map[signet.Ino]uint64{}, xattrs: map[signet.Ino][2]uint32{}, refs: map[signet.Address]uint64{},
	}
	got := w.counters()
	s.want.NextIno, s.want.Horizon = got.NextIno, got.Horizon
	w.countTree(&s)
	w.checkInodes(&s)
	w.checkObjects(&s)
	if s.want != got {
		w.t.Errorf("counters\n%+v, counted\n%+v", got, s.want)
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

func (w *world) countTree(s *sums) {
	dump(w, 1, tableInodes, codeInode, func(rest []byte, in inode) {
		in.Ino = number[signet.Ino](rest)
		s.inodes[in.Ino] = in
		s.want.Inodes++
	})
	dump(w, 1, tableNames, codeName, func(rest []byte, n nameRow) {
		dir := number[signet.Ino](rest[:8])
		s.links[n.Ino]++
		s.size[dir]++
		in, ok := s.inodes[n.Ino]
		if !ok || in.Type() != n.Mode {
			w.t.Errorf("name %q in %d leads to %+v", rest[8:], dir, in)
		}
		if in.IsDir() {
			s.subs[dir]++
			if in.Parent != dir {
				w.t.Errorf("directory %d is in %d, its row says %d", n.Ino, dir, in.Parent)
			}
		}
	})
	dump(w, 1, tableExtents, codeExtentRow, func(rest []byte, e signet.Extent) {
		ino := number[signet.Ino](rest[:8])
		s.bytes[ino] += uint64(e.Len)
		s.want.Bytes += uint64(e.Len)
		if !e.Object.IsZero() {
			s.refs[e.Object] += uint64(e.Len)
		}
	})
	dump(w, 1, tableXattrs, codeBlob, func(rest []byte, _ blobRow) {
		ino := number[signet.Ino](rest[:8])
		s.xattrs[ino] = [2]uint32{s.xattrs[ino][0] + 1, s.xattrs[ino][1] + uint32(len(rest)) - 8 + 1}
	})
}

func (w *world) checkInodes(s *sums) {
	orphans := map[signet.Ino]bool{}
	dump(w, 1, tableOrphans, codeOrphan, func(rest []byte, o Orphan) {
		orphans[number[signet.Ino](rest)] = true
		s.want.Orphans++
	})
	cuts := map[signet.Ino]bool{}
	dump(w, 1, tableCuts, codeCut, func(rest []byte, _ PendingCut) { cuts[number[signet.Ino](rest)] = true })
	targets := map[signet.Ino]bool{}
	dump(w, 1, tableTargets, codeBlob, func(rest []byte, _ blobRow) { targets[number[signet.Ino](rest)] = true })
	for ino, in := range s.inodes {
		want := s.links[ino]
		if in.IsDir() && (want > 0 || ino == signet.RootIno) {
			want = 2 + s.subs[ino]
		}
		reaping := in.Flags&flagReaping != 0
		switch {
		case in.Nlink != want, orphans[ino] != (in.Nlink == 0):
			w.t.Errorf("inode %d: %d links, counted %d, orphan %v", ino, in.Nlink, want, orphans[ino])
		case in.IsDir() && in.Size != s.size[ino]:
			w.t.Errorf("directory %d: size %d, %d entries", ino, in.Size, s.size[ino])
		case in.Bytes != s.bytes[ino]:
			w.t.Errorf("inode %d: %d bytes, its extents %d", ino, in.Bytes, s.bytes[ino])
		case !reaping && s.xattrs[ino] != [2]uint32{in.Xattrs, in.XattrNames}:
			w.t.Errorf("inode %d: xattrs %v, counted %v", ino, [2]uint32{in.Xattrs, in.XattrNames}, s.xattrs[ino])
		case cuts[ino] != (in.CutTo > 0 && !reaping):
			w.t.Errorf("inode %d: cut up to %d, listed %v", ino, in.CutTo, cuts[ino])
		case in.IsSymlink() != targets[ino]:
			w.t.Errorf("inode %d: mode %o, target %v", ino, in.Mode, targets[ino])
		}
		delete(s.bytes, ino)
		delete(s.links, ino)
		delete(s.xattrs, ino)
		delete(targets, ino)
		delete(orphans, ino)
		delete(cuts, ino)
		w.checkExtents(&in)
	}
	if len(s.bytes)+len(s.links)+len(s.xattrs)+len(targets)+len(orphans)+len(cuts) > 0 {
		w.t.Errorf("rows of no inode: %v %v %v %v %v %v", s.bytes, s.links, s.xattrs, targets, orphans, cuts)
	}
}

// checkExtents holds that extents are disjoint, none beyond the size or where a cut
// is pending, as a reader sees them.
func (w *world) checkExtents(in *inode) {
	if in.Flags&flagReaping != 0 {
		return
	}
	w.read(func(r *Reader) {
		list, err := r.Extents(in.Ino, 0, math.MaxUint64, math.MaxInt)
		if err != nil {
			w.t.Fatal(err)
		}
		end := uint64(0)
		for _, e := range list {
			if e.Off < end || e.End() > in.Size || e.Off < in.CutTo && e.End() > in.CutFrom {
				w.t.Errorf("inode %d, size %d, cut [%d,%d): extent at %d, %d bytes", in.Ino, in.Size, in.CutFrom, in.CutTo, e.Off, e.Len)
			}
			end = e.End()
		}
	})
}

func (w *world) checkObjects(s *sums) {
	dead := map[signet.Address]signet.Index{}
	dump(w, 1, tableDead, codeDead, func(rest []byte, d DeadObject) {
		dead[signet.Address(rest[8:])] = number[signet.Index](rest[:8])
		s.want.Dead++
		s.want.DeadBytes += uint64(d.Sealed)
	})
	short := map[signet.Address]bool{}
	dump(w, 1, tableShort, codeShort, func(rest []byte, _ struct{}) {
		short[signet.Address(rest)] = true
		s.want.Short++
	})
	dump(w, 1, tableObjects, codeObject, func(rest []byte, o object) {
		a := signet.Address(rest)
		if o.Refs != s.refs[a] || o.Died != dead[a] || (o.Refs == 0) != (o.Died != 0) {
			w.t.Errorf("object %v: %+v, counted %d, died %d", a, o, s.refs[a], dead[a])
		}
		if short[a] != (len(o.Hosts) > 0 && o.Died == 0) || !slices.IsSorted(o.Hosts) {
			w.t.Errorf("object %v: hosts %v, short %v", a, o.Hosts, short[a])
		}
		if o.Died == 0 {
			s.want.Objects++
			s.want.ObjectBytes += uint64(o.Sealed)
		}
		delete(s.refs, a)
		delete(dead, a)
		delete(short, a)
	})
	if len(s.refs)+len(dead)+len(short) > 0 {
		w.t.Errorf("rows of no object: %v %v %v", s.refs, dead, short)
	}
}

// unchanged fails unless fn, which does a refused command, leaves the tables alone.
func (w *world) unchanged(what string, fn func()) {
	w.t.Helper()
	before := w.rows()
	fn()
	now := w.rows()
	for k, v := range now {
		if before[k] != v {
			w.t.Errorf("%s: row %x was %x, is %x", what, k, before[k], v)
		}
		delete(before, k)
	}
	for k := range before {
		w.t.Errorf("%s: row %x is gone", what, k)
	}
}

// changes renders the change feed for comparison: inode, what, name.
func (w *world) changes() (out []string) {
	for _, c := range w.step.Batch.Changes {
		s := fmt.Sprintf("%d:%02x", c.Ino, c.What)
		if c.Name != nil {
			s += ":" + string(c.Name)
		}
		if c.Len > 0 {
			s += fmt.Sprintf(":%d+%d", c.Off, c.Len)
		}
		out = append(out, s)
	}
	return out
}
