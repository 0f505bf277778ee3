package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/digest"
)

// stop ends a host's process in good order; boot starts it again on the same disk and port.
func (b *bench) stop(i int) {
	b.t.Helper()
	n := b.hosts[i]
	b.hosts[i] = nil
	if err := n.Close(); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) boot(i int) {
	b.t.Helper()
	l, err := net.Listen("tcp", b.addrs[i])
	if err != nil {
		b.t.Fatal(err)
	}
	n, err := Open(b.options(i, l))
	if err != nil {
		b.t.Fatal(err)
	}
	b.hosts[i] = n
}

// file is what a test wrote: a name, and one object with its contents.
type file struct {
	name   string
	ino    signet.Ino
	sealed []byte
	object signet.Object
}

// write puts an object and names it in a new file, all through host i.
func (b *bench) write(ctx context.Context, i, seq, size int) file {
	b.t.Helper()
	v := b.hosts[i].Volume(signet.DefaultVolume, consensus.CutoffFail)
	sealed := bytes.Repeat(binary.BigEndian.AppendUint64(nil, uint64(seq)), size/8)
	d := digest.Sum(digest.Default, sealed)
	a := signet.NewAddress(digest.Default, signet.ArcKey(binary.BigEndian.Uint16(d[:])), d)
	f := file{name: fmt.Sprint("f", seq), sealed: sealed}
	var err error
	if f.ino, err = v.NextIno(ctx); err != nil {
		b.t.Fatal(err)
	}
	if f.object, err = v.Put(ctx, a, sealed, nil); err != nil {
		b.t.Fatal(err)
	}
	f.object.KeyVersion, f.object.Size = 1, uint32(len(sealed))
	for _, c := range []signet.Command{
		&signet.Create{Parent: signet.RootIno, Name: []byte(f.name), Ino: f.ino, Mode: signet.ModeRegular | 0o644},
		&signet.Write{Ino: f.ino, Size: uint64(len(sealed)), Objects: []signet.Object{f.object},
			Extents: []signet.Extent{{Len: uint32(len(sealed)), Object: a}}},
	} {
		r, t, err := v.Do(ctx, c)
		if err != nil || r.Err != signet.OK || t.Wait(ctx) != nil {
			b.t.Fatalf("write %s: %v, %v", f.name, r.Err, err)
		}
	}
	return f
}

// read reads the files as host i has them: names and rows from its tables, contents from
// whoever it finds.
func (b *bench) read(ctx context.Context, i int, policy consensus.Cutoff, files []file) {
	b.t.Helper()
	v := b.hosts[i].Volume(signet.DefaultVolume, policy)
	if err := v.Ready(ctx); err != nil {
		b.t.Fatal(err)
	}
	for _, f := range files {
		view := v.View()
		e, err := view.Lookup(signet.RootIno, []byte(f.name))
		if err != nil || e.Ino != f.ino {
			b.t.Errorf("host %d: %s is %v, %v", i+1, f.name, e, err)
		}
		x, err := view.Extents(f.ino, 0, 1<<30, 10)
		if err != nil || len(x) != 1 {
			b.t.Fatalf("host %d: extents of %s: %v, %v", i+1, f.name, x, err)
		}
		o, err := view.Object(x[0].Object)
		view.Close()
		if err != nil {
			b.t.Fatal(err)
		}
		got, err := v.Get(ctx, o, 0, o.Sealed)
		if err != nil || !bytes.Equal(got, f.sealed) {
			b.t.Errorf("host %d: contents of %s: %d bytes, %v", i+1, f.name, len(got), err)
		}
	}
}

// holds says whether host i has all the objects in its own store.
func (b *bench) holds(i int, files []file) bool {
	var as []signet.Address
	for _, f := range files {
		as = append(as, f.object.Address)
	}
	has, err := b.hosts[i].store.Has(context.Background(), signet.DefaultVolume, as)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range has {
		if !h {
			return false
		}
	}
	return true
}

// One host writes, two join, the first dies: everything is there.
func TestJoinersTakeOver(t *testing.T) {
	b := newBench(t, 1)
	ctx := b.ctx()
	var files []file
	for i := range 40 {
		files = append(files, b.write(ctx, 0, i, 1000+i*5000))
	}
	b.add()
	b.add()
	b.votersAre(3)
	b.until("the joiners to have everything", func() bool { return b.holds(1, files) && b.holds(2, files) })
	b.stop(0)
	b.read(ctx, 1, consensus.CutoffFail, files)
	b.read(ctx, 2, consensus.CutoffFail, files)
}

