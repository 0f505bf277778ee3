package meta

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
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
			name = fmt.Sprintf("directory %08d", ino)
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

// cpuTime is what this process has used of processors, its background work too: on a
// machine with other work it says more than the time of day.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
			before := cpuTime(b)
			w.apply(entries, 1)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
			b.ReportMetric(float64(cpuTime(b)-before)/1e3/float64(b.N), "cpu-us/op")
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
	before := cpuTime(b)
	for i := range b.N {
		n := i * 7919 % files
		dir, name := signet.Ino(2+n/1000*1000), fmt.Appendf(nil, "a sealed name of usual length %08d", n)
		if n%1000 == 0 {
			dir, name = signet.RootIno, fmt.Appendf(nil, "directory %08d", 2+n)
		}
		r := w.s.Reader(signet.DefaultVolume)
		e, err := r.Lookup(dir, name)
		if err == nil {
			_, err = r.Attr(e.Ino)
		}
		r.Close()
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
	b.ReportMetric(float64(cpuTime(b)-before)/1e3/float64(b.N), "cpu-us/op")
}

var tables = flag.String("tables", "", "directory of the tables that TestResident is about")

// BenchmarkMemory measures what a process holds that serves tables of so many inodes:
// another one makes them, so that its past does not count.
//
//	go test -run - -bench Memory -benchtime 1x ./cluster/meta
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			b.Chdir(dir)
			w := empty(b, vfs.Default)
			w.make()
			w.ok(&GrantInodes{Count: 1_000_000})
			for first := 0; first < n; first += 10_000 {
				w.apply(w.creates(signet.Ino(2+first), 10_000, 100), 10)
				for i := range w.log {
					w.log[i].Data = nil // the log is not what is measured
				}
			}
			if err := w.s.Close(); err != nil {
				b.Fatal(err)
			}
			w.s = nil
			out, err := exec.Command(os.Args[0], "-test.run=^TestResident$", "-test.v", "-tables="+dir).CombinedOutput()
			if err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			var mib float64
			_, line, _ := bytes.Cut(out, []byte("resident:"))
			if _, err := fmt.Sscan(string(line), &mib); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			b.ReportMetric(mib, "resident-MiB")
		})
	}
}

// TestResident is the other process of BenchmarkMemory: it makes and reads files in
// the tables it is given, the same number whatever they hold, and prints what it takes.
func TestResident(t *testing.T) {
	if *tables == "" {
		return
	}
	t.Chdir(*tables)
	w := empty(t, vfs.Default)
	at, _ := w.s.Applied()
	w.log = make([]Entry, at)
	held := w.counters()
	w.session = signet.SessionID(w.cluster(&OpenSession{Host: 1, Start: 2}, signet.OK).Index)
	w.apply(w.creates(signet.Ino(held.Inodes+1), 50_000, 100), 1)
	for i := range uint64(500_000) {
		w.attr(signet.Ino(2 + i*7919%(held.Inodes-1)))
	}
	debug.FreeOSMemory()
	fmt.Printf("resident: %.1f MiB with %d inodes, %d MiB on disk\n", resident(t), held.Inodes, w.s.db.Metrics().DiskSpaceUsage()>>20)
}

// resident is the process's resident memory in MiB.
func resident(tb testing.TB) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	var kib float64
	_, line, _ := bytes.Cut(status, []byte("VmRSS:"))
	if _, err := fmt.Sscan(string(line), &kib); err != nil {
		tb.Fatal(err)
	}
	return kib / 1024
}
