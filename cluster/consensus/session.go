package consensus

import (
	"context"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// sessionLoop opens this host's session, and another when the log has ended it.
func (n *Node) sessionLoop() {
	retry := n.clock.NewTicker(n.times.Resend)
	defer retry.Stop()
	for n.ctx.Err() == nil {
		if err := n.openSession(); err != nil {
			if signet.KindOf(err) == signet.Stale {
				n.failed(err)
				return
			}
			n.logger.Debug("no session yet", "err", err)
			select {
			case <-retry.C():
			case <-n.stop:
			}
			continue
		}
		select {
		case <-n.reopen:
		case <-n.stop:
		}
	}
}

func (n *Node) openSession() error {
	now := n.clock.Now()
	a, _, err := n.doLoose(n.ctx, signet.ClusterGroup, &meta.OpenSession{Host: n.host, Start: n.config.Start, Time: timeOf(now)})
	if err != nil {
		return err
	}
	switch a.Result.Err {
	case signet.OK:
		n.proposer.setSession(signet.SessionID(a.Result.Index))
		return nil
	case signet.Stale:
		return signet.Errorf(signet.Stale, "open session", n.host.String(),
			"the log has seen a later start of this host: its state directory is an old copy; join again with a new one")
	default:
		return signet.Errorf(a.Result.Err, "open session", n.host.String(), "refused: %v", a.Result.Err)
	}
}

func timeOf(t time.Time) signet.Time {
	return signet.Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())}
}

// Inode numbers are granted in ranges; the next is asked for while half of the last is
// left, so that creating a file waits for one only at the start.
const (
	firstGrant = 1 << 10
	maxGrant   = 1 << 16
)

// inodeRange is the range of inode numbers that this host may give out.
type inodeRange struct {
	mu     sync.Mutex // guards what follows
	next   signet.Ino
	end    signet.Ino
	after  [2]signet.Ino // the range to go on with
	count  uint32        // of the newest grant
	asking chan struct{} // closed when the grant asked for is there or failed
	err    error
}

// NextIno returns an inode number that no other host will use.
func (n *Node) NextIno(ctx context.Context, g signet.Group) (signet.Ino, error) {
	r := &n.inodes
	for {
		r.mu.Lock()
		if r.next == r.end && r.after[0] != r.after[1] {
			r.next, r.end = r.after[0], r.after[1]
			r.after = [2]signet.Ino{}
		}
		left := uint32(r.end - r.next)
		ask := func() {}
		if r.asking == nil && left <= r.count/2 && r.after[0] == r.after[1] {
			r.count = min(max(2*r.count, firstGrant), maxGrant)
			r.asking, r.err = make(chan struct{}), nil
			count := r.count
			ask = func() { n.spawn(func() { n.grantInodes(g, count) }) }
		}
		if left > 0 {
			ino := r.next
			r.next++
			r.mu.Unlock()
			ask()
			return ino, nil
		}
		asking := r.asking
		r.mu.Unlock()
		ask()
		select {
		case <-asking:
		case <-ctx.Done():
			return 0, signet.Wrap("get inode number", "", ctx.Err())
		case <-n.stop:
			return 0, n.whyStopped()
		}
		r.mu.Lock()
		err := r.err
		r.mu.Unlock()
		if err != nil {
			return 0, err
		}
	}
}

func (n *Node) grantInodes(g signet.Group, count uint32) {
	a, _, err := n.Do(n.ctx, g, &meta.GrantInodes{Count: count})
	if err == nil && a.Result.Err != signet.OK {
		err = signet.Errorf(a.Result.Err, "get inode numbers", n.host.String(), "refused: %v", a.Result.Err)
	}
	r := &n.inodes
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.after = [2]signet.Ino{signet.Ino(a.Extra), signet.Ino(a.Extra) + signet.Ino(count)}
	}
	r.err = err
	close(r.asking)
	r.asking = nil
}
