//go:build !faults

package daemon

import "github.com/signetfs/signet/cluster/consensus"

// logLimits says when the log is cut: as usual.
func logLimits() consensus.LogLimits { return consensus.LogLimits{} }
