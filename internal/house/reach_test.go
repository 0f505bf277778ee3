package house_test

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
)

// reach is a name of another package that only some rooms may use.
type reach struct {
	pkg   string         // import path
	name  *regexp.Regexp // of what is used of it
	rooms []string       // which may, with all below them
	tests bool           // tests may too
	why   string
}

var (
	waits  = regexp.MustCompile(`^(Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker)$`)
	limits = regexp.MustCompile(`^With(Timeout|Deadline)(Cause)?$`)
	errnos = regexp.MustCompile(`^E[A-Z0-9]+$`)
	files  = regexp.MustCompile(`^(Open|OpenFile|OpenInRoot|OpenRoot|Create|CreateTemp|ReadFile|WriteFile|ReadDir|Mkdir|MkdirAll|MkdirTemp|Rename|Remove|RemoveAll|Link|Symlink|Truncate|Chmod|Chtimes|Stat|Lstat|DirFS|CopyFS)$`)
	exits  = regexp.MustCompile(`^(Exit|Getenv|LookupEnv|Environ|Setenv|Unsetenv)$`)
	skips  = regexp.MustCompile(`^(Skip|Skipf|SkipNow)$`)
	// All but what takes or names a source that somebody seeded.
	draws = regexp.MustCompile(`^(Int|Uint|Float|NormFloat|ExpFloat|Perm|Shuffle|Seed|N$|Read)`)
	anyOf = regexp.MustCompile(`.`)
)

// reaches are the seams of the house: everything else gets its clock, randomness,
// dialer and disk handed in, so that a whole cluster runs in one process under a
// simulated world.
var reaches = []reach{
	{"time", waits, []string{"internal/clock", "internal/runtests", "cmd", "integration", "bench"}, true, "time comes from internal/clock"},
	{"context", limits, []string{"internal/clock", "internal/runtests", "cmd", "integration", "bench"}, true, "deadlines come from clock.WithTimeout"},
	{"crypto/rand", anyOf, []string{"cmd", "integration", "bench"}, true, "randomness is handed in as an io.Reader"},
	{"math/rand", draws, []string{"cmd", "integration", "bench"}, true, "randomness is handed in, seeded"},
	{"math/rand/v2", draws, []string{"cmd", "integration", "bench"}, true, "randomness is handed in, seeded"},
	{"syscall", errnos, []string{"fs/fuse", "internal/disk", "cmd", "integration"}, false, "errno lives at the edges, kinds inside"},
	{"golang.org/x/sys/unix", errnos, []string{"fs/fuse", "internal/disk", "cmd", "integration"}, false, "errno lives at the edges, kinds inside"},
	{"os", files, []string{"fs/fuse", "internal/disk", "internal/house", "internal/need", "internal/runtests", "internal/tap", "cmd", "integration", "bench"}, true, "only internal/disk opens files"},
	{"os", exits, []string{"fs/fuse", "internal/disk", "internal/need", "internal/runtests", "internal/tap", "cmd", "integration", "bench"}, true, "only commands read the environment or end the process"},
	{"net", regexp.MustCompile(`^(Dial.*|Dialer)$`), []string{"cmd", "integration", "bench"}, true, "the dialer is handed in"},
}

func TestReach(t *testing.T) {
	t.Parallel()
	enforce(t, reached)
	bites(t, reached, []sample{
		{"cluster/meta/apply.go", "package x\nimport \"time\"\nvar t = time.Now()\n", 1},
		{"cluster/meta/apply.go", "package x\nimport \"time\"\nvar t time.Duration = time.Second\n", 0},
		{"cluster/meta/apply.go", "package x\nimport tm \"time\"\nvar t = tm.Now()\n", 1},
		{"internal/clock/real.go", "package x\nimport \"time\"\nvar t = time.Now()\n", 0},
		{"fs/a.go", "package x\nimport \"context\"\nvar c, _ = context.WithTimeout(nil, 1)\n", 1},
		{"fs/a.go", "package x\nimport \"syscall\"\nvar e = syscall.ENOENT\n", 1},
		{"fs/a_test.go", "package x\nimport \"syscall\"\nvar e = syscall.ENOENT\n", 1},
		{"fs/a.go", "package x\nimport \"golang.org/x/sys/unix\"\nvar e = unix.EIO\n", 1},
		{"fs/fuse/errno.go", "package x\nimport \"syscall\"\nvar e = syscall.ENOENT\n", 0},
		{"crypto/a.go", "package x\nimport \"crypto/rand\"\nvar r = rand.Reader\n", 1},
		{"crypto/a_test.go", "package x\nimport \"crypto/rand\"\nvar r = rand.Reader\n", 0},
		{"wire/backoff.go", "package x\nimport \"math/rand/v2\"\nvar n = rand.IntN(3)\n", 1},
		{"wire/backoff.go", "package x\nimport \"math/rand/v2\"\nvar r = rand.New(rand.NewPCG(1, 2))\n", 0},
		{"cluster/store/disk.go", "package x\nimport \"os\"\nvar f, e = os.OpenFile(\"\", 0, 0)\n", 1},
		{"cluster/store/disk.go", "package x\nimport \"os\"\nvar e = os.ErrNotExist\n", 0},
		{"cluster/store/disk.go", "package x\nimport \"os\"\nfunc f() { os.Exit(1) }\n", 1},
		{"wire/dial.go", "package x\nimport \"net\"\nvar c, e = net.Dial(\"\", \"\")\n", 1},
	})
}

