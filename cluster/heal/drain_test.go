package heal

import (
	"slices"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// cuts returns the inodes with a cut that is not finished.
func (s *sim) cuts() (inos []signet.Ino) {
	s.t.Helper()
	if err := s.lead.Read(vol, func(r *meta.Reader) error {
		return r.Cuts(0, func(c meta.PendingCut) bool {
			inos = append(inos, c.Ino)
			return true
		})
	}); err != nil {
		s.t.Fatalf("%v", err)
	}
	return inos
}

// scatter makes a file of so many extents that no one command can take them away.
func (s *sim) scatter(h *host) signet.Ino {
	h.write()
	ino := s.ino
	for i := range uint64(20) {
		w := &signet.Write{Ino: ino, Size: 1 << 20}
		for j := range uint64(100) {
			w.Extents = append(w.Extents, signet.Extent{Off: 1000 + (i*100+j)*10, Len: 1, Inline: []byte("x")})
		}
		h.must(vol, w)
	}
	return ino
}

// A cut whose host died in the middle is finished by whoever leads, and not before the
// host had its time.
func TestCutsAreFinished(t *testing.T) {
	s := newSim(t, 8)
	second := s.join()
	s.pass(20 * time.Second)
	var want []signet.Ino
	for range 2 {
		ino := s.scatter(second)
		if a := second.must(vol, &signet.SetAttr{Ino: ino, Set: signet.SetSize}); !a.Result.More {
			t.Fatal("nothing is left to be drained")
		}
		delete(s.files, ino) // its object is dead
		want = append(want, ino)
	}
	s.down(second)
	s.pass(5 * time.Second)
	if got := s.cuts(); !slices.Equal(got, want) {
		t.Fatalf("%v wait, want %v", got, want)
	}
	s.elect(s.lead) // what was seen before is forgotten
	s.pass(20 * time.Second)
	if got := s.cuts(); len(got) > 0 {
		t.Errorf("%v still wait", got)
	}
	for _, ino := range want {
		r := s.lead.state.Reader(vol)
		attr, err := r.Attr(ino)
		r.Close()
		if err != nil || attr.Bytes != 0 {
			t.Errorf("%d: %d bytes are left, %v", ino, attr.Bytes, err)
		}
	}
}
