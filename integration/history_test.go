package integration

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// What programs do in one directory, as the checker knows it. Names are in groups, and
// renames stay within a group, so each group is checked by itself. A group that has had
// too many changes of unknown outcome is left alone, and a new one takes its place. A
// file is known by
// the mode it was created with, which its creator chose as nobody else does: so it is
// known even if the creator was never told that it succeeded.
const (
	groups     = 4 // at a time
	groupNames = 3
	maxTag     = 0o7777
)

type dirOp struct {
	kind     string // create, remove, rename, stat, list
	group    int
	name, to int    // in the group
	tag      uint16 // of the file to create
}

// dirState is what the names of a group lead to.
type dirState struct {
	tags tags
	been [groupNames]uint8 // the names that the file has had, one bit for each
}

// tags are those of the files under the names of a group, 0 for nothing.
type tags [groupNames]uint16

// Outcomes of an operation.
const (
	done = iota
	exists
	missing
	unknown // it failed: it may or may not have been carried out, now or later
)

type dirResult struct {
	outcome int
	seen    tags   // by stat (at the name) and list (1 for "something")
	err     string // if the outcome is unknown
}

func (o dirOp) changes() bool { return o.kind == "create" || o.kind == "remove" || o.kind == "rename" }

// step carries out o and says what a program must be told.
func (o dirOp) step(s dirState) (dirState, int) {
	switch o.kind {
	case "create":
		if s.tags[o.name] != 0 {
			return s, exists
		}
		s.tags[o.name], s.been[o.name] = o.tag, 1<<o.name
	case "remove":
		if s.tags[o.name] == 0 {
			return s, missing
		}
		s.tags[o.name], s.been[o.name] = 0, 0
	case "rename":
		if s.tags[o.name] == 0 {
			return s, missing
		}
		if o.name != o.to {
			s.tags[o.to], s.been[o.to] = s.tags[o.name], s.been[o.name]|1<<o.to
			s.tags[o.name], s.been[o.name] = 0, 0
		}
	}
	return s, done
}

// sees says whether what a program saw is so.
func (o dirOp) sees(s dirState, seen tags) bool {
	switch o.kind {
	case "stat":
		return seen[o.name] == s.tags[o.name]
	case "list":
		for i := range s.tags {
			if (s.tags[i] != 0) != (seen[i] != 0) {
				return false
			}
		}
	}
	return true
}

// done says whether the kernel may have told the program that it renamed the file
// though another host did: it finds the same inode under the old name, and then, when
// the other has renamed it, under the new one (docs/visibility.md, "What the kernel
// decides by itself").
func (o dirOp) done(s dirState) bool {
	return o.kind == "rename" && o.name != o.to && s.been[o.to]&(1<<o.name) != 0
}

// nameOf is what a name of a group is called.
func nameOf(group, name int) string { return fmt.Sprintf("%d%c", group, 'a'+name) }

func (o dirOp) String() string {
	n := func(i int) string { return nameOf(o.group, i) }
	switch o.kind {
	case "create":
		return fmt.Sprintf("create %s as %o", n(o.name), o.tag)
	case "rename":
		return fmt.Sprintf("rename %s to %s", n(o.name), n(o.to))
	case "list":
		return fmt.Sprintf("list group %d", o.group)
	}
	return o.kind + " " + n(o.name)
}

func (r dirResult) String() string {
	if r.outcome == unknown {
		return r.err
	}
	return fmt.Sprintf("%s %o", [...]string{"done", "exists", "missing"}[r.outcome], r.seen)
}

