package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/ring"
)

// rounds is how many rounds TestVisibility makes that begin with something in the
// kernel. Those that make something new come on top.
const rounds = 1000

// TestVisibility changes something on one host while another has the old name, attributes
// and pages in its kernel, and looks there as soon as the call has returned. Several
// pairs of hosts do so side by side in one directory, so that each round meets the
// changes of others. Nothing sleeps.
func TestVisibility(t *testing.T) {
	r := ring.Start(t, 3)
	random := crash.Random(t)
	pairs := [][2]int{{0, 1}, {1, 2}, {2, 0}, {0, 2}}
	var all sync.WaitGroup
	var done, warmed atomic.Int64
	for i, p := range pairs {
		w := &watched{t: t, a: r.Host(p[0]), b: r.Host(p[1]), r: rand.New(rand.NewPCG(random.Uint64(), uint64(i))), name: fmt.Sprintf("/w%d", i)}
		all.Go(func() {
			for n := 0; w.warmed < rounds/len(pairs) && !t.Failed(); n++ {
				w.round(n)
			}
			warmed.Add(int64(w.warmed))
			done.Add(int64(w.n + 1))
		})
	}
	all.Wait()
	t.Logf("%d rounds, %d of them with the old name, attributes and pages in the kernel", done.Load(), warmed.Load())
}

// watched is a pair of hosts: a changes what b has in its kernel.
type watched struct {
	t    *testing.T
	a, b *ring.Host
	r    *rand.Rand
	name string
	n    int
	kind string
	// warmed counts the rounds that began with a name, attributes and all pages in b's kernel.
	warmed int
}

const pageSize = 4096

func (w *watched) errorf(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf("round %d of %s (%s on %s, seen from %s): %s", w.n, w.name, w.kind, w.a.Name(), w.b.Name(), fmt.Sprintf(format, args...))
}

// ok makes a call that must succeed.
func (w *watched) ok(h *ring.Host, q ring.Call) *ring.Reply {
	w.t.Helper()
	rep, err := h.Do(q)
	if err != nil {
		w.errorf("%s: %s %s %s: %v", h.Name(), q.Op, q.Path, q.To, err)
		return &ring.Reply{}
	}
	return rep
}

// content is a file of some pages that tells its round and generation on every line.
func (w *watched) content(gen string) []byte {
	line := fmt.Sprintf("%s %s %d %s\n", w.name, w.kind, w.n, gen)
	return []byte(strings.Repeat(line, 1+(1+w.r.IntN(3*pageSize))/len(line)))
}

func (w *watched) round(n int) {
	w.n = n
	path := fmt.Sprintf("%s-%d", w.name, n)
	kinds := []struct {
		name string
		f    func(path string)
	}{
		{"create", w.create}, {"remove", w.remove}, {"rename", w.rename}, {"replace", w.replace}, {"chmod", w.chmod},
		{"rewrite", w.rewrite}, {"overwrite", w.overwrite}, {"append and fsync", w.appendSync}, {"truncate", w.truncate}, {"directory", w.directory},
	}
	k := kinds[w.r.IntN(len(kinds))]
	w.kind = k.name
	k.f(path)
}

// warm makes a file on a (or on b: its own changes must be forgotten as well) and brings
// its name, attributes and pages into b's kernel.
func (w *watched) warm(path string, content []byte) *view {
	w.t.Helper()
	maker := w.a
	if w.r.IntN(2) == 0 {
		maker = w.b
	}
	w.ok(maker, ring.Call{Op: ring.OpSave, Path: path, Mode: 0o644, Data: content})
	return w.look(path, content)
}

// view is a file that b has in its kernel, open and mapped if fd and mapped say so.
type view struct {
	w      *watched
	path   string
	size   int
	fd, m  int
	ino    uint64
	opened bool
	mapped bool
}

func (w *watched) look(path string, content []byte) *view {
	w.t.Helper()
	v := &view{w: w, path: path, size: len(content)}
	v.fd = w.ok(w.b, ring.Call{Op: ring.OpOpen, Path: path, Flags: os.O_RDONLY}).FD
	v.m = w.ok(w.b, ring.Call{Op: ring.OpMap, FD: v.fd, Len: int64(v.size)}).Map
	if got := w.ok(w.b, ring.Call{Op: ring.OpPeek, Map: v.m, Len: int64(v.size)}).Data; !bytes.Equal(got, content) {
		w.errorf("before the change the mapping shows %s", short(got))
	}
	for i, p := range w.ok(w.b, ring.Call{Op: ring.OpResident, Map: v.m}).Data {
		if p == 0 {
			w.errorf("page %d is not in the kernel", i)
		}
	}
	w.ok(w.b, ring.Call{Op: ring.OpStat, Path: path}) // the first answer may be one that is not to be kept
	st := w.ok(w.b, ring.Call{Op: ring.OpStat, Path: path}).Stat
	v.ino = st.Ino
	if st.Size != int64(v.size) {
		w.errorf("before the change the size is %d, want %d", st.Size, v.size)
	}
	w.warmed++
	v.opened, v.mapped = true, true
	switch w.r.IntN(3) {
	case 0:
		v.closeAll()
	case 1:
		w.ok(w.b, ring.Call{Op: ring.OpUnmap, Map: v.m})
		v.mapped = false
	}
	return v
}

