package meta

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signetfs/signet"
	"pgregory.net/rapid"
)

// model is a tree as a textbook would draw it.
type model struct {
	nodes map[signet.Ino]*node
	next  signet.Ino
}

type node struct {
	dir      bool
	children map[string]signet.Ino
	links    int
	tmpfile  bool
}

func newModel() *model {
	return &model{map[signet.Ino]*node{1: {dir: true, children: map[string]signet.Ino{}, links: 1}}, 2}
}

func (m *model) dirOf(ino signet.Ino) (*node, signet.Kind) {
	n := m.nodes[ino]
	switch {
	case n == nil:
		return nil, signet.NotFound
	case !n.dir:
		return nil, signet.NotDir
	case n.links == 0:
		return nil, signet.NotFound
	}
	return n, signet.OK
}

func (m *model) create(c *signet.Create) signet.Kind {
	d, k := m.dirOf(c.Parent)
	if k != signet.OK {
		return k
	}
	if _, taken := d.children[string(c.Name)]; taken && len(c.Name) > 0 {
		return signet.Exists
	}
	n := &node{dir: c.Mode&signet.ModeType == signet.ModeDir, tmpfile: len(c.Name) == 0}
	if n.dir {
		n.children = map[string]signet.Ino{}
	}
	m.nodes[c.Ino] = n
	if !n.tmpfile {
		n.links = 1
		d.children[string(c.Name)] = c.Ino
	}
	return signet.OK
}

func (m *model) link(c *signet.Link) signet.Kind {
	n := m.nodes[c.Ino]
	if n == nil {
		return signet.NotFound
	}
	if n.dir {
		return signet.NotPermitted
	}
	d, k := m.dirOf(c.Parent)
	if k != signet.OK {
		return k
	}
	if _, taken := d.children[string(c.Name)]; taken {
		return signet.Exists
	}
	if n.links == 0 && !n.tmpfile {
		return signet.NotFound
	}
	n.links++
	n.tmpfile = false
	d.children[string(c.Name)] = c.Ino
	return signet.OK
}

func (m *model) remove(c *signet.Remove) signet.Kind {
	d, k := m.dirOf(c.Parent)
	if k != signet.OK {
		return k
	}
	ino, ok := d.children[string(c.Name)]
	if !ok {
		return signet.NotFound
	}
	n := m.nodes[ino]
	switch {
	case c.Dir && !n.dir:
		return signet.NotDir
	case !c.Dir && n.dir:
		return signet.IsDir
	case n.dir && len(n.children) > 0:
		return signet.NotEmpty
	}
	delete(d.children, string(c.Name))
	n.links--
	return signet.OK
}

// inside says whether ino is dir or lies below it.
func (m *model) inside(dir, ino signet.Ino) bool {
	if dir == ino {
		return true
	}
	for _, c := range m.nodes[dir].children {
		if m.nodes[c].dir && m.inside(c, ino) {
			return true
		}
	}
	return false
}

func (m *model) rename(c *signet.Rename) signet.Kind {
	if c.Flags > signet.RenameExchange {
		return signet.Invalid
	}
	from, k := m.dirOf(c.Parent)
	if k != signet.OK {
		return k
	}
	to, k := m.dirOf(c.NewParent)
	if k != signet.OK {
		return k
	}
	src, ok := from.children[string(c.Name)]
	if !ok {
		return signet.NotFound
	}
	dst, taken := to.children[string(c.NewName)]
	exchange := c.Flags == signet.RenameExchange
	switch {
	case taken && c.Flags == signet.RenameNoReplace:
		return signet.Exists
	case !taken && exchange:
		return signet.NotFound
	case taken && src == dst:
		return signet.OK
	case m.nodes[src].dir && m.inside(src, c.NewParent), exchange && m.nodes[dst].dir && m.inside(dst, c.Parent):
		return signet.Loop
	case exchange:
		from.children[string(c.Name)], to.children[string(c.NewName)] = dst, src
		return signet.OK
	}
	if taken {
		s, d := m.nodes[src], m.nodes[dst]
		switch {
		case s.dir && !d.dir:
			return signet.NotDir
		case !s.dir && d.dir:
			return signet.IsDir
		case d.dir && len(d.children) > 0:
			return signet.NotEmpty
		}
		d.links--
	}
	delete(from.children, string(c.Name))
	to.children[string(c.NewName)] = src
	return signet.OK
}

func (m *model) reap(c *Reap) signet.Kind {
	if n := m.nodes[c.Ino]; n == nil || n.links > 0 {
		return signet.NotFound
	}
	delete(m.nodes, c.Ino)
	return signet.OK
}

