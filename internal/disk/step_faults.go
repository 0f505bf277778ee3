//go:build faults

package disk

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// passed counts how often the label of SIGNET_CRASH was passed. It belongs to the
// process, as the crash does.
var passed atomic.Int64

// crashPoint reads SIGNET_CRASH once.
var crashPoint = sync.OnceValues(func() (Label, int64) {
	label, count, _ := strings.Cut(os.Getenv("SIGNET_CRASH"), ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		n = 1
	}
	return Label(label), n
})

// Step ends the process with SIGKILL at the n-th passing of the label that
// SIGNET_CRASH=label:n names.
func Step(l Label) {
	if label, n := crashPoint(); l == label && passed.Add(1) == n {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {} // the signal is on its way: nothing may happen any more
	}
}
