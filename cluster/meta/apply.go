package meta

import (
	"encoding/binary"
	"fmt"

	"github.com/signetfs/signet"
)

// entry applies one log entry: its envelopes in their order, then the rows that were
// held back in caches. The entry's digest covers the one before, the position, every
// write and every answer.
func (t *tx) entry(e *Entry) error {
	t.index = e.Index
	t.sum.Reset()
	t.staged = append(t.staged[:0], t.last.Digest[:]...)
	t.staged = binary.BigEndian.AppendUint64(t.staged, uint64(e.Index))
	t.staged = binary.BigEndian.AppendUint64(t.staged, e.Term)
	if len(e.Data) > 0 {
		envelopes, err := DecodeEntry(e.Data)
		if err != nil {
			return signet.Wrap("apply entry", fmt.Sprint(e.Index), err)
		}
		for i, b := range envelopes {
			env, err := DecodeEnvelope(b)
			if err != nil {
				return signet.Wrap("apply entry", fmt.Sprintf("%d/%d", e.Index, i), err)
			}
			t.envelope(&env)
			if t.err != nil {
				return t.err
			}
		}
	}
	t.clusters.flush()
	t.sessions.flush()
	t.volumes.flush()
	t.inodes.flush()
	t.objects.flush()
	if e.Members != nil {
		write(t, metaKey(0, rowMembers), codeBlob, &blobRow{e.Members})
	}
	t.sum.Write(t.staged)
	t.last = Position{Index: e.Index, Term: e.Term, Digest: signet.Digest(t.sum.Sum(nil))}
	t.step.Digests = append(t.step.Digests, t.last.Digest)
	return t.err
}

// envelope carries out one command, or repeats its answer.
func (t *tx) envelope(env *Envelope) {
	t.group, t.session, t.extra, t.touched = env.Group, env.Session, 0, 0
	a := Answer{Session: env.Session, Request: env.Request}
	a.Result.Index = t.index
	kept, k := t.admit(env)
	switch {
	case k != signet.OK:
		a.Result.Err, a.Over = k, k == signet.Ended
	case kept != nil:
		a.Result, a.Extra, a.Repeated = kept.Result, kept.Extra, true
	default:
		a.Result = t.command(env)
		a.Result.Index = t.resultIndex(a.Result.Index)
		a.Extra = t.extra
		t.remember(env, &a)
	}
	t.step.Answers = append(t.step.Answers, a)

	var sum [8 * 4]byte
	binary.BigEndian.PutUint64(sum[0:], env.Request)
	binary.BigEndian.PutUint64(sum[8:], uint64(a.Result.Err))
	binary.BigEndian.PutUint64(sum[16:], uint64(a.Result.Index))
	binary.BigEndian.PutUint64(sum[24:], a.Extra)
	t.digest(3, nil, sum[:])
}

// resultIndex is this entry's unless the command answers with an earlier one.
func (t *tx) resultIndex(earlier signet.Index) signet.Index {
	if earlier != 0 {
		return earlier
	}
	return t.index
}

// admit decides whether a command is to be carried out: not if its session is over,
// too far ahead of what it still waits for, or if the command was answered before.
func (t *tx) admit(env *Envelope) (*answerRow, signet.Kind) {
	if env.Session == 0 {
		return nil, signet.OK
	}
	s, ok := t.sessions.get(env.Session)
	if !ok || s.Ended {
		return nil, signet.Ended
	}
	if env.Lowest > s.Lowest {
		s.Lowest = env.Lowest
		t.sessions.set(env.Session, s)
	}
	switch {
	case env.Request < s.Lowest:
		return nil, signet.Stale // answered, and nobody waits for it any more
	case env.Request-s.Lowest >= signet.MaxUnanswered:
		return nil, signet.TooBusy
	case env.Request > s.High:
		return nil, signet.OK
	}
	kept, ok := read(t, answerKey(env.Session, env.Request), codeAnswer)
	if ok && kept.Request == env.Request {
		return &kept, signet.OK
	}
	return nil, signet.OK
}

