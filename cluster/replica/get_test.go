package replica

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/store"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/digest"
)

// liars are the stores of other hosts, of which some return what they were not asked for.
type liars struct {
	*world
	copies map[signet.HostID][]byte
	lacks  []signet.HostID
}

func (l *liars) Put(context.Context, signet.HostID, signet.Group, signet.Address, []byte, store.Meta) error {
	return signet.Unavailable
}

func (l *liars) Get(_ context.Context, h signet.HostID, _ signet.Group, _ signet.Address, off, n uint32) ([]byte, error) {
	b, ok := l.copies[h]
	if !ok {
		return nil, signet.NotFound
	}
	return b[off:min(uint64(off)+uint64(n), uint64(len(b)))], nil
}

func (l *liars) Placed(signet.Group, signet.Address, signet.HostID) {}
func (l *liars) Lacks(_ signet.Group, _ signet.Address, h signet.HostID) {
	l.lacks = append(l.lacks, h)
}

// Wrong bytes are not the end: others are asked, and who had them is told of.
func TestGetPassesOverWrongCopies(t *testing.T) {
	sealed := bytes.Repeat([]byte("sealed"), 100)
	flipped := bytes.Clone(sealed)
	flipped[77] ^= 1
	o := signet.Object{Address: signet.NewAddress(digest.Default, 5, digest.Sum(digest.Default, sealed)), Sealed: uint32(len(sealed))}
	l := &liars{world: &world{owners: []signet.HostID{2, 3, 4, 5}}, copies: map[signet.HostID][]byte{2: flipped, 4: sealed[:50], 5: sealed}}
	r := New(Config{Self: 1, Local: l.world, Peers: l, Map: l.world, Reports: l, Clock: clock.Real(), Logger: slog.New(slog.DiscardHandler)})
	for _, n := range []uint32{o.Sealed, store.ToEnd} {
		l.lacks = nil
		got, err := r.Get(t.Context(), 1, o, 0, n)
		if err != nil || !bytes.Equal(got, sealed) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if !slices.Equal(l.lacks, []signet.HostID{2, 3, 4}) {
			t.Errorf("told of %v", l.lacks)
		}
	}
	delete(l.copies, 5)
	if _, err := r.Get(t.Context(), 1, o, 0, o.Sealed); signet.KindOf(err) != signet.Unavailable {
		t.Errorf("without a good copy: %v", err)
	}
}
