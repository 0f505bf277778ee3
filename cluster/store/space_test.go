package store_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/cluster/store/storetest"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/disk"
)

var ctx = context.Background()

func rng(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func openWith(t *testing.T, o store.Options) *store.Disk {
	t.Helper()
	o.Dir = "store"
	s, err := store.OpenDisk(o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func TestReserve(t *testing.T) {
	const mib = 1 << 20
	m, c := disk.NewMem(), clock.NewManual(time.Unix(1, 0))
	m.SetSpace(disk.Space{Total: 1000 * mib, Free: 300 * mib})
	s := openWith(t, store.Options{Disk: m.Disk, Clock: c})
	if u := s.Stat(); u.Free != 44*mib || u.Capacity != 744*mib {
		t.Errorf("256 MiB of 1000 are to be the reserve: %+v", u)
	}
	_, err := put(s, 1, 100)
	must(t, err)
	m.SetSpace(disk.Space{Total: 1000 * mib, Free: 256*mib + 4500})
	c.Advance(time.Second) // somebody else fills the disk, and a second later it shows
	_, err = put(s, 2, 4000)
	must(t, err)
	for _, n := range []int{5000, 70_000} {
		_, err = put(s, 3, n)
		wantKind(t, err, signet.NoSpace)
	}
	one, _ := storetest.Object(1, 100)
	must(t, s.Delete(ctx, storetest.Group, []signet.Address{one}))
	must(t, s.Named(ctx, storetest.Group, []signet.Address{one}))
	must(t, intact(s, 2, 4000))

	m.SetSpace(disk.Space{Total: 1000 * mib, Free: 300 * mib})
	_, err = put(s, 3, 70_000) // before it refuses it asks again
	must(t, err)

	m.SetSpace(disk.Space{Total: 100_000 * mib, Free: 5001 * mib})
	c.Advance(time.Second)
	if u := s.Stat(); u.Free != 1*mib {
		t.Errorf("5 %% of a large disk are to be the reserve: %+v", u)
	}
}

func TestReserveAsConfigured(t *testing.T) {
	m := disk.NewMem()
	m.SetSpace(disk.Space{Total: 1 << 30, Free: 12_000})
	s := openWith(t, store.Options{Disk: m.Disk, Reserve: 10_000})
	_, err := put(s, 1, 1500)
	must(t, err)
	_, err = put(s, 2, 1500)
	must(t, err) // the disk says that nothing was used: it is asked again
	_, err = put(s, 3, 3000)
	wantKind(t, err, signet.NoSpace)
}

func TestCapacity(t *testing.T) {
	for _, open := range []func() store.Local{
		func() store.Local { return openWith(t, store.Options{Disk: disk.NewMem().Disk, Capacity: 100_000}) },
		func() store.Local { return store.NewMemory(100_000) },
	} {
		s := open()
		a, err := put(s, 1, 70_000)
		must(t, err)
		_, err = put(s, 2, 40_000)
		wantKind(t, err, signet.NoSpace)
		if u := s.Stat(); u.Free != 30_000 || u.Capacity != 100_000 {
			t.Errorf("%+v", u)
		}
		_, err = put(s, 1, 70_000) // it is there
		must(t, err)
		must(t, s.Delete(ctx, storetest.Group, []signet.Address{a}))
		_, err = put(s, 2, 40_000)
		must(t, err)
	}
}

func TestUsageIsKept(t *testing.T) {
	m := disk.NewMem()
	s, err := store.OpenDisk(store.Options{Disk: m.Disk, Dir: "store"})
	must(t, err)
	for seed := range uint64(300) {
		n := 100
		if seed%100 == 7 {
			n = 70_000
		}
		_, err := put(s, seed, n)
		must(t, err)
	}
	one, _ := storetest.Object(7, 70_000)
	must(t, s.Delete(ctx, storetest.Group, []signet.Address{one}))
	want := s.Stat()
	if want.Objects != 299 || want.Used != 297*100+2*70_000 {
		t.Errorf("%+v", want)
	}
	crashed := m.Crash(0, nil)
	must(t, s.Close())
	for _, d := range []*disk.Disk{m.Disk, crashed.Disk} {
		if u := openOn(t, d).Stat(); u.Objects != want.Objects || u.Used != want.Used {
			t.Errorf("%+v became %+v", want, u)
		}
	}
}

// TestPutWaitsItsTurn checks that a put waits for another change of the same object,
// and gives up when its caller does.
func TestPutWaitsItsTurn(t *testing.T) {
	m := disk.NewMem()
	s := openOn(t, m.Disk)
	entered, let := make(chan bool), make(chan bool)
	m.SetHook(func(op disk.Op) error {
		if op.Label == disk.ObjectSync && !op.After {
			entered <- true
			<-let
		}
		return nil
	})
	first := make(chan error)
	go func() { _, err := put(s, 1, 70_000); first <- err }()
	<-entered
	a, b := storetest.Object(1, 70_000)
	if has, err := s.Has(ctx, storetest.Group, []signet.Address{a}); err != nil || has[0] {
		t.Error("an object that is being put is said to be here:", has, err)
	}
	short, cancel := context.WithCancel(ctx)
	second := make(chan error)
	go func() { second <- s.Put(short, storetest.Group, a, b, store.Meta{}) }()
	cancel()
	wantKind(t, <-second, signet.Interrupted)
	must(t, s.Named(ctx, storetest.Group, []signet.Address{a})) // does not wait for the disk
	close(let)
	must(t, <-first)
	must(t, s.Unnamed(ctx, storetest.Group, signet.Address{}, func(signet.Address, store.Meta) bool {
		t.Error("the object was named while it was put, and yet has a mark")
		return true
	}))
	must(t, intact(s, 1, 70_000))
}
