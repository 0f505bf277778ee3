package cluster

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/internal/digest"
)

// Small objects put on another host, one by one from so many writers, and in batches into
// a store: what a message for batches could gain at most.
func BenchmarkSmallPuts(b *testing.B) {
	w := newBench(b, 2)
	w.votersAre(2)
	ctx := w.ctx()
	var seq atomic.Uint64
	object := func() (signet.Address, []byte) {
		sealed := make([]byte, 8<<10)
		binary.BigEndian.PutUint64(sealed, seq.Add(1))
		return signet.NewAddress(digest.Default, 1, digest.Sum(digest.Default, sealed)), sealed
	}
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("each/writers=", writers), func(b *testing.B) {
			b.SetParallelism(writers)
			b.SetBytes(8 << 10)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a, sealed := object()
					if err := w.hosts[0].peers.Put(ctx, 2, signet.DefaultVolume, a, sealed, store.Meta{Index: 1}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
	for _, size := range []int{16, 64} {
		b.Run(fmt.Sprint("store/batch=", size), func(b *testing.B) {
			b.SetBytes(8 << 10)
			for left := b.N; left > 0; left -= size {
				var items []store.Item
				for range min(size, left) {
					a, sealed := object()
					items = append(items, store.Item{Address: a, Sealed: sealed, Meta: store.Meta{Index: 1}})
				}
				if err := w.hosts[1].store.PutAll(ctx, signet.DefaultVolume, items); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

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
