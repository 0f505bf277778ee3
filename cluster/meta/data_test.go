package meta

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/signetfs/signet"
)

// object is a row for a new object, put here and now.
func (w *world) object(n byte, size uint32) signet.Object {
	at, _ := w.s.Applied()
	return signet.Object{Address: testAddress(n), KeyVersion: 1, Salt: [32]byte{n}, Size: size, Sealed: size + 64,
		Form: signet.FormReplicas, Hosts: []signet.HostID{1}, Ring: at, Put: at}
}

// put writes the whole of a new object at off.
func (w *world) put(ino signet.Ino, n byte, off uint64, size uint32) signet.Result {
	w.t.Helper()
	return w.ok(&signet.Write{Ino: ino, Extents: []signet.Extent{{Off: off, Len: size, Object: testAddress(n)}},
		Objects: []signet.Object{w.object(n, size)}, Mtime: w.time()})
}

// extents renders a file's extents as off+len@object:offset.
func (w *world) extents(ino signet.Ino) string {
	w.t.Helper()
	var out []string
	w.read(func(r *Reader) {
		list, err := r.Extents(ino, 0, math.MaxUint64, math.MaxInt)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range list {
			what := fmt.Sprint(e.Object.Digest()[0])
			if e.Object.IsZero() {
				what = string(e.Inline)
			}
			out = append(out, fmt.Sprintf("%d+%d@%s:%d", e.Off, e.Len, what, e.ObjectOff))
		}
	})
	return strings.Join(out, " ")
}

func (w *world) refs(n byte) uint64 {
	w.t.Helper()
	var o signet.Object
	w.read(func(r *Reader) {
		var err error
		if o, err = r.Object(testAddress(n)); err != nil {
			w.t.Fatalf("object %d: %v", n, err)
		}
	})
	return o.Refs
}

func TestWrite(t *testing.T) {
	w := made(t)
	w.file(1, "f", 2)
	res := w.put(2, 1, 0, 1000)
	if a := w.attr(2); a != res.Attr || a.Size != 1000 || a.Bytes != 1000 || a.Mtime != a.Ctime || a.Mtime.Sec != w.now {
		t.Errorf("%+v", a)
	}
	if got := fmt.Sprint(w.changes()); got != "[2:03:0+1000]" {
		t.Error(got)
	}
	if n := w.step.Effects.Named; len(n) != 1 || n[0].Group != 1 || n[0].Object.Address != testAddress(1) || len(n[0].Object.Hosts) != 1 {
		t.Errorf("%+v", n)
	}
	w.put(2, 2, 400, 100) // in the middle
	w.put(2, 3, 1500, 100)
	if got := w.extents(2); got != "0+400@1:0 400+100@2:0 500+500@1:500 1500+100@3:0" {
		t.Error(got)
	}
	if w.refs(1) != 900 || w.attr(2).Bytes != 1100 || w.attr(2).Size != 1600 {
		t.Errorf("%d %+v", w.refs(1), w.attr(2))
	}
	w.check()

	// Inline, over the border of two; ranges that touch are one in the feed.
	w.ok(&signet.Write{Ino: 2, Size: 5000, Mtime: w.time(), Extents: []signet.Extent{
		{Off: 350, Len: 50, Inline: []byte("x")}, {Off: 400, Len: 50, Inline: []byte("y")}, {Off: 2000, Len: 1, Inline: []byte("z")}}})
	if got := w.extents(2); got != "0+350@1:0 350+50@x:0 400+50@y:0 450+50@2:50 500+500@1:500 1500+100@3:0 2000+1@z:0" {
		t.Error(got)
	}
	if got := fmt.Sprint(w.changes(), w.attr(2).Size); got != "[2:03:350+100 2:03:2000+1] 5000" {
		t.Error(got)
	}
	w.check()

	// A clone: another file refers to the same object, without a row for it.
	w.file(1, "g", 3)
	w.ok(&signet.Write{Ino: 3, Extents: []signet.Extent{{Off: 0, Len: 10, Object: testAddress(3), ObjectOff: 90}}, Mtime: w.time()})
	if w.refs(3) != 110 {
		t.Error(w.refs(3))
	}
	// Writing the same extents again changes nothing but times.
	w.put(3, 3, 0, 10)
	w.check()

	// Parts of the range, limited.
	w.read(func(r *Reader) {
		for _, c := range []struct {
			off, n uint64
			limit  int
			want   int
		}{{0, 1, 9, 1}, {349, 2, 9, 2}, {0, 1 << 40, 3, 3}, {1000, 500, 9, 0}, {999, 502, 9, 2}, {2001, 10, 9, 0}, {0, 0, 9, 0}, {500, 1, 9, 1}} {
			list, err := r.Extents(2, c.off, c.n, c.limit)
			if len(list) != c.want || err != nil {
				t.Errorf("[%d,+%d) at most %d: %d extents, %v", c.off, c.n, c.limit, len(list), err)
			}
		}
		if _, err := r.Extents(99, 0, 1, 1); signet.KindOf(err) != signet.NotFound {
			t.Error(err)
		}
	})
}

