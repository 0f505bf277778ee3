package meta

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/signetfs/signet"
	"pgregory.net/rapid"
)

// TestCrash takes the disk as a power cut leaves it, at random moments, replays the
// log from where the tables say they are, and must arrive where it was.
func TestCrash(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mem := vfs.NewCrashableMem()
		w := rapidWorld(rt, t, mem)
		m := newModel()
		digests := map[signet.Index]signet.Digest{0: {}}
		at := func() { i, d := w.s.Applied(); digests[i] = d }
		at()
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			c, _ := m.command(rt, w.time())
			w.do(c)
			at()
			if rapid.IntRange(0, 9).Draw(rt, "flush") == 0 {
				p, err := w.s.Flush()
				if err != nil || p != w.s.Position() || p != w.s.Durable() {
					rt.Fatalf("flushed to %+v of %+v, %v", p, w.s.Position(), err)
				}
			}
		}
		durable := w.s.Durable()
		want, end := w.rows(), w.s.Position()
		seed := rapid.Uint64().Draw(rt, "seed")
		after := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rapid.IntRange(0, 100).Draw(rt, "kept"),
			RNG: rand.New(rand.NewPCG(seed, seed))})
		if err := w.s.Close(); err != nil {
			rt.Fatal(err)
		}

		again := &world{t: w.t, fs: after}
		again.open()
		defer again.s.Close()
		p := again.s.Position()
		if d, known := digests[p.Index]; p.Index < durable.Index || known && d != p.Digest {
			rt.Fatalf("came back at %+v, durable was %+v", p, durable)
		}
		st, err := again.s.Prepare(w.log)
		if err != nil {
			rt.Fatal(err)
		}
		if len(st.Digests) != len(w.log)-int(p.Index) {
			rt.Fatalf("%d entries replayed of %d from %d on", len(st.Digests), len(w.log), p.Index)
		}
		if err := again.s.Publish(st); err != nil {
			rt.Fatal(err)
		}
		if got := again.s.Position(); got != end || !maps.Equal(again.rows(), want) {
			rt.Fatalf("arrived at %+v instead of %+v", got, end)
		}
	})
}

func TestFlushedByItself(t *testing.T) {
	w := tree(t)
	value := make([]byte, signet.MaxXattrValue)
	for i := range 2 * writeBuffer / signet.MaxXattrValue {
		value[i%len(value)]++ // to set it to what it is would change nothing
		w.ok(&signet.SetXattr{Ino: 10, Name: []byte("n"), Value: value, Time: w.time()})
	}
	<-w.s.Flushed()
	if p := w.s.Durable(); p.Index == 0 || p.Index > w.s.Position().Index {
		t.Errorf("%+v", p)
	}
}

func TestCheckpoint(t *testing.T) {
	w := tree(t)
	w.put(10, 1, 0, 1000)
	at := w.s.Position()
	want := w.rows()
	p, err := w.s.Checkpoint("copy")
	if err != nil || p != at {
		t.Fatalf("%+v instead of %+v, %v", p, at, err)
	}
	if _, err := w.s.Checkpoint("copy"); err == nil {
		t.Error("a checkpoint over another")
	}
	w.file(1, "later", 50)
	// What a follower gets: the files, by whatever way, in a directory of its own.
	names, err := w.fs.List("copy")
	if err != nil {
		t.Fatal(err)
	}
	fs := vfs.NewMem()
	if err := fs.MkdirAll("tables", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if err := vfs.CopyAcrossFS(w.fs, "copy/"+n, fs, "tables/"+n); err != nil {
			t.Fatal(err)
		}
	}
	other := &world{t: t, fs: fs}
	other.open()
	defer other.s.Close()
	if got := other.s.Position(); got != at || got != other.s.Durable() || !maps.Equal(other.rows(), want) {
		t.Errorf("%+v instead of %+v, durable %+v", got, at, other.s.Durable())
	}
	st, err := other.s.Prepare(w.log)
	if err != nil || st.End != w.s.Position() {
		t.Errorf("%+v, %v", st, err)
	}
	if err := other.s.Publish(st); err != nil {
		t.Error(err)
	}
	other.check()
}

