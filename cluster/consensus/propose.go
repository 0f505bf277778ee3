package consensus

import (
	"context"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/clock"
)

// maxForwards bounds the batches on their way to the leader.
const maxForwards = 8

// proposer carries this host's commands into the log: to the driver if this host leads,
// else to the leader, again and again until their answers come out of the log or nobody
// waits for them any more. Session and request number make repetition harmless.
type proposer struct {
	node *Node

	mu       sync.Mutex // guards what follows
	session  signet.SessionID
	opened   chan struct{} // closed when session is set; replaced when it ends
	next     uint64
	lowest   uint64
	pending  map[uint64]*command // of the session, by request
	loose    map[uint64]*command // of no session
	looseSeq uint32
	unsent   []*command
	forwards int
	wake     chan struct{}
	room     chan struct{} // closed and replaced when pending shrinks
}

// command is one command on its way.
type command struct {
	group   signet.Group
	value   any
	session signet.SessionID
	request uint64
	sent    time.Time
	queued  bool
	sending int  // sendings under way
	alone   bool // the leader refused a batch with it: it goes by itself, for the others' sake
	maybe   bool // a sending ended otherwise than by a refusal: it may be in a log
	gap     bool // answers may have been missed since then
	done    chan outcome
}

// proposed says whether the command may be in a log.
func (c *command) proposed() bool { return c.maybe || c.sending > 0 }

type outcome struct {
	answer meta.Answer
	err    error
}

func newProposer(n *Node) *proposer {
	return &proposer{
		node: n, opened: make(chan struct{}), next: 1, lowest: 1,
		pending: map[uint64]*command{}, loose: map[uint64]*command{},
		wake: make(chan struct{}, 1), room: make(chan struct{}),
	}
}

// Do proposes a command of this host's session and returns what Apply answered, applied
// here, with a ticket for its release. An error means that it was not carried out
// (ReadOnly: no leader in time) or that this is unknown (Timeout, Interrupted).
func (n *Node) Do(ctx context.Context, g signet.Group, value any) (meta.Answer, signet.Ticket, error) {
	ctx, cancel := clock.WithTimeout(ctx, n.clock, n.times.Call)
	defer cancel()
	c, err := n.proposer.add(ctx, g, value)
	if err != nil {
		return meta.Answer{}, nil, err
	}
	return n.proposer.await(ctx, c)
}

// doLoose proposes a command that is harmless to repeat, outside any session. Its number
// tells it from those of other hosts and of earlier starts of this one.
func (n *Node) doLoose(ctx context.Context, g signet.Group, value any) (meta.Answer, signet.Ticket, error) {
	ctx, cancel := clock.WithTimeout(ctx, n.clock, n.times.Call)
	defer cancel()
	p := n.proposer
	c := &command{group: g, value: value, done: make(chan outcome, 1)}
	p.mu.Lock()
	p.looseSeq++
	c.request = uint64(n.host)<<48 | n.config.Start<<32&(1<<48-1) | uint64(p.looseSeq)
	p.loose[c.request] = c
	p.enqueue(c)
	p.mu.Unlock()
	return p.await(ctx, c)
}

// add gives the command its place in the session, waiting for one to be free.
func (p *proposer) add(ctx context.Context, g signet.Group, value any) (*command, error) {
	noLeader := p.node.clock.NewTimer(p.node.times.NoLeader)
	defer noLeader.Stop()
	for {
		p.mu.Lock()
		wait := p.opened
		if p.session != 0 {
			wait = p.room
			if p.next-p.lowest < signet.MaxUnanswered { // Apply counts from the oldest, too
				c := &command{group: g, value: value, session: p.session, request: p.next, done: make(chan outcome, 1)}
				p.next++
				p.pending[c.request] = c
				p.enqueue(c)
				p.mu.Unlock()
				return c, nil
			}
		}
		p.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, signet.Wrap("propose", "", ctx.Err())
		case <-noLeader.C():
			return nil, p.node.noLeader()
		case <-p.node.stop:
			return nil, p.node.whyStopped()
		}
	}
}

func (n *Node) noLeader() error {
	return signet.Errorf(signet.ReadOnly, "propose", n.host.String(), "no leader for %v: fewer than half of the voters can be reached", n.times.NoLeader)
}