func TestClearSUID(t *testing.T) {
	w := made(t)
	for i, c := range []struct{ mode, want uint32 }{{0o6755, 0o755}, {0o6745, 0o2745}, {0o4711, 0o711}} {
		ino := signet.Ino(10 + i)
		w.ok(w.create(1, fmt.Sprint(i), ino, signet.ModeRegular|c.mode))
		w.ok(&signet.Write{Ino: ino, Size: 1, ClearSUID: true, Mtime: w.time()})
		if got := w.attr(ino); got.Mode&0o7777 != c.want || got.Size != 1 {
			t.Errorf("%o: %+v", c.mode, got)
		}
	}
}

func TestPunch(t *testing.T) {
	w := made(t)
	w.file(1, "f", 2)
	w.put(2, 1, 0, 1000)
	w.ok(&signet.Write{Ino: 2, Punch: []signet.Hole{{Off: 100, Len: 100}}, Mtime: w.time()})
	if got := w.extents(2); got != "0+100@1:0 200+800@1:200" || w.attr(2).Size != 1000 || w.attr(2).Bytes != 900 {
		t.Errorf("%s %+v", got, w.attr(2))
	}
	if got := fmt.Sprint(w.changes()); got != "[2:03:100+100]" {
		t.Error(got)
	}
	w.check()
	// Holes first, then extents.
	c := &signet.Write{Ino: 2, Punch: []signet.Hole{{Off: 0, Len: 50}, {Off: 300, Len: 5000}}, Mtime: w.time(),
		Extents: []signet.Extent{{Off: 320, Len: 10, Inline: []byte("i")}}}
	w.ok(c)
	if got := w.extents(2); got != "50+50@1:50 200+100@1:200 320+10@i:0" || w.attr(2).Size != 1000 {
		t.Errorf("%s %+v", got, w.attr(2))
	}
	w.check()
	// The last bytes of an object die, and the object with them.
	w.ok(&signet.Write{Ino: 2, Punch: []signet.Hole{{Off: 0, Len: 300}}, Mtime: w.time()})
	if w.refs(1) != 0 {
		t.Error(w.refs(1))
	}
	w.check()
	if c := w.counters(); c.Dead != 1 || c.Objects != 0 || c.DeadBytes != 1064 {
		t.Errorf("%+v", c)
	}
}

// What was written before a rename or the like and is published after it has the earlier
// time: the later change still shows.
func TestWriteDoesNotSetCtimeBack(t *testing.T) {
	w := made(t)
	w.file(1, "f", 2)
	early := w.time()
	w.now += 10
	res := w.ok(&signet.SetXattr{Ino: 2, Name: []byte("n"), Value: []byte("v"), Time: w.time()})
	w.ok(&signet.Write{Ino: 2, Mtime: early})
	if a := w.attr(2); a.Mtime != early || a.Ctime != res.Attr.Ctime {
		t.Errorf("%+v", a)
	}
	at := w.attr(2).Ctime
	w.now += 10
	w.ok(&signet.SetXattr{Ino: 2, Name: []byte("n"), Value: []byte("v"), Time: w.time()})
	if a := w.attr(2); a.Ctime != at {
		t.Error("setting an attribute to what it is changed ctime")
	}
}

