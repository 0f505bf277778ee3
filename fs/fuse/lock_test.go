package fuse

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet/internal/need"
)

// lockCases are calls of the processes A, B, ... in their order. "A &1 CALL" begins a call
// that may wait, and says whether it does; "A ?1" is its end. "A kill" is SIGKILL, "A exit"
// an end without closing anything.
var lockCases = map[string]string{
	"flock":                      `A open f f rw; B open f f r; A flocknb f ex; B flocknb f sh; B flocknb f ex; A flock f un; B flocknb f ex; A flocknb f sh; B flock f sh; A flocknb f sh; A flocknb f ex; B flock f un; A flocknb f ex`,
	"flock waits":                `A open f f rw; B open f f rw; A flock f ex; B &1 flock f ex; A flock f un; B ?1; A flocknb f sh; B close f; A flock f sh`,
	"flock shared":               `A open f f rw; B open f f rw; C open f f rw; A flock f sh; B flocknb f sh; C &1 flock f ex; A flock f un; B flock f un; C ?1; A flocknb f sh`,
	"flock converts":             `A open f f rw; B open f f rw; A flock f sh; B flock f sh; A flocknb f ex; B flocknb f ex; A flocknb f sh; B flocknb f ex`,
	"flock downgrade":            `A open f f rw; B open f f rw; A flock f ex; B &1 flock f sh; A flock f sh; B ?1; B flocknb f ex; A flock f un`,
	"flock by open file":         `A open f f rw; A open g f rw; A flock f ex; A flocknb g ex; A flocknb g sh; A dup h f; A flocknb h ex; A close f; A flocknb g sh; A close h; A flocknb g sh`,
	"flock and close":            `A open f f rw; B open f f rw; A flock f ex; B &1 flock f ex; A close f; B ?1; B close f; B open f f rw; B flocknb f ex`,
	"flock and kill":             `A open f f rw; B open f f rw; A flock f ex; B &1 flock f sh; A kill; B ?1`,
	"flock and exit":             `A open f f rw; B open f f rw; A flock f ex; B &1 flock f ex; A exit; B ?1`,
	"flock interrupted":          `A open f f rw; B open f f rw; A flock f ex; B &1 flock f ex; B signal 1; B ?1; A flock f un; A flocknb f ex; B flocknb f ex`,
	"waiting flock dies":         `A open f f rw; B open f f rw; C open f f rw; A flock f ex; B &1 flock f ex; C &2 flock f ex; B kill; A flock f un; C ?2`,
	"flock not fcntl":            `A open f f rw; B open f f rw; A flock f ex; B lock f w 0 0; A lock f r 0 0; B flocknb f ex`,
	"flock of what is read only": `A open f f r; B open g f w; A flocknb f ex; B flocknb g ex`,

	"fcntl":                        `A open f f rw; B open f f rw; A lock f w 0 10; B lock f w 10 10; B lock f r 9 1; B test f r 9 1; A lock f u 0 10; B lock f w 0 20; B test f w 0 0; A test f r 100 1; A test f r 0 0`,
	"fcntl ranges":                 `A open f f rw; B open f f rw; A lock f w 0 100; A lock f u 40 20; B test f w 0 0; B test f w 40 0; B test f w 45 5; A lock f r 10 10; B test f w 10 1; B test f r 10 5; B test f r 10 20; A lock f r 0 60; B test f w 50 1; B test f r 60 1; A lock f u 0 0; B lock f w 0 0`,
	"fcntl joins":                  `A open f f rw; B open f f rw; A lock f w 0 10; A lock f w 20 10; A lock f w 10 10; B test f w 0 0; A lock f r 30 5; B test f r 25 100; B test f w 30 100; A lock f w 5 2; B test f w 3 1`,
	"fcntl to the end":             `A open f f rw; B open f f rw; A lock f w 1000 0; B test f w 0 0; B lock f w 0 1000; B lock f w 0 1001; A lock f u 2000 1; B test f w 1500 0; B test f w 2001 0; B lock f w 2000 1; A test f w 2000 1`,
	"fcntl upgrade":                `A open f f rw; B open f f rw; A lock f r 0 10; B lock f r 0 10; A lock f w 0 10; B lock f u 0 0; A lock f w 0 10; B lock f r 0 1; A lock f r 0 10; B lock f r 0 1`,
	"fcntl waits":                  `A open f f rw; B open f f rw; A lock f w 0 10; B &1 lockw f w 5 10; A lock f u 0 5; A lock f u 5 5; B ?1; A test f r 0 0`,
	"fcntl in order":               `A open f f rw; B open f f rw; C open f f rw; A lock f w 0 10; B &1 lockw f w 0 10; C &2 lockw f r 0 10; A lock f u 0 0; B ?1; B lock f u 0 0; C ?2`,
	"fcntl and close":              `A open f f rw; A open g f r; B open f f rw; A lock f w 0 10; A lock g r 20 10; B &1 lockw f w 0 0; A close g; B ?1; A lock f r 0 1`,
	"fcntl of two files":           `A open f f rw; A open g g rw; B open f f rw; B open g g rw; A lock f w 0 1; A lock g w 0 1; A close f; B lock f w 0 1; B lock g w 0 1`,
	"fcntl and dup":                `A open f f rw; A dup g f; B open f f rw; A lock f w 0 10; A lock g w 5 10; A close g; B lock f w 0 0`,
	"fcntl and kill":               `A open f f rw; B open f f rw; A lock f w 0 10; B &1 lockw f w 5 1; A kill; B ?1`,
	"fcntl and exit":               `A open f f rw; B open f f rw; A lock f w 0 10; B &1 lockw f r 5 1; A exit; B ?1`,
	"fcntl interrupted":            `A open f f rw; B open f f rw; A lock f w 0 10; B &1 lockw f r 5 1; B signal 1; B ?1; A lock f u 0 0; A lock f w 0 0; B lock f r 0 1`,
	"fcntl needs modes":            `A open f f r; B open f f w; A lock f w 0 1; B lock f r 0 1; A lock f r 0 1; B lock f w 1 1; A olock f w 0 1; B olock f r 0 1`,
	"fcntl deadlock":               `A open f f rw; B open f f rw; A lock f w 0 1; B lock f w 1 1; A &1 lockw f w 1 1; B lockw f w 0 1; B lock f u 0 0; A ?1`,
	"fcntl deadlock of three":      `A open f f rw; B open f f rw; C open g g rw; A open g g rw; C open f f rw; A lock f w 0 1; B lock f w 1 1; C lock g w 0 1; A &1 lockw f r 1 1; C &2 lockw f w 0 1; B open g g rw; B lockw g r 0 1; B close f; A ?1; A close f; C ?2`,
	"fcntl deadlock of an upgrade": `A open f f rw; B open f f rw; A lock f r 0 1; B lock f r 0 1; A &1 lockw f w 0 1; B lockw f w 0 1; B close f; A ?1`,
	"a bad lock":                   `A open f f rw; A lock f w -1 1; A lock f w 5 -2; A lock f w 5 -6; A lock f w 9223372036854775807 2; A lock nothing w 0 1; A lock f w 9223372036854775807 1; A test f w 0 0`,

	"ofd":                   `A open f f rw; A open g f rw; B open f f rw; A olock f w 0 10; A olock g w 5 1; A lock f w 5 1; B lock f w 5 1; B olock f r 5 1; A olock f r 0 5; B olock f r 0 5; A olock f u 0 0; B olock f w 5 5; A otest g w 0 0; B otest f w 0 0`,
	"ofd and close":         `A open f f rw; A dup g f; B open f f rw; A olock f w 0 10; A close f; B olock f w 0 1; B &1 olockw f w 0 1; A close g; B ?1`,
	"ofd and kill":          `A open f f rw; B open f f rw; A olock f w 0 10; B &1 olockw f w 0 1; A kill; B ?1`,
	"ofd and another close": `A open f f rw; A open g f rw; B open f f rw; A olock f w 0 10; A lock g r 20 1; A close g; B olock f w 0 1; B olock f w 20 1; A olock f w 30 1`,
	"ofd interrupted":       `A open f f rw; B open f f rw; A olock f w 0 0; B &1 olockw f w 0 0; B signal 1; B ?1; A olock f u 0 0; B olock f w 0 0`,

	"what was written is seen": `A open f f rw; B open f f rw; A lock f w 0 0; B &1 lockw f r 0 0; A write f one; A lock f u 0 0; B ?1; B read f; B lock f w 0 0; B write f two; A &1 lockw f r 0 0; B close f; A ?1; A read f; A flock f ex; A write f xxx; A kill; B open f f rw; B flock f ex; B read f`,
}

