//go:build faults

package store_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store/storetest"
	"github.com/signetfs/signet/internal/disk"
)

// TestKillAtEveryStep kills a process that works on a store at each step of its
// changes, and opens what is left. The child says what it was promised on its
// standard output.
func TestKillAtEveryStep(t *testing.T) {
	if dir := os.Getenv("SIGNET_TEST_STORE"); dir != "" {
		killed(t, dir)
		return
	}
	for _, step := range disk.Steps() {
		for _, count := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/%d", step, count), func(t *testing.T) {
				dir := t.TempDir()
				cmd := exec.Command(os.Args[0], "-test.run=^TestKillAtEveryStep$")
				cmd.Env = append(os.Environ(), "SIGNET_TEST_STORE="+dir, fmt.Sprintf("SIGNET_CRASH=%s:%d", step, count))
				out, err := cmd.Output()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("ended with %v, not by SIGKILL: %s", err, out)
				}
				s := openDir(t, dir)
				for seed := range uint64(12) {
					err := intact(s, seed, sizeOf(seed))
					promised := strings.Contains(string(out), fmt.Sprintf("put %d\n", seed))
					going := strings.Contains(string(out), fmt.Sprintf("deleting %d\n", seed))
					gone := strings.Contains(string(out), fmt.Sprintf("deleted %d\n", seed))
					if err != nil && (promised && !going || signet.KindOf(err) != signet.NotFound) || err == nil && gone {
						t.Errorf("object %d: %v (put %v, deleted %v)", seed, err, promised, gone)
					}
				}
				names, err := filepath.Glob(filepath.Join(dir, "store/objects/*/*/*"))
				must(t, err)
				large := 0
				must(t, s.Addresses(ctx, storetest.Group, signet.Address{}, func(_ signet.Address, n uint32) bool {
					if n >= 64<<10 {
						large++
					}
					return true
				}))
				if len(names) != large {
					t.Errorf("%d files for %d objects", len(names), large)
				}
			})
		}
	}
}

func killed(t *testing.T, dir string) {
	s := openDir(t, dir)
	for seed := range uint64(12) {
		a, err := put(s, seed, sizeOf(seed))
		must(t, err)
		fmt.Printf("put %d\n", seed)
		if seed%2 == 1 {
			must(t, s.Named(ctx, storetest.Group, []signet.Address{a}))
		}
		if seed%3 == 1 {
			fmt.Printf("deleting %d\n", seed)
			must(t, s.Delete(ctx, storetest.Group, []signet.Address{a}))
			fmt.Printf("deleted %d\n", seed)
		}
	}
}
