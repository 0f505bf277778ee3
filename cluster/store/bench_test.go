package store_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/cluster/store/storetest"
)

// BenchmarkPut measures durable puts of new objects by so many at once.
func BenchmarkPut(b *testing.B) {
	for _, c := range []struct{ size, writers int }{
		{4 << 10, 1}, {4 << 10, 32}, {64 << 10, 8}, {256 << 10, 8}, {1 << 20, 1}, {1 << 20, 8}, {4 << 20, 1}, {4 << 20, 8},
	} {
		b.Run(fmt.Sprintf("%dKiB/x%d", c.size>>10, c.writers), func(b *testing.B) {
			s := openDir(b, b.TempDir())
			items := objects(c.size)
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += len(items) {
				round := items[:min(len(items), b.N-done)]
				putBy(b, s, round, c.writers)
				b.StopTimer()
				renew(items)
				b.StartTimer()
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

// objects makes as many different objects as fit into 64 MiB, so that their digests
// are not computed while the time runs.
func objects(size int) []store.Item {
	items := make([]store.Item, min(4096, 64<<20/size))
	for i := range items {
		a, sealed := storetest.Object(uint64(i), size)
		items[i] = store.Item{Address: a, Sealed: sealed, Meta: store.Meta{Session: 1}}
	}
	return items
}

// putBy puts items by several writers at once.
func putBy(b *testing.B, s *store.Disk, items []store.Item, writers int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
				it := items[i]
				if err := s.Put(context.Background(), storetest.Group, it.Address, it.Sealed, it.Meta); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// renew makes other objects of items. (Deleting the old ones instead would measure how
// ext4 looks for inodes that were not deleted lately.)
func renew(items []store.Item) {
	for i := range items {
		it := &items[i]
		binary.BigEndian.PutUint64(it.Sealed, binary.BigEndian.Uint64(it.Sealed)+1)
		it.Address = storetest.Address(uint64(i), it.Sealed)
	}
}

// BenchmarkPutAll measures small objects that come together, as one batch of a peer.
func BenchmarkPutAll(b *testing.B) {
	s := openDir(b, b.TempDir())
	const together = 32
	items := objects(4 << 10)
	b.SetBytes(together * 4 << 10)
	b.ResetTimer()
	for i := range b.N {
		at := i * together % len(items)
		if at == 0 && i > 0 {
			b.StopTimer()
			renew(items)
			b.StartTimer()
		}
		if err := s.PutAll(context.Background(), storetest.Group, items[at:at+together]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGet measures whole, verified reads of objects in the page cache, and small
// parts of them.
func BenchmarkGet(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20, 4 << 20} {
		s := openDir(b, b.TempDir())
		a, sealed := storetest.Object(1, size)
		if err := s.Put(context.Background(), storetest.Group, a, sealed, store.Meta{}); err != nil {
			b.Fatal(err)
		}
		for name, n := range map[string]uint32{"whole": store.ToEnd, "part": 4000} {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					got, err := s.Get(context.Background(), storetest.Group, a, 0, n)
					if err != nil {
						b.Fatal(err)
					}
					b.SetBytes(int64(len(got)))
				}
			})
		}
	}
}

// BenchmarkHas measures questions about objects half of which are here.
func BenchmarkHas(b *testing.B) {
	s := openDir(b, b.TempDir())
	var ask []signet.Address
	for i := range uint64(1000) {
		a, sealed := storetest.Object(i, 100)
		ask = append(ask, a)
		if i%2 == 0 {
			if err := s.PutAll(context.Background(), storetest.Group, []store.Item{{Address: a, Sealed: sealed}}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		if _, err := s.Has(context.Background(), storetest.Group, ask); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/address")
}