// command draws a command and carries it out on the model.
func (m *model) command(t *rapid.T, now signet.Time) (any, signet.Kind) {
	inos := slices.Sorted(maps.Keys(m.nodes))
	ino := func() signet.Ino {
		if rapid.IntRange(0, 50).Draw(t, "wild") == 0 {
			return 999
		}
		return rapid.SampledFrom(inos).Draw(t, "ino")
	}
	name := func() []byte { return []byte(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")) }
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0, 1, 2:
		c := &signet.Create{Parent: ino(), Name: name(), Ino: m.next, Mode: signet.ModeRegular, Time: now}
		m.next++
		switch rapid.IntRange(0, 4).Draw(t, "type") {
		case 0:
			c.Name = nil
		case 1, 2:
			c.Mode = signet.ModeDir
		}
		return c, m.create(c)
	case 3:
		c := &signet.Link{Ino: ino(), Parent: ino(), Name: name(), Time: now}
		return c, m.link(c)
	case 4, 5:
		c := &signet.Remove{Parent: ino(), Name: name(), Dir: rapid.Bool().Draw(t, "dir"), Time: now}
		return c, m.remove(c)
	case 6:
		c := &Reap{Ino: ino()}
		return c, m.reap(c)
	}
	c := &signet.Rename{Parent: ino(), Name: name(), NewParent: ino(), NewName: name(),
		Flags: rapid.SampledFrom([]uint32{0, 0, 0, 1, 2, 3}).Draw(t, "flags"), Time: now}
	return c, m.rename(c)
}

// compare holds the tables against the model.
func (m *model) compare(t *rapid.T, w *world) {
	w.check()
	if c := w.counters(); c.Inodes != uint64(len(m.nodes)) {
		t.Fatalf("%d inodes, the model has %d", c.Inodes, len(m.nodes))
	}
	for ino, n := range m.nodes {
		a := w.attr(ino)
		if a.IsDir() != n.dir || !n.dir && int(a.Nlink) != n.links {
			t.Fatalf("inode %d: %+v, the model has %+v", ino, a, n)
		}
		if !n.dir {
			continue
		}
		var want []string
		for name, child := range n.children {
			want = append(want, fmt.Sprintf("%s=%d", name, child))
		}
		slices.Sort(want)
		if got := w.ls(ino); !slices.Equal(got, want) {
			t.Fatalf("directory %d: %v, the model has %v", ino, got, want)
		}
	}
}

// rapidWorld is a world for one run of a property.
func rapidWorld(t *rapid.T, tb testing.TB, fs vfs.FS) *world {
	w := &world{t: rapidTB{tb, t}, fs: fs, now: 100}
	w.open()
	w.make()
	return w
}

// rapidTB lets a world's helpers fail the run that is being drawn.
type rapidTB struct {
	testing.TB
	run *rapid.T
}

func (r rapidTB) Fatal(args ...any)            { r.run.Fatal(args...) }
func (r rapidTB) Fatalf(f string, args ...any) { r.run.Fatalf(f, args...) }
func (r rapidTB) Errorf(f string, args ...any) { r.run.Errorf(f, args...) }
func (r rapidTB) Error(args ...any)            { r.run.Error(args...) }
func (r rapidTB) Failed() bool                 { return r.run.Failed() }
func (r rapidTB) FailNow()                     { r.run.FailNow() }

func TestTreeModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := rapidWorld(rt, t, vfs.NewMem())
		defer w.s.Close()
		m := newModel()
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			now := w.time()
			c, want := m.command(rt, now)
			if got := w.do(c); got.Err != want {
				rt.Fatalf("%T %+v: %v, the model says %v", c, c, got.Err, want)
			}
		}
		m.compare(rt, w)
		sameEverywhere(rt, w)
	})
}