// lockScript plays a case in a directory and returns what its calls said. The processes
// work in the directories in turn.
func lockScript(t *testing.T, text string, dirs ...string) (transcript []string) {
	t.Helper()
	procs := map[string]*locker{}
	begun := map[string]<-chan string{}
	for _, step := range strings.Split(text, ";") {
		who, what, _ := strings.Cut(strings.TrimSpace(step), " ")
		p := procs[who]
		if p == nil {
			p = startLocker(t, dirs[int(who[0]-'A')%len(dirs)])
			procs[who] = p
		}
		var result string
		switch {
		case what == "kill":
			p.kill()
		case what == "exit":
			p.in.Close()
			within20(t, p.gone, "a process to end")
		case what[0] == '&':
			tag, call, _ := strings.Cut(what[1:], " ")
			begun[who+tag] = p.begin(tag, call)
			if result = p.await(begun[who+tag], 200*time.Millisecond); result != "waits" {
				begun[who+tag] = nil
			}
		case what[0] == '?':
			result = p.await(begun[who+what[1:]], 10*time.Second)
		default:
			result = p.do(what)
		}
		for name, p := range procs {
			result = strings.ReplaceAll(result, fmt.Sprint("pid ", p.cmd.Process.Pid), "pid of "+name)
		}
		transcript = append(transcript, fmt.Sprint(who, " ", what, ": ", result))
	}
	for _, p := range procs {
		p.kill()
	}
	return transcript
}

