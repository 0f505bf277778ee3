//go:build faults

package daemon

import (
	"os"
	"strconv"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
)

// logLimits says when the log is cut. SIGNET_LOG_KEEP=n, for tests, has a host flush its
// tables every n entries and keep as many: so a host that is away for a moment already
// needs a snapshot.
func logLimits() consensus.LogLimits {
	n, err := strconv.Atoi(os.Getenv("SIGNET_LOG_KEEP"))
	if err != nil || n < 1 {
		return consensus.LogLimits{}
	}
	l := consensus.DefaultLogLimits()
	l.ReplayEntries, l.KeepEntries = n, signet.Index(n)
	return l
}
