package consensus

import (
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// maxApplyBatch bounds the entries that go into one batch of the database, so that the
// first of them is not held up by the last.
const maxApplyBatch = 256

// applyLoop carries out committed entries, publishes them and hands them to the ack loop.
func (n *Node) applyLoop() {
	for {
		msgs := n.applies.take(n.stop)
		if msgs == nil {
			return
		}
		for _, w := range msgs {
			if err := w(); err != nil {
				n.failed(err)
				return
			}
		}
	}
}

// applyMessage carries out the entries of m and answers the library.
func (n *Node) applyMessage(m *raftpb.Message) error {
	entries := m.GetEntries()
	for len(entries) > 0 {
		var batch []meta.Entry
		k := 0
		for k < len(entries) && len(batch) < maxApplyBatch {
			e := entries[k]
			if e.GetType() != raftpb.EntryNormal {
				if k == 0 {
					conf, err := n.changeConf(e)
					if err != nil {
						return err
					}
					batch, k = append(batch, meta.Entry{Index: signet.Index(e.GetIndex()), Term: e.GetTerm(), Members: conf}), 1
				}
				break
			}
			batch = append(batch, meta.Entry{Index: signet.Index(e.GetIndex()), Term: e.GetTerm(), Data: e.GetData()})
			k++
		}
		if err := n.applyBatch(batch); err != nil {
			return err
		}
		entries = entries[k:]
	}
	n.driver.respond(m.GetResponses())
	return nil
}

// changeConf tells the library of a committed change of its members and returns the new
// configuration as the state machine keeps it.
func (n *Node) changeConf(e *raftpb.Entry) ([]byte, error) {
	var change raftpb.ConfChangeI
	var err error
	if e.GetType() == raftpb.EntryConfChange {
		cc := &raftpb.ConfChange{}
		err, change = proto.Unmarshal(e.GetData(), cc), cc
	} else {
		cc := &raftpb.ConfChangeV2{}
		err, change = proto.Unmarshal(e.GetData(), cc), cc
	}
	if err != nil {
		return nil, signet.Errorf(signet.Corrupt, "apply", "membership change", "%w", err)
	}
	done := make(chan *raftpb.ConfState, 1)
	n.driver.post(func() { done <- n.driver.raw.ApplyConfChange(change) })
	select {
	case conf := <-done:
		n.conf.Store(conf)
		return proto.Marshal(conf)
	case <-n.stop:
		return nil, errStopped
	}
}

// applyBatch carries out entries as one step.
func (n *Node) applyBatch(batch []meta.Entry) error {
	state := n.State()
	step, err := state.Prepare(batch)
	if err != nil {
		return err
	}
	n.step("apply.prepared")
	n.rows.mark(step.Batch)
	if err := state.Publish(step); err != nil {
		return err
	}
	n.rows.publish(step.Batch.Index)
	n.step("apply.published")
	if len(step.Effects.Hosts) > 0 {
		n.hostsMayHaveChanged() // before the ledger may release because of this step
	}
	n.notePublished(step, batch)
	n.proposer.answered(step.Answers)
	if len(step.Effects.Ended) > 0 {
		n.proposer.sessionEnded(step.Effects.Ended)
	}
	if n.config.Applied != nil {
		n.config.Applied(step)
	}
	n.acks.putOrMerge(published{step.Batch, step.End}, maxUnacked, jump)
	n.keep(batch)
	return nil
}

// published is a batch on its way to the subscribers.
type published struct {
	signet.Batch
	end meta.Position
}

// maxUnacked bounds the batches that wait for slow subscribers.
const maxUnacked = 4096

// jump makes one batch of two by forgetting what exactly changed.
func jump(last *published, p published) {
	*last = published{signet.Batch{Index: p.Index, All: true}, p.end}
}

// ackLoop has every subscriber forget what changed and then acks. Batches that queue up
// while subscribers are busy are handed over together.
func (n *Node) ackLoop() {
	for {
		batches := n.acks.take(n.stop)
		if batches == nil {
			return
		}
		all := batches[0]
		for _, b := range batches[1:] {
			all.Changes = append(all.Changes, b.Changes...)
			all.Index, all.end = b.Index, b.end
			all.All = all.All || b.All
		}
		for _, s := range n.subscriberList() {
			s.changed(n.ctx, all.Batch)
		}
		n.ackedUpTo(all.end)
	}
}
