package integration

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
)

// load has programs on all hosts work in one directory while hosts are killed, and knows
// what must be there in the end. Each name belongs to one program, so nothing has to be
// known about the order of two programs' calls.
//
// What a program was told to be safe (by fsync of a file, for its bytes, or of the
// directory, for its name) must be there. A call that the death of its host cut short
// may or may not have been carried out, and a name that it leaves in doubt is never
// touched again.
type load struct {
	t       *testing.T
	r       *ring.Ring
	dir     string
	hosts   []*loaded
	workers []*worker
	stop    chan struct{} // closed when the programs are to end
	running sync.WaitGroup
}

// loaded is a host as the programs on it know it.
type loaded struct {
	h    *ring.Host
	done atomic.Int64 // operations that succeeded
	// doomed while the daemon may die at any moment without anybody saying so before.
	doomed atomic.Bool

	mu   sync.Mutex // guards:
	life int        // counts deaths
	up   chan struct{}
}

// worker is one program. What it knows is its own until it has ended.
type worker struct {
	load  *load
	on    *loaded
	id    int
	rnd   *rand.Rand
	next  int
	files map[string]*file
	doubt map[string]*doubt
	sums  map[string]int // operations done, by kind
}

// file is one whose name and bytes are safe.
type file struct{ content []byte }

// doubt says what a name may lead to.
type doubt struct {
	may    []*file // one of these, exactly
	torn   []*file // or any mixture of the pages of these, if there are any
	absent bool    // or nothing
	twin   string  // if set: it has the file if and only if this one has not
}

// programsPerHost is how many programs each host runs.
const programsPerHost = 2

// pace is the longest pause of a program between two operations. Without pauses the hosts
// of a small machine are too busy to show how soon they get over a death.
const pace = 100 * time.Millisecond

// startLoad starts the programs of all hosts.
func startLoad(t *testing.T, r *ring.Ring, dir string, seed uint64) *load {
	t.Helper()
	r.Host(0).Mkdir(dir)
	r.Host(0).MustDo(ring.Call{Op: ring.OpSyncDir, Path: "/"})
	l := &load{t: t, r: r, dir: dir, stop: make(chan struct{})}
	for _, h := range r.Hosts() {
		on := &loaded{h: h, up: make(chan struct{})}
		close(on.up)
		l.hosts = append(l.hosts, on)
		for range programsPerHost {
			id := len(l.workers)
			l.workers = append(l.workers, &worker{
				load: l, on: on, id: id, rnd: rand.New(rand.NewPCG(seed, uint64(id))),
				files: map[string]*file{}, doubt: map[string]*doubt{}, sums: map[string]int{},
			})
		}
	}
	for _, w := range l.workers {
		l.running.Go(w.run)
	}
	return l
}

// dies notes, before it happens, that a host's daemon is killed.
func (o *loaded) dies() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.life++
	o.up = make(chan struct{})
}

// lives notes that a host is back.
func (o *loaded) lives() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.up)
}

// alive returns the life in which a host is, and a channel that is closed while it lives.
func (o *loaded) alive() (int, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.life, o.up
}

// wantProgress waits until every host that lives has done n operations more.
func (l *load) wantProgress(n int64) {
	l.t.Helper()
	for _, o := range l.hosts {
		select {
		case <-func() <-chan struct{} { _, up := o.alive(); return up }():
		default:
			continue
		}
		from := o.done.Load()
		l.r.Eventually(ring.Bound, fmt.Sprintf("the programs on %s get on", o.h.Name()), func() error {
			if got := o.done.Load() - from; got < n && !l.t.Failed() {
				return fmt.Errorf("they did %d operations", got)
			}
			return nil
		})
	}
}

// end lets the programs come to their end. All hosts must live.
func (l *load) end() {
	close(l.stop)
	l.running.Wait()
}

