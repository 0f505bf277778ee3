package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

func main() {
	failed, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "runtests:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// run tests the packages and reports whether anything failed.
func run(args []string, out io.Writer) (bool, error) {
	each, flags, patterns, err := parseArgs(args)
	if err != nil {
		return false, err
	}
	dirs, err := list(patterns)
	if err != nil {
		return false, err
	}
	r := newReport(out, os.Getenv("CI") == "true")
	first, last := split(dirs)
	if err := goTest(r, dirs, each, flags, first); err != nil {
		return false, err
	}
	if err := goTest(r, dirs, each, append([]string{"-p=1"}, flags...), last); err != nil {
		return false, err
	}
	return r.summary(), nil
}

// parseArgs tells our flag, go test's flags and the packages apart. Flags of go test
// that take a value must be written with "=".
func parseArgs(args []string) (each time.Duration, flags, patterns []string, err error) {
	each = 10 * time.Minute
	for _, a := range args {
		v, ours := strings.CutPrefix(a, "-each=")
		switch {
		case ours:
			if each, err = time.ParseDuration(v); err != nil {
				return 0, nil, nil, err
			}
		case strings.HasPrefix(a, "-"):
			flags = append(flags, a)
		default:
			patterns = append(patterns, a)
		}
	}
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	return each, flags, patterns, nil
}

// list returns the directories of packages by their import paths.
func list(patterns []string) (map[string]string, error) {
	cmd := exec.Command("go", append([]string{"list", "-f", "{{.ImportPath}}\t{{.Dir}}"}, patterns...)...)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	dirs := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		if pkg, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			dirs[pkg] = dir
		}
	}
	return dirs, nil
}

// split sorts the packages, those below integration apart.
func split(dirs map[string]string) (first, last []string) {
	for _, p := range slices.Sorted(maps.Keys(dirs)) {
		if strings.Contains(p+"/", "/integration/") {
			last = append(last, p)
		} else {
			first = append(first, p)
		}
	}
	return first, last
}

// goTest runs go test on packages and feeds its events to r. That tests failed is
// the report's business, not an error.
func goTest(r *report, dirs map[string]string, each time.Duration, flags, packages []string) error {
	if len(packages) == 0 {
		return nil
	}
	args := append([]string{"test", "-json"}, flags...)
	cmd := exec.Command("go", append(args, packages...)...)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	events := make(chan event)
	go decode(pipe, events)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
loop:
	for {
		select {
		case e, ok := <-events:
			if !ok {
				break loop
			}
			r.add(e, time.Now())
		case now := <-tick.C:
			for _, k := range r.overdue(now, each) {
				r.say("runtests: %s %s has run for %v: killing its test process\n", k.pkg, k.test, each)
				quit(cmd.Process.Pid, dirs[k.pkg])
			}
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.failed = true
		return nil
	}
	return err
}

// decode sends the events of go test -json. A line that is none is passed on as
// output of go itself.
func decode(in io.Reader, out chan<- event) {
	defer close(out)
	b := bufio.NewReader(in)
	for {
		line, err := b.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				e = event{Action: "build-output", Output: string(line)}
			}
			out <- e
		}
		if err != nil {
			return
		}
	}
}
