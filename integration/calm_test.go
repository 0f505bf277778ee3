package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/ring"
)

// canaryEnv names the directory in which a process of this test binary plays the canary.
const canaryEnv = "SIGNET_CANARY"

// choked is how late the canary must be for the machine to count as stalled. A program that
// hardly needs the processor and the disk waits for them the shortest of all.
const choked = 60 * time.Millisecond

// playCanary sleeps and writes to the disk, a little of both, and says when that took
// long, until its input ends.
func playCanary(dir string) {
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}()
	f, err := os.Create(filepath.Join(dir, "canary"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("sings")
	for last := time.Now(); ; {
		ts := unix.NsecToTimespec(int64(5 * time.Millisecond))
		_ = unix.Nanosleep(&ts, nil)
		_, _ = f.WriteAt([]byte("x"), 0)
		_ = unix.Fdatasync(int(f.Fd()))
		now := time.Now()
		if now.Sub(last) > choked {
			fmt.Println(last.UnixNano(), now.UnixNano())
		}
		last = now
	}
}

// canary knows when the machine had no time or no disk for its processes.
type canary struct {
	t   *testing.T
	cmd *exec.Cmd
	in  interface{ Close() error }
	out bytes.Buffer
}

// startCanary starts one, which watches until it is asked for what it saw.
func startCanary(t *testing.T) *canary {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &canary{t: t, cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), canaryEnv+"="+t.TempDir())
	c.cmd.Stdout = &c.out
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// span is from one moment to another.
type span struct{ from, to time.Time }

func (s span) meets(o span) bool { return !s.to.Before(o.from) && !o.to.Before(s.from) }

// stalls ends the canary and returns when it was late.
func (c *canary) stalls() (out []span) {
	c.t.Helper()
	c.in.Close()
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatalf("the canary ended with %v: %s", err, c.out.String())
	}
	sang := false
	for line := range strings.Lines(c.out.String()) {
		var from, to int64
		if _, err := fmt.Sscan(line, &from, &to); err == nil {
			out = append(out, span{time.Unix(0, from), time.Unix(0, to)})
		} else if sang = true; line != "sings\n" {
			c.t.Fatalf("the canary says %q", line)
		}
	}
	if !sang {
		c.t.Fatal("the canary did not begin")
	}
	return out
}

// logged returns when the daemons of a host have logged a message since a moment.
func logged(t *testing.T, h *ring.Host, message string, since time.Time) (times []time.Time) {
	t.Helper()
	for _, path := range h.Logs() {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			stamp, rest, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
			if !strings.Contains(rest, message) {
				continue
			}
			at, err := time.Parse(time.RFC3339, stamp)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if !at.Before(since) {
				times = append(times, at)
			}
		}
	}
	return times
}

// wantExplained wants the machine to have stalled in each of the spans.
func wantExplained(t *testing.T, what string, spans, stalls []span) {
	t.Helper()
	odd := slices.DeleteFunc(spans, func(s span) bool { return slices.ContainsFunc(stalls, s.meets) })
	if len(odd) > 0 {
		t.Errorf("%s, %d times when the machine had time for all; first from %s to %s", what, len(odd), odd[0].from.Format(time.StampMilli), odd[0].to.Format(time.StampMilli))
	}
}
