package consensus

import (
	"context"
	"errors"
	"io"
	"path"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// A snapshot is a checkpoint of the tables: hard links, made when a host that is too far
// behind asks for it. The library's message only says that one is needed; the host
// fetches the files, and tells the library of the position at which they are. So the
// message never carries data and the leader never waits.
//
// On the receiving side the directory "incoming" holds the files being fetched. Once they
// are complete and durable it is renamed to the next of "tables.0", "tables.1", ...: the
// newest of these is the one that counts, now and after a crash (tables.go, docs/log.md).

const (
	incomingDir = "incoming"
	offerDir    = "offers"

	// offerIdle is how long an offered checkpoint is kept after it was last asked for.
	offerIdle = time.Minute
	// fetchTimeout bounds fetching one snapshot.
	fetchTimeout = time.Hour
	// snapshotPause is after how long a leader tries entries again on a host that it
	// sent for a snapshot: long enough to fetch a small one, and harmless if not.
	snapshotPause = 5 * time.Second
)

// confState implements snapshotSource.
func (n *Node) confState() *raftpb.ConfState { return n.conf.Load() }

// snapshot implements snapshotSource.
func (n *Node) snapshot() (*raftpb.Snapshot, error) {
	t := n.hold()
	if t == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	defer n.letGo(t)
	at := t.Position()
	conf, err := membersOf(t.State)
	if err != nil {
		return nil, err
	}
	if at.Index == 0 {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	index, term := uint64(at.Index), at.Term
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: conf, Index: &index, Term: &term}}, nil
}

// snapshotSent has the library try the host with entries again after a while.
func (n *Node) snapshotSent(to uint64) {
	n.clock.AfterFunc(snapshotPause, func() {
		n.driver.post(func() { n.driver.raw.ReportSnapshot(to, raft.SnapshotFailure) })
	})
}

// fetchSnapshot fetches the leader's checkpoint and then hands m on to the library. It does
// not wait. A message that comes while one is being fetched is dropped.
func (n *Node) fetchSnapshot(from signet.HostID, m *raftpb.Message) {
	n.mu.Lock()
	busy := n.fetching
	n.fetching = true
	n.mu.Unlock()
	if busy {
		return
	}
	n.spawn(func() {
		at, conf, err := n.fetch(from, signet.Index(m.GetSnapshot().GetMetadata().GetIndex()))
		if err != nil {
			n.logger.Warn("snapshot not fetched", "from", from, "err", err)
			n.fetchEnded()
			return
		}
		m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: conf, Index: &at.index, Term: &at.term}}
		n.driver.post(func() {
			_ = n.driver.raw.Step(m)
			n.driver.post(n.snapshotTaken)
		})
	})
}

// snapshotTaken runs after the library had its say about a fetched snapshot. If it had no
// use for it (entries have arrived meanwhile) the tables fetched must not stay the newest.
func (n *Node) snapshotTaken() {
	n.mu.Lock()
	installing := n.installing
	n.mu.Unlock()
	if installing {
		return
	}
	if err := n.dropNewerTables(); err != nil {
		n.failed(err)
	}
	n.fetchEnded()
}

// fetch fetches the files into the next tables and returns where they are.
func (n *Node) fetch(from signet.HostID, index signet.Index) (entryID, *raftpb.ConfState, error) {
	fs, dir := n.config.FS, path.Join(n.config.Dir, incomingDir)
	ctx, cancel := clock.WithTimeout(n.ctx, n.clock, fetchTimeout)
	defer cancel()
	files, err := n.config.Transport.Snapshot(ctx, from, index)
	if err != nil {
		return entryID{}, nil, err
	}
	n.logger.Info("fetching a snapshot", "from", from, "index", uint64(files.Index), "files", len(files.Files))
	if err := errors.Join(fs.RemoveAll(dir), fs.MkdirAll(dir, 0o700)); err != nil {
		return entryID{}, nil, signet.Wrap("fetch snapshot", "", err)
	}
	for _, f := range files.Files {
		if err := n.fetchFile(ctx, from, files, f, path.Join(dir, path.Base(f.Name))); err != nil {
			return entryID{}, nil, err
		}
	}
	conf, err := n.checkFetched(dir, files)
	if err != nil {
		return entryID{}, nil, err
	}
	n.step("snapshot.fetched")
	to, err := n.nextTables()
	if err != nil {
		return entryID{}, nil, err
	}
	if err := errors.Join(syncDir(fs, dir), fs.Rename(dir, to), syncDir(fs, n.config.Dir)); err != nil {
		return entryID{}, nil, signet.Wrap("keep snapshot", "", err)
	}
	return entryID{uint64(files.Index), files.Term}, conf, nil
}

func (n *Node) fetchFile(ctx context.Context, from signet.HostID, files SnapshotFiles, f SnapshotFileInfo, name string) error {
	w, err := n.config.FS.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return signet.Wrap("fetch snapshot", f.Name, err)
	}
	err = n.config.Transport.SnapshotFile(ctx, from, files, f, w)
	return signet.Wrap("fetch snapshot", f.Name, errors.Join(err, w.Sync(), w.Close()))
}

