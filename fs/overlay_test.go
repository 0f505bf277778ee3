package fs

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/signetfs/signet/fs/extent"
)

// TestOverlayModel compares an overlay under random writes, cuts, freezes, takes and
// restores with bytes and a mask.
func TestOverlayModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const size = 300
		// Small chunks would exercise more, so shift everything to lie across a border.
		base := uint64(chunk - size/2)
		var o overlay
		var want [size]byte
		var have [size]bool
		jobs := map[*job]bool{}
		var taken []piece
		clearRange := func(off, n int) {
			for i := off; i < off+n; i++ {
				have[i], want[i] = false, 0
			}
		}
		rng := func() (int, int) {
			off := rapid.IntRange(0, size-1).Draw(t, "off")
			return off, rapid.IntRange(1, size-off).Draw(t, "n")
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				off, n := rng()
				n = min(n, 40)
				data := bytes.Repeat([]byte{byte(rapid.IntRange(1, 255).Draw(t, "b"))}, n)
				o.write(base+uint64(off), data)
				copy(want[off:], data)
				for i := off; i < off+n; i++ {
					have[i] = true
				}
			},
			"cut": func(t *rapid.T) {
				if taken != nil {
					return
				}
				off, n := rng()
				o.cut(base+uint64(off), uint64(n), true)
				clearRange(off, n)
			},
			"freeze": func(t *rapid.T) {
				for _, g := range extent.Pack(o.spans(true), chunk, 0) {
					j := &job{size: g.Size}
					o.assign(j, g.Parts)
					jobs[j] = true
					if got := len(bytes.Join(j.plain, nil)); got != int(g.Size) {
						t.Fatalf("job of %d bytes for %d", got, g.Size)
					}
				}
			},
			"take": func(t *rapid.T) {
				if taken != nil {
					return
				}
				off, n := rng()
				taken = append([]piece{}, o.take(base+uint64(off), base+uint64(off+n), jobs)...)
			},
			"restore": func(t *rapid.T) {
				o.restore(taken)
				taken = nil
			},
			"": func(t *rapid.T) {
				check(t, &o)
				if taken != nil {
					return
				}
				got := make([]byte, size)
				_, rest := o.copyInto(got, base)
				missing := [size]bool{}
				for _, r := range rest {
					for i := r.Off; i < r.End(); i++ {
						missing[i-base] = true
					}
				}
				for i := range got {
					if missing[i] == have[i] || got[i] != want[i] {
						t.Fatalf("byte %d: have %v %d, want %v %d", i, !missing[i], got[i], have[i], want[i])
					}
				}
			},
		})
	})
}

func check(t *rapid.T, o *overlay) {
	var loose int64
	last := uint64(0)
	for i := range o.pieces {
		p := &o.pieces[i]
		if p.size == 0 || len(p.data) != int(p.size) || p.off < last || p.off/chunk != (p.end()-1)/chunk {
			t.Fatalf("piece %d of %+v", i, o.pieces)
		}
		last = p.end()
		if p.job == nil {
			loose += p.memory()
			continue
		}
		if plain := bytes.Join(p.job.plain, nil); !bytes.Equal(plain[p.at:p.at+p.size], p.data) {
			t.Fatalf("piece %d is not where its job says", i)
		}
	}
	if loose != o.loose {
		t.Fatalf("%d bytes of loose pieces, counted %d", loose, o.loose)
	}
}
