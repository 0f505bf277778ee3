package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/wire"
)

// A file that is delegated to a host's session belongs to that host's mount until it hands
// it back: whoever else wants to know of its bytes asks there. This file carries the
// question, and takes the file away from a host that cannot be asked.

const (
	// recallPatience is how long an owner may take before it is asked about whether it is
	// still there: much longer than an answer from memory, shorter than a lease.
	recallPatience = 200 * time.Millisecond
	// unreachable is how long an owner that holds a lease, and so talks to the leader, may
	// be out of reach for this host before its file is taken away all the same.
	unreachable = 10 * time.Second
	// maxRecalls is how many questions may wait for other hosts: they share a connection
	// with what keeps this host's lease.
	maxRecalls = 256
)

// Answerer answers for the files that are delegated to this host.
type Answerer func(ctx context.Context, ino signet.Ino, why signet.Recall) (signet.Recalled, error)

// recalls is who answers here, and the questions under way.
type recalls struct {
	room chan struct{} // maxRecalls places

	mu     sync.RWMutex
	answer map[signet.Group]Answerer // guarded by mu
}

func newRecalls() *recalls {
	return &recalls{room: make(chan struct{}, maxRecalls), answer: map[signet.Group]Answerer{}}
}

// Answer has questions about files that are delegated to this host answered by answer,
// until end is called. Without anybody to answer, files are handed back as they are.
func (v *Volume) Answer(answer Answerer) (end func()) {
	r := v.node.recalls
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer[v.group] = answer
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.answer, v.group)
	}
}

// Recall asks the owner of a file for what why says and returns its answer, when what
// that rests on is released. An owner that is gone holds nothing. It fails with
// Unavailable if this host has no lease, so cannot tell who is gone.
func (v *Volume) Recall(ctx context.Context, owner signet.SessionID, ino signet.Ino, why signet.Recall) (signet.Recalled, error) {
	n := v.node
	select {
	case n.recalls.room <- struct{}{}:
		defer func() { <-n.recalls.room }()
	case <-ctx.Done():
		return signet.Recalled{}, ctx.Err()
	}
	host, there, err := n.hostOf(owner)
	if err != nil || !there {
		return signet.Recalled{}, err
	}
	if host == n.self.host {
		return n.answerRecall(ctx, v.group, ino, why) // of an earlier mount
	}
	q := &question{node: n, to: host, began: n.clock.Now(), msg: &wire.Recall{Group: v.group, Session: owner, Ino: ino, Why: why}}
	return q.ask(ctx)
}

// hostOf returns the host of a session, and whether the session has not ended.
func (n *Node) hostOf(s signet.SessionID) (h signet.HostID, there bool, err error) {
	r := n.log.Reader(signet.ClusterGroup)
	defer r.Close()
	row, err := r.Session(s)
	if signet.KindOf(err) == signet.NotFound {
		return 0, false, nil
	}
	return row.Host, err == nil && !row.Ended, err
}

// question is a question to a file's owner.
type question struct {
	node  *Node
	to    signet.HostID
	msg   *wire.Recall
	began time.Time
}

type recalled struct {
	signet.Recalled
	err error
}

// ask asks until there is an answer, the owner is gone, or ctx ends.
func (q *question) ask(ctx context.Context) (signet.Recalled, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answer := make(chan recalled, 1)
	call := func() {
		a, err := q.node.peers.recall(ctx, q.to, q.msg)
		answer <- recalled{a, err}
	}
	go call()
	look := q.node.clock.NewTicker(recallPatience)
	defer look.Stop()
	asking := true
	for {
		select {
		case a := <-answer:
			switch signet.KindOf(a.err) {
			case signet.OK:
				return a.Recalled, nil
			case signet.Unavailable, signet.Closed:
				asking = false // it did not get there, or the answer did not get here
			default:
				return a.Recalled, a.err
			}
		case <-look.C():
			if gone, err := q.gone(ctx, asking); gone || err != nil {
				return signet.Recalled{}, err
			}
			if !asking {
				asking = true
				go call()
			}
		case <-ctx.Done():
			return signet.Recalled{}, signet.Wrap("ask for a file that is being written", q.to.String(), ctx.Err())
		}
	}
}

