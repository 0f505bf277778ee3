package daemon

import (
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
)

// memoryLimit is when the garbage collector begins to work harder. With what lies
// outside the heap a host stays below 300 MiB.
const memoryLimit = 224 << 20

// Harden keeps this process's memory, where the volume's key is, out of core files and
// from other processes of the same user.
func Harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return signet.Errorf(signet.Other, "forbid core files", "", "%w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return signet.Errorf(signet.Other, "forbid core files", "", "%w", err)
	}
	return nil
}

// limitMemory bounds the heap, unless the user did (GOMEMLIMIT).
func limitMemory() {
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(memoryLimit)
	}
}