// reached finds uses of names that the file's room may not use.
func reached(s *source) []string {
	names := s.imported()
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, r := range reaches {
			if names[x.Name] != r.pkg || !r.name.MatchString(sel.Sel.Name) {
				continue
			}
			if !s.under(r.rooms...) && !(r.tests && forTests(s)) {
				out = append(out, s.breach(sel.Pos(), "%s.%s: %s", x.Name, sel.Sel.Name, r.why))
			}
		}
		return true
	})
	return out
}

// TestMetaIsPure: Apply must give the same bytes on every host, so not even a seeded
// source of randomness or a clock that was handed in may come near it.
func TestMetaIsPure(t *testing.T) {
	t.Parallel()
	impure := func(s *source) (out []string) {
		if !s.under("cluster/meta", "cluster/ring", "fs/extent", "fs/lock") || forTests(s) {
			return nil
		}
		for _, im := range s.file.Imports {
			switch p := strings.Trim(im.Path.Value, `"`); p {
			case "math/rand", "math/rand/v2", "crypto/rand", "hash/maphash", "net", "os":
				out = append(out, s.breach(im.Pos(), "a pure room imports %s", p))
			}
		}
		return out
	}
	enforce(t, impure)
	bites(t, impure, []sample{
		{"cluster/meta/apply.go", "package x\nimport _ \"math/rand/v2\"\n", 1},
		{"cluster/meta/apply_test.go", "package x\nimport _ \"math/rand/v2\"\n", 0},
		{"cluster/store/disk.go", "package x\nimport _ \"os\"\n", 0},
	})
}

func TestNoDotImports(t *testing.T) {
	t.Parallel()
	dots := func(s *source) (out []string) {
		for _, im := range s.file.Imports {
			if im.Name != nil && im.Name.Name == "." {
				out = append(out, s.breach(im.Pos(), "dot import: the rules could not see through it"))
			}
		}
		return out
	}
	enforce(t, dots)
	bites(t, dots, []sample{{"fs/a.go", "package x\nimport . \"time\"\n", 1}})
}

func TestNoInit(t *testing.T) {
	t.Parallel()
	inits := func(s *source) (out []string) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				out = append(out, s.breach(f.Pos(), "func init: wire things by hand, N hosts live in one process"))
			}
		}
		return out
	}
	enforce(t, inits)
	bites(t, inits, []sample{
		{"fs/a.go", "package x\nfunc init() {}\n", 1},
		{"fs/a.go", "package x\nfunc (T) init() {}\n", 0},
	})
}

func TestSkipsGoThroughNeed(t *testing.T) {
	t.Parallel()
	skipped := func(s *source) (out []string) {
		if s.under("internal/need") {
			return nil
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if ok && skips.MatchString(sel.Sel.Name) && forTests(s) {
				out = append(out, s.breach(sel.Pos(), "%s: say what the test needs with package internal/need, which fails in CI", sel.Sel.Name))
			}
			return true
		})
		return out
	}
	enforce(t, skipped)
	bites(t, skipped, []sample{
		{"fs/a_test.go", "package x\nfunc f(t *T) { t.Skip() }\n", 1},
		{"fs/a_test.go", "package x\nfunc f(t *T) { t.Skipf(\"\") }\n", 1},
		{"internal/need/need.go", "package x\nfunc f(t *T) { t.Skip() }\n", 0},
		{"fs/a.go", "package x\nfunc f(d *D) { d.Skip() }\n", 0},
	})
}

func TestNoSleepingUnitTests(t *testing.T) {
	t.Parallel()
	enforce(t, sleeping)
	bites(t, sleeping, []sample{
		{"fs/a_test.go", "package x\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", 1},
		{"fs/a_test.go", "package x\nimport (\n\"testing/synctest\"\n\"time\"\n)\nfunc f() { time.Sleep(1); synctest.Wait() }\n", 0},
		{"integration/a_test.go", "package x\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", 0},
	})
}

// sleeping finds unit tests that sleep and hope. Under testing/synctest a sleep
// takes no time and is exact. A test on a real mount or process may have to poll.
func sleeping(s *source) []string {
	names := s.imported()
	if !forTests(s) || s.under("integration") || names["synctest"] == "testing/synctest" {
		return nil
	}
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
			if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] == "time" {
				out = append(out, s.breach(sel.Pos(), "time.Sleep in a unit test: wait for the event or advance a clock"))
			}
		}
		return true
	})
	return out
}

func TestErrorsAreNotReadAsText(t *testing.T) {
	t.Parallel()
	enforce(t, readAsText)
	bites(t, readAsText, []sample{
		{"fs/a.go", "package x\nimport \"strings\"\nvar b = strings.Contains(err.Error(), \"x\")\n", 1},
		{"fs/a.go", "package x\nvar b = err.Error() == \"x\"\n", 1},
		{"fs/a_test.go", "package x\nvar b = err.Error() == \"x\"\n", 0},
	})
}

// readAsText finds errors told apart by their text instead of their kind.
func readAsText(s *source) []string {
	if forTests(s) {
		return nil
	}
	names := s.imported()
	isText := func(e ast.Expr) bool {
		c, ok := e.(*ast.CallExpr)
		if !ok || len(c.Args) != 0 {
			return false
		}
		sel, ok := c.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Error"
	}
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if op := n.Op.String(); (op == "==" || op == "!=") && (isText(n.X) || isText(n.Y)) {
				out = append(out, s.breach(n.Pos(), "an error compared by its text: use its kind"))
			}
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || len(n.Args) == 0 || !isText(n.Args[0]) {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] == "strings" && !strings.HasPrefix(sel.Sel.Name, "To") {
				out = append(out, s.breach(n.Pos(), "an error searched for text: use its kind"))
			}
		}
		return true
	})
	return out
}