func (w *worker) run() {
	kinds := []func(*worker) (string, error){
		(*worker).create, (*worker).create, (*worker).create, (*worker).rewrite, (*worker).overwrite, (*worker).rename, (*worker).replace, (*worker).remove, (*worker).scribble,
	}
	for {
		life, up := w.on.alive()
		select {
		case <-w.load.stop:
			return
		case <-up:
		}
		if !pause(w.rnd, w.load.stop, 0, pace) {
			return
		}
		kind, err := kinds[w.rnd.IntN(len(kinds))](w)
		if err == nil {
			w.sums[kind]++
			w.on.done.Add(1)
			continue
		}
		if now, _ := w.on.alive(); now == life && !w.on.doomed.Load() {
			w.load.t.Errorf("program %d on %s, whose daemon lives: %s: %v", w.id, w.on.h.Name(), kind, err)
			return
		}
	}
}

// fresh returns a name that was never used.
func (w *worker) fresh() string {
	w.next++
	return fmt.Sprintf("p%d-%d", w.id, w.next)
}

// some returns a safe file, or makes one if there is none.
func (w *worker) some() (string, *file) {
	if len(w.files) == 0 {
		return "", nil
	}
	names := make([]string, 0, len(w.files))
	for n := range w.files {
		names = append(names, n)
	}
	slices.Sort(names) // so that a seed repeats the run as far as it can
	n := names[w.rnd.IntN(len(names))]
	return n, w.files[n]
}

// content returns new bytes: mostly few, at times some MiB.
func (w *worker) content() []byte {
	sizes := []int{0, 100, 4 << 10, 5000, 20 << 10, 40 << 10, 150 << 10}
	n := sizes[w.rnd.IntN(len(sizes))]
	if w.rnd.IntN(30) == 0 {
		n = 1<<20 + w.rnd.IntN(4<<20)
	}
	return []byte(bytesOf(n, w.rnd.Uint64()))
}

func (w *worker) path(name string) string { return w.load.dir + "/" + name }

func (w *worker) do(q ring.Call) (*ring.Reply, error) { return w.on.h.Do(q) }

func (w *worker) syncDir() error {
	_, err := w.do(ring.Call{Op: ring.OpSyncDir, Path: w.load.dir})
	return err
}

