package consensus

import (
	"context"
	"path"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/clock"
)

// fetched puts a snapshot of host from where host to looks for its newest tables.
func (w *world) fetched(from, to signet.HostID) SnapshotFiles {
	w.t.Helper()
	n := w.node(from)
	s, err := n.OfferSnapshot(n.State().Position().Index)
	if err != nil {
		w.t.Fatal(err)
	}
	fs, dir := w.hosts[to].disk, "state/tables.7"
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	for _, f := range s.Files {
		out, err := fs.Create(path.Join(dir, f.Name), vfs.WriteCategoryUnspecified)
		if err != nil {
			w.t.Fatal(err)
		}
		b := make([]byte, f.Size)
		if _, err := n.ReadSnapshot(s.Index, f.Name, 0, b); err != nil {
			w.t.Fatal(err)
		}
		if _, err := out.Write(b); err != nil || out.Close() != nil {
			w.t.Fatal(err)
		}
	}
	return s
}

func entry(index, term uint64) *raftpb.Entry {
	return &raftpb.Entry{Index: &index, Term: &term, Type: raftpb.EntryNormal.Enum()}
}

// A host dies between taking a snapshot's tables over and emptying its log, and the log
// has entries of a deposed leader where the tables are. They must not stay.
func TestOldTailBesideNewTables(t *testing.T) {
	w := newWorld(t, 3)
	w.votersAre(3)
	w.fill(1, 0, 5)
	w.same()
	h := w.hosts[3]
	h.stop()
	w.until("a leader without host 3", func() bool { l, _, _ := w.node(1).Lead(); return l == 1 || l == 2 })
	l, err := openLog(h.disk, "state/log", nil)
	if err != nil {
		t.Fatal(err)
	}
	last, _ := l.LastIndex()
	term, err := l.Term(last)
	if err != nil {
		t.Fatal(err)
	}
	leader, before, _ := w.node(1).Lead()
	w.hosts[leader].crash()
	w.hosts[leader].boot()
	w.until("a longer term", func() bool { l, now, _ := w.node(1).Lead(); return l != 0 && now > before })
	w.fill(1, 100, 10)
	s := w.fetched(1, 3)
	var tail []*raftpb.Entry
	for i := last + 1; i < uint64(s.Index)+5; i++ {
		tail = append(tail, entry(i, term))
	}
	if err := l.append(tail, nil, true); err != nil || l.Close() != nil {
		t.Fatal(err)
	}
	h.boot()
	w.fill(1, 200, 3)
	ctx := w.ctx()
	w.until("host 3 to follow", func() bool {
		ino, err := w.lookup(ctx, 3, "f202")
		return err == nil && ino != 0
	})
	w.same()
}