func TestWriteRefused(t *testing.T) {
	w := tree(t)
	w.put(10, 1, 0, 1000)
	w.put(10, 9, 2000, 1000)
	w.ok(&signet.Write{Ino: 10, Punch: []signet.Hole{{Off: 2000, Len: 1000}}, Mtime: w.time()}) // object 9 is dead
	ext := func(n byte, off uint64, size uint32, objectOff uint32) signet.Extent {
		return signet.Extent{Off: off, Len: size, Object: testAddress(n), ObjectOff: objectOff}
	}
	named := func(e signet.Extent, change func(o *signet.Object)) *signet.Write {
		o := w.object(5, 100)
		change(&o)
		return &signet.Write{Ino: 10, Extents: []signet.Extent{e}, Objects: []signet.Object{o}, Mtime: w.time()}
	}
	same := func(*signet.Object) {}
	at, _ := w.s.Applied()
	for name, c := range map[string]struct {
		c    *signet.Write
		want signet.Kind
	}{
		"nothing":              {&signet.Write{Ino: 99}, signet.NotFound},
		"directory":            {&signet.Write{Ino: 2, Size: 1}, signet.IsDir},
		"symlink":              {&signet.Write{Ino: 12, Size: 1}, signet.Invalid},
		"too big":              {&signet.Write{Ino: 10, Size: 1 << 63}, signet.TooBig},
		"past the end":         {named(ext(5, math.MaxInt64-50, 100, 0), same), signet.Invalid},
		"empty extent":         {named(ext(5, 0, 0, 0), same), signet.Invalid},
		"past the object":      {named(ext(5, 0, 90, 11), same), signet.Invalid},
		"past a known object":  {&signet.Write{Ino: 10, Extents: []signet.Extent{ext(1, 0, 100, 901)}}, signet.Invalid},
		"unknown object":       {&signet.Write{Ino: 10, Extents: []signet.Extent{ext(6, 0, 100, 0)}}, signet.Stale},
		"dead object":          {&signet.Write{Ino: 10, Extents: []signet.Extent{ext(9, 0, 100, 0)}}, signet.Stale},
		"dead object, new row": {&signet.Write{Ino: 10, Extents: []signet.Extent{ext(9, 0, 100, 0)}, Objects: []signet.Object{w.object(9, 1000)}}, signet.Stale},
		"not sorted":           {&signet.Write{Ino: 10, Extents: []signet.Extent{ext(1, 500, 10, 0), ext(1, 0, 10, 0)}}, signet.Invalid},
		"overlapping":          {&signet.Write{Ino: 10, Extents: []signet.Extent{ext(1, 0, 10, 0), ext(1, 9, 10, 0)}}, signet.Invalid},
		"row of another":       {named(ext(1, 0, 10, 0), same), signet.Invalid},
		"row of none":          {&signet.Write{Ino: 10, Size: 1, Objects: []signet.Object{w.object(5, 1)}}, signet.Invalid},
		"row twice":            {&signet.Write{Ino: 10, Extents: []signet.Extent{ext(5, 0, 10, 0)}, Objects: []signet.Object{w.object(5, 10), w.object(5, 10)}}, signet.Invalid},
		"no host like that":    {named(ext(5, 0, 10, 0), func(o *signet.Object) { o.Hosts = []signet.HostID{2} }), signet.Invalid},
		"host twice":           {named(ext(5, 0, 10, 0), func(o *signet.Object) { o.Hosts = []signet.HostID{1, 1} }), signet.Invalid},
		"unknown form":         {named(ext(5, 0, 10, 0), func(o *signet.Object) { o.Form = 9 }), signet.Invalid},
		"huge object":          {named(ext(5, 0, 10, 0), func(o *signet.Object) { o.Size = signet.MaxObject + 1 }), signet.Invalid},
		"put in the future":    {named(ext(5, 0, 10, 0), func(o *signet.Object) { o.Put = at + 1000 }), signet.Invalid},
		"ring of the future":   {named(ext(5, 0, 10, 0), func(o *signet.Object) { o.Ring = at + 1000 }), signet.Invalid},
		"ring before ours":     {named(ext(5, 0, 10, 0), func(o *signet.Object) { o.Ring = 0 }), signet.Stale},
		"empty hole":           {&signet.Write{Ino: 10, Punch: []signet.Hole{{Off: 1}}}, signet.Invalid},
		"hole past the end":    {&signet.Write{Ino: 10, Punch: []signet.Hole{{Off: 1, Len: math.MaxInt64}}}, signet.Invalid},
	} {
		w.unchanged(name, func() {
			if got := w.do(c.c); got.Err != c.want {
				t.Errorf("%s: %v, want %v", name, got.Err, c.want)
			}
		})
	}
	w.check()
}