// remember keeps an answer until the session no longer waits for it.
func (t *tx) remember(env *Envelope, a *Answer) {
	if env.Session == 0 {
		return
	}
	s, ok := t.sessions.get(env.Session)
	if !ok || s.Ended {
		return // the command ended its own session
	}
	s.High = max(s.High, env.Request)
	t.sessions.set(env.Session, s)
	write(t, answerKey(env.Session, env.Request), codeAnswer, &answerRow{env.Request, a.Extra, a.Result})
}

// command carries out a command. What it returns with an Err has changed nothing.
func (t *tx) command(env *Envelope) signet.Result {
	if c, ok := env.Command.(signet.Command); ok {
		if env.Session == 0 {
			return refuse(signet.Ended)
		}
		return t.volumeCommand(c)
	}
	switch c := env.Command.(type) {
	case *GrantInodes, *Collect, *Placed, *Reap, *SetPolicy, *AddSlot, *RemoveSlot:
		if _, ok := t.volumes.get(t.group); !ok {
			return refuse(signet.NotFound)
		}
		return t.ofVolume(c)
	}
	if t.group != signet.ClusterGroup {
		return refuse(signet.Invalid)
	}
	return t.ofCluster(env.Command)
}

// volumeCommand carries out a command on the tree.
func (t *tx) volumeCommand(c signet.Command) signet.Result {
	if _, ok := t.volumes.get(t.group); !ok {
		return refuse(signet.NotFound)
	}
	switch c := c.(type) {
	case *signet.Create:
		return t.create(c)
	case *signet.Link:
		return t.link(c)
	case *signet.Remove:
		return t.remove(c)
	case *signet.Rename:
		return t.rename(c)
	case *signet.SetAttr:
		return t.setAttr(c)
	case *signet.Write:
		return t.write(c)
	case *signet.SetXattr:
		return t.setXattr(c)
	case *signet.RemoveXattr:
		return t.removeXattr(c)
	case *signet.Drain:
		return t.drain(c)
	case *signet.Delegate:
		return t.delegate(c)
	case *signet.HandBack:
		return t.handBack(c)
	case *signet.Revoke:
		return t.revoke(c)
	case *signet.SetACL:
		return t.setACL(c)
	case *signet.SetAtimes:
		return t.setAtimes(c)
	case *signet.Lock:
		return t.lock(c)
	case *signet.EndWait:
		return t.endWait(c)
	}
	return refuse(signet.Invalid)
}

func (t *tx) ofVolume(c any) signet.Result {
	switch c := c.(type) {
	case *GrantInodes:
		return t.grantInodes(c)
	case *Collect:
		return t.collect(c)
	case *Placed:
		return t.placed(c)
	case *Reap:
		return t.reap(c)
	case *SetPolicy:
		return t.setPolicy(c)
	case *AddSlot:
		return t.addSlot(c)
	case *RemoveSlot:
		return t.removeSlot(c)
	}
	return refuse(signet.Invalid)
}

func (t *tx) ofCluster(c any) signet.Result {
	if c, ok := c.(*Init); ok {
		return t.init(c)
	}
	if _, ok := t.cluster(); !ok {
		return refuse(signet.NotFound)
	}
	switch c := c.(type) {
	case *OpenSession:
		return t.openSession(c)
	case *EndSession:
		return t.endSession(c)
	case *Join:
		return t.join(c)
	case *SetHost:
		return t.setHost(c)
	case *SetHostState:
		return t.setHostState(c)
	case *RemoveHost:
		return t.removeHost(c)
	case *SetRing:
		return t.setRing(c)
	case *ArcDone:
		return t.arcDone(c)
	case *ArcsDone:
		return t.arcsDone(c)
	case *SetFeature:
		return t.setFeature(c)
	case *CreateToken:
		return t.createToken(c)
	case *RevokeToken:
		return t.revokeToken(c)
	}
	return refuse(signet.Invalid)
}

// refuse is the result of a command that was not carried out.
func refuse(k signet.Kind) signet.Result { return signet.Result{Err: k} }

// change adds to the change feed.
func (t *tx) change(c signet.Change) {
	c.Name = append([]byte(nil), c.Name...)
	c.Session, c.Index = t.session, t.index
	t.step.Batch.Changes = append(t.step.Batch.Changes, c)
}

func (t *tx) changed(ino signet.Ino, what uint8) { t.change(signet.Change{Ino: ino, What: what}) }
