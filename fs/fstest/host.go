package fstest

import (
	"bytes"
	"context"
	"slices"
	"sync/atomic"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// Host is one host's copy of a State: a fs.Names. Its change feed runs from NewHost
// until Close.
type Host struct {
	// Before, if not nil, is called with each command of this host before it is
	// proposed; an error keeps it from being so. Set it before the first use.
	Before func(context.Context, signet.Command) error
	// After is called when the command is applied; its error takes the place of the
	// outcome, as if the answer was lost.
	After func(context.Context, signet.Command) error

	hook   atomic.Pointer[func(Step)]
	answer atomic.Pointer[Answerer]

	state   *State
	session signet.SessionID
	changed func(context.Context, signet.Batch) error
	life    context.Context
	end     context.CancelFunc
	done    chan struct{}

	// Guarded by state.mu.
	feed     []signet.Batch // committed, not applied here
	applied  signet.Index
	acked    signet.Index
	held     bool // applies nothing
	readOnly error
	minRing  signet.Index
	deaf     bool  // the change feed hears of nothing
	err      error // of the change feed
}

var _ fs.Names = (*Host)(nil)

// Step is a moment at which a test may want to interfere.
type Step string

// The steps of a host.
const (
	ViewOpened    Step = "a view was opened"
	AttrRead      Step = "an inode was read in a view"
	Settling      Step = "a view is about to settle"
	BatchToChange Step = "a batch is applied, and the change feed is about to hear of it"
)

// OnStep has fn called at each step of this host; nil: nothing. It may block.
func (h *Host) OnStep(fn func(Step)) {
	if fn == nil {
		h.hook.Store(nil)
		return
	}
	h.hook.Store(&fn)
}

func (h *Host) step(s Step) {
	if fn := h.hook.Load(); fn != nil {
		(*fn)(s)
	}
}

// NewHost adds a host to the volume. changed is its change feed's other end, usually
// fs.FS.Changed.
func (s *State) NewHost(changed func(context.Context, signet.Batch) error) *Host {
	h := &Host{state: s, changed: changed, done: make(chan struct{})}
	h.life, h.end = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts = append(s.hosts, h)
	s.sessions++
	h.session = s.sessions
	h.applied, h.acked = s.index, s.index
	go h.follow()
	return h
}

// Close ends the host: it counts no more for releases.
func (h *Host) Close() error {
	h.end()
	h.state.mu.Lock()
	h.held = false
	h.state.changed.Broadcast()
	h.state.mu.Unlock()
	<-h.done
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	h.state.hosts = slices.DeleteFunc(h.state.hosts, func(x *Host) bool { return x == h })
	h.state.release()
	return h.err
}

// Answerer answers other hosts' questions about files that are delegated to this one.
type Answerer func(ctx context.Context, ino signet.Ino, why signet.Recall) (signet.Recalled, error)

// Answer has a answer, usually fs.FS.Recalled.
func (h *Host) Answer(a Answerer) { h.answer.Store(&a) }

// Recall implements fs.Names.
func (h *Host) Recall(ctx context.Context, owner signet.SessionID, ino signet.Ino, why signet.Recall) (signet.Recalled, error) {
	s := h.state
	s.mu.Lock()
	var of *Host
	for _, x := range s.hosts {
		if x.session == owner {
			of = x
		}
	}
	s.mu.Unlock()
	if of == nil || of.answer.Load() == nil {
		return signet.Recalled{}, nil
	}
	s.recalls.Add(1)
	return (*of.answer.Load())(ctx, ino, why)
}

// Hold keeps the host from applying anything until it is let go again.
func (h *Host) Hold(held bool) {
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	h.held = held
	h.state.changed.Broadcast()
}

// Deafen keeps batches from the host's change feed, which then has a gap.
func (h *Host) Deafen(deaf bool) {
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	h.deaf = deaf
}

// SetReadOnly has Do and Writable fail with err, unless it is nil.
func (h *Host) SetReadOnly(err error) {
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	h.readOnly = err
}

// MoveRing makes all objects stale that were put under an older ring than version.
func (h *Host) MoveRing(version signet.Index) {
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	h.minRing = version
}

// follow applies, tells the change feed and acknowledges, batch by batch.
func (h *Host) follow() {
	defer close(h.done)
	s := h.state
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for (len(h.feed) == 0 || h.held) && h.life.Err() == nil {
			s.changed.Wait()
		}
		if h.life.Err() != nil {
			return
		}
		b := signet.Batch{Index: h.feed[len(h.feed)-1].Index}
		for _, f := range h.feed {
			b.Changes = append(b.Changes, f.Changes...)
		}
		h.feed = nil
		h.applied = b.Index
		s.changed.Broadcast()
		deaf := h.deaf
		s.mu.Unlock()
		h.step(BatchToChange)
		var err error
		if !deaf {
			err = h.changed(h.life, b)
		}
		s.mu.Lock()
		if err != nil {
			if h.life.Err() == nil && h.err == nil {
				h.err = err
			}
			continue // not acknowledged
		}
		h.acked = b.Index
		s.release()
	}
}