// TestLocksAsLocally plays the cases on a local directory, on a mount and on two mounts of
// a volume, as on two hosts: the calls say the same.
func TestLocksAsLocally(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FUSE(t)
	for name, text := range lockCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := lockScript(t, text, t.TempDir())
			dirs := mountVolumes(t, 2)
			must(t, "mkdir", "-m", "777", dirs[0]+"/two")
			for i, got := range [][]string{lockScript(t, text, dirs[0]), lockScript(t, text, dirs[0]+"/two", dirs[1]+"/two")} {
				for j, line := range got {
					if !sameLine(line, want[j], i == 1) {
						t.Errorf("%d mounts: %s\nlocally: %s\nafter %s", i+1, line, want[j], strings.Join(got[:j], "\n\t"))
						break
					}
				}
			}
		})
	}
}

// sameLine compares what two calls said. A lock of another host has no process here, and the
// kernel does not tell us which locks are those of open file descriptions, of which it says
// that nobody has them.
func sameLine(got, want string, two bool) bool {
	if got == want {
		return true
	}
	head, pid, ok := strings.Cut(got, "pid ")
	wantHead, wantPid, also := strings.Cut(want, "pid ")
	return ok && also && head == wantHead && (two && pid == "0" || wantPid == "-1")
}

// TestLockCasesAreAll holds that no kind of case is forgotten.
func TestLockCasesAreAll(t *testing.T) {
	var all []string
	for _, text := range lockCases {
		for _, step := range strings.Split(text, ";") {
			w := strings.Fields(strings.TrimPrefix(strings.TrimSpace(step)[1:], " "))
			if strings.HasPrefix(w[0], "&") {
				w = w[1:]
			}
			all = append(all, w[0])
		}
	}
	for call := range lockCalls {
		if !slices.Contains(all, call) {
			t.Errorf("no case of %q", call)
		}
	}
}

// TestLocksOfTheKilled has processes on two mounts ask for locks of all kinds, and kills
// them at any moment: in the end nothing is locked.
func TestLocksOfTheKilled(t *testing.T) {
	t.Parallel()
	dirs := mountVolumes(t, 2)
	seed := rand.Uint64()
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	procs := make([]*locker, 6)
	for step := range 240 {
		i := rnd.IntN(len(procs))
		if p := procs[i]; p == nil {
			procs[i] = startLocker(t, dirs[i%2])
			procs[i].do("open f f rw")
			procs[i].do("open g g rw")
			continue
		}
		file := []string{"f", "g"}[rnd.IntN(2)]
		var call string
		switch rnd.IntN(9) {
		case 0:
			procs[i].kill()
			procs[i] = nil
			continue
		case 1, 2:
			call = fmt.Sprint("flock ", file, " ", []string{"sh", "ex", "un"}[rnd.IntN(3)])
		case 3:
			call = fmt.Sprint("flocknb ", file, " ex")
		case 4:
			call = fmt.Sprint("signal step", rnd.IntN(step+1)) // may be over
		default:
			call = fmt.Sprint([]string{"lock", "lockw", "olock", "olockw"}[rnd.IntN(4)], " ", file, " ",
				[]string{"r", "w", "u"}[rnd.IntN(3)], " ", rnd.IntN(10), " ", rnd.IntN(10))
		}
		p := procs[i]
		done := p.begin(fmt.Sprint("step", step), call)
		p.await(done, time.Duration(rnd.IntN(10))*time.Millisecond)
	}
	for _, p := range procs {
		if p != nil {
			p.kill()
		}
	}
	last := startLocker(t, dirs[0])
	for _, file := range []string{"f", "g"} {
		last.do("open f " + file + " rw")
		for _, call := range []string{"flock f ex", "lockw f w 0 0"} {
			if got := last.await(last.begin(strings.ReplaceAll(file+call, " ", "-"), call), limitOf); got != "ok" {
				t.Errorf("%s: %s: %s", file, call, got)
			}
		}
	}
}