// gone says whether the file has no owner any more. An owner that holds no lease has lost
// its right to it.
func (q *question) gone(ctx context.Context, asking bool) (bool, error) {
	n := q.node
	if n.log.CutOff() {
		return false, signet.Errorf(signet.Unavailable, "ask for a file that is being written", q.to.String(), "this host has no lease")
	}
	if _, leased := n.log.Leased(); !leased {
		return false, nil // not for long; but as long it cannot tell who is gone
	}
	if _, there, err := n.hostOf(q.msg.Session); err != nil || !there {
		return err == nil, err
	}
	short, cancel := clock.WithTimeout(ctx, n.clock, recallPatience)
	leased, known := n.leased(short, q.to)
	cancel()
	lost := !asking && n.clock.Now().Sub(q.began) > unreachable
	if !lost && (leased || !known) {
		return false, nil
	}
	n.logger.Info("a file is taken away from a host that does not answer", "host", uint64(q.to), "inode", uint64(q.msg.Ino), "leased", leased)
	_, t, err := n.log.Do(ctx, q.msg.Group, &signet.Revoke{Ino: q.msg.Ino, Session: q.msg.Session})
	if err == nil {
		err = t.Wait(ctx)
	}
	return err == nil, err
}

// leased asks the leader whether a host holds a lease.
func (n *Node) leased(ctx context.Context, h signet.HostID) (leased, known bool) {
	leader, _, _ := n.log.Lead()
	switch leader {
	case 0:
		return false, false
	case n.self.host:
		return n.log.HoldsLease(h)
	}
	return n.peers.leased(ctx, leader, h)
}

func (n *Node) onLeased(_ context.Context, _ signet.HostKey, req *wire.Request) (wire.Reply, error) {
	var m wire.Leased
	if err := req.Decode(&m); err != nil {
		return wire.Reply{}, err
	}
	leased, known := n.log.HoldsLease(m.Host)
	return wire.Reply{Message: &wire.Holds{Leading: known, Leased: leased}}, nil
}

func (n *Node) onRecall(ctx context.Context, from signet.HostKey, req *wire.Request) (wire.Reply, error) {
	var m wire.Recall
	if err := req.Decode(&m); err != nil {
		return wire.Reply{}, err
	}
	if h, _ := n.members.ByKey(from); !h.Mounts {
		return wire.Reply{}, signet.Errorf(signet.NotPermitted, "answer for a file", wire.Short(from), "it is no host that mounts")
	}
	switch now := n.log.Session(); {
	case now == 0: // it starts; who asks is to ask again, not at once
		return wire.Reply{}, signet.Errorf(signet.Unavailable, "answer for a file", "", "no session yet")
	case m.Session != now:
		return wire.Reply{Message: &wire.Recalled{}}, nil // that one is over
	}
	a, err := n.answerRecall(ctx, m.Group, m.Ino, m.Why)
	return wire.Reply{Message: &wire.Recalled{Recalled: a}}, err
}

// answerRecall answers for a file of this host.
func (n *Node) answerRecall(ctx context.Context, g signet.Group, ino signet.Ino, why signet.Recall) (signet.Recalled, error) {
	n.recalls.mu.RLock()
	answer := n.recalls.answer[g]
	n.recalls.mu.RUnlock()
	if answer != nil {
		return answer(ctx, ino, why)
	}
	_, t, err := n.log.Do(ctx, g, &signet.HandBack{Inos: []signet.Ino{ino}})
	if err == nil {
		err = t.Wait(ctx)
	}
	return signet.Recalled{}, err
}