// enqueue has the command sent. The caller holds p.mu.
func (p *proposer) enqueue(c *command) {
	if !c.queued {
		c.queued = true
		p.unsent = append(p.unsent, c)
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// await waits for the command's answer.
func (p *proposer) await(ctx context.Context, c *command) (meta.Answer, signet.Ticket, error) {
	noLeader := p.node.clock.NewTimer(p.node.times.NoLeader)
	defer noLeader.Stop()
	timer := noLeader.C()
	for {
		select {
		case o := <-c.done:
			if o.err != nil {
				return meta.Answer{}, nil, o.err
			}
			return o.answer, ticket{p.node, o.answer.Result.Index}, nil
		case <-timer:
			timer = nil
			if !p.abandonUnproposed(c) {
				continue
			}
			return meta.Answer{}, nil, p.node.noLeader()
		case <-ctx.Done():
			err := ctx.Err()
			if p.abandon(c) {
				return meta.Answer{}, nil, signet.Errorf(signet.KindOf(err), "propose", "", "given up; it may still be carried out: %w", err)
			}
			return meta.Answer{}, nil, signet.Wrap("propose", "", err)
		case <-p.node.stop:
			return meta.Answer{}, nil, p.node.whyStopped()
		}
	}
}

// abandonUnproposed gives the command up if it surely is in no log.
func (p *proposer) abandonUnproposed(c *command) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.proposed() {
		return false
	}
	p.remove(c)
	return true
}

// abandon gives the command up and says whether it may be in a log.
func (p *proposer) abandon(c *command) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(c)
	return c.proposed()
}

// remove forgets a command. The caller holds p.mu.
func (p *proposer) remove(c *command) {
	if c.session == 0 {
		delete(p.loose, c.request)
		return
	}
	if p.pending[c.request] != c {
		return
	}
	delete(p.pending, c.request)
	for p.lowest < p.next && p.pending[p.lowest] == nil {
		p.lowest++
	}
	close(p.room)
	p.room = make(chan struct{})
}

// answered hands the answers of a published step to who waits for them.
func (p *proposer) answered(answers []meta.Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range answers {
		var c *command
		if a.Session == 0 {
			c = p.loose[a.Request]
		} else if a.Session == p.session {
			c = p.pending[a.Request]
		}
		if c == nil {
			continue
		}
		if a.Over && c.session != 0 {
			p.ended(a.Session)
			continue
		}
		p.remove(c)
		c.done <- outcome{answer: a}
	}
}

// ended moves what waits for an answer to the session that will be opened next: the log
// has passed the session's end, so what was not answered by then was not carried out
// and never will be. The caller holds p.mu.
func (p *proposer) ended(s signet.SessionID) {
	if p.session != s || s == 0 {
		return
	}
	old := p.pending
	p.session, p.opened = 0, make(chan struct{})
	p.pending, p.next, p.lowest = map[uint64]*command{}, 1, 1
	p.unsent = nil
	for _, c := range old {
		err := signet.Errorf(signet.Ended, "propose", "", "this host was away for so long that its session ended; nothing was changed")
		if c.gap {
			err = signet.Errorf(signet.Timeout, "propose", "", "this host was away for so long that its session ended; it is not known whether this was carried out")
		}
		c.done <- outcome{err: err}
	}
	select {
	case p.node.reopen <- struct{}{}:
	default:
	}
}

// sessionEnded is told by the apply loop of sessions that are over.
func (p *proposer) sessionEnded(ids []signet.SessionID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		p.ended(id)
	}
}

// missed notes that the state jumped ahead: answers may have been in the gap.
func (p *proposer) missed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.pending {
		c.gap = c.proposed()
	}
}

// setSession begins a session.
func (p *proposer) setSession(s signet.SessionID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session = s
	close(p.opened)
}

// Session returns this host's session, 0 while it has none.
func (n *Node) Session() signet.SessionID {
	n.proposer.mu.Lock()
	defer n.proposer.mu.Unlock()
	return n.proposer.session
}

// leaderMoved has everything unanswered sent to the new leader.
func (p *proposer) leaderMoved() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requeue(func(*command) bool { return true })
}

