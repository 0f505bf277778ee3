package fuse

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
	"github.com/signetfs/signet/internal/need"
)

// The benchmarks measure what this package and the kernel cost: "null" is a volume
// that does nothing, "memory" is package fs over a volume in memory. The work is done
// by another process (loadRole).

// null is a volume of one large file in which nothing is ever kept.
type null struct {
	*tiny
	ttl time.Duration
}

const nullSize = 1 << 40

func (v null) large(a signet.Attr) signet.Attr {
	if a.IsRegular() {
		a.Size = nullSize
	}
	return a
}

func (v null) Lookup(r *fs.Request, p signet.Ino, name string) (fs.Entry, error) {
	e, err := v.tiny.Lookup(r, p, name)
	return fs.Entry{Attr: v.large(e.Attr), EntryTTL: v.ttl, AttrTTL: v.ttl}, err
}

func (v null) GetAttr(r *fs.Request, ino signet.Ino) (signet.Attr, time.Duration, error) {
	a, _, err := v.tiny.GetAttr(r, ino)
	return v.large(a), v.ttl, err
}

func (v null) SetAttr(r *fs.Request, ino signet.Ino, _ fs.AttrChange) (signet.Attr, time.Duration, error) {
	return v.GetAttr(r, ino)
}

func (v null) Read(_ *fs.Request, _ fs.Handle, _ int64, dst []byte, _ uint32) (int, error) {
	return len(dst), nil
}

func (v null) Write(_ *fs.Request, _ fs.Handle, _ int64, data []byte, _ uint32) (int, error) {
	return len(data), nil
}

func BenchmarkNull(b *testing.B) {
	v := null{tiny: newTiny("file"), ttl: time.Hour}
	warm := mountTiny(b, v).Path()
	v.ttl = 0
	cold := mountTiny(b, v).Path()
	b.Run("stat/warm", load("stat", warm, 1, 0))
	b.Run("stat/lifetime-0", load("stat", cold, 1, 0))
	b.Run("stat/lifetime-0/threads-4", load("stat", cold, 4, 0))
	for _, size := range []int{4 << 10, 128 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("write/%dKiB", size>>10), load("write", warm, 1, size))
		b.Run(fmt.Sprintf("read/%dKiB", size>>10), load("read", warm, 1, size))
	}
}

func BenchmarkMemory(b *testing.B) {
	need.Root(b)
	need.FUSE(b)
	m, err := New(b.Context(), fstest.NewVolume(b).Mount().FS, options(openDir(b)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { endMount(b, m) })
	must(b, "dd", "if=/dev/zero", "of="+m.Path()+"/file", "bs=1M", "count=64", "conv=fsync", "status=none")
	b.Run("stat/warm", load("stat", m.Path(), 1, 0))
	b.Run("create", load("create", m.Path(), 1, 0))
	b.Run("create/threads-8", load("create", m.Path(), 8, 0))
	b.Run("write/1024KiB", load("write", m.Path(), 1, 1<<20))
	b.Run("read/1024KiB", load("read", m.Path(), 1, 1<<20))
}

// BenchmarkNotify measures what it costs to have the kernel forget.
func BenchmarkNotify(b *testing.B) {
	m := mountTiny(b, newTiny("file"))
	must(b, "cat", m.Path()+"/file")
	b.Run("names", func(b *testing.B) {
		for b.Loop() {
			m.server.DropNames()
		}
	})
	b.Run("attributes", func(b *testing.B) {
		for b.Loop() {
			m.server.DropAttr(100)
		}
	})
	b.Run("pages", func(b *testing.B) {
		for b.Loop() {
			m.server.DropPages(100, 0, 4096)
		}
	})
}

func load(kind, dir string, threads, size int) func(*testing.B) {
	return func(b *testing.B) {
		b.SetBytes(int64(size))
		cmd := selfIn("load", nil, "/proc/"+itoa(os.Getpid())+"/exe", kind, dir, itoa(threads), itoa(size), itoa(b.N))
		b.ResetTimer()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "/s")
	}
}

// loadRole does args[4] operations of the kind args[0] in the directory args[1] with
// args[2] threads and requests of args[3] bytes.
func loadRole(args []string) error {
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(args[2+i])
	}
	threads, size, count := n[0], n[1], n[2]
	var wg sync.WaitGroup
	errs := make([]error, threads)
	for t := range threads {
		wg.Go(func() { errs[t] = loadThread(args[0], args[1], t, size, count/threads+1) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func loadThread(kind, dir string, thread, size, count int) error {
	path := filepath.Join(dir, "file")
	if kind == "stat" {
		var st unix.Stat_t
		for range count {
			if err := unix.Stat(path, &st); err != nil {
				return err
			}
		}
		return nil
	}
	if kind == "create" {
		for i := range count {
			f, err := os.OpenFile(fmt.Sprintf("%s-%d-%d-%d", path, os.Getpid(), thread, i), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			if err != nil {
				return err
			}
			f.Close()
		}
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, size)
	for range count {
		if kind == "write" {
			_, err = f.Write(buf)
		} else if _, err = f.Read(buf); err == io.EOF {
			_, err = f.Seek(0, io.SeekStart)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