// Host 3 is away while the others write; back, it catches up, and then it can answer for
// everything alone.
func TestAwayAndBack(t *testing.T) {
	b := newBench(t, 3)
	b.votersAre(3)
	ctx := b.ctx()
	b.until("three owners of each arc", func() bool {
		w := b.hosts[0].atlas.Where(signet.Address{})
		return len(w.Owners) == 3 && len(w.Previous) == 0
	})
	var files []file
	for i := range 10 {
		files = append(files, b.write(ctx, i%3, i, 20_000))
	}
	b.stop(2)
	for i := range 30 {
		files = append(files, b.write(ctx, i%2, 100+i, 1000+i*3000))
	}
	b.boot(2)
	b.until("host 3 to have what it missed", func() bool { return b.holds(2, files) })
	b.until("host 3 to know of everything", func() bool {
		return b.hosts[2].log.State().Position().Index >= b.hosts[0].log.State().Position().Index
	})
	b.stop(0)
	b.stop(1)
	b.read(ctx, 2, consensus.CutoffStale, files)
}

// What a host lost or has damaged comes back when another asks it for that, without a
// restart.
func TestWhatIsAskedForIsMended(t *testing.T) {
	b := newBench(t, 3)
	b.votersAre(3)
	ctx := b.ctx()
	b.until("three owners of each arc", func() bool {
		w := b.hosts[0].atlas.Where(signet.Address{})
		return len(w.Owners) == 3 && len(w.Previous) == 0
	})
	f := b.write(ctx, 0, 1, 200_000)
	all := []file{f}
	b.until("three copies", func() bool { return b.holds(0, all) && b.holds(1, all) && b.holds(2, all) })
	small := b.write(ctx, 0, 2, 2_000)
	b.until("three copies", func() bool {
		return b.holds(0, []file{small}) && b.holds(1, []file{small}) && b.holds(2, []file{small})
	})
	whole := func(i int, f file) error {
		got, err := b.hosts[0].peers.Get(ctx, b.hosts[i].ID(), signet.DefaultVolume, f.object.Address, 0, f.object.Sealed)
		if err == nil && !bytes.Equal(got, f.sealed) {
			t.Errorf("host %d returns other bytes", i+1)
		}
		return err
	}
	b.flip(1, f)
	if err := whole(1, f); signet.KindOf(err) != signet.Corrupt {
		t.Fatalf("a flipped copy: %v", err)
	}
	if err := b.hosts[2].store.Delete(ctx, signet.DefaultVolume, []signet.Address{f.object.Address, small.object.Address}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []file{f, small} {
		if err := whole(2, f); signet.KindOf(err) != signet.NotFound {
			t.Fatalf("a lost copy: %v", err)
		}
	}
	b.until("the flipped copy to be mended", func() bool { return whole(1, f) == nil })
	b.until("the lost ones to be back", func() bool { return whole(2, f) == nil && whole(2, small) == nil })
}

// flip changes a byte of host i's copy of an object that is large enough for a file.
func (b *bench) flip(i int, f file) {
	b.t.Helper()
	var name string
	err := filepath.WalkDir(b.dirs[i], func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == f.object.Address.String() {
			name = path
		}
		return err
	})
	if err != nil || name == "" {
		b.t.Fatalf("no file of %v: %v", f.object.Address, err)
	}
	sealed := bytes.Clone(f.sealed)
	sealed[len(sealed)/2] ^= 1
	if err := b.options(i, nil).Disk.WriteFile(strings.TrimPrefix(name, b.dirs[i]+"/"), sealed, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// settled says whether each arc has so many owners and none that waits for another.
func (b *bench) settled(owners int) bool {
	ok := true
	r := b.hosts[0].log.Reader(signet.ClusterGroup)
	defer r.Close()
	if err := r.Arcs(func(a meta.Arc) bool {
		ok = len(a.Owners) == owners && !a.Moving()
		return ok
	}); err != nil {
		b.t.Fatal(err)
	}
	return ok
}

// Joining a cluster of full size that has no objects yet costs the log a handful of
// entries, not one for each arc.
func TestJoinTakesFewEntries(t *testing.T) {
	b := newBenchOf(t, 1, 4096)
	before := b.hosts[0].log.State().Position().Index
	began := time.Now()
	b.add()
	b.until("two owners of each arc", func() bool { return b.settled(2) })
	b.votersAre(2)
	took := time.Since(began)
	entries := b.hosts[0].log.State().Position().Index - before
	t.Logf("%d entries, %v", entries, took)
	if entries > 60 {
		t.Errorf("%d entries", entries)
	}
}