// write opens a file, writes c from its beginning in two pieces, syncs and closes it.
func (w *worker) write(name string, flags int, c []byte) error {
	r, err := w.do(ring.Call{Op: ring.OpOpen, Path: w.path(name), Flags: os.O_WRONLY | flags, Mode: 0o644})
	if err != nil {
		return err
	}
	fd, half := r.FD, len(c)/2
	for _, piece := range []struct{ from, to int }{{0, half}, {half, len(c)}} {
		if piece.from == piece.to {
			continue
		}
		r, err = w.do(ring.Call{Op: ring.OpWrite, FD: fd, Off: int64(piece.from), Data: c[piece.from:piece.to]})
		if err == nil && r.N != int64(piece.to-piece.from) {
			err = fmt.Errorf("wrote %d bytes of %d", r.N, piece.to-piece.from)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		_, err = w.do(ring.Call{Op: ring.OpSync, FD: fd})
	}
	if _, e := w.do(ring.Call{Op: ring.OpClose, FD: fd}); err == nil && !ring.Lost(e) && !errors.Is(e, syscall.ENOTCONN) {
		err = e // what is synced is safe, whether the host lives to close it or not
	}
	return err
}

// create makes a file, writes and syncs it. A file and its name are safe when its fsync
// has returned: the log has one order, and its name came first.
func (w *worker) create() (string, error) {
	if len(w.files) > 16 {
		return w.remove()
	}
	name, f := w.fresh(), &file{w.content()}
	w.doubt[name] = &doubt{may: []*file{f}, torn: []*file{f}, absent: true}
	if err := w.write(name, os.O_CREATE|os.O_EXCL, f.content); err != nil {
		return "create", err
	}
	w.settle(name, f)
	return "create", nil
}

// settle notes that a name has a file, or nothing, for sure.
func (w *worker) settle(name string, f *file) {
	delete(w.doubt, name)
	delete(w.files, name)
	if f != nil {
		w.files[name] = f
	}
}

// unsure notes that a safe file's name is in doubt for now.
func (w *worker) unsure(name string, d *doubt) {
	delete(w.files, name)
	w.doubt[name] = d
}

// rewrite truncates a file and writes it anew.
func (w *worker) rewrite() (string, error) {
	name, old := w.some()
	if old == nil {
		return w.create()
	}
	f := &file{w.content()}
	w.unsure(name, &doubt{may: []*file{old, f}, torn: []*file{f}})
	if err := w.write(name, os.O_TRUNC, f.content); err != nil {
		return "rewrite", err
	}
	w.settle(name, f)
	return "rewrite", nil
}

// overwrite writes other bytes over those of a file.
func (w *worker) overwrite() (string, error) {
	name, old := w.some()
	if old == nil {
		return w.create()
	}
	f := &file{[]byte(bytesOf(len(old.content), w.rnd.Uint64()))}
	w.unsure(name, &doubt{may: []*file{old, f}, torn: []*file{old, f}})
	if err := w.write(name, 0, f.content); err != nil {
		return "overwrite", err
	}
	w.settle(name, f)
	return "overwrite", nil
}

// rename gives a file a new name and syncs the directory.
func (w *worker) rename() (string, error) {
	name, f := w.some()
	if f == nil {
		return w.create()
	}
	to := w.fresh()
	w.unsure(name, &doubt{may: []*file{f}, absent: true, twin: to})
	w.unsure(to, &doubt{may: []*file{f}, absent: true})
	_, err := w.do(ring.Call{Op: ring.OpRename, Path: w.path(name), To: w.path(to)})
	if err == nil {
		err = w.syncDir()
	}
	if err != nil {
		return "rename", err
	}
	w.settle(name, nil)
	w.settle(to, f)
	return "rename", nil
}

// replace writes a file beside another and renames it over that, as editors do.
func (w *worker) replace() (string, error) {
	name, old := w.some()
	if old == nil {
		return w.create()
	}
	f, beside := &file{w.content()}, w.fresh()
	w.doubt[beside] = &doubt{may: []*file{f}, torn: []*file{f}, absent: true}
	if err := w.write(beside, os.O_CREATE|os.O_EXCL, f.content); err != nil {
		return "replace", err
	}
	w.unsure(name, &doubt{may: []*file{old, f}})
	_, err := w.do(ring.Call{Op: ring.OpRename, Path: w.path(beside), To: w.path(name)})
	if err == nil {
		err = w.syncDir()
	}
	if err != nil {
		return "replace", err
	}
	w.settle(beside, nil)
	w.settle(name, f)
	return "replace", nil
}

// remove unlinks a file and syncs the directory.
func (w *worker) remove() (string, error) {
	name, f := w.some()
	if f == nil {
		return w.create()
	}
	w.unsure(name, &doubt{may: []*file{f}, absent: true})
	_, err := w.do(ring.Call{Op: ring.OpUnlink, Path: w.path(name)})
	if err == nil {
		err = w.syncDir()
	}
	if err != nil {
		return "remove", err
	}
	w.settle(name, nil)
	return "remove", nil
}

// scribble writes a file that is never synced, and removes it, most times.
func (w *worker) scribble() (string, error) {
	name, f := w.fresh(), &file{w.content()}
	w.doubt[name] = &doubt{may: []*file{f}, torn: []*file{f}, absent: true}
	if _, err := w.do(ring.Call{Op: ring.OpSave, Path: w.path(name), Mode: 0o644, Data: f.content}); err != nil {
		return "scribble", err
	}
	if w.rnd.IntN(8) == 0 {
		return "scribble", nil
	}
	_, err := w.do(ring.Call{Op: ring.OpUnlink, Path: w.path(name)})
	if err == nil {
		err = w.syncDir()
	}
	if err != nil {
		return "scribble", err
	}
	w.settle(name, nil)
	return "scribble", nil
}

// check wants on every host what the programs know, and on all of them the same. The
// programs must have ended and all hosts live. It returns what was done, in words.
func (l *load) check() string {
	l.t.Helper()
	sums := map[string]int{}
	safe, unsure, size := 0, 0, 0
	for _, w := range l.workers {
		for k, n := range w.sums {
			sums[k] += n
		}
		for _, f := range w.files {
			size += len(f.content)
		}
		safe, unsure = safe+len(w.files), unsure+len(w.doubt)
	}
	first := map[string][]byte{} // of the names in doubt, as the first host has them
	for i, o := range l.hosts {
		names := o.h.MustDo(ring.Call{Op: ring.OpNames, Path: l.dir}).Names
		known := map[string]bool{}
		for _, w := range l.workers {
			for name, f := range w.files {
				known[name] = true
				if c, err := w.load.read(o.h, name); err != nil || !bytes.Equal(c, f.content) {
					l.t.Errorf("%s: %s was synced with %d bytes and is lost or damaged: %v %s", o.h.Name(), name, len(f.content), err, ring.Difference(c, f.content))
				}
			}
			for name, d := range w.doubt {
				known[name] = true
				c, err := l.read(o.h, name)
				if i == 0 {
					first[name] = c
					d.check(l, w, name, c, err)
				} else if (c == nil) != (first[name] == nil) || !bytes.Equal(c, first[name]) {
					l.t.Errorf("%s and %s differ in %s: %s", o.h.Name(), l.hosts[0].h.Name(), name, ring.Difference(c, first[name]))
				}
			}
		}
		for _, n := range names {
			if !known[n] {
				l.t.Errorf("%s: %s was removed and is still there", o.h.Name(), n)
			}
		}
	}
	return fmt.Sprintf("%v; %d files (%d KiB) are safe, %d names were in doubt", sums, safe, size>>10, unsure)
}

// read returns a file's bytes, or nil if there is none.
func (l *load) read(h *ring.Host, name string) ([]byte, error) {
	r, err := h.Do(ring.Call{Op: ring.OpLoad, Path: l.dir + "/" + name})
	switch {
	case errors.Is(err, syscall.ENOENT):
		return nil, nil
	case err != nil:
		l.t.Errorf("%s: read %s: %v", h.Name(), name, err)
		return nil, err
	case r.Data == nil:
		return []byte{}, nil
	}
	return r.Data, nil
}

// check says whether a name leads to something that it may lead to.
func (d *doubt) check(l *load, w *worker, name string, c []byte, err error) {
	if err != nil {
		return // was told
	}
	if d.twin != "" {
		if other, _ := l.read(l.hosts[0].h, d.twin); (c == nil) == (other == nil) {
			l.t.Errorf("%s was being renamed to %s: one is there %v, the other %v", name, d.twin, c != nil, other != nil)
		}
	}
	if c == nil {
		if !d.absent {
			l.t.Errorf("%s is gone, it was being changed", name)
		}
		return
	}
	sizes := []string{}
	for _, f := range d.may {
		if bytes.Equal(c, f.content) {
			return
		}
		sizes = append(sizes, fmt.Sprint(len(f.content)))
	}
	if len(d.torn) > 0 && torn(c, d.torn) {
		return
	}
	l.t.Errorf("%s, in doubt, has %d bytes that are not its own; it may have %s", name, len(c), strings.Join(sizes, " or "))
}

// torn says whether every page is one of the files' at this place, or nothing but zeros,
// and no file is shorter than c.
func torn(c []byte, of []*file) bool {
	for at := 0; at < len(c); at += pageSize {
		page := c[at:min(at+pageSize, len(c))]
		fits := bytes.Count(page, []byte{0}) == len(page)
		for _, f := range of {
			fits = fits || at+len(page) <= len(f.content) && bytes.Equal(page, f.content[at:at+len(page)])
		}
		if !fits || !slices.ContainsFunc(of, func(f *file) bool { return at+len(page) <= len(f.content) }) {
			return false
		}
	}
	return true
}

// How hosts die.
func killDaemon(o *loaded) { o.h.KillDaemon() }
func killHost(o *loaded)   { o.h.Kill() }
func killInSilence(o *loaded) {
	o.h.Cut() // no reset reaches anybody
	o.h.Kill()
}

// back boots a host that was killed.
func (l *load) back(o *loaded, env ...string) error {
	l.r.Heal()
	began := time.Now()
	if err := o.h.TryBoot(env...); err != nil {
		return fmt.Errorf("%s: boot after %v: %w", o.h.Name(), time.Since(began), err)
	}
	o.lives()
	return nil
}
