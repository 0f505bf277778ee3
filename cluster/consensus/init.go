package consensus

import (
	"context"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// Init proposes the first command of a cluster and waits until it is released. A
// cluster that this host has made before, in an attempt that was interrupted, is fine.
func (n *Node) Init(ctx context.Context, first *meta.Init) error {
	a, t, err := n.doLoose(ctx, signet.ClusterGroup, first)
	if err != nil {
		return signet.Wrap("make cluster", "", err)
	}
	if a.Result.Err != signet.OK && a.Result.Err != signet.Exists {
		return signet.Errorf(a.Result.Err, "make cluster", "", "refused: %v", a.Result.Err)
	}
	return t.Wait(ctx)
}
