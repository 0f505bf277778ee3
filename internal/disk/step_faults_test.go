//go:build faults

package disk_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/signetfs/signet/internal/disk"
)

// TestStepKills runs itself in a child that passes a label three times.
func TestStepKills(t *testing.T) {
	if os.Getenv("SIGNET_CRASH") != "" {
		for i := range 3 {
			disk.Step(disk.StepPutLinked)
			_, _ = os.Stdout.WriteString(strings.Repeat("x", i+1) + "\n")
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestStepKills$")
	cmd.Env = append(os.Environ(), "SIGNET_CRASH="+string(disk.StepPutLinked)+":3")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("ended with %v, not by SIGKILL", err)
	}
	if s := string(out); !strings.Contains(s, "xx\n") || strings.Contains(s, "xxx") {
		t.Errorf("died at the wrong passing: %q", s)
	}
}
