package daemon

import (
	"context"

	"github.com/signetfs/signet/cluster"
	"github.com/signetfs/signet/fs"
)

// names is a volume of the cluster as package fs wants it; as cluster may not know fs,
// what they exchange beyond the vocabulary is translated here.
type names struct{ *cluster.Volume }

var (
	_ fs.Names   = names{}
	_ fs.Objects = (*cluster.Volume)(nil)
)

// Space implements fs.Names.
func (n names) Space(context.Context) (fs.Space, error) {
	s, err := n.Volume.Space()
	return fs.Space{Total: s.Total, Free: s.Total - min(s.Used, s.Total), Used: s.Used, Fits: s.Fits, Inodes: s.Inodes}, err
}
