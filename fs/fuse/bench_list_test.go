package fuse

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/signetfs/signet/fs/fstest"
	"github.com/signetfs/signet/internal/need"
)

// BenchmarkList measures ls -l of a directory with 10,000 files: for the first time, when
// the kernel knows nothing of them, and again. ls asks for each file's ACL.
func BenchmarkList(b *testing.B) {
	need.Root(b)
	need.FUSE(b)
	m, err := New(b.Context(), fstest.NewVolume(b).Mount().FS, options(openDir(b)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { endMount(b, m) })
	dir := filepath.Join(m.Path(), "d")
	must(b, "mkdir", dir)
	for i := range 10_000 {
		f, err := os.Create(fmt.Sprintf("%s/file-%d", dir, i))
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
	var first, again time.Duration
	for b.Loop() {
		must(b, "sh", "-c", "echo 2 >/proc/sys/vm/drop_caches")
		if err := m.server.DropNames(); err != nil {
			b.Fatal(err)
		}
		for _, took := range []*time.Duration{&first, &again} {
			t := time.Now()
			must(b, "sh", "-c", `ls -l "$1" >/dev/null`, "sh", dir)
			*took += time.Since(t)
		}
	}
	b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "ms/first")
	b.ReportMetric(float64(again.Milliseconds())/float64(b.N), "ms/again")
}