func (v *view) closeAll() {
	if v.mapped {
		v.w.ok(v.w.b, ring.Call{Op: ring.OpUnmap, Map: v.m})
	}
	if v.opened {
		v.w.ok(v.w.b, ring.Call{Op: ring.OpClose, FD: v.fd})
	}
	v.mapped, v.opened = false, false
}

// wants checks that b sees new content in every way that it can look.
func (v *view) wants(content []byte) {
	w := v.w
	w.t.Helper()
	defer v.closeAll()
	if v.mapped {
		n := min(v.size, len(content)) // beyond the end is SIGBUS
		if got := w.ok(w.b, ring.Call{Op: ring.OpPeek, Map: v.m, Len: int64(n)}).Data; !bytes.Equal(got, content[:n]) {
			w.errorf("the mapping shows %s, want %s", short(got), short(content[:n]))
		}
	}
	if v.opened {
		if got := w.ok(w.b, ring.Call{Op: ring.OpRead, FD: v.fd, Len: int64(len(content) + 1)}).Data; !bytes.Equal(got, content) {
			w.errorf("the open file reads %s, want %s", short(got), short(content))
		}
		if st := w.ok(w.b, ring.Call{Op: ring.OpStatFD, FD: v.fd}).Stat; st.Size != int64(len(content)) {
			w.errorf("the open file's size is %d, want %d", st.Size, len(content))
		}
	}
	if st := w.ok(w.b, ring.Call{Op: ring.OpStat, Path: v.path}).Stat; st.Size != int64(len(content)) {
		w.errorf("the size is %d, want %d", st.Size, len(content))
	}
	if got := w.ok(w.b, ring.Call{Op: ring.OpLoad, Path: v.path}).Data; !bytes.Equal(got, content) {
		w.errorf("the file reads %s, want %s", short(got), short(content))
	}
}

// none wants that a path leads nowhere on b.
func (w *watched) none(path string) {
	w.t.Helper()
	switch r, err := w.b.Do(ring.Call{Op: ring.OpStat, Path: path}); {
	case err == nil:
		w.errorf("%s leads to inode %d", path, r.Stat.Ino)
	case err != syscall.ENOENT:
		w.errorf("%s: %v", path, err)
	}
}

// leads wants that a path leads to an inode on b.
func (w *watched) leads(path string, ino uint64) {
	w.t.Helper()
	if st := w.ok(w.b, ring.Call{Op: ring.OpStat, Path: path}).Stat; st.Ino != ino {
		w.errorf("%s leads to inode %d, want %d", path, st.Ino, ino)
	}
}

func short(b []byte) string {
	return fmt.Sprintf("%d bytes, %.60q...%.30q", len(b), b, b[max(0, len(b)-30):])
}

func (w *watched) create(path string) {
	w.none(path) // b knows that there is none
	ino := w.ok(w.a, ring.Call{Op: ring.OpOpen, Path: path, Flags: os.O_CREATE | os.O_EXCL | os.O_WRONLY, Mode: 0o640})
	st := w.ok(w.a, ring.Call{Op: ring.OpStatFD, FD: ino.FD}).Stat
	w.leads(path, st.Ino)
	w.ok(w.a, ring.Call{Op: ring.OpClose, FD: ino.FD})
	if _, err := w.b.Do(ring.Call{Op: ring.OpMkdir, Path: path, Mode: 0o755}); err != syscall.EEXIST {
		w.errorf("making it again: %v", err)
	}
}

func (w *watched) remove(path string) {
	content := w.content("old")
	v := w.warm(path, content)
	w.ok(w.a, ring.Call{Op: ring.OpUnlink, Path: path})
	w.none(path)
	if v.opened { // the file lives on for who has it open
		if got := w.ok(w.b, ring.Call{Op: ring.OpRead, FD: v.fd, Len: int64(v.size)}).Data; !bytes.Equal(got, content) {
			w.errorf("the removed file reads %s", short(got))
		}
		if st := w.ok(w.b, ring.Call{Op: ring.OpStatFD, FD: v.fd}).Stat; st.Nlink != 0 {
			w.errorf("the removed file has %d names", st.Nlink)
		}
	}
	v.closeAll()
}

func (w *watched) rename(path string) {
	content := w.content("moved")
	v := w.warm(path, content)
	to := path + "-moved"
	w.none(to)
	w.ok(w.a, ring.Call{Op: ring.OpRename, Path: path, To: to})
	w.none(path)
	w.leads(to, v.ino)
	v.path = to
	v.wants(content)
}

func (w *watched) replace(path string) {
	oldContent, newContent := w.content("old"), w.content("new")
	v := w.warm(path, oldContent)
	temp := path + "-temp"
	w.ok(w.a, ring.Call{Op: ring.OpSaveSync, Path: temp, Mode: 0o644, Data: newContent})
	st := w.ok(w.a, ring.Call{Op: ring.OpStat, Path: temp}).Stat
	w.leads(temp, st.Ino)
	w.ok(w.a, ring.Call{Op: ring.OpRename, Path: temp, To: path})
	w.none(temp)
	w.leads(path, st.Ino)
	v.closeAll()
	v.wants(newContent)
}