// many writes n extents of one byte with gaps, from off on.
func (w *world) many(ino signet.Ino, n int, off uint64) {
	w.t.Helper()
	const each = 3000
	for n > 0 {
		k := min(n, each)
		c := &signet.Write{Ino: ino, Mtime: w.time()}
		for range k {
			c.Extents = append(c.Extents, signet.Extent{Off: off, Len: 1, Object: testAddress(200), ObjectOff: uint32(off)})
			off += 2
		}
		c.Objects = []signet.Object{w.object(200, signet.MaxObject)}
		w.ok(c)
		n -= k
	}
}

func TestLargeTruncation(t *testing.T) {
	w := made(t)
	w.file(1, "f", 2)
	w.file(1, "g", 3)
	w.put(2, 1, 0, 1<<20)
	w.many(2, 6000, 1<<20)
	w.many(3, 10, 0)
	w.check()
	cut := func(size uint64) *signet.SetAttr {
		return &signet.SetAttr{Ino: 2, Set: signet.SetSize, Size: size, Time: w.time()}
	}
	res := w.ok(cut(1<<20 + 101))
	if !res.More || res.Attr.Size != 1<<20+101 {
		t.Fatalf("%+v", res)
	}
	w.check()
	if got := w.extents(2); strings.Count(got, " ") != 51 { // the large one and those below the cut
		t.Error(strings.Count(got, " "))
	}
	// What lies below can be written, what was cut cannot yet; nor can the file grow.
	w.ok(&signet.Write{Ino: 2, Extents: []signet.Extent{{Off: 1 << 20, Len: 3, Inline: []byte("i")}}, Mtime: w.time()})
	w.check()
	w.unchanged("while draining", func() {
		w.want(&signet.Write{Ino: 2, Extents: []signet.Extent{{Off: 1<<20 + 100, Len: 3, Inline: []byte("i")}}}, signet.Draining)
		w.want(&signet.Write{Ino: 2, Size: 1 << 30}, signet.Draining)
		w.want(&signet.Write{Ino: 2, Punch: []signet.Hole{{Off: 0, Len: 10}}}, signet.Draining)
		w.want(cut(1<<21), signet.Draining)
	})
	// A deeper truncation joins the one that is pending.
	if res = w.ok(cut(1000)); !res.More {
		t.Fatalf("%+v", res)
	}
	if got := w.extents(2); got != "0+1000@1:0" {
		t.Error(got)
	}
	w.check()
	steps := 0
	for res.More {
		res = w.ok(&signet.Drain{Ino: 2})
		steps++
		w.check()
	}
	if a := w.attr(2); a.Bytes != 1000 || steps < 5 || steps > 20 || w.refs(200) != 10 {
		t.Errorf("%+v after %d steps, %d", a, steps, w.refs(200))
	}
	if res = w.ok(&signet.Drain{Ino: 2}); res.More {
		t.Error("a drain of nothing leaves more")
	}
	w.put(2, 2, 1<<20, 100)
	w.check()
}

