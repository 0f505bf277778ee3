package cluster

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
)

// Creating names on three hosts with real disks and connections, until they are
// released: what a program waits for in create(2).
func BenchmarkCreate(b *testing.B) {
	for _, c := range []struct {
		host, writers int
	}{{0, 1}, {1, 1}, {0, 8}, {1, 8}, {1, 64}} {
		b.Run(fmt.Sprintf("host=%d/writers=%d", c.host+1, c.writers), func(b *testing.B) {
			w := newBench(b, 3)
			w.votersAre(3)
			ctx := w.ctx()
			v := w.hosts[c.host].Volume(signet.DefaultVolume, consensus.CutoffFail)
			var seq atomic.Int64
			b.SetParallelism(c.writers)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					ino, err := v.NextIno(ctx)
					if err != nil {
						b.Error(err)
						return
					}
					r, t, err := v.Do(ctx, &signet.Create{Parent: signet.RootIno, Name: fmt.Appendf(nil, "f%d", seq.Add(1)), Ino: ino, Mode: signet.ModeRegular | 0o644})
					if err != nil || r.Err != signet.OK || t.Wait(ctx) != nil {
						b.Error(r.Err, err)
						return
					}
				}
			})
		})
	}
}