func TestMembersAndEmptyEntries(t *testing.T) {
	w := made(t)
	next := func(e Entry) {
		t.Helper()
		e.Index = signet.Index(len(w.log) + 1)
		w.log = append(w.log, e)
		st, err := w.s.Prepare([]Entry{e})
		if err != nil {
			t.Fatal(err)
		}
		w.read(func(r *Reader) {
			if at, _ := r.Index(); at != e.Index-1 {
				t.Errorf("prepared is visible: %d", at)
			}
		})
		if _, err := w.s.Prepare(nil); signet.KindOf(err) != signet.Invalid {
			t.Errorf("two steps at once: %v", err)
		}
		if err := w.s.Publish(st); err != nil {
			t.Fatal(err)
		}
		if err := w.s.Publish(st); signet.KindOf(err) != signet.Invalid {
			t.Errorf("published twice: %v", err)
		}
	}
	members := func() (b []byte) {
		w.read(func(r *Reader) {
			var err error
			if b, err = r.Members(); err != nil {
				t.Fatal(err)
			}
		})
		return b
	}
	if members() != nil {
		t.Error("members of nobody")
	}
	_, before := w.s.Applied()
	next(Entry{Term: 2})
	next(Entry{Term: 2, Members: []byte("one")})
	next(Entry{Term: 3, Data: EncodeEntry(nil)})
	at, digest := w.s.Applied()
	if string(members()) != "one" || digest == before || int(at) != len(w.log) || w.s.Position().Term != 3 {
		t.Errorf("%s, %d", members(), at)
	}
}

// TestReadersStayPut holds readers over changes, and opens many while steps are
// being published: each must show the state at its index and no other.
func TestReadersStayPut(t *testing.T) {
	w := made(t)
	early := w.s.Reader(1)
	defer early.Close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := w.s.Reader(1)
				at, err := r.Index()
				a, err2 := r.Attr(1)
				p, err3 := fetch(r, metaKey(0, rowApplied), codePosition)
				r.Close()
				// The world makes one file with each entry after the third.
				if err := errors.Join(err, err2, err3); err != nil || int(at) != int(a.Size)+3 || p.Index != at {
					t.Errorf("at %d (%d): %d entries, %v", at, p.Index, a.Size, err)
					return
				}
			}
		})
	}
	for i := range 2000 {
		w.file(1, fmt.Sprint("f", i), signet.Ino(2+i))
	}
	close(stop)
	wg.Wait()
	if at, _ := early.Index(); at != 3 {
		t.Errorf("moved to %d", at)
	}
	if a, err := early.Attr(1); a.Size != 0 || err != nil {
		t.Errorf("%+v, %v", a, err)
	}
	w.s.turn.Add(1) // as while a step is being published: the position must come from the tables
	late := w.s.Reader(1)
	if at, err := late.Index(); late.at != nil || at != 2003 || err != nil {
		t.Errorf("%v, %d, %v", late.at, at, err)
	}
	w.s.turn.Add(1)
	late.Close()
	late.Close()
	if _, err := late.Attr(1); signet.KindOf(err) != signet.Closed {
		t.Error(err)
	}
	if err := late.ReadDir(1, nil, nil); signet.KindOf(err) != signet.Closed {
		t.Error(err)
	}
}

