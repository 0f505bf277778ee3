package fstest

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/internal/clock"
)

// Mount is one host's mount of a volume in memory.
type Mount struct {
	*fs.FS
	Names  *Host
	Kernel *Kernel

	t testing.TB
}

// Volume is a volume in memory and what it is made of.
type Volume struct {
	State   *State
	Objects *Objects
	Sealer  fs.Sealer
	Clock   clock.Clock
	Limits  fs.Limits
	Report  func(error)

	t testing.TB
}

// NewVolume returns an empty volume on the machine's clock. Fields may be changed
// before the first Mount.
func NewVolume(t testing.TB) *Volume {
	t.Helper()
	ring, err := crypto.NewKeyring(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Volume{
		State: NewState(), Objects: NewObjects(), Sealer: fs.NewKeys(ring, rand.Reader), Clock: clock.Real(), t: t,
	}
}

// Mount mounts the volume on another host, until the test ends.
func (v *Volume) Mount() *Mount {
	v.t.Helper()
	m := &Mount{Kernel: NewKernel(), t: v.t}
	var f atomic.Pointer[fs.FS]
	m.Names = v.State.NewHost(func(ctx context.Context, b signet.Batch) error {
		if f := f.Load(); f != nil {
			return f.Changed(ctx, b)
		}
		return nil
	})
	m.FS = fs.New(fs.Config{Names: m.Names, Objects: v.Objects, Sealer: v.Sealer, Clock: v.Clock, Limits: v.Limits, Report: v.Report})
	m.Attach(m.Kernel)
	f.Store(m.FS)
	m.Names.Answer(m.FS.Recalled)
	v.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what a test left dirty need not be published
		_ = m.FS.Close(ctx)
		if err := m.Names.Close(); err != nil {
			v.t.Error("change feed:", err)
		}
	})
	return m
}

// Do calls fn with a request and then writes the reply, so to speak.
func (m *Mount) Do(fn func(r *fs.Request) error) error {
	r := &fs.Request{Ctx: context.Background()}
	defer r.Done()
	return fn(r)
}

// Must calls fn with a request and fails the test on an error.
func (m *Mount) Must(fn func(r *fs.Request) error) {
	m.t.Helper()
	if err := m.Do(fn); err != nil {
		m.t.Fatal(err)
	}
}
