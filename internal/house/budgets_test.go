package house_test

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// The budgets. They are where well-kept code bases of this kind stand.
const (
	maxFile     = 500 // lines of a file
	maxTestFile = 800 // lines of a test
	maxFunc     = 100 // lines of a function, its signature and closing brace included
	maxRoot     = 850 // lines of the root package without its tests
)

func TestFileLength(t *testing.T) {
	t.Parallel()
	enforce(t, fileLength)
	bites(t, fileLength, []sample{
		{"fs/a.go", "package x\n" + strings.Repeat("\n", maxFile-1), 0},
		{"fs/a.go", "package x\n" + strings.Repeat("\n", maxFile), 1},
		{"fs/a_test.go", "package x\n" + strings.Repeat("\n", maxFile), 0},
		{"fs/a_test.go", "package x\n" + strings.Repeat("\n", maxTestFile), 1},
	})
}

func fileLength(s *source) []string {
	limit := maxFile
	if s.isTest() {
		limit = maxTestFile
	}
	if s.isGenerated() || s.lines <= limit {
		return nil
	}
	return []string{s.breach(s.file.Package, "%d lines, the budget is %d: is it still one idea?", s.lines, limit)}
}

func TestFunctionLength(t *testing.T) {
	t.Parallel()
	enforce(t, functionLength)
	bites(t, functionLength, []sample{
		{"fs/a.go", "package x\nfunc f() {\n" + strings.Repeat("\n", maxFunc-2) + "}\n", 0},
		{"fs/a.go", "package x\nfunc f() {\n" + strings.Repeat("\n", maxFunc-1) + "}\n", 1},
	})
}

func functionLength(s *source) []string {
	if s.isGenerated() {
		return nil
	}
	var out []string
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
		if n > maxFunc {
			out = append(out, s.breach(f.Pos(), "%s has %d lines, the budget is %d", f.Name.Name, n, maxFunc))
		}
	}
	return out
}

func TestRootIsSmall(t *testing.T) {
	t.Parallel()
	n := 0
	for _, s := range house(t) {
		if s.room() == "" && !s.isTest() {
			n += s.lines
		}
	}
	if n == 0 || n > maxRoot {
		t.Errorf("the root package has %d lines, the budget is %d: it is a vocabulary, logic lives in the rooms", n, maxRoot)
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	seen, said := map[string]bool{}, map[string]bool{}
	for _, s := range house(t) {
		if s.isTest() {
			continue
		}
		seen[s.room()] = true
		if s.file.Doc != nil {
			said[s.room()] = true
		}
	}
	for r := range seen {
		if !said[r] {
			t.Errorf("package in %q has no package comment: give it a doc.go that says what it promises", r)
		}
	}
}

func TestExportedComments(t *testing.T) {
	t.Parallel()
	enforce(t, exportedComments)
	bites(t, exportedComments, []sample{
		{"fs/a.go", "package x\n\nfunc F() {}\n", 1},
		{"fs/a.go", "package x\n\n// F does.\nfunc F() {}\n\nfunc f() {}\n", 0},
		{"fs/a.go", "package x\n\ntype T int\n\nconst C = 1\n\nvar V int\n", 3},
		{"fs/a.go", "package x\n\n// Both.\nconst (\n\tA = 1\n\tB = 2\n)\n", 0},
		{"fs/a_test.go", "package x\n\nfunc F() {}\n", 0},
		{"cmd/signet/a.go", "package main\n\nfunc F() {}\n", 0},
	})
}

// exportedComments wants a comment on every exported function, type, constant and
// variable. Methods are left out: most are an interface's, which has the comment.
func exportedComments(s *source) []string {
	if s.isTest() || s.isGenerated() || s.file.Name.Name == "main" {
		return nil
	}
	var out []string
	say := func(name *ast.Ident) {
		out = append(out, s.breach(name.Pos(), "exported %s has no comment", name.Name))
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.IsExported() && d.Doc == nil {
				say(d.Name)
			}
		case *ast.GenDecl:
			if d.Doc == nil && d.Tok != token.IMPORT {
				uncommentedSpecs(d, say)
			}
		}
	}
	return out
}

func uncommentedSpecs(d *ast.GenDecl, say func(*ast.Ident)) {
	for _, sp := range d.Specs {
		switch sp := sp.(type) {
		case *ast.TypeSpec:
			if sp.Doc == nil && sp.Comment == nil && sp.Name.IsExported() {
				say(sp.Name)
			}
		case *ast.ValueSpec:
			if sp.Doc == nil && sp.Comment == nil && sp.Names[0].IsExported() {
				say(sp.Names[0])
			}
		}
	}
}

func TestNoDrawers(t *testing.T) {
	t.Parallel()
	enforce(t, drawers)
	bites(t, drawers, []sample{
		{"fs/util/a.go", "package util\n", 1},
		{"fs/common/a.go", "package common\n", 1},
		{"fs/extent/cut.go", "package extent\n", 0},
		{"wire/helpers.go", "package wire\n", 1},
	})
}

// drawers finds packages and files named after nothing in particular.
func drawers(s *source) []string {
	var out []string
	stem := strings.TrimSuffix(strings.TrimSuffix(path.Base(s.name), ".go"), "_test")
	for _, n := range []string{s.file.Name.Name, stem} {
		switch n {
		case "util", "utils", "common", "helper", "helpers", "misc", "shared", "base":
			out = append(out, s.breach(s.file.Package, "%q names nothing: name the thing or inline it", n))
		}
	}
	return out
}

func TestNothingLeftOpen(t *testing.T) {
	t.Parallel()
	enforce(t, leftOpen)
	bites(t, leftOpen, []sample{
		{"fs/a.go", "package x\n\n// " + openWords[0] + ": later\n", 1},
		{"fs/a.go", "package x\n\n// All done. A key is XX" + "XX-XX" + "XX.\n", 0},
	})
}

// openWords are spelt apart so that this file does not break its own rule.
var openWords = []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"}

var openWord = regexp.MustCompile(`\b(` + strings.Join(openWords, "|") + `)\b`)

// leftOpen finds comments that put something off.
func leftOpen(s *source) []string {
	var out []string
	for _, g := range s.file.Comments {
		for _, c := range g.List {
			if w := openWord.FindString(c.Text); w != "" {
				out = append(out, s.breach(c.Pos(), "a comment says %s: do it, or write an issue", w))
			}
		}
	}
	return out
}