func TestReadDirFrom(t *testing.T) {
	w := made(t)
	var want []string
	for i, n := range []string{"a", "a\x00", "ab", "b", "\xff", "\xff\xff"} {
		w.file(1, n, signet.Ino(10+i))
		want = append(want, n)
	}
	w.dir(1, "c", 2)
	w.file(2, "other", 20)
	want = append(want, "c")
	slices.Sort(want)
	w.read(func(r *Reader) {
		var got []string
		after := []byte(nil)
		for {
			more := false
			if err := r.ReadDir(1, after, func(e signet.Entry) bool {
				got, after, more = append(got, string(e.Name)), append([]byte(nil), e.Name...), true
				return false
			}); err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		if p, err := r.Parent(2); p != 1 || err != nil {
			t.Errorf("%d, %v", p, err)
		}
		if _, err := r.Parent(20); signet.KindOf(err) != signet.NotDir {
			t.Error(err)
		}
	})
}

// TestGrouping applies one log in entries of many commands, one entry and many
// entries in a step, and compares what every entry leaves.
func TestGrouping(t *testing.T) {
	w := made(t)
	entries := append(slices.Clone(w.log), w.creates(2, 1200, 7)...)
	w.apply(entries, 1)
	var want []signet.Digest
	for _, per := range []int{1, 2, 50, len(entries)} {
		other := empty(t, vfs.NewMem())
		var got []signet.Digest
		for rest := entries; len(rest) > 0; rest = rest[min(per, len(rest)):] {
			st, err := other.s.Prepare(rest[:min(per, len(rest))])
			if err == nil {
				err = other.s.Publish(st)
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, st.Digests...)
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) || other.s.Position() != w.s.Position() {
			t.Errorf("%d entries in a step: other digests", per)
		}
	}
}

func TestStops(t *testing.T) {
	for name, e := range map[string]Entry{
		"unknown":  {Index: 4, Data: EncodeEntry([][]byte{{0x98, 1, 1, 1, 1, 1, 0xcd, 0x70, 0, 1, 0x91, 2}})},
		"garbage":  {Index: 4, Data: EncodeEntry([][]byte{{1, 2, 3}})},
		"no entry": {Index: 4, Data: []byte{0xc0}},
		"gap":      {Index: 6},
	} {
		t.Run(name, func(t *testing.T) {
			var told []error
			w := empty(t, vfs.NewMem())
			w.s.opts.Failed = func(err error) { told = append(told, err) }
			w.make()
			before := w.s.Position()
			_, err := w.s.Prepare([]Entry{e})
			if err == nil || errors.Is(err, ErrUnknown) != (name == "unknown") {
				t.Fatal(err)
			}
			if _, again := w.s.Prepare(nil); again != err || w.s.Err() != err || len(told) != 1 {
				t.Errorf("%v, told %v", again, told)
			}
			if w.s.Position() != before {
				t.Error("moved")
			}
			w.check() // readers go on
		})
	}
}

func TestNewerTables(t *testing.T) {
	w := made(t)
	var c coder
	codePosition(&c, &Position{Index: 9})
	b := c.enc.Buf()
	b[1] = rowVersion + 1
	batch := w.s.db.NewBatch()
	_ = batch.Set(metaKey(0, rowApplied), b, nil)
	w.s.pending = &Step{batch: batch, End: w.s.Position()}
	if err := w.s.Publish(w.s.pending); err != nil {
		t.Fatal(err)
	}
	_ = w.s.Close() // it cannot say how far it got
	w.s = nil
	if _, err := Open(Options{FS: w.fs, Dir: "tables"}); signet.KindOf(err) != signet.WrongVersion {
		t.Fatal(err)
	}
}

// TestDiskFails lets every write to the disk fail from some moment on.
func TestDiskFails(t *testing.T) {
	mem := vfs.NewMem()
	var broken sync.Map
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if _, ok := broken.Load("now"); ok && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errorfs.ErrInjected
		}
		return nil
	}))
	failed := make(chan error, 1)
	s, err := Open(Options{FS: fs, Dir: "tables", Failed: func(err error) { failed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, s: s, now: 1}
	w.make()
	broken.Store("now", true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.Flush()
	}()
	if err := <-failed; !errors.Is(err, errorfs.ErrInjected) {
		t.Error(err)
	}
	if _, err := s.Prepare(nil); err == nil {
		t.Error("goes on")
	}
	broken.Delete("now")
	<-done
	_ = s.Close()
}

// FuzzApply holds that no entry makes Prepare panic, and that what it accepts leaves
// tables that hold together.
func FuzzApply(f *testing.F) {
	var all [][]byte
	for _, c := range samples() {
		g := signet.DefaultVolume
		b, err := EncodeEnvelope(&Envelope{Group: g, Session: 2, Request: 3, Lowest: 3, Command: c})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(EncodeEntry([][]byte{b}))
		all = append(all, b)
	}
	f.Add(EncodeEntry(all))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := made(t)
		w.file(1, "f", 2)
		w.dir(1, "d", 300)
		st, err := w.s.Prepare([]Entry{{Index: signet.Index(len(w.log) + 1), Term: 1, Data: data}})
		if err != nil {
			if k := signet.KindOf(err); k != signet.WrongVersion && k != signet.BadMessage {
				t.Fatal(err)
			}
			return
		}
		if err := w.s.Publish(st); err != nil {
			t.Fatal(err)
		}
		w.check()
	})
}
