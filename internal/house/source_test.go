package house_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path of our module, as in go.mod.
const module = "github.com/signetfs/signet"

// source is one Go file of the module.
type source struct {
	name  string // slash-separated, relative to the module's root
	lines int
	fset  *token.FileSet
	file  *ast.File
}

// room is the directory of the file's package; the root package's is "".
func (s *source) room() string {
	if d := path.Dir(s.name); d != "." {
		return d
	}
	return ""
}

func (s *source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

func (s *source) isGenerated() bool { return ast.IsGenerated(s.file) }

// under says whether the file lies in one of the rooms or below it.
func (s *source) under(rooms ...string) bool {
	for _, r := range rooms {
		if s.room() == r || strings.HasPrefix(s.room(), r+"/") {
			return true
		}
	}
	return false
}

// breach returns the text of a breach at pos.
func (s *source) breach(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", s.name, s.fset.Position(pos).Line, fmt.Sprintf(format, args...))
}

// imported returns the file's imports as a map from local name to path. Names that
// the file does not give are guessed from the path, which is right for the packages
// that the rules speak of.
func (s *source) imported() map[string]string {
	m := make(map[string]string)
	for _, im := range s.file.Imports {
		p, err := strconv.Unquote(im.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(p)
		if v := path.Base(path.Dir(p)); len(name) > 1 && name[0] == 'v' && name[1] >= '0' && name[1] <= '9' {
			name = v // math/rand/v2
		}
		if im.Name != nil {
			name = im.Name.Name
		}
		m[name] = p
	}
	return m
}

// parse makes a source of a text.
func parse(name string, text []byte) (*source, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	n := strings.Count(string(text), "\n")
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return &source{name: name, lines: n, fset: fset, file: f}, nil
}

// house returns every Go file of the module.
func house(t *testing.T) []*source {
	t.Helper()
	all, err := readAll()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// readAll parses every Go file of the module, once, but those of nested modules, of
// testdata, and below dot or underscore directories.
var readAll = sync.OnceValues(func() ([]*source, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	var all []*source
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(root, p, d.Name())
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(rel), text)
		all = append(all, s)
		return err
	})
	if err == nil && len(all) < 8 {
		err = fmt.Errorf("found %d Go files below %s: this cannot be the whole module", len(all), root)
	}
	return all, err
})

func skipDir(root, p, name string) error {
	if p == root {
		return nil
	}
	if name == "testdata" || name == "demo" || name == "bin" || name[0] == '.' || name[0] == '_' {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// rule finds the breaches of one house rule in a file.
type rule func(*source) []string

// enforce reports every breach in the module.
func enforce(t *testing.T, r rule) {
	t.Helper()
	for _, s := range house(t) {
		for _, b := range r(s) {
			t.Error(b)
		}
	}
}

// sample is a file that a rule must find a number of breaches in.
type sample struct {
	name string // of the file
	text string
	want int
}

// bites proves that a rule finds what it is there to find.
func bites(t *testing.T, r rule, samples []sample) {
	t.Helper()
	for _, c := range samples {
		s, err := parse(c.name, []byte(c.text))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := r(s); len(got) != c.want {
			t.Errorf("%s:\n%s\nfound %d breaches, want %d: %q", c.name, c.text, len(got), c.want, got)
		}
	}
}