// requeue sends again what matches. The caller holds p.mu.
func (p *proposer) requeue(match func(*command) bool) {
	for _, m := range []map[uint64]*command{p.pending, p.loose} {
		for _, c := range m {
			if match(c) {
				p.enqueue(c)
			}
		}
	}
}

// loop sends what is queued and sends again what stays unanswered.
func (p *proposer) loop() {
	resend := p.node.clock.NewTicker(p.node.times.Resend / 2)
	defer resend.Stop()
	for {
		select {
		case <-p.node.stop:
			return
		case <-p.wake:
		case <-resend.C():
			old := p.node.clock.Now().Add(-p.node.times.Resend)
			p.mu.Lock()
			p.requeue(func(c *command) bool { return c.sent.Before(old) })
			p.mu.Unlock()
		}
		for p.sendSome() {
		}
	}
}

// sendSome sends as much of the queue as fits into one batch and says whether to go on.
func (p *proposer) sendSome() bool {
	lead := p.node.leadership()
	if lead.leader == 0 {
		return false // leaderMoved will wake us
	}
	now := p.node.clock.Now()
	p.mu.Lock()
	if !lead.self && p.forwards >= maxForwards {
		p.mu.Unlock()
		return false // whoever returns wakes us
	}
	var batch []*command
	var envelopes [][]byte
	size, n := 0, 0
	for _, c := range p.unsent {
		if len(batch) > 0 && (size >= maxEntryBytes || c.alone || batch[0].alone) {
			break
		}
		n++
		c.queued = false
		if !p.waiting(c) {
			continue
		}
		e, err := meta.EncodeEnvelope(&meta.Envelope{Group: c.group, Session: c.session, Request: c.request, Lowest: p.lowest, Command: c.value})
		if err == nil {
			err = checkEnvelope(e)
		}
		if err != nil {
			p.remove(c)
			c.done <- outcome{err: err}
			continue
		}
		envelopes = append(envelopes, e)
		batch = append(batch, c)
		size += len(e)
		c.sent = now
		c.sending++
	}
	p.unsent = p.unsent[n:]
	more := len(p.unsent) > 0
	if len(batch) > 0 && !lead.self {
		p.forwards++
	}
	p.mu.Unlock()
	if len(batch) == 0 {
		return more
	}
	if lead.self {
		p.node.driver.propose(&proposal{envelopes: envelopes, size: size, done: func(err error) { p.sent(batch, err) }})
		return more
	}
	p.node.spawn(func() { p.forward(lead.leader, batch, envelopes) })
	return more
}

// checkEnvelope refuses what must not get into a log: a command that does not decode
// stops every host for good, and one that fits into no message stops the log.
func checkEnvelope(e []byte) error {
	if len(e) > maxEnvelopeBytes {
		return signet.Errorf(signet.TooBig, "check command", "", "%d bytes, at most %d go into the log at once", len(e), maxEnvelopeBytes)
	}
	_, err := meta.DecodeEnvelope(e)
	return err
}

// waiting says whether anybody still waits for the command. The caller holds p.mu.
func (p *proposer) waiting(c *command) bool {
	if c.session == 0 {
		return p.loose[c.request] == c
	}
	return p.pending[c.request] == c
}

// forward hands a batch to the leader.
func (p *proposer) forward(leader signet.HostID, batch []*command, envelopes [][]byte) {
	ctx, cancel := clock.WithTimeout(p.node.ctx, p.node.clock, p.node.times.Resend)
	err := p.node.config.Transport.Propose(ctx, leader, envelopes)
	cancel()
	p.mu.Lock()
	p.forwards--
	p.mu.Unlock()
	p.sent(batch, err)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// sent notes what became of handing a batch over. What the leader could not take now is
// sent again when the leader moves or after Times.Resend, whichever comes first. What it
// never will has failed.
func (p *proposer) sent(batch []*command, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range batch {
		c.sending--
		switch signet.KindOf(err) {
		case signet.NotLeader, signet.TooBusy:
		case signet.NotPermitted, signet.BadMessage, signet.WrongVersion, signet.TooBig:
			switch {
			case !p.waiting(c):
			case len(batch) > 1:
				c.alone = true
				p.enqueue(c)
			case !c.proposed():
				p.remove(c)
				c.done <- outcome{err: err}
			}
		default:
			c.maybe = true
		}
	}
}