// The library may hand over a snapshot and entries that follow it at once. Both are kept.
func TestEntriesAfterSnapshot(t *testing.T) {
	w := newWorld(t, 3)
	w.votersAre(3)
	h := w.hosts[3]
	h.stop()
	w.fill(1, 0, 5)
	n, err := Open(Config{
		Host: 3, Start: 9, FS: h.disk, Dir: "state", Transport: testTransport{w, 3, 9}, Clock: clock.Real(), Times: w.times,
		Logger: w.node(1).logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.loops.Go(n.applyLoop)
	s := w.fetched(1, 3)
	index := uint64(s.Index)
	m := &raftpb.Message{
		Type:     raftpb.MsgStorageAppend.Enum(),
		Snapshot: &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: &index, Term: &s.Term, ConfState: n.conf.Load()}},
		Entries:  []*raftpb.Entry{entry(index+1, s.Term)},
	}
	if err := n.appendAll([]*raftpb.Message{m}); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := openLog(h.disk.CrashClone(vfs.CrashCloneCfg{}), "state/log", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if last, _ := l.LastIndex(); last != index+1 {
		t.Errorf("the log ends at %d; the snapshot is at %d and an entry followed it", last, index)
	}
}

// A sync makes durable what was written before it, also if it has nothing to write itself:
// of the messages that share a sync the last one may only hold answers.
func TestEmptySync(t *testing.T) {
	disk := vfs.NewCrashableMem()
	l, err := openLog(disk, "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.append([]*raftpb.Entry{entry(1, 1)}, nil, false); err != nil {
		t.Fatal(err)
	}
	if err := l.append(nil, nil, true); err != nil {
		t.Fatal(err)
	}
	after, err := openLog(disk.CrashClone(vfs.CrashCloneCfg{}), "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if last, _ := after.LastIndex(); last != 1 {
		t.Errorf("after a crash the log ends at %d, want 1", last)
	}
}

// Entries take the newest commit index along to the disk, also if they come without one. Else
// the former single voter of a grown cluster would not know, after a crash, that it has grown.
func TestCommitIndexIsWrittenWithEntries(t *testing.T) {
	disk := vfs.NewCrashableMem()
	l, err := openLog(disk, "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	state := func(term, vote, commit uint64) *raftpb.HardState {
		return &raftpb.HardState{Term: &term, Vote: &vote, Commit: &commit}
	}
	for _, a := range []struct {
		entries []*raftpb.Entry
		hard    *raftpb.HardState
		sync    bool
	}{
		{[]*raftpb.Entry{entry(1, 1), entry(2, 1)}, state(1, 3, 0), true},
		{nil, state(1, 3, 2), false},
		{[]*raftpb.Entry{entry(3, 1)}, nil, true},
		{nil, state(1, 3, 3), false},
	} {
		if err := l.append(a.entries, a.hard, a.sync); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.hard.GetCommit(); got != 3 {
		t.Errorf("committed up to %d in memory, want 3", got)
	}
	after, err := openLog(disk.CrashClone(vfs.CrashCloneCfg{}), "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if h := after.hard; h.GetCommit() != 2 || h.GetTerm() != 1 || h.GetVote() != 3 {
		t.Errorf("after a crash: %v", h)
	}
}

// A host that once voted alone starts again after a crash, while those that joined since have
// another leader. It does not elect itself: there is one leader, and one log.
func TestFormerSingleVoterComesBack(t *testing.T) {
	w := newWorld(t, 3)
	w.votersAre(3)
	w.fill(1, 0, 3)
	h := w.hosts[1]
	h.crash()
	w.until("another leader", func() bool { l, _, _ := w.node(2).Lead(); return l == 2 || l == 3 })
	w.fill(2, 100, 3)
	_, term, _ := w.node(2).Lead()
	h.boot()
	ctx := w.ctx()
	w.until("host 1 to follow", func() bool {
		if l, at, _ := w.node(1).Lead(); l == 1 && at == term {
			t.Fatalf("host 1 leads in term %d, in which another does", term)
		}
		ino, err := w.lookup(ctx, 1, "f102")
		return err == nil && ino != 0
	})
	w.fill(1, 200, 3)
	w.same()
}

// Cutting the log never brings back a beginning from before a snapshot.
func TestCompactBelowSnapshot(t *testing.T) {
	l, err := openLog(vfs.NewMem(), "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.append([]*raftpb.Entry{entry(1, 1), entry(2, 1)}, nil, true); err != nil {
		t.Fatal(err)
	}
	if err := l.reset(entryID{10, 2}, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.compact(2); err != nil {
		t.Error(err)
	}
	if first, _ := l.FirstIndex(); first != 11 {
		t.Errorf("the log begins at %d, the snapshot ended at 10", first)
	}
}

// A jump of the state that has to wait for a slow subscriber stays a jump.
func TestJumpIsNotLostBehindASlowSubscriber(t *testing.T) {
	w := newWorld(t, 1)
	w.fill(1, 0, 1)
	n := w.node(1)
	got, goOn := make(chan signet.Batch), make(chan struct{})
	defer close(goOn)
	end := n.Subscribe(func(ctx context.Context, b signet.Batch) {
		select {
		case got <- b:
			<-goOn
		case <-ctx.Done():
		}
	})
	at := n.State().Position()
	n.acks.put(published{signet.Batch{Index: at.Index}, at})
	<-got
	for _, all := range []bool{false, true, false} {
		n.acks.put(published{signet.Batch{Index: at.Index, All: all}, at})
	}
	goOn <- struct{}{}
	b := <-got
	end()
	if !b.All {
		t.Error("the subscriber was not told that anything may have changed")
	}
}

// Apply counts how far a session is ahead from its oldest unanswered command.
func TestSessionStaysWithinReach(t *testing.T) {
	n := &Node{clock: clock.Real(), times: DefaultTimes(), stop: make(chan struct{})}
	p := newProposer(n)
	p.setSession(1)
	oldest, err := p.add(t.Context(), signet.ClusterGroup, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < signet.MaxUnanswered; i++ {
		c, err := p.add(t.Context(), signet.ClusterGroup, nil)
		if err != nil {
			t.Fatal(i, err)
		}
		if c.request-oldest.request >= signet.MaxUnanswered {
			t.Fatalf("request %d while %d is unanswered", c.request, oldest.request)
		}
		p.answered([]meta.Answer{{Session: 1, Request: c.request}})
	}
	added := make(chan *command, 1)
	go func() {
		c, _ := p.add(t.Context(), signet.ClusterGroup, nil)
		added <- c
	}()
	select {
	case c := <-added:
		t.Fatalf("request %d while %d is unanswered", c.request, oldest.request)
	case <-time.After(20 * time.Millisecond):
	}
	p.answered([]meta.Answer{{Session: 1, Request: oldest.request}})
	if c := <-added; c == nil {
		t.Error("no room after the oldest was answered")
	}
}

// What does not decode would stop every host for good: nobody gets it into the log.
func TestNobodyPoisonsTheLog(t *testing.T) {
	w := newWorld(t, 1)
	n := w.node(1)
	if err := n.Propose(w.ctx(), [][]byte{{0xc1}}); signet.KindOf(err) != signet.BadMessage {
		t.Errorf("garbage as a command: %v", err)
	}
	if err := n.Propose(w.ctx(), [][]byte{make([]byte, maxEnvelopeBytes+1)}); signet.KindOf(err) != signet.TooBig {
		t.Errorf("a command that fits into no message: %v", err)
	}
	from := uint64(2)
	for _, k := range []raftpb.MessageType{raftpb.MsgProp, raftpb.MsgTimeoutNow, raftpb.MsgTransferLeader, raftpb.MsgReadIndex} {
		b, err := proto.Marshal(&raftpb.Message{Type: k.Enum(), From: &from, Entries: []*raftpb.Entry{{Data: []byte("x")}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.StepRaft(2, [][]byte{b}); signet.KindOf(err) != signet.BadMessage {
			t.Errorf("%v: %v", k, err)
		}
	}
	w.fill(1, 0, 3)
}

// Only who can lead says what is released, and a snapshot of the future is not made.
func TestWordsOfStrangers(t *testing.T) {
	w := newWorld(t, 1)
	w.fill(1, 0, 1)
	n := w.node(1)
	n.Released(Release{Leader: 2, Released: never - 1})
	if s := n.Status(); s.Released > s.Applied {
		t.Errorf("released %d at %d, on the word of a host that does not vote", s.Released, s.Applied)
	}
	if _, err := n.OfferSnapshot(never); signet.KindOf(err) != signet.Unavailable {
		t.Errorf("a snapshot of the future: %v", err)
	}
}

// A report that was under way when its process died is not taken for the next one's.
func TestReportOfAFormerProcess(t *testing.T) {
	w := newWorld(t, 1)
	n := w.node(1)
	n.Grant(LeaseRequest{Ack: Ack{Host: 2, Start: 5}, Reader: 50})
	n.Grant(LeaseRequest{Ack: Ack{Host: 2, Start: 4}, Reader: 90})
	if got := n.Status().Hosts[2].Reader; got != 50 {
		t.Errorf("reads from %d on, it says; the process that lives said 50", got)
	}
}

// Views that come and go leave nothing behind an old one.
func TestViewsBehindAnOldOne(t *testing.T) {
	r := newRows()
	r.jump(1)
	old := r.enter()
	for i := signet.Index(2); i < 1000; i++ {
		r.step(signet.Batch{Index: i})
		r.leave(r.enter())
	}
	if len(r.open) != 1 || r.oldest() != old {
		t.Errorf("%d entries, oldest %d", len(r.open), r.oldest())
	}
	r.leave(old)
	if len(r.open) != 0 {
		t.Errorf("%d entries of no view", len(r.open))
	}
}

// A subscriber that hangs does not make the queue grow for ever.
func TestWorkMerges(t *testing.T) {
	w := newWork[published]()
	for i := signet.Index(1); i <= 10; i++ {
		w.putOrMerge(published{signet.Batch{Index: i, Changes: []signet.Change{{}}}, meta.Position{Index: i}}, 4, jump)
	}
	items := w.take(nil)
	if last := items[len(items)-1]; len(items) != 4 || !last.All || last.Index != 10 || last.end.Index != 10 {
		t.Errorf("%d items, the last %+v", len(items), last)
	}
}

// Nothing of a closed node can be read, and asking does not hang.
func TestReaderAfterClose(t *testing.T) {
	w := newWorld(t, 1)
	n := w.node(1)
	w.hosts[1].stop()
	r := n.Reader(signet.DefaultVolume)
	defer r.Close()
	if _, err := r.Hosts(); signet.KindOf(err) != signet.Closed {
		t.Errorf("%v", err)
	}
	if _, err := r.Index(); signet.KindOf(err) != signet.Closed {
		t.Errorf("%v", err)
	}
	if _, err := n.OfferSnapshot(0); err == nil {
		t.Error("a checkpoint of closed tables")
	}
}
