//go:build faults

package tap_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signetfs/signet/internal/tap"
)

func TestReader(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SIGNET_TAP", dir)
	for _, s := range []string{"one", "another"} {
		if b, err := io.ReadAll(tap.Reader(strings.NewReader(s))); string(b) != s || err != nil {
			t.Fatalf("read %q, %v", b, err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	got := ""
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got += string(b)
	}
	if got != "oneanother" && got != "anotherone" {
		t.Errorf("%d files hold %q", len(files), got)
	}
}
