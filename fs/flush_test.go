package fs

import (
	"errors"
	"testing"

	"github.com/signetfs/signet"
)

// packedOf is what pack would return if all that is frozen is all there is.
func packedOf(n *node) *packed {
	pk := &packed{lives: n.lives}
	for _, p := range n.over.pieces {
		if p.job != nil {
			pk.pieces = append(pk.pieces, p)
		}
	}
	return pk
}

// What is written over something that is about to be named does not keep that from being
// named: somebody may wait for just that.
func TestOverwrittenWhilePacked(t *testing.T) {
	t.Parallel()
	n := &node{ino: 7}
	n.over.write(0, []byte("abcdef"))
	n.freeze(true, signet.MaxInline)
	j := n.jobs()[0]
	j.durable, j.sealed = true, []byte("sealed")
	pk := packedOf(n)
	n.over.write(0, []byte("ABC"))
	if w, _ := n.fly(pk, everything, 0); w == nil || len(w.Extents) != 1 || w.Extents[0].Len != 6 || w.Size != 6 {
		t.Fatalf("%+v", w)
	}
	n.landed(signet.Result{Index: 10}, nil, nil)
	got := make([]byte, 6)
	if _, rest := n.over.copyInto(got, 0); string(got[:3]) != "ABC" || len(rest) != 1 || rest[0].Off != 3 {
		t.Errorf("%q, not dirty any more %v", got, rest)
	}
	// What was given up is not named.
	n.lives++
	if w, _ := n.fly(pk, everything, 0); w != nil {
		t.Errorf("named after it was given up: %+v", w)
	}
}

// A Write whose outcome was unknown may be applied late, and the change feed may take
// it for the one that is under way. If that one then fails, nothing may be lost.
func TestLandedTooEarly(t *testing.T) {
	t.Parallel()
	n := &node{ino: 7}
	n.over.write(0, []byte("abcdef"))
	n.freeze(true, signet.MaxInline)
	j := n.jobs()[0]
	j.durable, j.sealed = true, []byte("sealed")
	if w, named := n.fly(packedOf(n), portion{10, 4}, 0); w == nil || len(w.Extents) != 1 || w.Size != 4 || named != 1 {
		t.Fatalf("%+v", w)
	}
	n.changed(999, 50, true)
	if n.over.bytes() != 2 || n.published != 50 {
		t.Fatalf("%d bytes left, published %d", n.over.bytes(), n.published)
	}
	n.over.write(1, []byte("B"))
	if _, freed := n.landed(signet.Result{}, nil, errors.New("nobody knows")); freed != 0 {
		t.Error("memory of dirty data given back")
	}
	got := make([]byte, 6)
	if _, rest := n.over.copyInto(got, 0); len(rest) != 0 || string(got) != "aBcdef" {
		t.Errorf("%q, missing %v", got, rest)
	}
	// It is named again, and this time it is there. What came later stays dirty.
	if w, _ := n.fly(packedOf(n), portion{10, 100}, 0); w == nil || len(w.Extents) != 3 {
		t.Fatalf("%+v", w)
	}
	n.landed(signet.Result{Index: 60}, nil, nil)
	if n.over.bytes() != 1 || n.published != 60 || len(n.unpaid) != 0 {
		t.Errorf("%d bytes, published %d, unpaid %d", n.over.bytes(), n.published, len(n.unpaid))
	}
}

// The change feed may tell of a Write when the next one of the same file is under way
// already. That one is not applied yet: its bytes must stay.
func TestALateChangeLandsNotTheNextWrite(t *testing.T) {
	n := &node{ino: 7}
	n.over.write(0, []byte("12345"))
	j := &job{inline: true, durable: true}
	n.over.pieces[0].job = j
	if w, _ := n.fly(packedOf(n), everything, 100); w == nil {
		t.Fatal("nothing flies")
	}
	n.changed(999, 100, true)
	if n.over.empty() || n.published != 0 {
		t.Error("it landed with the change before it")
	}
	n.changed(999, 101, true)
	if !n.over.empty() || n.published != 101 {
		t.Error("it did not land")
	}
}