func TestLargePunch(t *testing.T) {
	w := made(t)
	w.file(1, "f", 2)
	w.many(2, 6000, 0)
	w.put(2, 1, 12_000, 1000)
	res := w.ok(&signet.Write{Ino: 2, Punch: []signet.Hole{{Off: 100, Len: 12_400}}, Mtime: w.time()})
	if !res.More || res.Attr.Size != 13_000 {
		t.Fatalf("%+v", res)
	}
	if got := w.extents(2); strings.Count(got, " ") != 50 || !strings.HasSuffix(got, " 12500+500@1:500") {
		t.Error(got)
	}
	w.check()
	// Growing is fine: the hole ends before the end of the file.
	w.ok(&signet.SetAttr{Ino: 2, Set: signet.SetSize, Size: 20_000, Time: w.time()})
	w.put(2, 3, 15_000, 10)
	w.want(&signet.SetAttr{Ino: 2, Set: signet.SetSize, Size: 14_000, Time: w.time()}, signet.Draining)
	w.want(&signet.Write{Ino: 2, Punch: []signet.Hole{{Off: 14_000, Len: 1}}}, signet.Draining)
	// A truncation into the hole swallows it.
	if res = w.ok(&signet.SetAttr{Ino: 2, Set: signet.SetSize, Size: 12_200, Time: w.time()}); !res.More {
		t.Fatalf("%+v", res)
	}
	w.check()
	for res.More {
		res = w.ok(&signet.Drain{Ino: 2})
		w.check()
	}
	if got := w.extents(2); strings.Count(got, " ") != 49 || w.attr(2).Bytes != 50 || w.refs(200) != 50 {
		t.Error(got)
	}
}

func TestTooManyRowsUnderAWrite(t *testing.T) {
	w := made(t)
	w.file(1, "f", 2)
	w.many(2, 9000, 0)
	o := w.object(1, signet.MaxObject)
	write := func(off uint64, n uint32) *signet.Write {
		return &signet.Write{Ino: 2, Extents: []signet.Extent{{Off: off, Len: n, Object: o.Address}}, Objects: []signet.Object{o}, Mtime: w.time()}
	}
	w.unchanged("too much at once", func() { w.want(write(0, 18_000), signet.TooBig) })
	for off := range uint64(4) {
		w.ok(write(off*4500, 4500))
	}
	if got := w.extents(2); strings.Count(got, " ") != 3 || w.refs(200) != 0 {
		t.Error(got)
	}
	w.check()
}

func TestReapInSteps(t *testing.T) {
	w := made(t)
	w.file(1, "f", 2)
	w.many(2, 5000, 0)
	w.ok(&signet.SetXattr{Ino: 2, Name: []byte("n"), Value: []byte("v"), Time: w.time()})
	w.ok(&signet.Remove{Parent: 1, Name: []byte("f"), Time: w.time()})
	steps := 0
	for res := w.ok(&Reap{Ino: 2}); res.More; steps++ {
		w.check()
		w.unchanged("half reaped", func() {
			w.want(&signet.SetAttr{Ino: 2, Set: signet.SetUID}, signet.NotFound)
			w.want(&signet.Write{Ino: 2, Size: 1}, signet.NotFound)
		})
		w.read(func(r *Reader) {
			if _, err := r.Attr(2); signet.KindOf(err) != signet.NotFound {
				t.Error(err)
			}
		})
		res = w.ok(&Reap{Ino: 2})
	}
	w.check()
	if c := w.counters(); steps < 2 || c.Inodes != 1 || c.Bytes != 0 || c.Dead != 1 {
		t.Errorf("%d steps, %+v", steps, c)
	}
}