// checkFetched opens the fetched tables once: they must be at the promised position.
func (n *Node) checkFetched(dir string, files SnapshotFiles) (*raftpb.ConfState, error) {
	state, err := n.openState(dir)
	if err != nil {
		return nil, err
	}
	at := state.Position()
	conf, err := membersOf(state)
	if err := errors.Join(err, state.Close()); err != nil {
		return nil, err
	}
	if at.Index != files.Index || at.Term != files.Term {
		return nil, signet.Errorf(signet.Corrupt, "fetch snapshot", "", "it is at %d, not at %d as was promised", at.Index, files.Index)
	}
	return conf, nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// install replaces the tables by the fetched ones. It runs on the append loop, while the
// apply loop, which owns the tables, does the work.
func (n *Node) install(s *raftpb.Snapshot, hard *raftpb.HardState) error {
	done := make(chan error, 1)
	n.applies.put(func() error {
		err := n.swapTables()
		done <- err
		return err
	})
	select {
	case err := <-done:
		if err != nil {
			return err
		}
	case <-n.stop:
		return errStopped
	}
	at := entryID{s.GetMetadata().GetIndex(), s.GetMetadata().GetTerm()}
	if err := n.log.reset(at, hard); err != nil {
		return err
	}
	n.step("snapshot.installed")
	n.fetchEnded()
	return nil
}

func (n *Node) fetchEnded() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fetching, n.installing = false, false
}

// swapTables takes the fetched tables over. Readers of the old ones go on until they
// close; the last one closes the tables, which the next start removes.
func (n *Node) swapTables() error {
	if err := n.openTables(); err != nil {
		return err
	}
	state := n.State()
	conf, err := membersOf(state)
	if err != nil {
		return err
	}
	n.conf.Store(conf)
	at := state.Position()
	n.rows.jump(at.Index)
	n.proposer.missed()
	n.hostsMayHaveChanged()
	if n.config.Restored != nil {
		n.config.Restored()
	}
	n.acks.put(published{signet.Batch{Index: at.Index, All: true}, at})
	return nil
}

// offers are the checkpoints that other hosts are fetching from this one.
type offers struct {
	mu   sync.Mutex // guards what follows
	seq  int
	open map[signet.Index]*offer
}

type offer struct {
	dir   string
	files SnapshotFiles
	idle  clock.Timer
}

// oldest returns the lowest position of a checkpoint that is offered, if any is.
func (o *offers) oldest() (at signet.Index, any bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.open {
		if !any || i < at {
			at, any = i, true
		}
	}
	return at, any
}

// OfferSnapshot makes a checkpoint at or after index, or finds one made a moment ago.
func (n *Node) OfferSnapshot(index signet.Index) (SnapshotFiles, error) {
	if err := n.Halted(); err != nil {
		return SnapshotFiles{}, signet.Errorf(signet.Unavailable, "offer snapshot", "", "this host takes no part any more: %w", err)
	}
	o := &n.offers
	o.mu.Lock()
	defer o.mu.Unlock()
	for at, old := range o.open {
		if at >= index {
			old.idle.Reset(offerIdle)
			return old.files, nil
		}
	}
	t := n.hold()
	if t == nil {
		return SnapshotFiles{}, errStopped
	}
	defer n.letGo(t)
	if at := t.Position().Index; index > at {
		return SnapshotFiles{}, signet.Errorf(signet.Unavailable, "offer snapshot", "", "this host is at %d, not at %d", at, index)
	}
	fs := n.config.FS
	o.seq++
	dir := path.Join(n.config.Dir, offerDir, strconv.Itoa(o.seq))
	if err := fs.MkdirAll(path.Dir(dir), 0o700); err != nil {
		return SnapshotFiles{}, signet.Wrap("offer snapshot", "", err)
	}
	at, err := t.Checkpoint(dir)
	if err != nil {
		return SnapshotFiles{}, err
	}
	files := SnapshotFiles{Index: at.Index, Term: at.Term}
	names, err := fs.List(dir)
	if err != nil {
		return SnapshotFiles{}, signet.Wrap("offer snapshot", "", err)
	}
	for _, name := range names {
		info, err := fs.Stat(path.Join(dir, name))
		if err != nil {
			return SnapshotFiles{}, signet.Wrap("offer snapshot", name, err)
		}
		if !info.IsDir() {
			files.Files = append(files.Files, SnapshotFileInfo{Name: name, Size: uint64(info.Size())})
		}
	}
	if o.open == nil {
		o.open = map[signet.Index]*offer{}
	}
	o.open[at.Index] = &offer{dir: dir, files: files, idle: n.clock.AfterFunc(offerIdle, func() { n.withdraw(at.Index) })}
	return files, nil
}

// withdraw removes an offered checkpoint that nobody asks for any more.
func (n *Node) withdraw(index signet.Index) {
	o := &n.offers
	o.mu.Lock()
	defer o.mu.Unlock()
	if old := o.open[index]; old != nil {
		delete(o.open, index)
		if err := n.config.FS.RemoveAll(old.dir); err != nil {
			n.logger.Warn("an offered snapshot stays behind until the next start", "err", err)
		}
	}
}

// ReadSnapshot reads part of a file of an offered checkpoint into p.
func (n *Node) ReadSnapshot(index signet.Index, name string, off int64, p []byte) (int, error) {
	o := &n.offers
	o.mu.Lock()
	old := o.open[index]
	if old != nil {
		old.idle.Reset(offerIdle)
	}
	o.mu.Unlock()
	if old == nil || path.Base(name) != name {
		return 0, signet.Errorf(signet.NotFound, "read snapshot", strconv.FormatUint(uint64(index), 10), "it is not offered any more")
	}
	f, err := n.config.FS.Open(path.Join(old.dir, name))
	if err != nil {
		return 0, signet.Wrap("read snapshot", name, err)
	}
	defer f.Close()
	k, err := f.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return k, signet.Wrap("read snapshot", name, err)
}
