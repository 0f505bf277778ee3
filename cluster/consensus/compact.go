package consensus

import (
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// LogLimits say when the tables are flushed and the log is cut.
type LogLimits struct {
	// ReplayEntries and ReplayBytes are what a restart may have to apply again: well below
	// a second of work.
	ReplayEntries int
	ReplayBytes   int
	// KeepEntries stay in the log although the tables have them, so that a host that was
	// away for a moment catches up from the log instead of a snapshot.
	KeepEntries signet.Index
}

// DefaultLogLimits are the limits for real hosts.
func DefaultLogLimits() LogLimits {
	return LogLimits{ReplayEntries: 10_000, ReplayBytes: 32 << 20, KeepEntries: 20_000}
}

// flushEvery is how often the tables are flushed if little happens.
const flushEvery = 30 * time.Second

// kept counts what a restart would have to replay.
type kept struct {
	entries int
	bytes   int
	flush   chan struct{}
}

// keep notes entries applied since the last flush.
func (n *Node) keep(batch []meta.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept.entries += len(batch)
	for i := range batch {
		n.kept.bytes += len(batch[i].Data)
	}
	if n.kept.entries >= n.limits.ReplayEntries || n.kept.bytes >= n.limits.ReplayBytes {
		select {
		case n.kept.flush <- struct{}{}:
		default:
		}
	}
}

// compactLoop flushes the tables now and then and cuts the log below what is flushed.
func (n *Node) compactLoop() {
	ticker := n.clock.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-ticker.C():
		case <-n.kept.flush:
		}
		if err := n.compact(); err != nil {
			n.failed(err)
			return
		}
	}
}

func (n *Node) compact() error {
	n.mu.Lock()
	idle := n.kept.entries == 0
	n.kept.entries, n.kept.bytes = 0, 0
	n.mu.Unlock()
	if idle {
		return nil
	}
	t := n.hold() // a snapshot may replace them meanwhile
	if t == nil {
		return nil
	}
	durable, err := t.Flush()
	n.letGo(t)
	if err != nil {
		return err
	}
	n.step("tables.flushed")
	return n.log.compact(uint64(n.cutAt(durable.Index)))
}

// maxHeld is how many times KeepEntries stay for hosts that fetch a checkpoint: one that
// takes longer than the log takes to grow by that much needs another checkpoint anyway.
const maxHeld = 16

// cutAt returns up to where the log is cut. What comes after a checkpoint that a host is
// fetching stays, or the host could begin again with a newer one, for ever.
func (n *Node) cutAt(durable signet.Index) signet.Index {
	keep := n.limits.KeepEntries
	at := durable - min(keep, durable)
	if oldest, any := n.offers.oldest(); any {
		at = min(at, max(oldest, durable-min(maxHeld*keep, durable)))
	}
	return at
}