// release moves released to what all hosts have acknowledged. s.mu is held.
func (s *State) release() {
	least := s.index
	for _, h := range s.hosts {
		least = min(least, h.acked)
	}
	s.released = max(s.released, least)
	s.changed.Broadcast()
}

// wait waits until ok, with s.mu held, or ctx ends.
func (s *State) wait(ctx context.Context, ok func() bool) error {
	if ok() {
		return nil
	}
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer stop()
	for !ok() {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.changed.Wait()
	}
	return nil
}

// Do applies a command everywhere, at each host in its own time.
func (h *Host) Do(ctx context.Context, c signet.Command) (signet.Result, signet.Ticket, error) {
	if h.Before != nil {
		if err := h.Before(ctx, c); err != nil {
			return signet.Result{}, nil, err
		}
	}
	s := h.state
	s.mu.Lock()
	if h.readOnly != nil {
		defer s.mu.Unlock()
		return signet.Result{}, nil, h.readOnly
	}
	s.index++
	res, changes := s.apply(h.session, c)
	s.publish(changes)
	err := s.wait(ctx, func() bool { return h.applied >= res.Index })
	s.mu.Unlock()
	if err == nil && h.After != nil {
		err = h.After(ctx, c)
	}
	if err != nil {
		return signet.Result{}, nil, err
	}
	return res, ticket{s, res.Index}, nil
}

// publish sends changes to all hosts. s.mu is held.
func (s *State) publish(changes []signet.Change) {
	for i := range changes {
		changes[i].Index = s.index
	}
	for _, x := range s.hosts {
		x.feed = append(x.feed, signet.Batch{Index: s.index, Changes: changes})
	}
	s.changed.Broadcast()
}

type ticket struct {
	s     *State
	index signet.Index
}

func (t ticket) Wait(ctx context.Context) error {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	return t.s.wait(ctx, func() bool { return t.s.released >= t.index })
}

// NextIno grants an inode number.
func (h *Host) NextIno(context.Context) (signet.Ino, error) {
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	h.state.nextIno++
	return h.state.nextIno - 1, nil
}

// Space returns made-up sizes and the number of inodes.
func (h *Host) Space(context.Context) (fs.Space, error) {
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	var used uint64
	for ino := range h.state.inodes {
		if in, ok := h.state.inode(ino); ok {
			used += in.Bytes
		}
	}
	const total = 1 << 40
	return fs.Space{Total: total, Free: total - used, Used: used, Fits: total - used, Inodes: uint64(len(h.state.inodes))}, nil
}

// Writable returns what SetReadOnly set.
func (h *Host) Writable(context.Context) error {
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	return h.readOnly
}

// Own says whether the session is this host's.
func (h *Host) Own(s signet.SessionID) bool { return s == h.Session() }

// Session returns the host's session.
func (h *Host) Session() signet.SessionID {
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	return h.session
}

// Ready says that this host may always answer from what it has applied.
func (h *Host) Ready(ctx context.Context) error { return ctx.Err() }

// View opens a reading of what the host has applied.
func (h *Host) View() signet.View {
	defer h.step(ViewOpened)
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	h.state.open[h.applied]++
	return &view{host: h, s: h.state, index: h.applied, read: map[row]bool{}}
}

type view struct {
	host   *Host
	s      *State
	index  signet.Index
	read   map[row]bool
	closed bool
}

