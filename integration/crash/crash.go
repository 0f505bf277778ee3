package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// env names the variable that internal/disk reads in a program built with "faults".
const env = "SIGNET_CRASH"

// Build builds a command of this module with crash points into dir and returns the
// program's path. pkg is relative to the module's root, like "./cmd/signet". If the
// tests run with the race detector, give race: the program gets it too.
func Build(ctx context.Context, pkg, dir string, race bool) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	bin := filepath.Join(dir, filepath.Base(pkg))
	args := []string{"build", "-tags=faults", "-o", bin}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = strings.TrimSpace(string(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return bin, nil
}

// At returns the environment that makes a program die at the n-th passing of a label,
// counted from 1.
func At(label string, n int) []string {
	return []string{env + "=" + label + ":" + strconv.Itoa(n)}
}

// Killed says whether an error from waiting for a process means that SIGKILL ended it.
func Killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// SeedEnv names the variable that repeats a random run.
const SeedEnv = "SIGNET_SEED"

// Random returns a source of randomness for a test, and prints how to repeat the run:
// with the same SIGNET_SEED in the environment.
func Random(t testing.TB) *rand.Rand {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv(SeedEnv), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("repeat with %s=%d", SeedEnv, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Moment returns a random duration in [from, to).
func Moment(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}