var dirModel = porcupine.NondeterministicModel{
	Partition: func(ops []porcupine.Operation) [][]porcupine.Operation {
		var out [][]porcupine.Operation
		for _, o := range ops {
			g := o.Input.(dirOp).group
			for len(out) <= g {
				out = append(out, nil)
			}
			out[g] = append(out[g], o)
		}
		return slices.DeleteFunc(out, func(ops []porcupine.Operation) bool { return len(ops) == 0 })
	},
	Init: func() []any { return []any{dirState{}} },
	Step: func(state, input, output any) []any {
		s, r := state.(dirState), output.(dirResult)
		o := input.(dirOp)
		after, told := o.step(s)
		var next []any
		if r.outcome == unknown || r.outcome == done && o.done(s) {
			next = append(next, s)
		}
		if (r.outcome == unknown || r.outcome == told && o.sees(s, r.seen)) && !slices.Contains(next, any(after)) {
			next = append(next, after)
		}
		return next
	},
	Equal: func(a, b any) bool { return a == b },
	Hash: func(s any) uint64 {
		h := uint64(0)
		for i, t := range s.(dirState).tags {
			h = h*0x9e3779b97f4a7c15 + uint64(t)<<8 + uint64(s.(dirState).been[i])
		}
		return h
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v: %v", input, output) },
	DescribeState:     func(s any) string { return fmt.Sprintf("%o", s.(dirState).tags) },
}

// history is what happened, with the times at which it was called for and came back.
type history struct {
	mu      sync.Mutex // guards:
	ops     []porcupine.Operation
	unknown []int       // changes of unknown outcome, for each group that there ever was
	slots   [groups]int // the groups in use
	longest time.Duration
	slowest string
	times   []time.Duration // of operations with a known outcome
	errs    map[string]int
}

func newHistory() *history {
	h := &history{unknown: make([]int, groups)}
	for i := range h.slots {
		h.slots[i] = i
	}
	return h
}

func (h *history) add(client int, in dirOp, out dirResult, from, to time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := to - from; d > h.longest {
		h.longest, h.slowest = d, fmt.Sprintf("%v: %v", in, out)
	}
	end := int64(to)
	if out.outcome == unknown {
		if h.errs == nil {
			h.errs = map[string]int{}
		}
		h.errs[out.err]++
		if !in.changes() {
			return // it changed nothing and told nothing
		}
		h.unknown[in.group]++
		end = int64(1000 * time.Hour) // it may take effect at any time from here on
	} else {
		h.times = append(h.times, to-from)
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(from), Return: end})
}

// group returns one of the groups in use.
func (h *history) group(slot int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unknown[h.slots[slot]] >= maxUnknown {
		h.slots[slot] = len(h.unknown)
		h.unknown = append(h.unknown, 0)
	}
	return h.slots[slot]
}

// maxUnknown is how many changes of unknown outcome a group may have before another takes
// its place: each doubles the work of the checker. Those under way then come on top.
const maxUnknown = 6

// changes counts the changes that were begun in a time and succeeded.
func (h *history) changes(from, to time.Duration) (n int) {
	for _, o := range h.ops {
		in, r := o.Input.(dirOp), o.Output.(dirResult)
		if in.changes() && r.outcome == done && o.Call >= int64(from) && o.Call < int64(to) {
			n++
		}
	}
	return n
}

func (h *history) check(t *testing.T) {
	t.Helper()
	began := time.Now()
	m := dirModel.ToModel()
	res, info := porcupine.CheckOperationsVerbose(m, h.ops, time.Minute)
	t.Logf("%d operations, %v of unknown outcome (failed: %v): %v after %v; the longest call took %v (%s)",
		len(h.ops), h.unknown, h.errs, res, time.Since(began).Round(time.Millisecond), h.longest.Round(time.Millisecond), h.slowest)
	if res == porcupine.Ok {
		return
	}
	f := filepath.Join(os.TempDir(), "signet-history-"+strconv.Itoa(os.Getpid())+".html")
	if err := porcupine.VisualizePath(m, info, f); err == nil {
		t.Logf("see %s", f)
	}
	t.Errorf("the history is not linearizable: %v", res)
	for _, ops := range dirModel.Partition(h.ops) {
		if porcupine.CheckOperations(m, ops) {
			continue
		}
		t.Logf("group %d: %s", ops[0].Input.(dirOp).group, firstFault(m, ops))
	}
}

// until is a history as it was known at a moment: what had not come back is unknown.
func until(ops []porcupine.Operation, at int64) []porcupine.Operation {
	var out []porcupine.Operation
	for _, o := range ops {
		if o.Call > at {
			continue
		}
		if o.Return > at {
			if !o.Input.(dirOp).changes() {
				continue
			}
			o.Output, o.Return = dirResult{outcome: unknown}, at+1
		}
		out = append(out, o)
	}
	return out
}

