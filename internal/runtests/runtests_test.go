package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRun runs the real thing on a module of its own that has every sort of test.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/m\n\ngo 1.26.0\n")
	write("good/a_test.go", "package good\nimport \"testing\"\nfunc TestGood(t *testing.T) { t.Log(\"quiet\") }\n")
	write("lame/a_test.go", "package lame\nimport \"testing\"\nfunc TestLame(t *testing.T) { t.Skip(\"needs a leg\") }\n")
	write("bad/a_test.go", "package bad\nimport \"testing\"\nfunc TestBad(t *testing.T) { t.Error(\"it broke\") }\n")
	write("integration/hang/a_test.go", "package hang\nimport \"testing\"\nfunc TestOuter(t *testing.T) { t.Run(\"hangs\", func(t *testing.T) { select {} }) }\n")
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")

	runs := []struct {
		ci     string
		args   []string
		failed bool
		has    []string
		hasNot []string
	}{
		{"", []string{"./good", "./lame"}, false,
			[]string{"ok  \texample.com/m/good", "ok  \texample.com/m/lame", "skipped:\n  example.com/m/lame TestLame: needs a leg\n", "passed: 1 tests passed, 0 failed, 1 skipped"},
			[]string{"quiet", "RUN"}},
		{"true", []string{"./lame"}, true, []string{"ok  \texample.com/m/lame", "with CI=true a skipped test is a failure", "FAILED"}, nil},
		{"true", []string{"./good"}, false, []string{"passed: 1 tests"}, nil},
		{"", []string{"./bad"}, true, []string{"--- FAIL: TestBad", "it broke", "FAIL\texample.com/m/bad", "FAILED: 0 tests passed, 1 failed"}, nil},
		{"", []string{"-each=1s", "./..."}, true,
			[]string{"ok  \texample.com/m/good", "TestOuter/hangs has run for 1s", "SIGQUIT", "goroutine ", "TestOuter/hangs (did not end)", "FAIL\texample.com/m/integration/hang"}, nil},
	}
	for _, c := range runs {
		t.Setenv("CI", c.ci)
		var out strings.Builder
		failed, err := run(c.args, &out)
		if err != nil || failed != c.failed {
			t.Errorf("%v: failed %v, error %v", c.args, failed, err)
		}
		for _, s := range c.has {
			if !strings.Contains(out.String(), s) {
				t.Errorf("%v with CI=%q: no %q in:\n%s", c.args, c.ci, s, out.String())
			}
		}
		for _, s := range c.hasNot {
			if strings.Contains(out.String(), s) {
				t.Errorf("%v with CI=%q: %q in:\n%s", c.args, c.ci, s, out.String())
			}
		}
	}
}

func TestBuildFailure(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example.com/m\n\ngo 1.26.0\n",
		"a_test.go": "package m\nvar x int = \"no\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	var out strings.Builder
	failed, err := run([]string{"./..."}, &out)
	if err != nil || !failed || !strings.Contains(out.String(), "a_test.go:2") || !strings.Contains(out.String(), "1 packages did not build") {
		t.Errorf("failed %v, error %v:\n%s", failed, err, out.String())
	}
}

// TestWaitingIsNotRunning checks that a parallel test's wait for its turn, and a
// test with subtests, do not count against the limit.
func TestWaitingIsNotRunning(t *testing.T) {
	var out strings.Builder
	r := newReport(&out, false)
	at := time.Unix(0, 0)
	step := func(d time.Duration, action, test string) {
		at = at.Add(d)
		r.add(event{Action: action, Package: "p", Test: test}, at)
	}
	step(0, "run", "A")
	step(0, "run", "A/1")
	step(time.Second, "pause", "A/1")
	step(time.Hour, "cont", "A/1")
	if late := r.overdue(at.Add(8*time.Second), 10*time.Second); len(late) != 0 {
		t.Errorf("overdue too early: %v", late)
	}
	late := r.overdue(at.Add(9*time.Second), 10*time.Second)
	if !slices.Equal(late, []key{{"p", "A/1"}}) {
		t.Errorf("overdue: %v, want A/1 alone", late)
	}
	if late := r.overdue(at.Add(time.Hour), 10*time.Second); len(late) != 0 {
		t.Errorf("reported twice: %v", late)
	}
}

func TestSlowestAreListed(t *testing.T) {
	var out strings.Builder
	r := newReport(&out, false)
	for test, seconds := range map[string]float64{"A": 12, "B": 9.9, "C": 300, "A/1": 11} {
		r.add(event{Action: "pass", Package: "p", Test: test, Elapsed: seconds}, time.Unix(0, 0))
	}
	r.summary()
	if want := "\nslowest:\n   300 s  p C\n    12 s  p A\n\npassed: 4 tests"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestParentOf(t *testing.T) {
	for line, want := range map[string]int{
		"12 (house.test) S 7 12 12 0": 7,
		"12 (a) b (c) R 70 1":         70,
		"":                            0,
		"12 (x)":                      0,
	} {
		if got := parentOf(line); got != want {
			t.Errorf("parentOf(%q) = %d, want %d", line, got, want)
		}
	}
}