func TestCollect(t *testing.T) {
	w := made(t)
	w.file(1, "f", 2)
	fill := func(n byte) { w.put(2, n, 0, 1000) }
	fill(1)
	late := w.object(8, 10) // put now, named after the collection
	fill(2)                 // 1 is dead
	horizon, _ := w.s.Applied()
	fill(3) // 2 is dead
	w.read(func(r *Reader) {
		var got []DeadObject
		_ = r.Dead(horizon, func(d DeadObject) bool { got = append(got, d); return true })
		if len(got) != 1 || got[0] != (DeadObject{horizon, testAddress(1), 1064}) {
			t.Errorf("%+v", got)
		}
	})
	w.want(&Collect{Horizon: 1 << 40}, signet.Invalid)
	w.want(&Collect{Horizon: horizon, Addresses: make([]signet.Address, MaxPlaced+1)}, signet.TooBig)
	w.ok(&Collect{Horizon: horizon, Addresses: []signet.Address{testAddress(1), testAddress(2), testAddress(3), testAddress(77)}})
	if e := w.step.Effects; len(e.Collected) != 1 || e.Collected[0].Object.Address != testAddress(1) || !e.Horizon {
		t.Errorf("%+v", e)
	}
	w.check()
	if c := w.counters(); c.Dead != 1 || c.Objects != 1 || c.Horizon != horizon {
		t.Errorf("%+v", c)
	}
	write := &signet.Write{Ino: 2, Extents: []signet.Extent{{Off: 5000, Len: 10, Object: late.Address}}, Objects: []signet.Object{late}, Mtime: w.time()}
	w.want(write, signet.Stale)
	write.Objects[0].Put = horizon - 1
	w.want(write, signet.Stale)
	write.Objects[0].Put = horizon // put again
	w.ok(write)
	w.ok(&Collect{Horizon: 1}) // a horizon never falls
	if c := w.counters(); c.Horizon != horizon || w.step.Effects.Horizon {
		t.Errorf("%+v", c)
	}
	w.check()
}

func TestPlaced(t *testing.T) {
	w := made(t)
	w.host(2)
	w.host(3)
	w.file(1, "f", 2)
	a := testAddress(1)
	w.put(2, 1, 0, 100)
	hosts := func() (out []signet.HostID) {
		w.read(func(r *Reader) {
			o, err := r.Object(a)
			if err != nil {
				t.Fatal(err)
			}
			arc, err := r.Arc(signet.ArcOf(a.ArcKey(), 16))
			if err != nil {
				t.Fatal(err)
			}
			out = Holders(&o, &arc)
		})
		w.check()
		return out
	}
	want := func(short uint64, want ...signet.HostID) {
		t.Helper()
		if got := hosts(); !slices.Equal(got, want) || w.counters().Short != short {
			t.Errorf("hosts %v, short %d; want %v, %d", got, w.counters().Short, want, short)
		}
	}
	want(0, 1)
	w.ok(&Placed{Host: 2, Addresses: []signet.Address{a, testAddress(9)}})
	want(1, 1, 2)
	w.read(func(r *Reader) {
		n := 0
		_ = r.Short(signet.Address{}, func(o signet.Object) bool { n++; return o.Address == a })
		_ = r.Short(a, func(o signet.Object) bool { n += 10; return true })
		if n != 1 {
			t.Error(n)
		}
	})
	w.ok(&Placed{Host: 1, Gone: true, Addresses: []signet.Address{a}})
	want(1, 2)
	w.ok(&Placed{Host: 2, Gone: true, Addresses: []signet.Address{a}})
	want(1) // lost
	w.ok(&Placed{Host: 3, Gone: true, Addresses: []signet.Address{a}})
	want(1)
	w.ok(&Placed{Host: 1, Addresses: []signet.Address{a}}) // found again, where it belongs
	want(0, 1)
	w.ok(&Placed{Host: 1, Addresses: []signet.Address{a}})
	w.ok(&Placed{Host: 3, Gone: true, Addresses: []signet.Address{a}})
	want(0, 1)
	w.want(&Placed{Host: 9, Addresses: []signet.Address{a}}, signet.NotFound)
	w.want(&Placed{Host: 1, Addresses: make([]signet.Address, MaxPlaced+1)}, signet.TooBig)
}
