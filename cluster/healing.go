package cluster

import (
	"context"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// healing connects package heal with the rest of the host.
type healing struct{}

func (h *healing) applied(*meta.Effects)                              {}
func (h *healing) restored()                                          {}
func (h *healing) lead(context.Context)                               {}
func (h *healing) Placed(signet.Group, signet.Address, signet.HostID) {}
func (h *healing) Lacks(signet.Group, signet.Address, signet.HostID)  {}
