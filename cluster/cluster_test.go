package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/digest"
	"github.com/signetfs/signet/internal/disk"
)

// bench is a cluster of hosts in this process, on real disks and over real TCP.
type bench struct {
	t     testing.TB
	root  string // removed after the hosts are closed
	hosts []*Node
	dirs  []string
	addrs []string
	arcs  uint32
}

func newBench(t testing.TB, hosts int) *bench { return newBenchOf(t, hosts, 64) }

func newBenchOf(t testing.TB, hosts int, arcs uint32) *bench {
	b := &bench{t: t, root: t.TempDir(), arcs: arcs}
	t.Cleanup(func() {
		for _, n := range b.hosts {
			if n != nil {
				if err := n.Close(); err != nil {
					t.Errorf("close %v: %v", n.ID(), err)
				}
			}
		}
	})
	for range hosts {
		b.add()
	}
	return b
}

func (b *bench) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	b.t.Cleanup(cancel)
	return ctx
}

func (b *bench) options(i int, l net.Listener) Options {
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelInfo
	}
	d, err := disk.Open(b.dirs[i])
	if err != nil {
		b.t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(b.t.Output(), &slog.HandlerOptions{Level: level})).With("host", i+1)
	dialer := &net.Dialer{}
	return Options{
		Environment: Environment{
			Clock: clock.Real(), Times: consensus.DefaultTimes(), Logger: logger, Rand: rand.Reader,
			Dial: func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) },
		},
		Disk:   d,
		Listen: func(string) (net.Listener, error) { return l, nil },
		Failed: func(err error) { b.t.Errorf("host %d failed: %v", i+1, err) },
	}
}

// add makes one more host: the first makes the cluster, the others join it.
func (b *bench) add() *Node {
	b.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	i := len(b.hosts)
	b.dirs = append(b.dirs, filepath.Join(b.root, fmt.Sprint("h", i+1)))
	b.addrs = append(b.addrs, l.Addr().String())
	o := b.options(i, l)
	h := HostOptions{Disk: o.Disk, Name: fmt.Sprint("h", i+1), Listen: b.addrs[i], Advertise: []string{b.addrs[i]}, Roles: meta.RoleAll, Store: StoreOptions{Capacity: 1 << 30, Reserve: 1 << 20}}
	var n *Node
	if i == 0 {
		n, err = Create(b.ctx(), h, VolumeOptions{Name: "test", Copies: 3, Arcs: b.arcs, Mode: 0o755, Slots: []meta.NewSlot{{Kind: 1, Label: "x", Data: []byte("x")}}}, o)
	} else {
		tok := member.Token{Addrs: []string{b.addrs[0]}, Sponsor: b.hosts[0].Key(), Secret: [32]byte{byte(i)}}
		if _, err := b.hosts[0].propose(b.ctx(), signet.ClusterGroup, &meta.CreateToken{Digest: tok.Digest(), Expires: signet.Time{Sec: 1 << 40}, Uses: 1, Roles: meta.RoleAll}); err != nil {
			b.t.Fatal(err)
		}
		if err := Join(b.ctx(), tok, h, o.Environment); err != nil {
			b.t.Fatal(err)
		}
		n, err = Open(o)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.hosts = append(b.hosts, n)
	return n
}

// until waits for a condition of several hosts at once, for which there is no one event.
func (b *bench) until(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.After(30 * time.Second)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-deadline:
			b.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (b *bench) votersAre(n int) {
	b.t.Helper()
	b.until(fmt.Sprint(n, " voters"), func() bool {
		m := b.hosts[0].log.Members()
		return len(m.Voters) == n && !m.Changing
	})
}

func TestThreeHostsBecomeOneCluster(t *testing.T) {
	b := newBench(t, 3)
	b.votersAre(3)
	ctx := b.ctx()
	for i, n := range b.hosts {
		v := n.Volume(signet.DefaultVolume, consensus.CutoffFail)
		ino, err := v.NextIno(ctx)
		if err != nil {
			t.Fatal(err)
		}
		name := []byte(fmt.Sprint("f", i))
		r, ticket, err := v.Do(ctx, &signet.Create{Parent: signet.RootIno, Name: name, Ino: ino, Mode: signet.ModeRegular | 0o644})
		if err != nil || r.Err != signet.OK || ticket.Wait(ctx) != nil {
			t.Fatal(r, err)
		}
		for _, o := range b.hosts {
			v := o.Volume(signet.DefaultVolume, consensus.CutoffFail)
			if err := v.Ready(ctx); err != nil {
				t.Fatal(err)
			}
			view := v.View()
			e, err := view.Lookup(signet.RootIno, name)
			if err != nil || e.Ino != ino || view.Settle(ctx) != nil {
				t.Errorf("%v: %v, %v", o.ID(), e, err)
			}
			view.Close()
		}
	}
}

func TestObjectsTravel(t *testing.T) {
	b := newBench(t, 3)
	b.votersAre(3)
	ctx := b.ctx()
	sealed := bytes.Repeat([]byte("sealed"), 100_000)
	a := signet.NewAddress(digest.Default, 77, digest.Sum(digest.Default, sealed))
	v := b.hosts[1].Volume(signet.DefaultVolume, consensus.CutoffFail)
	o, err := v.Put(ctx, a, sealed, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range b.hosts {
		got, err := n.Volume(signet.DefaultVolume, consensus.CutoffFail).Get(ctx, o, 5, 1000)
		if err != nil || !bytes.Equal(got, sealed[5:1005]) {
			t.Errorf("%v: %d bytes, %v", n.ID(), len(got), err)
		}
	}
}

// Seven hosts, five voters; two voters die, two learners take their place.
func TestVotersAreReplaced(t *testing.T) {
	b := newBench(t, 7)
	b.votersAre(5)
	var dead []signet.HostID
	for i := 6; i > 0 && len(dead) < 2; i-- {
		n := b.hosts[i]
		for _, v := range b.hosts[0].log.Members().Voters {
			if v == n.ID() {
				dead = append(dead, v)
				b.hosts[i] = nil
				if err := n.Close(); err != nil {
					t.Error(err)
				}
				break
			}
		}
	}
	b.until("the dead to be replaced", func() bool {
		m := b.hosts[0].log.Members()
		for _, v := range m.Voters {
			for _, d := range dead {
				if v == d {
					return false
				}
			}
		}
		return len(m.Voters) == 5 && !m.Changing
	})
}

// A host with another state than the rest is told so over the wire.
func TestDivergedHostIsTold(t *testing.T) {
	b := newBench(t, 3)
	b.votersAre(3)
	leader := b.hosts[0]
	b.until("host 1 to lead", func() bool { return leader.log.Status().Hosts != nil })
	b.until("the word", func() bool {
		r := consensus.LeaseRequest{Ack: consensus.Ack{Host: 2, Start: b.hosts[1].start, Acked: leader.log.State().Position().Index, Digest: signet.Digest{9}}}
		_, err := b.hosts[1].peers.Lease(b.ctx(), 1, r)
		return signet.KindOf(err) == signet.Corrupt
	})
	reports, err := b.hosts[2].Reports(b.ctx())
	if err != nil || len(reports) != 3 {
		t.Fatal(reports, err)
	}
	// It was a slip of the tongue: what host 2 reports itself is right.
	b.until("all to agree", func() bool {
		for _, r := range leader.log.Status().Hosts {
			if r.Differs {
				return false
			}
		}
		return leader.log.Halted() == nil && b.hosts[1].log.Halted() == nil
	})
}
