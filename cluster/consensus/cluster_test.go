package consensus

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/clock"
)

// world is a cluster in one process: real logs and tables on disks in memory, a network
// of function calls that can be cut in either direction.
type world struct {
	t       *testing.T
	times   Times
	limits  LogLimits
	settled chan struct{} // closed when all hosts have become voters

	mu    sync.Mutex // guards what follows
	hosts map[signet.HostID]*testHost
	cuts  map[[2]signet.HostID]bool
}

type testHost struct {
	world *world
	id    signet.HostID
	disk  *vfs.MemFS
	start uint64
	node  *Node // nil while down
	inbox chan func(*Node)
	step  func(string) // nil: the process passes its steps undisturbed
}

func newWorld(t *testing.T, hosts int) *world { return newWorldOf(t, hosts, LogLimits{}) }

func newWorldOf(t *testing.T, hosts int, limits LogLimits) *world {
	w := &world{t: t, times: DefaultTimes(), limits: limits, hosts: map[signet.HostID]*testHost{}, cuts: map[[2]signet.HostID]bool{}}
	for id := signet.HostID(1); id <= signet.HostID(hosts); id++ {
		w.hosts[id] = &testHost{world: w, id: id, disk: vfs.NewCrashableMem()}
	}
	t.Cleanup(func() {
		for _, h := range w.hosts {
			h.stop()
		}
	})
	w.hosts[1].boot()
	w.init(hosts)
	for id := signet.HostID(2); id <= signet.HostID(hosts); id++ {
		w.hosts[id].boot()
	}
	return w
}

