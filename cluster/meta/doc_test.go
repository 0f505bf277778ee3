package meta

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestDoc holds docs/tables.md against the code: its example rows, and that no kind
// and no table is missing or has another number.
func TestDoc(t *testing.T) {
	b, err := os.ReadFile("../../docs/tables.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	_, rest, _ := strings.Cut(page, "```rows\n")
	rows, _, ok := strings.Cut(rest, "```")
	if want, err := os.ReadFile("testdata/rows.golden"); err != nil || !ok || rows != string(want) {
		t.Errorf("the rows of the page are not those of testdata/rows.golden, %v", err)
	}
	for _, c := range samples() {
		k := kindOf(c)
		if line := fmt.Sprintf("\n| %d | %s | ", k, reflect.TypeOf(c).Elem().Name()); !strings.Contains(page, line) {
			t.Errorf("no line %q", line)
		}
	}
	if strings.Contains(page, fmt.Sprintf("\n| %d | ", kindEnd)) {
		t.Error("a kind too many")
	}
	names := strings.Fields("meta inodes names targets xattrs extents objects short dead orphans policies slots sessions answers hosts keys arcs tokens features cuts locks lockers waits")
	if len(names) != int(tableWaits) {
		t.Errorf("%d names of tables", len(names))
	}
	for i, name := range names {
		if line := fmt.Sprintf("\n| %d %s | ", i+1, name); !strings.Contains(page, line) {
			t.Errorf("no line %q", line)
		}
	}
}
