package crash_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/crash"
)

func TestAt(t *testing.T) {
	bin, err := crash.Build(t.Context(), "./integration/crash/testdata/passer", t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		label  string
		n      int
		killed bool
		out    string
	}{
		{"test.passed", 1, true, ""},
		{"test.passed", 4, true, "1\n2\n3\n"},
		{"test.passed", 6, false, "1\n2\n3\n4\n5\n"},
		{"test.other", 1, false, "1\n2\n3\n4\n5\n"},
	} {
		cmd := exec.CommandContext(t.Context(), bin)
		cmd.Env = append(os.Environ(), crash.At(c.label, c.n)...)
		out, err := cmd.Output()
		if crash.Killed(err) != c.killed || string(out) != c.out {
			t.Errorf("at %s:%d: killed %v, printed %q; want %v, %q", c.label, c.n, crash.Killed(err), out, c.killed, c.out)
		}
	}
}

func TestKilled(t *testing.T) {
	for script, want := range map[string]bool{"kill -9 $$": true, "kill -15 $$": false, "exit 9": false, "true": false} {
		if got := crash.Killed(exec.Command("sh", "-c", script).Run()); got != want {
			t.Errorf("%s: killed %v, want %v", script, got, want)
		}
	}
}

func TestRandomRepeats(t *testing.T) {
	t.Setenv(crash.SeedEnv, "42")
	a, b := crash.Random(t), crash.Random(t)
	for range 10 {
		x, y := crash.Moment(a, time.Second, time.Minute), crash.Moment(b, time.Second, time.Minute)
		if x != y || x < time.Second || x >= time.Minute {
			t.Fatalf("moments %v and %v", x, y)
		}
	}
}
