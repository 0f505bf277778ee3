package consensus

import (
	"context"
	"errors"
	"time"

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
	node   *Node
	policy Cutoff
	entry  signet.Index // under which it is counted as open
	index  signet.Index
	read   []row
	wait   signet.Index // newest index whose release Settle awaits
}

var _ signet.View = (*View)(nil)

// Ready returns once this host may answer from its own copy: it holds a lease, or has
// been without one for Times.StaleAfter and policy allows an older state then.
//
// A lease at any moment after the caller's request began is enough: what was released
// before that moment this host had acked, so a view opened after it shows it.
func (n *Node) Ready(ctx context.Context, policy Cutoff) error {
	n.mu.Lock()
	halted, now := n.halted, n.clock.Now()
	left := n.lease.Add(n.times.StaleAfter).Sub(now)
	ok := before(now, n.lease)
	n.mu.Unlock()
	if ok || halted != nil {
		return halted
	}
	if left > 0 {
		n.askLease()
		if ok, err := n.awaitLease(ctx, left); ok || err != nil {
			return err
		}
	}
	return n.cutOff(policy)
}

// CutOff says whether this host has been without a lease for so long that its readers need
// not wait for one any more.
func (n *Node) CutOff() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !before(n.clock.Now(), n.lease.Add(n.times.StaleAfter))
}

// cutOff is what readers get after this host has been without a lease for too long.
func (n *Node) cutOff(policy Cutoff) error {
	if policy == CutoffStale {
		return nil
	}
	return signet.Errorf(signet.Unavailable, "read", n.host.String(), "this host has no lease: it cannot reach a majority of the voters")
}

// awaitLease waits for a lease and says whether it came in time.
func (n *Node) awaitLease(ctx context.Context, most time.Duration) (bool, error) {
	timer := n.clock.NewTimer(most)
	defer timer.Stop()
	for {
		n.mu.Lock()
		ok, leased := before(n.clock.Now(), n.lease), n.leased
		n.mu.Unlock()
		if ok {
			return true, nil
		}
		select {
		case <-leased:
		case <-timer.C():
			return false, nil
		case <-ctx.Done():
			return false, signet.Wrap("wait for a lease", "", ctx.Err())
		case <-n.stop:
			return false, n.whyStopped()
		}
	}
}

// View opens a view of a volume as this host has it now. Callers that answer programs
// ask Ready before.
//
// If not even the position can be read, the disk has failed: whatever is read through
// the view fails too, and it counts as the newest.
func (n *Node) View(g signet.Group, policy Cutoff) *View {
	v := &View{node: n, policy: policy}
	v.entry = n.rows.enter()
	v.Reader = n.Reader(g)
	var err error
	if v.index, err = v.Reader.Index(); err != nil {
		n.failed(err)
		v.index = never
	}
	return v
}

// touch notes that r was read.
func (v *View) touch(r row) {
	v.read = append(v.read, r)
	v.wait = max(v.wait, v.node.rows.settle(r, v.index))
}

// Index implements signet.View.
func (v *View) Index() signet.Index { return v.index }

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

// Settle implements signet.View. A host that is cut off hears of no releases: after
// Times.StaleAfter without a lease its policy decides here too.
func (v *View) Settle(ctx context.Context) error {
	released := v.node.rows.releasedBy(v.wait)
	if released == nil {
		return nil
	}
	ctx, cancel := clock.WithTimeout(ctx, v.node.clock, v.node.times.Call)
	defer cancel()
	for {
		n := v.node
		n.mu.Lock()
		halted, left := n.halted, n.lease.Add(n.times.StaleAfter).Sub(n.clock.Now())
		n.mu.Unlock()
		if halted != nil {
			return halted
		}
		if left <= 0 {
			return n.cutOff(v.policy)
		}
		timer := n.clock.NewTimer(left)
		err := n.await(ctx, released, timer.C())
		timer.Stop()
		if err != errAgain {
			return err
		}
	}
}

// errAgain says that the time to look again has come.
var errAgain = errors.New("again")

// await waits until released is closed, or again sends.
func (n *Node) await(ctx context.Context, released <-chan struct{}, again <-chan time.Time) error {
	select {
	case <-released:
		return nil
	case <-again:
		return errAgain
	case <-ctx.Done():
		return signet.Wrap("wait for release", "", ctx.Err())
	case <-n.stop:
		return n.whyStopped()
	}
}

// awaitRelease waits until index is released.
func (n *Node) awaitRelease(ctx context.Context, index signet.Index) error {
	released := n.rows.releasedBy(index)
	if released == nil {
		return nil
	}
	ctx, cancel := clock.WithTimeout(ctx, n.clock, n.times.Call)
	defer cancel()
	return n.await(ctx, released, nil)
}

// Fresh implements signet.View. Without a lease nothing is.
func (v *View) Fresh() bool {
	if _, leased := v.node.Leased(); !leased {
		return false
	}
	return v.node.rows.fresh(v.read, v.index)
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