// firstFault finds the answer that fits no order, and shows what went on around it.
func firstFault(m porcupine.Model, ops []porcupine.Operation) string {
	ops = slices.Clone(ops)
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	n := sort.Search(len(ops), func(i int) bool { return !porcupine.CheckOperations(m, until(ops, ops[i].Return)) })
	if n == len(ops) {
		return "no prefix is wrong"
	}
	bad := ops[n]
	out := fmt.Sprintf("%v: %v by client %d fits no order:\n", bad.Input, bad.Output, bad.ClientId)
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	const around = int64(100 * time.Millisecond)
	for _, o := range ops {
		if o.Return > bad.Call-around && o.Call <= bad.Return {
			mark := " "
			if o == bad {
				mark = "*"
			}
			out += fmt.Sprintf("%s client %2d  %9.3f to %9.3f ms  %v: %v\n", mark, o.ClientId, float64(o.Call-bad.Call)/1e6, float64(o.Return-bad.Call)/1e6, o.Input, o.Output)
		}
	}
	return out
}

// TestHistoryModel checks the checker: a history that is not linearizable is found.
func TestHistoryModel(t *testing.T) {
	op := func(from, to int64, in dirOp, out dirResult) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: from, Return: to}
	}
	create := dirOp{kind: "create", tag: 7}
	sees := func(tag uint16) dirResult { return dirResult{seen: tags{tag}} }
	stat := dirOp{kind: "stat"}
	rename := dirOp{kind: "rename", to: 1}
	for name, c := range map[string]struct {
		ops  []porcupine.Operation
		want bool
	}{
		"in order":         {[]porcupine.Operation{op(1, 2, create, dirResult{}), op(3, 4, stat, sees(7))}, true},
		"seen early":       {[]porcupine.Operation{op(1, 4, create, dirResult{}), op(2, 3, stat, sees(7))}, true},
		"seen late":        {[]porcupine.Operation{op(1, 2, create, dirResult{}), op(3, 4, stat, sees(0))}, false},
		"seen, then not":   {[]porcupine.Operation{op(1, 9, create, dirResult{}), op(2, 3, stat, sees(7)), op(4, 5, stat, sees(0))}, false},
		"twice":            {[]porcupine.Operation{op(1, 4, create, dirResult{}), op(2, 3, create, dirResult{})}, false},
		"unknown, done":    {[]porcupine.Operation{op(1, 99, create, dirResult{outcome: unknown}), op(2, 3, stat, sees(0)), op(4, 5, stat, sees(7))}, true},
		"unknown, undone":  {[]porcupine.Operation{op(1, 99, create, dirResult{outcome: unknown}), op(2, 3, stat, sees(7)), op(4, 5, stat, sees(0))}, false},
		"moved":            {[]porcupine.Operation{op(1, 2, create, dirResult{}), op(3, 4, rename, dirResult{}), op(5, 6, stat, sees(0))}, true},
		"moved, seen":      {[]porcupine.Operation{op(1, 2, create, dirResult{}), op(3, 4, rename, dirResult{}), op(5, 6, stat, sees(7))}, false},
		"moved by two":     {[]porcupine.Operation{op(1, 2, create, dirResult{}), op(3, 6, rename, dirResult{}), op(4, 8, rename, dirResult{}), op(9, 10, rename, dirResult{outcome: missing})}, true},
		"moved by one":     {[]porcupine.Operation{op(1, 2, create, dirResult{}), op(3, 6, rename, dirResult{}), op(4, 8, dirOp{kind: "rename", to: 2}, dirResult{})}, false},
		"moved nothing":    {[]porcupine.Operation{op(1, 2, rename, dirResult{})}, false},
		"list shows":       {[]porcupine.Operation{op(1, 2, create, dirResult{}), op(3, 4, dirOp{kind: "list"}, sees(1))}, true},
		"list shows not":   {[]porcupine.Operation{op(1, 2, create, dirResult{}), op(3, 4, dirOp{kind: "list"}, sees(0))}, false},
		"groups are apart": {[]porcupine.Operation{op(1, 2, create, dirResult{}), op(3, 4, dirOp{kind: "stat", group: 1}, sees(0))}, true},
	} {
		if got := porcupine.CheckOperations(dirModel.ToModel(), c.ops); got != c.want {
			t.Errorf("%s: linearizable %v, want %v", name, got, c.want)
		}
	}
}