// init makes the cluster on host 1 and admits the others, all of them voters.
func (w *world) init(hosts int) {
	n := w.node(1)
	ctx := w.ctx()
	must := func(a meta.Answer, _ signet.Ticket, err error) meta.Answer {
		w.t.Helper()
		if err != nil || a.Result.Err != signet.OK {
			w.t.Fatalf("set up: %v, %v", err, a.Result.Err)
		}
		return a
	}
	host := func(i int) meta.NewHost {
		return meta.NewHost{Key: signet.HostKey{byte(i)}, Name: fmt.Sprint("h", i), Addrs: []string{fmt.Sprint("h", i)}, Weight: 1, Roles: meta.RoleAll, Knows: meta.FeatureNewest}
	}
	must(n.doLoose(ctx, signet.ClusterGroup, &meta.Init{Cluster: [16]byte{1}, Name: "test", Arcs: 16, Copies: 3, Host: host(1), Mode: 0o755,
		Slots: []meta.NewSlot{{Kind: 1, Label: "test", Data: []byte("x")}}}))
	token := signet.Digest{7}
	must(n.Do(ctx, signet.ClusterGroup, &meta.CreateToken{Digest: token, Expires: signet.Time{Sec: 1 << 40}, Uses: 100, Roles: 7}))
	var voters []signet.HostID
	voters = append(voters, 1)
	for i := 2; i <= hosts; i++ {
		a := must(n.Do(ctx, signet.ClusterGroup, &meta.Join{Token: token, Host: host(i)}))
		voters = append(voters, signet.HostID(a.Extra))
	}
	if err := n.Change(ctx, voters[:1], voters[1:]); err != nil {
		w.t.Fatal(err)
	}
	w.settled = make(chan struct{})
	go func() { // once they run, they vote
		defer close(w.settled)
		for n.ctx.Err() == nil {
			p, _ := n.Progress(n.ctx)
			ready := 0
			for _, v := range voters {
				if p[v] > 0 {
					ready++
				}
			}
			if ready == len(voters) && n.Change(n.ctx, voters, nil) == nil && len(n.Members().Voters) == len(voters) {
				return
			}
			select {
			case <-n.stop:
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) node(id signet.HostID) *Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hosts[id].node
}

// cut stops messages from a to b and, if both, from b to a.
func (w *world) cut(a, b signet.HostID, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cuts[[2]signet.HostID{a, b}] = cut
}

// isolate cuts a host off from all others, or heals it.
func (w *world) isolate(id signet.HostID, cut bool) {
	for o := range w.hosts {
		w.cut(id, o, cut)
		w.cut(o, id, cut)
	}
}

func (w *world) link(from, to signet.HostID) *testHost {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[to]
	if h == nil || h.node == nil || w.cuts[[2]signet.HostID{from, to}] {
		return nil
	}
	return h
}

// boot starts the host's process on its disk.
func (h *testHost) boot() {
	h.world.mu.Lock()
	h.start++
	start := h.start
	h.world.mu.Unlock()
	level := slog.LevelError
	if testing.Verbose() {
		level = slog.LevelInfo
	}
	logger := slog.New(slog.NewTextHandler(h.world.t.Output(), &slog.HandlerOptions{Level: level})).With("host", uint64(h.id), "start", start)
	inbox := make(chan func(*Node), 4096)
	n, err := Open(Config{
		Host: h.id, Start: start, FS: h.disk, Dir: "state", Transport: testTransport{h.world, h.id, start},
		Clock: clock.Real(), Times: h.world.times, Limits: h.world.limits, Logger: logger,
		Step: h.step,
		Failed: func(err error) {
			h.world.mu.Lock()
			defer h.world.mu.Unlock()
			if h.node != nil && h.start == start {
				h.world.t.Errorf("host %d failed: %v", h.id, err)
			}
		},
	})
	if err != nil {
		h.world.t.Fatalf("boot host %d: %v", h.id, err)
	}
	h.world.mu.Lock()
	h.node, h.inbox = n, inbox
	h.world.mu.Unlock()
	n.Start()
	go func() {
		for {
			select {
			case f := <-inbox:
				f(n)
			case <-n.stop:
				return
			}
		}
	}()
}

// stop ends the process in good order.
func (h *testHost) stop() {
	h.world.mu.Lock()
	n := h.node
	h.node = nil
	h.world.mu.Unlock()
	if n != nil {
		if err := n.Close(); err != nil {
			h.world.t.Errorf("close host %d: %v", h.id, err)
		}
	}
}

// crash ends the process and takes everything back that its disk was not told to keep.
func (h *testHost) crash() {
	h.world.mu.Lock()
	n := h.node
	h.node = nil
	h.world.mu.Unlock()
	clone := h.disk.CrashClone(vfs.CrashCloneCfg{})
	if n != nil {
		if err := n.Close(); err != nil {
			h.world.t.Logf("close crashed host %d: %v", h.id, err)
		}
	}
	h.disk = clone
}

type testTransport struct {
	world *world
	from  signet.HostID
	start uint64
}

// link returns the host that a message of this process reaches: nobody, once the
// process is dead, even though its goroutines still run for a moment.
func (t testTransport) link(to signet.HostID) *testHost {
	t.world.mu.Lock()
	me := t.world.hosts[t.from]
	alive := me.node != nil && me.start == t.start
	t.world.mu.Unlock()
	if !alive {
		return nil
	}
	return t.world.link(t.from, to)
}

func (t testTransport) deliver(to signet.HostID, f func(*Node)) {
	h := t.link(to)
	if h == nil {
		return
	}
	t.world.mu.Lock()
	inbox := h.inbox // of the process that runs now
	t.world.mu.Unlock()
	select {
	case inbox <- f:
	default:
	}
}

func (t testTransport) SendRaft(to signet.HostID, msgs [][]byte) {
	t.deliver(to, func(n *Node) {
		if err := n.StepRaft(t.from, msgs); err != nil {
			t.world.t.Error(err)
		}
	})
}

func (t testTransport) SendAck(to signet.HostID, a Ack) { t.deliver(to, func(n *Node) { n.Acked(a) }) }

func (t testTransport) SendRelease(to signet.HostID, r Release) {
	t.deliver(to, func(n *Node) { n.Released(r) })
}

var errLink = signet.Errorf(signet.Unavailable, "call", "", "no link")

// call runs f on the other host, if the way there is open, and its answer counts if the
// way back is.
func (t testTransport) call(ctx context.Context, to signet.HostID, f func(*Node) error) error {
	h := t.link(to)
	if h == nil {
		return errLink
	}
	n := t.world.node(to)
	if n == nil {
		return errLink
	}
	err := f(n)
	if t.world.link(to, t.from) == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (t testTransport) Propose(ctx context.Context, to signet.HostID, e [][]byte) error {
	return t.call(ctx, to, func(n *Node) error { return n.Propose(ctx, e) })
}

func (t testTransport) Lease(ctx context.Context, to signet.HostID, r LeaseRequest) (g LeaseGrant, err error) {
	err = t.call(ctx, to, func(n *Node) (err error) { g, err = n.Grant(r); return err })
	return g, err
}

func (t testTransport) Snapshot(ctx context.Context, to signet.HostID, index signet.Index) (s SnapshotFiles, err error) {
	err = t.call(ctx, to, func(n *Node) error { s, err = n.OfferSnapshot(index); return err })
	return s, err
}

func (t testTransport) SnapshotFile(ctx context.Context, to signet.HostID, s SnapshotFiles, f SnapshotFileInfo, w io.Writer) error {
	return t.call(ctx, to, func(n *Node) error {
		for off := int64(0); off < int64(f.Size); {
			p := make([]byte, 64<<10)
			k, err := n.ReadSnapshot(s.Index, f.Name, off, p)
			if err != nil || k == 0 {
				return err
			}
			if _, err := w.Write(p[:k]); err != nil {
				return err
			}
			off += int64(k)
		}
		return nil
	})
}

// create makes a file on the host and waits until it is released.
func (w *world) create(ctx context.Context, id signet.HostID, name string) (signet.Kind, signet.Ino, error) {
	n := w.node(id)
	if n == nil {
		return 0, 0, errLink
	}
	ino, err := n.NextIno(ctx, signet.DefaultVolume)
	if err != nil {
		return 0, 0, err
	}
	a, t, err := n.Do(ctx, signet.DefaultVolume, &signet.Create{Parent: signet.RootIno, Name: []byte(name), Ino: ino, Mode: signet.ModeRegular | 0o644})
	if err != nil {
		return 0, 0, err
	}
	return a.Result.Err, a.Result.Attr.Ino, t.Wait(ctx)
}

// lookup reads a name on the host.
func (w *world) lookup(ctx context.Context, id signet.HostID, name string) (signet.Ino, error) {
	n := w.node(id)
	if n == nil {
		return 0, errLink
	}
	if err := n.Ready(ctx, CutoffFail); err != nil {
		return 0, err
	}
	v := n.View(signet.DefaultVolume, CutoffFail)
	defer v.Close()
	e, err := v.Lookup(signet.RootIno, []byte(name))
	if signet.KindOf(err) == signet.NotFound {
		e, err = signet.Entry{}, nil
	}
	if err != nil {
		return 0, err
	}
	return e.Ino, v.Settle(ctx)
}

func TestOneHost(t *testing.T) {
	w := newWorld(t, 1)
	ctx := w.ctx()
	k, ino, err := w.create(ctx, 1, "a")
	if err != nil || k != signet.OK {
		t.Fatal(k, err)
	}
	if got, err := w.lookup(ctx, 1, "a"); err != nil || got != ino {
		t.Fatalf("lookup = %d, %v; want %d", got, err, ino)
	}
}

func TestThreeHostsSeeEachOther(t *testing.T) {
	w := newWorld(t, 3)
	ctx := w.ctx()
	for i := range 30 {
		name := fmt.Sprint("f", i)
		k, ino, err := w.create(ctx, signet.HostID(i%3+1), name)
		if err != nil || k != signet.OK {
			t.Fatal(i, k, err)
		}
		for id := signet.HostID(1); id <= 3; id++ {
			if got, err := w.lookup(ctx, id, name); err != nil || got != ino {
				t.Fatalf("host %d: %s is %d, %v; want %d", id, name, got, err, ino)
			}
		}
	}
}