func (v *view) Index() signet.Index { return v.index }

// lock locks the state and notes that a row is read.
func (v *view) lock(r row) func() {
	v.s.mu.Lock()
	if v.closed {
		panic("fstest: view used after Close")
	}
	v.read[r] = true
	return v.s.mu.Unlock
}

func (v *view) inode(ino signet.Ino) (inode, error) {
	defer v.lock(row{ino: ino, kind: 'i'})()
	in, ok := v.s.inodes[ino].get(v.index)
	if !ok {
		return in, signet.NotFound
	}
	return in, nil
}

func (v *view) Attr(ino signet.Ino) (signet.Attr, error) {
	in, err := v.inode(ino)
	v.s.mu.Lock()
	in.Owner = v.s.living(in.Owner)
	v.s.mu.Unlock()
	v.host.step(AttrRead)
	return in.Attr, err
}

func (v *view) Lookup(parent signet.Ino, name []byte) (signet.Entry, error) {
	defer v.lock(row{ino: parent, kind: 'n', name: string(name)})()
	e, ok := v.s.dirs[parent][string(name)].get(v.index)
	if !ok {
		return e, signet.NotFound
	}
	e.Name = bytes.Clone(e.Name)
	return e, nil
}

func (v *view) ReadDir(parent signet.Ino, after []byte, fn func(signet.Entry) bool) error {
	unlock := v.lock(row{ino: parent, kind: 'l'})
	var list []signet.Entry
	for name, e := range v.s.dirs[parent] {
		if after != nil && name <= string(after) {
			continue
		}
		if e, ok := e.get(v.index); ok {
			e.Name = bytes.Clone(e.Name)
			list = append(list, e)
		}
	}
	unlock()
	slices.SortFunc(list, func(a, b signet.Entry) int { return bytes.Compare(a.Name, b.Name) })
	for _, e := range list {
		if !fn(e) {
			break
		}
	}
	return nil
}

func (v *view) Parent(dir signet.Ino) (signet.Ino, error) {
	in, err := v.inode(dir)
	if err == nil && !in.IsDir() {
		err = signet.NotDir
	}
	return in.parent, err
}

func (v *view) Target(ino signet.Ino) ([]byte, error) {
	in, err := v.inode(ino)
	return bytes.Clone(in.target), err
}

func (v *view) Xattr(ino signet.Ino, name []byte) ([]byte, error) {
	in, err := v.inode(ino)
	if err != nil {
		return nil, err
	}
	value, ok := in.xattrs[string(name)]
	if !ok {
		return nil, signet.NoAttr
	}
	return bytes.Clone(value), nil
}

func (v *view) Xattrs(ino signet.Ino) ([][]byte, error) {
	in, err := v.inode(ino)
	var list [][]byte
	for name := range in.xattrs {
		list = append(list, []byte(name))
	}
	slices.SortFunc(list, bytes.Compare)
	return list, err
}

func (v *view) Extents(ino signet.Ino, off, n uint64, limit int) ([]signet.Extent, error) {
	in, err := v.inode(ino)
	if err != nil {
		return nil, err
	}
	end := off + n
	var list []signet.Extent
	for _, e := range in.extents {
		if e.End() > off && e.Off < end && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

func (v *view) Object(a signet.Address) (signet.Object, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	o, ok := v.s.objects[a].get(v.index)
	if !ok {
		return o, signet.NotFound
	}
	return o, nil
}

func (v *view) Settle(ctx context.Context) error {
	v.host.step(Settling)
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	var need signet.Index
	for r := range v.read {
		for _, at := range v.s.rows[r] {
			if at <= v.index {
				need = max(need, at)
			}
		}
	}
	return v.s.wait(ctx, func() bool { return v.s.released >= need })
}

func (v *view) Fresh() bool {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	for r := range v.read {
		for _, at := range v.s.rows[r] {
			if at > v.index && at <= v.host.applied {
				return false
			}
		}
	}
	return true
}

func (v *view) Close() {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	if v.closed {
		panic("fstest: view closed twice")
	}
	v.closed = true
	if v.s.open[v.index]--; v.s.open[v.index] == 0 {
		delete(v.s.open, v.index)
	}
}
