package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// event is one line of go test -json; see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds; with pass and fail
}

// key names a test.
type key struct{ pkg, test string }

// running is a test that has begun and not ended.
type running struct {
	since  time.Time // when it began or went on; zero while it waits for its turn
	spent  time.Duration
	nested bool // has subtests: these are limited, not it
	killed bool
	output []string
}

// lasted is how long a whole test took, with its subtests.
type lasted struct {
	key
	seconds float64
}

// maxSlow is how many of the slowest tests are listed, of those that take slow or longer.
const (
	maxSlow = 15
	slow    = 10 * time.Second
)

// report turns the events of a test run back into what go test prints without -v:
// the output of failed tests and a line for each package. It counts and keeps the
// skipped ones.
type report struct {
	out     io.Writer
	ci      bool
	tests   map[key]*running
	skipped []string
	slow    []lasted
	passed  int
	broken  int
	unbuilt int
	failed  bool
}

func newReport(out io.Writer, ci bool) *report {
	return &report{out: out, ci: ci, tests: make(map[key]*running)}
}

func (r *report) say(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }

// add takes an event that came at a time.
func (r *report) add(e event, now time.Time) {
	if e.Test == "" {
		r.addPackage(e)
		return
	}
	k := key{e.Package, e.Test}
	t := r.tests[k]
	if t == nil {
		t = &running{since: now}
		r.tests[k] = t
		r.markParents(k)
	}
	if e.Elapsed >= slow.Seconds() && !strings.Contains(e.Test, "/") {
		r.slow = append(r.slow, lasted{k, e.Elapsed})
	}
	switch e.Action {
	case "pause":
		t.spent += now.Sub(t.since)
		t.since = time.Time{}
	case "cont":
		t.since = now
	case "output":
		t.output = append(t.output, e.Output)
	case "pass":
		r.passed++
		delete(r.tests, k)
	case "skip":
		r.skipped = append(r.skipped, k.pkg+" "+k.test+": "+reason(t.output))
		delete(r.tests, k)
	case "fail":
		r.broken++
		r.failed = true
		r.show(t)
		delete(r.tests, k)
	}
}

func (r *report) markParents(k key) {
	for i := strings.LastIndexByte(k.test, '/'); i > 0; i = strings.LastIndexByte(k.test[:i], '/') {
		if t := r.tests[key{k.pkg, k.test[:i]}]; t != nil {
			t.nested = true
		}
	}
}

// addPackage takes an event of a whole package, or of the build.
func (r *report) addPackage(e event) {
	switch e.Action {
	case "output":
		if e.Output != "PASS\n" {
			r.say("%s", e.Output)
		}
	case "build-output":
		r.say("%s", e.Output)
	case "build-fail":
		r.unbuilt++
		r.failed = true
	case "fail":
		r.failed = true
		for k, t := range r.tests { // cut off by a panic, a timeout or a kill
			if k.pkg == e.Package {
				r.broken++
				r.say("--- FAIL: %s (did not end)\n", k.test)
				r.show(t)
				delete(r.tests, k)
			}
		}
	}
}

// show prints a failed test's output, without what only -v prints.
func (r *report) show(t *running) {
	for _, line := range t.output {
		if !strings.HasPrefix(line, "=== ") {
			r.say("%s", line)
		}
	}
}

// overdue returns the tests that have run for longer than each, once.
func (r *report) overdue(now time.Time, each time.Duration) []key {
	var late []key
	for k, t := range r.tests {
		if t.nested || t.killed || t.since.IsZero() || t.spent+now.Sub(t.since) < each {
			continue
		}
		t.killed = true
		late = append(late, k)
	}
	return late
}

// reason finds why a test was skipped in its output.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
			continue
		}
		if _, why, ok := strings.Cut(line, ".go:"); ok {
			if _, why, ok := strings.Cut(why, ": "); ok {
				return why
			}
		}
		return line
	}
	return "no reason given"
}

// listSlow prints where the time went.
func (r *report) listSlow() {
	if len(r.slow) == 0 {
		return
	}
	slices.SortStableFunc(r.slow, func(a, b lasted) int { return cmp.Compare(b.seconds, a.seconds) })
	r.say("\nslowest:\n")
	for _, t := range r.slow[:min(len(r.slow), maxSlow)] {
		r.say("  %4.0f s  %s %s\n", t.seconds, t.pkg, t.test)
	}
}

// summary prints the outcome and says whether the run failed.
func (r *report) summary() bool {
	if len(r.skipped) > 0 {
		r.say("\nskipped:\n")
		slices.Sort(r.skipped)
		for _, s := range r.skipped {
			r.say("  %s\n", s)
		}
		if r.ci {
			r.say("with CI=true a skipped test is a failure\n")
			r.failed = true
		}
	}
	r.listSlow()
	verdict := "passed"
	if r.failed {
		verdict = "FAILED"
	}
	r.say("\n%s: %d tests passed, %d failed, %d skipped", verdict, r.passed, r.broken, len(r.skipped))
	if r.unbuilt > 0 {
		r.say("; %d packages did not build", r.unbuilt)
	}
	r.say("\n")
	return r.failed
}
