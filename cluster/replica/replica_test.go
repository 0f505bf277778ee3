package replica

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/internal/clock"
)

// world is a ring of hosts as host 1 sees it.
type world struct {
	store.Store // of host 1; only Put is called

	mu      sync.Mutex // guards what follows
	owners  []signet.HostID
	spares  []signet.HostID
	doubted []signet.HostID // by host 1
	down    []signet.HostID // by the log
	fails   map[signet.HostID]error
	has     []signet.HostID
	tried   func(signet.HostID) // with mu held
}

func (w *world) Where(signet.Address) Where {
	return Where{Owners: w.owners, Spares: w.spares, Version: 7}
}

func (w *world) Up(h signet.HostID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !slices.Contains(w.doubted, h) && !slices.Contains(w.down, h)
}

func (w *world) Counts(h signet.HostID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !slices.Contains(w.down, h)
}

func (w *world) Applied() signet.Index     { return 9 }
func (w *world) Session() signet.SessionID { return 3 }

func (w *world) take(h signet.HostID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tried != nil {
		w.tried(h)
	}
	if err := w.fails[h]; err != nil {
		return err
	}
	w.has = append(w.has, h)
	return nil
}

func (w *world) Put(context.Context, signet.Group, signet.Address, []byte, store.Meta) error {
	return w.take(1)
}

type others struct{ *world }

func (o others) Put(_ context.Context, h signet.HostID, _ signet.Group, _ signet.Address, _ []byte, _ store.Meta) error {
	return o.take(h)
}

func (o others) Get(context.Context, signet.HostID, signet.Group, signet.Address, uint32, uint32) ([]byte, error) {
	return nil, signet.Unavailable
}

func (w *world) Placed(signet.Group, signet.Address, signet.HostID) {}
func (w *world) Lacks(signet.Group, signet.Address, signet.HostID)  {}

// put puts an object and checks that it is borrowed until release, once.
func (w *world) put(t *testing.T) (signet.Object, error) {
	t.Helper()
	r := New(Config{Self: 1, Local: w, Peers: others{w}, Map: w, Reports: w, Clock: clock.Real(), Logger: slog.New(slog.DiscardHandler)})
	var released atomic.Int32
	done := make(chan struct{})
	o, err := r.Put(t.Context(), 1, signet.Address{1}, []byte("sealed"), func() {
		if released.Add(1) == 1 {
			close(done)
		}
	})
	<-done
	if n := released.Load(); n != 1 {
		t.Errorf("released %d times", n)
	}
	return o, err
}

func TestPutOnAllOwners(t *testing.T) {
	w := &world{owners: []signet.HostID{1, 2, 3}, spares: []signet.HostID{4}}
	o, err := w.put(t)
	if err != nil || o.Hosts != nil || o.Ring != 7 || o.Put != 9 || len(w.has) != 3 {
		t.Errorf("%+v, %v, on %v", o, err, w.has)
	}
}

func TestSpareStandsIn(t *testing.T) {
	w := &world{owners: []signet.HostID{1, 2}, spares: []signet.HostID{4}, fails: map[signet.HostID]error{2: signet.Unavailable}}
	o, err := w.put(t)
	slices.Sort(o.Hosts)
	if err != nil || !slices.Equal(o.Hosts, []signet.HostID{1, 4}) {
		t.Errorf("%v, %v", o.Hosts, err)
	}
}

// A host that nobody answers keeps nothing to itself: what the log counts on is up, and
// the host that asks may be the one cut off.
func TestDoubtIsNoReasonForFewerCopies(t *testing.T) {
	away := signet.Errorf(signet.Disk, "put", "", "broken")
	w := &world{owners: []signet.HostID{1, 2}, doubted: []signet.HostID{2}, fails: map[signet.HostID]error{2: away}}
	w.tried = func(h signet.HostID) {
		if h == 2 && len(w.has) > 0 {
			w.fails[2] = nil // it answers after all
		}
	}
	o, err := w.put(t)
	if err != nil || len(w.has) != 2 || o.Hosts != nil {
		t.Errorf("on %v, %v", w.has, err)
	}
}

// When a host dies puts wait until the log says so, and do not fail.
func TestPutWaitsForTheLogsWord(t *testing.T) {
	w := &world{owners: []signet.HostID{1, 2}, fails: map[signet.HostID]error{2: signet.Unavailable}}
	tries := 0
	w.tried = func(h signet.HostID) {
		if h == 2 {
			if tries++; tries == 3 {
				w.down = []signet.HostID{2}
			}
		}
	}
	o, err := w.put(t)
	if err != nil || !slices.Equal(o.Hosts, []signet.HostID{1}) {
		t.Errorf("%v, %v after %d tries", o.Hosts, err, tries)
	}
}

func TestNoSpaceIsSaidAtOnce(t *testing.T) {
	w := &world{owners: []signet.HostID{1, 2}, fails: map[signet.HostID]error{2: signet.NoSpace}}
	if _, err := w.put(t); signet.KindOf(err) != signet.NoSpace {
		t.Errorf("%v", err)
	}
}

func TestNobodyToAsk(t *testing.T) {
	w := &world{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := New(Config{Self: 1, Local: w, Peers: others{w}, Map: w, Reports: w, Clock: clock.Real(), Logger: slog.New(slog.DiscardHandler)})
	if o, err := r.Put(ctx, 1, signet.Address{1}, []byte("sealed"), nil); err == nil {
		t.Errorf("%+v, durable nowhere", o)
	}
}
