package consensus

import (
	"context"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// Cutoff says what readers get on a host that has no lease.
type Cutoff uint8

// The policies.
const (
	CutoffStale Cutoff = iota // the newest state that this host has, which may be old
	CutoffFail                // Unavailable
)

// View is a consistent reading of a volume that knows what was read. It implements
// signet.View.
type View struct {
	*Reader
	node  *Node
	entry signet.Index // under which it is counted as open
	index signet.Index
	read  []row
	wait  signet.Index // newest index whose release Settle awaits
	stale bool
}

var _ signet.View = (*View)(nil)

// View opens a view of a volume. If this host holds no lease it waits for one, for
// Times.StaleAfter, and then does what policy says.
//
// A lease at any moment after the caller's request began is enough: what was released
// before that moment this host had acked, so the view opened after it shows it.
func (n *Node) View(ctx context.Context, g signet.Group, policy Cutoff) (*View, error) {
	stale := false
	if _, ok := n.Leased(); !ok {
		if err := n.awaitLease(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, signet.Wrap("open view", "", ctx.Err())
			}
			if policy == CutoffFail {
				return nil, err
			}
			stale = true
		}
	}
	v := &View{node: n, stale: stale}
	v.entry = n.rows.enter()
	v.Reader = n.Reader(g)
	var err error
	if v.index, err = v.Reader.Index(); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// awaitLease waits for a lease, at most Times.StaleAfter.
func (n *Node) awaitLease(ctx context.Context) error {
	ctx, cancel := clock.WithTimeout(ctx, n.clock, n.times.StaleAfter)
	defer cancel()
	n.askLease()
	for {
		n.mu.Lock()
		ok, leased := n.clock.Now().Before(n.lease), n.leased
		n.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-leased:
		case <-ctx.Done():
			return signet.Errorf(signet.Unavailable, "read", n.host.String(), "this host has no lease: it cannot reach a majority of the voters")
		case <-n.stop:
			return errStopped
		}
	}
}

// touch notes that r was read.
func (v *View) touch(r row) {
	v.read = append(v.read, r)
	v.wait = max(v.wait, v.node.rows.settle(r, v.index))
}

// Index implements signet.View.
func (v *View) Index() signet.Index { return v.index }

// Stale says whether the view was opened without a lease.
func (v *View) Stale() bool { return v.stale }

// Attr implements signet.View.
func (v *View) Attr(ino signet.Ino) (signet.Attr, error) {
	v.touch(row{ino, rowInode, 0})
	return v.Reader.Attr(ino)
}

// Lookup implements signet.View.
func (v *View) Lookup(parent signet.Ino, name []byte) (signet.Entry, error) {
	v.touch(v.node.rows.nameRow(parent, name))
	return v.Reader.Lookup(parent, name)
}

// ReadDir implements signet.View.
func (v *View) ReadDir(parent signet.Ino, after []byte, fn func(signet.Entry) bool) error {
	v.touch(row{parent, rowNames, 0})
	return v.Reader.ReadDir(parent, after, fn)
}

// Parent implements signet.View.
func (v *View) Parent(dir signet.Ino) (signet.Ino, error) {
	v.touch(row{dir, rowInode, 0})
	return v.Reader.Parent(dir)
}

// Target implements signet.View. A symlink's target never changes.
func (v *View) Target(ino signet.Ino) ([]byte, error) {
	v.touch(row{ino, rowInode, 0})
	return v.Reader.Target(ino)
}

// Xattr implements signet.View.
func (v *View) Xattr(ino signet.Ino, name []byte) ([]byte, error) {
	v.touch(row{ino, rowInode, 0})
	return v.Reader.Xattr(ino, name)
}

// Xattrs implements signet.View.
func (v *View) Xattrs(ino signet.Ino) ([][]byte, error) {
	v.touch(row{ino, rowInode, 0})
	return v.Reader.Xattrs(ino)
}

// Extents implements signet.View.
func (v *View) Extents(ino signet.Ino, off, n uint64, limit int) ([]signet.Extent, error) {
	v.touch(row{ino, rowInode, 0})
	return v.Reader.Extents(ino, off, n, limit)
}

// Settle implements signet.View.
func (v *View) Settle(ctx context.Context) error {
	if v.stale {
		return nil // an older state, shown as such
	}
	return v.node.awaitRelease(ctx, v.wait)
}

// awaitRelease waits until index is released.
func (n *Node) awaitRelease(ctx context.Context, index signet.Index) error {
	released := n.rows.releasedBy(index)
	if released == nil {
		return nil
	}
	ctx, cancel := clock.WithTimeout(ctx, n.clock, n.times.Call)
	defer cancel()
	select {
	case <-released:
		return nil
	case <-ctx.Done():
		return signet.Wrap("wait for release", "", ctx.Err())
	case <-n.stop:
		return errStopped
	}
}

// Fresh implements signet.View.
func (v *View) Fresh() bool {
	return !v.stale && v.node.rows.fresh(v.read, v.index)
}

// Close implements signet.View. It may be called again.
func (v *View) Close() {
	if v.node == nil {
		return
	}
	v.Reader.Close()
	v.node.rows.leave(v.entry)
	v.node = nil
}

// ticket follows one command of this host.
type ticket struct {
	node  *Node
	index signet.Index
}

// Wait implements signet.Ticket.
func (t ticket) Wait(ctx context.Context) error { return t.node.awaitRelease(ctx, t.index) }
