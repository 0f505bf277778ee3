package meta

import (
	"fmt"
	"testing"

	"github.com/signetfs/signet"
)

// creates returns log entries that make n files in directories of 1,000, with batch
// commands each.
func (w *world) creates(first signet.Ino, n, batch int) []Entry {
	var entries []Entry
	var raw [][]byte
	index := signet.Index(len(w.log))
	dir := signet.RootIno
	ino := first
	flush := func() {
		if len(raw) > 0 {
			index++
			entries = append(entries, Entry{Index: index, Term: 1, Data: EncodeEntry(raw)})
			raw = nil
		}
	}
	for i := range n {
		mode, parent, name := uint32(signet.ModeRegular|0o644), dir, fmt.Sprintf("a sealed name of usual length %08d", i)
		if i%1000 == 0 {
			mode, parent = signet.ModeDir|0o755, signet.RootIno
			dir = ino
		}
		w.request++
		raw = append(raw, encode(w.t, Envelope{signet.DefaultVolume, w.session, w.request, w.request,
			w.create(parent, name, ino, mode)}))
		ino++
		if len(raw) == batch {
			flush()
		}
	}
	flush()
	w.log = append(w.log, entries...)
	return entries
}

// apply applies entries, per of them in a step.
func (w *world) apply(entries []Entry, per int) {
	w.t.Helper()
	for len(entries) > 0 {
		n := min(per, len(entries))
		st, err := w.s.Prepare(entries[:n])
		if err == nil {
			err = w.s.Publish(st)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		for _, a := range st.Answers {
			if a.Result.Err != signet.OK {
				w.t.Fatalf("%+v", a)
			}
		}
		entries = entries[n:]
	}
}

// BenchmarkCreate measures Prepare and Publish: files created per second on one core,
// by how many commands share an entry.
func BenchmarkCreate(b *testing.B) {
	for _, batch := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("%d in an entry", batch), func(b *testing.B) {
			w := made(b)
			w.ok(&GrantInodes{Count: 1 << 30})
			entries := w.creates(2, b.N, batch)
			b.ReportAllocs()
			b.ResetTimer()
			w.apply(entries, 1)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
		})
	}
}

// BenchmarkLookup measures a name and its inode out of 100,000, with a reader each.
func BenchmarkLookup(b *testing.B) {
	w := made(b)
	const files = 100_000
	w.apply(w.creates(2, files, 256), 1)
	if _, err := w.s.Flush(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		n := i * 7919 % files
		dir := signet.Ino(2 + n/1000*1000)
		if n%1000 == 0 {
			dir = signet.RootIno
		}
		r := w.s.Reader(signet.DefaultVolume)
		e, err := r.Lookup(dir, fmt.Appendf(nil, "a sealed name of usual length %08d", n))
		if err == nil {
			_, err = r.Attr(e.Ino)
		}
		r.Close()
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
}