func (w *watched) chmod(path string) {
	content := w.content("same")
	v := w.warm(path, content)
	mode := uint32(w.r.IntN(0o1000))
	w.ok(w.a, ring.Call{Op: ring.OpChmod, Path: path, Mode: mode})
	if st := w.ok(w.b, ring.Call{Op: ring.OpStat, Path: path}).Stat; st.Mode != syscall.S_IFREG|mode {
		w.errorf("the mode is %o, want %o", st.Mode, mode)
	}
	w.ok(w.a, ring.Call{Op: ring.OpTimes, Path: path, Off: int64(w.n) + 1e6})
	if st := w.ok(w.b, ring.Call{Op: ring.OpStat, Path: path}).Stat; st.Mtime != int64(w.n)+1e6 {
		w.errorf("the time is %d", st.Mtime)
	}
	v.wants(content)
}

func (w *watched) rewrite(path string) {
	v := w.warm(path, w.content("old"))
	content := w.content("new")
	w.ok(w.a, ring.Call{Op: ring.OpSave, Path: path, Mode: 0o644, Data: content})
	v.wants(content)
}

// overwrite changes bytes in the middle.
func (w *watched) overwrite(path string) {
	content := w.content("old")
	v := w.warm(path, content)
	off := w.r.IntN(len(content))
	patch := []byte(strings.Repeat("#", 1+w.r.IntN(len(content)-off)))
	fd := w.ok(w.a, ring.Call{Op: ring.OpOpen, Path: path, Flags: os.O_WRONLY}).FD
	w.ok(w.a, ring.Call{Op: ring.OpWrite, FD: fd, Off: int64(off), Data: patch})
	w.ok(w.a, ring.Call{Op: ring.OpClose, FD: fd})
	copy(content[off:], patch)
	v.wants(content)
}

func (w *watched) appendSync(path string) {
	content := w.content("old")
	v := w.warm(path, content)
	more := w.content("more")
	fd := w.ok(w.a, ring.Call{Op: ring.OpOpen, Path: path, Flags: os.O_WRONLY}).FD
	w.ok(w.a, ring.Call{Op: ring.OpWrite, FD: fd, Off: int64(len(content)), Data: more})
	w.ok(w.a, ring.Call{Op: ring.OpSync, FD: fd})
	v.wants(append(content, more...))
	w.ok(w.a, ring.Call{Op: ring.OpClose, FD: fd})
}

func (w *watched) truncate(path string) {
	content := w.content("old")
	v := w.warm(path, content)
	n := w.r.IntN(len(content))
	w.ok(w.a, ring.Call{Op: ring.OpTruncate, Path: path, Len: int64(n)})
	v.wants(content[:n])
}

func (w *watched) directory(path string) {
	w.none(path)
	w.ok(w.a, ring.Call{Op: ring.OpMkdir, Path: path, Mode: 0o755})
	if got := w.ok(w.b, ring.Call{Op: ring.OpNames, Path: path}).Names; len(got) != 0 {
		w.errorf("a new directory holds %q", got)
	}
	w.ok(w.a, ring.Call{Op: ring.OpSymlink, Path: path + "/l", To: "target"})
	if got := w.ok(w.b, ring.Call{Op: ring.OpNames, Path: path}).Names; len(got) != 1 {
		w.errorf("it holds %q", got)
	}
	if got := w.ok(w.b, ring.Call{Op: ring.OpReadlink, Path: path + "/l"}).Data; string(got) != "target" {
		w.errorf("the link leads to %q", got)
	}
	w.ok(w.a, ring.Call{Op: ring.OpUnlink, Path: path + "/l"})
	w.ok(w.a, ring.Call{Op: ring.OpRmdir, Path: path})
	w.none(path + "/l")
	w.none(path)
}

// TestKernelAnswers proves what TestVisibility takes for granted: names and attributes
// that were looked at lie in the kernel. It answers while the daemon is frozen.
func TestKernelAnswers(t *testing.T) {
	r := ring.Start(t, 3)
	h := r.Host(1)
	r.Host(0).Mkdir("/d")
	r.Host(0).Write("/d/f", "content")
	for n := 0; ; n++ {
		h.Stat("/d/f") // the first answer may be one that is not to be kept
		h.Stat("/d/f")
		h.WantFile("/d/f", "content")
		fd := h.Open("/d/f", os.O_RDONLY)
		h.Freeze()
		_, err1 := h.DoQuick(ring.Call{Op: ring.OpStat, Path: "/d/f"})
		_, err2 := h.DoQuick(ring.Call{Op: ring.OpRead, FD: fd, Len: 100})
		h.Thaw()
		h.Close(fd)
		if err1 == nil && err2 == nil {
			return
		}
		if n == 20 {
			t.Fatalf("the kernel did not answer: stat %v, read %v", err1, err2)
		}
	}
}