// sameEverywhere replays a world's log in other groups and holds that digests and
// rows are the same.
func sameEverywhere(t *rapid.T, w *world) {
	want, digest := w.rows(), w.s.Position()
	other := &world{t: w.t, fs: vfs.NewMem()}
	other.open()
	defer other.s.Close()
	for rest := w.log; len(rest) > 0; {
		n := rapid.IntRange(1, len(rest)).Draw(t, "group")
		st, err := other.s.Prepare(rest[:n])
		if err != nil {
			t.Fatal(err)
		}
		if err := other.s.Publish(st); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if got := other.s.Position(); got != digest {
		t.Fatalf("%+v, elsewhere %+v", digest, got)
	}
	if !maps.Equal(want, other.rows()) {
		t.Fatal("the rows differ")
	}
}

// cell is where a byte of a file lies: an object (0: a hole) and the offset in it.
type cell struct {
	object byte
	off    uint32
}

// fileModel is a file, byte by byte.
type fileModel struct {
	cells []cell
	sizes map[byte]uint32 // live objects
	next  byte
}

// write draws a Write of a few extents and holes.
func (f *fileModel) write(t *rapid.T, w *world, ino signet.Ino) *signet.Write {
	c := &signet.Write{Ino: ino, Mtime: w.time()}
	at := uint64(0)
	for range rapid.IntRange(0, 2).Draw(t, "holes") {
		c.Punch = append(c.Punch, signet.Hole{Off: rapid.Uint64Range(0, 300).Draw(t, "off"), Len: rapid.Uint64Range(1, 100).Draw(t, "len")})
	}
	for range rapid.IntRange(0, 3).Draw(t, "extents") {
		e := signet.Extent{Off: at + rapid.Uint64Range(0, 90).Draw(t, "off"), Len: rapid.Uint32Range(1, 60).Draw(t, "len")}
		live := slices.Sorted(maps.Keys(f.sizes))
		switch kind := rapid.IntRange(0, 3).Draw(t, "what"); {
		case kind == 0 && len(live) > 0: // share
			n := rapid.SampledFrom(live).Draw(t, "object")
			e.ObjectOff = rapid.Uint32Range(0, f.sizes[n]-1).Draw(t, "object offset")
			e.Len = min(e.Len, f.sizes[n]-e.ObjectOff)
			e.Object = testAddress(n)
		case kind == 1:
			e.Inline = []byte{'i', byte(e.Off), byte(e.Off >> 8), f.next}
		default:
			e.ObjectOff = rapid.Uint32Range(0, 5).Draw(t, "object offset")
			c.Objects = append(c.Objects, w.object(f.next, e.Len+e.ObjectOff))
			e.Object = testAddress(f.next)
			f.next++
		}
		at = e.End()
		c.Extents = append(c.Extents, e)
	}
	return c
}

// apply carries a Write out.
func (f *fileModel) apply(c *signet.Write) {
	need := int(c.Size)
	if n := len(c.Extents); n > 0 {
		need = max(need, int(c.Extents[n-1].End()))
	}
	f.resize(max(need, len(f.cells)))
	for _, h := range c.Punch {
		for i := h.Off; i < h.Off+h.Len && i < uint64(len(f.cells)); i++ {
			f.cells[i] = cell{}
		}
	}
	for _, o := range c.Objects {
		f.sizes[o.Address.Digest()[0]] = o.Size
	}
	for _, e := range c.Extents {
		id := byte(255)
		if !e.Object.IsZero() {
			id = e.Object.Digest()[0]
		}
		for i := range e.Len {
			f.cells[e.Off+uint64(i)] = cell{id, e.ObjectOff + i}
		}
	}
}

func (f *fileModel) resize(n int) {
	for len(f.cells) < n {
		f.cells = append(f.cells, cell{})
	}
	f.cells = f.cells[:n]
}

// compare holds the file against the model, and finds which objects are dead now.
func (f *fileModel) compare(t *rapid.T, w *world, ino signet.Ino) {
	a := w.attr(ino)
	if int(a.Size) != len(f.cells) {
		t.Fatalf("size %d, the model has %d", a.Size, len(f.cells))
	}
	got := make([]cell, len(f.cells))
	w.read(func(r *Reader) {
		list, err := r.Extents(ino, 0, math.MaxUint64, math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			id := byte(255)
			if !e.Object.IsZero() {
				id = e.Object.Digest()[0]
			}
			for i := range e.Len {
				got[e.Off+uint64(i)] = cell{id, e.ObjectOff + i}
			}
		}
	})
	if !slices.Equal(got, f.cells) {
		t.Fatalf("%v\nthe model has\n%v", got, f.cells)
	}
	used := map[byte]uint64{}
	for _, c := range f.cells {
		used[c.object]++
	}
	for n := range f.sizes {
		if used[n] != w.refs(n) {
			t.Fatalf("object %d: %d bytes, the model has %d", n, w.refs(n), used[n])
		}
		if used[n] == 0 {
			delete(f.sizes, n)
		}
	}
}

func TestFileModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := rapidWorld(rt, t, vfs.NewMem())
		defer w.s.Close()
		w.file(1, "f", 2)
		f := &fileModel{sizes: map[byte]uint32{}, next: 1}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "kind") {
			case 0:
				n := rapid.IntRange(0, 400).Draw(rt, "size")
				w.ok(&signet.SetAttr{Ino: 2, Set: signet.SetSize, Size: uint64(n), Time: w.time()})
				f.resize(n)
			default:
				c := f.write(rt, w, 2)
				w.ok(c)
				f.apply(c)
			}
			f.compare(rt, w, 2)
		}
		w.check()
		sameEverywhere(rt, w)
	})
}
