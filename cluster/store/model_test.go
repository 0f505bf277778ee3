package store_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/cluster/store/storetest"
	"github.com/signetfs/signet/internal/disk"
)

// machine drives a store on disk and one in memory with the same calls, with restarts,
// power cuts and damage in between, and expects the same answers.
type machine struct {
	m     *disk.Mem
	s     *store.Disk
	model *store.Memory
	// cleared are the marks that Named has cleared: a power cut may bring them back.
	cleared map[signet.Address]store.Meta
}

const modelObjects = 12

func (m *machine) draw(t *rapid.T) (signet.Address, []byte) {
	seed := rapid.Uint64Range(0, modelObjects-1).Draw(t, "object")
	return storetest.Object(seed, sizeOf(seed))
}

func (m *machine) same(t *rapid.T, what string, a, b error) {
	t.Helper()
	if signet.KindOf(a) != signet.KindOf(b) {
		t.Fatalf("%s: %v on disk, %v in memory", what, a, b)
	}
}

func (m *machine) put(t *rapid.T) {
	a, b := m.draw(t)
	meta := store.Meta{
		Session: signet.SessionID(rapid.IntRange(1, 3).Draw(t, "session")),
		Index:   signet.Index(rapid.IntRange(0, 9).Draw(t, "index")),
	}
	if rapid.IntRange(0, 3).Draw(t, "copy") == 0 {
		meta = store.Meta{Named: true}
	}
	before := marked(t, m.model)
	m.same(t, "put", m.s.Put(ctx, storetest.Group, a, b, meta), m.model.Put(ctx, storetest.Group, a, b, meta))
	if _, now := marked(t, m.model)[a]; !now {
		if old, was := before[a]; was {
			m.cleared[a] = old
		}
	} else {
		delete(m.cleared, a)
	}
}

func (m *machine) get(t *rapid.T) {
	a, b := m.draw(t)
	off := rapid.Uint32Range(0, uint32(len(b))+3).Draw(t, "off")
	n := rapid.SampledFrom([]uint32{0, 1, 1000, uint32(len(b)), store.ToEnd}).Draw(t, "n")
	got, err := m.s.Get(ctx, storetest.Group, a, off, n)
	want, werr := m.model.Get(ctx, storetest.Group, a, off, n)
	m.same(t, "get", err, werr)
	if !bytes.Equal(got, want) {
		t.Fatal("get: other bytes")
	}
}

func (m *machine) remove(t *rapid.T) {
	var as []signet.Address
	for range rapid.IntRange(1, 4).Draw(t, "n") {
		a, _ := m.draw(t)
		as = append(as, a)
		delete(m.cleared, a)
	}
	m.same(t, "delete", m.s.Delete(ctx, storetest.Group, as), m.model.Delete(ctx, storetest.Group, as))
}

func (m *machine) name(t *rapid.T) {
	a, _ := m.draw(t)
	if old, was := marked(t, m.model)[a]; was {
		m.cleared[a] = old
	}
	m.same(t, "named", m.s.Named(ctx, storetest.Group, []signet.Address{a}), m.model.Named(ctx, storetest.Group, []signet.Address{a}))
}

func (m *machine) restart(t *rapid.T) {
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	m.open(t)
}

func (m *machine) powerCut(t *rapid.T) {
	percent := rapid.SampledFrom([]int{0, 30, 70, 100}).Draw(t, "percent")
	old, cut := m.s, m.m.Crash(percent, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	m.m = cut
	m.open(t)
	// Marks that came back are right too; so that both agree, they are cleared again.
	got, want := marked(t, m.s), marked(t, m.model)
	for a, meta := range got {
		if _, ok := want[a]; ok {
			continue
		}
		if m.cleared[a] != meta {
			t.Fatalf("%v has the mark %v from nowhere", a, meta)
		}
		if err := m.s.Named(ctx, storetest.Group, []signet.Address{a}); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *machine) open(t *rapid.T) {
	s, err := store.OpenDisk(store.Options{Disk: m.m.Disk, Dir: "store"})
	if err != nil {
		t.Fatal(err)
	}
	m.s = s
}

// check compares everything that can be asked.
func (m *machine) check(t *rapid.T) {
	if got, want := listed(t, m.s), listed(t, m.model); !maps.Equal(got, want) {
		t.Fatalf("%d objects on disk, %d in memory", len(got), len(want))
	}
	if got, want := marked(t, m.s), marked(t, m.model); !maps.Equal(got, want) {
		t.Fatalf("marks %v on disk, %v in memory", got, want)
	}
	if got, want := m.s.Stat(), m.model.Stat(); got.Objects != want.Objects || got.Used != want.Used {
		t.Fatalf("%+v on disk, %+v in memory", got, want)
	}
}

func listed(t *rapid.T, s store.Local) map[signet.Address]uint32 {
	all := make(map[signet.Address]uint32)
	if err := s.Addresses(ctx, storetest.Group, signet.Address{}, func(a signet.Address, n uint32) bool {
		all[a] = n
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func marked(t *rapid.T, s store.Local) map[signet.Address]store.Meta {
	all := make(map[signet.Address]store.Meta)
	if err := s.Unnamed(ctx, storetest.Group, signet.Address{}, func(a signet.Address, m store.Meta) bool {
		all[a] = m
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{m: disk.NewMem(), model: store.NewMemory(0), cleared: map[signet.Address]store.Meta{}}
		m.open(t)
		defer func() {
			if err := m.s.Close(); err != nil {
				panic(fmt.Sprint("close: ", err))
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"put": m.put, "put more": m.put, "get": m.get, "delete": m.remove, "named": m.name,
			"restart": m.restart, "power cut": m.powerCut, "": m.check,
		})
	})
}
