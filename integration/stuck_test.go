package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/ring"
)

// endBound is how long a program may live after SIGKILL, whatever it waits for.
const endBound = 2 * time.Second

// stuckCall is a call that may not be answered for a while. before is done while all is well.
type stuckCall struct {
	name   string
	waits  bool // it cannot succeed alone
	before func(h *ring.Host, p *ring.Program, path string) []ring.Call
}

// theFile makes a file on another host, which h's kernel has never seen.
func theFile(other *ring.Host, path string) {
	other.WriteSync(path, bytesOf(300<<10, 1))
}

// stuckCalls are all kinds of calls, on things that other has made.
func stuckCalls(other *ring.Host) []stuckCall {
	return slices.Concat(stuckNames(other), stuckFiles(other))
}

// stuckNames are calls with a path.
func stuckNames(other *ring.Host) []stuckCall {
	// path makes a call on a file, or on what prepare made there.
	path := func(q ring.Call, prepare ...ring.Call) func(*ring.Host, *ring.Program, string) []ring.Call {
		return func(_ *ring.Host, _ *ring.Program, path string) []ring.Call {
			if len(prepare) == 0 {
				theFile(other, path)
			}
			for _, p := range prepare {
				p.Path = path
				other.MustDo(p)
			}
			q := q
			q.Path = path
			if q.Op == ring.OpRename || q.Op == ring.OpLink {
				q.To = path + "-to"
			}
			return []ring.Call{q}
		}
	}
	nothing := []ring.Call{{Op: ring.OpPing}}
	link := ring.Call{Op: ring.OpSymlink, To: "target"}
	dir := ring.Call{Op: ring.OpMkdir, Mode: 0o755}
	save, attr := ring.Call{Op: ring.OpSave, Mode: 0o644}, ring.Call{Op: ring.OpSetXattr, To: "user.a", Data: []byte("b")}
	return []stuckCall{
		{"open", false, path(ring.Call{Op: ring.OpOpen, Flags: os.O_RDONLY})},
		{"stat", false, path(ring.Call{Op: ring.OpStat})},
		{"readlink", false, path(ring.Call{Op: ring.OpReadlink}, link)},
		{"statfs", false, path(ring.Call{Op: ring.OpSpace}, dir)},
		{"getxattr", false, path(ring.Call{Op: ring.OpGetXattr, To: "user.a"}, save, attr)},
		{"listxattr", false, path(ring.Call{Op: ring.OpXattrs}, save, attr)},
		{"readdir", false, func(_ *ring.Host, _ *ring.Program, path string) []ring.Call {
			other.Mkdir(path)
			theFile(other, path+"/a")
			return []ring.Call{{Op: ring.OpNames, Path: path}}
		}},
		{"create", true, path(ring.Call{Op: ring.OpOpen, Flags: os.O_CREATE | os.O_EXCL | os.O_WRONLY, Mode: 0o644}, nothing...)},
		{"mknod", true, path(ring.Call{Op: ring.OpMknod, Mode: syscall.S_IFIFO | 0o644}, nothing...)},
		{"mkdir", true, path(ring.Call{Op: ring.OpMkdir, Mode: 0o755}, nothing...)},
		{"symlink", true, path(link, nothing...)},
		{"rmdir", true, path(ring.Call{Op: ring.OpRmdir}, dir)},
		{"truncate", true, path(ring.Call{Op: ring.OpTruncate, Len: 10})},
		{"chmod", true, path(ring.Call{Op: ring.OpChmod, Mode: 0o600})},
		{"rename", true, path(ring.Call{Op: ring.OpRename})},
		{"link", true, path(ring.Call{Op: ring.OpLink})},
		{"unlink", true, path(ring.Call{Op: ring.OpUnlink})},
		{"setxattr", true, path(attr)},
		{"removexattr", true, path(ring.Call{Op: ring.OpDelXattr, To: "user.a"}, save, attr)},
	}
}

// stuckFiles are calls with an open file.
func stuckFiles(other *ring.Host) []stuckCall {
	// file makes calls on a file of some size that the program has open.
	file := func(size int, calls ...ring.Call) func(*ring.Host, *ring.Program, string) []ring.Call {
		return func(_ *ring.Host, p *ring.Program, path string) []ring.Call {
			other.WriteSync(path, bytesOf(size, 1))
			fd := p.Must(ring.Call{Op: ring.OpOpen, Path: path, Flags: os.O_RDWR}).FD
			calls := slices.Clone(calls)
			for i := range calls {
				calls[i].FD, calls[i].FD2 = fd, fd
			}
			return calls
		}
	}
	// mapped makes calls on a mapping of a file that nobody here has read.
	mapped := func(calls ...ring.Call) func(*ring.Host, *ring.Program, string) []ring.Call {
		return func(h *ring.Host, p *ring.Program, path string) []ring.Call {
			fd := file(9<<20, ring.Call{})(h, p, path)[0].FD
			m := p.Must(ring.Call{Op: ring.OpMap, FD: fd, Len: 9 << 20, Flags: 1}).Map
			calls := slices.Clone(calls)
			for i := range calls {
				calls[i].Map = m
			}
			return calls
		}
	}
	write := func(n int) ring.Call { return ring.Call{Op: ring.OpWrite, Data: []byte(bytesOf(n, 4))} }
	return []stuckCall{
		{"read", false, file(9<<20, ring.Call{Op: ring.OpRead, Len: 9 << 20})},
		{"mapped read", false, mapped(ring.Call{Op: ring.OpPeek, Len: 9 << 20})},
		{"mapped write", false, mapped(ring.Call{Op: ring.OpPoke, Data: []byte(bytesOf(9<<20, 5))})},
		{"mapped write and msync", true, mapped(ring.Call{Op: ring.OpPoke, Data: []byte(bytesOf(100<<10, 5))}, ring.Call{Op: ring.OpMapSync})},
		{"write and fsync", true, file(300<<10, write(100<<10), ring.Call{Op: ring.OpSync})},
		{"write and close", true, file(300<<10, write(5<<20), ring.Call{Op: ring.OpClose})},
		{"fallocate", true, file(300<<10, ring.Call{Op: ring.OpAllocate, Len: 1 << 20}, ring.Call{Op: ring.OpSync})},
		{"punch a hole", true, file(300<<10, ring.Call{Op: ring.OpAllocate, Flags: unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE, Len: 100 << 10}, ring.Call{Op: ring.OpSync})},
		{"copy_file_range", true, func(h *ring.Host, p *ring.Program, path string) []ring.Call {
			q := file(9<<20, ring.Call{Op: ring.OpCopy, Len: 9 << 20}, ring.Call{Op: ring.OpSync})(h, p, path)
			q[0].FD2 = p.Must(ring.Call{Op: ring.OpOpen, Path: path + "-to", Flags: os.O_RDWR | os.O_CREATE, Mode: 0o644}).FD
			q[1].FD = q[0].FD2
			return q
		}},
		{"lseek", false, file(300<<10, ring.Call{Op: ring.OpSeek, Flags: unix.SEEK_DATA})},
		{"fsync of a directory", false, func(h *ring.Host, p *ring.Program, path string) []ring.Call {
			other.Mkdir(path)
			fd := p.Must(ring.Call{Op: ring.OpOpen, Path: path, Flags: os.O_RDONLY | syscall.O_DIRECTORY}).FD
			return []ring.Call{{Op: ring.OpSync, FD: fd}}
		}},
		{"fstat", false, file(300<<10, ring.Call{Op: ring.OpStatFD})},
		{"ftruncate", true, file(300<<10, ring.Call{Op: ring.OpTruncFD, Len: 10})},
		{"flock", true, file(10, ring.Call{Op: ring.OpFlock, Flags: unix.LOCK_EX})},
		{"fcntl", true, file(10, ring.Call{Op: ring.OpFcntl, Flags: unix.F_SETLKW, Mode: unix.F_WRLCK})},
		{"close of what is locked", false, func(h *ring.Host, p *ring.Program, path string) []ring.Call {
			q := file(10, ring.Call{Op: ring.OpClose})(h, p, path)
			p.Must(ring.Call{Op: ring.OpFcntl, FD: q[0].FD, Flags: unix.F_SETLK, Mode: unix.F_WRLCK})
			return q
		}},
		{"the end with something locked", false, func(h *ring.Host, p *ring.Program, path string) []ring.Call {
			q := file(10, ring.Call{Op: ring.OpStatFD})(h, p, path)
			p.Must(ring.Call{Op: ring.OpFcntl, FD: q[0].FD, Flags: unix.F_SETLK, Mode: unix.F_WRLCK})
			p.Must(ring.Call{Op: ring.OpFlock, FD: q[0].FD, Flags: unix.LOCK_EX})
			return q
		}},
	}
}

// TestStuckProgramsCanBeKilled kills programs in every kind of call while the other hosts
// answer nothing: none of them may stay.
func TestStuckProgramsCanBeKilled(t *testing.T) {
	// With two copies among three hosts not everything that is read is here.
	r := ring.StartWith(t, ring.Config{Hosts: 3, Init: []string{"--replicas", "2"}})
	rnd := crash.Random(t)
	h := r.Host(0)
	for _, trouble := range []struct {
		name       string
		begin, end func()
	}{
		{"frozen", func() { r.Host(1).Freeze(); r.Host(2).Freeze() }, func() { r.Host(1).Thaw(); r.Host(2).Thaw() }},
		{"cut off", h.Cut, r.Heal},
	} {
		t.Run(trouble.name, func(t *testing.T) {
			calls := stuckCalls(r.Host(1))
			programs, work := make([]*ring.Program, len(calls)), make([][]ring.Call, len(calls))
			for i, c := range calls {
				programs[i] = h.Program()
				// A directory for each: see TestKilledBehindALock.
				dir := fmt.Sprintf("/%s%d", trouble.name, i)
				r.Host(1).Mkdir(dir)
				work[i] = c.before(h, programs[i], dir+"/file")
			}
			trouble.begin()
			// While it has its lease the host answers from its own copy.
			r.Eventually(10*time.Second, "the host loses its lease", func() error {
				if s, err := h.Status(); err != nil || s.Leased {
					return fmt.Errorf("it has its lease, or does not say: %v", err)
				}
				return nil
			})
			began := time.Now()
			var all sync.WaitGroup
			for i, c := range calls {
				after := crash.Moment(rnd, 50*time.Millisecond, time.Second)
				if c.waits {
					after *= 2 // who only reads is answered from an older state in the end
				}
				all.Go(func() {
					done, answer := programs[i].Begin(work[i]...), "no answer"
					select {
					case err := <-done:
						answer = fmt.Sprintf("answered after %v: %v", time.Since(began).Round(time.Millisecond), err)
						if err == nil && c.waits {
							t.Errorf("%s succeeded, with all other hosts %s", c.name, trouble.name)
						}
						<-time.After(time.Until(began.Add(after)))
					case <-time.After(after):
					}
					took, ok, where := programs[i].Kill(endBound)
					if !ok {
						t.Errorf("%s: the program is still there %v after SIGKILL\n%s", c.name, endBound, where)
					}
					t.Logf("%s: %s; killed after %v, gone %v later", c.name, answer, after.Round(time.Millisecond), took.Round(time.Millisecond))
				})
			}
			all.Wait()
			trouble.end()
			r.WantVoters(3)
			h.Write("/after", trouble.name)
			r.Host(2).WantFile("/after", trouble.name)
		})
	}
}

// TestKilledBehindALock kills programs that wait for the kernel's lock of a directory,
// which another program's call holds that may not be answered for a while. Such a wait
// cannot be interrupted, on any filesystem, so they stay for as long as that call: until
// its program is killed, or the call ends by its own deadline.
func TestKilledBehindALock(t *testing.T) {
	r := ring.StartWith(t, ring.Config{Hosts: 3})
	h := r.Host(0)
	create := func(name string) ring.Call {
		return ring.Call{Op: ring.OpOpen, Path: name, Flags: os.O_CREATE | os.O_EXCL | os.O_WRONLY, Mode: 0o644}
	}
	for _, dir := range []string{"/killed", "/left"} {
		h.Mkdir(dir)
		h.Mkdir(dir + "/below")
		h.Write(dir+"/file", "content")
	}
	waiting := func(dir string) map[string]ring.Call {
		return map[string]ring.Call{
			"create": create(dir + "/b"), "mkdir": {Op: ring.OpMkdir, Path: dir + "/c", Mode: 0o755}, "rmdir": {Op: ring.OpRmdir, Path: dir + "/below"},
			"rename": {Op: ring.OpRename, Path: dir + "/file", To: dir + "/d"},
			"stat":   {Op: ring.OpStat, Path: dir + "/e"}, "readdir": {Op: ring.OpNames, Path: dir},
		}
	}
	holders, waiters := map[string]*ring.Program{}, map[string]map[string]*ring.Program{}
	for _, dir := range []string{"/killed", "/left"} {
		holders[dir], waiters[dir] = h.Program(), map[string]*ring.Program{}
		for name := range waiting(dir) {
			waiters[dir][name] = h.Program()
		}
	}
	r.Host(1).Freeze()
	r.Host(2).Freeze()
	ended := map[string]<-chan error{}
	for _, dir := range []string{"/killed", "/left"} {
		ended[dir] = holders[dir].Begin(create(dir + "/a"))
		r.Eventually(10*time.Second, "the first call is with the daemon", func() error { return inKernel(holders[dir], true) })
		for name, q := range waiting(dir) {
			waiters[dir][name].Begin(q)
		}
		for name := range waiting(dir) {
			if name != "stat" { // it may go on: the kernel looks up names side by side
				r.Eventually(10*time.Second, name+" waits for the lock", func() error { return inKernel(waiters[dir][name], false) })
			}
		}
	}
	for _, dir := range []string{"/killed", "/left"} {
		for name, p := range waiters[dir] {
			if took, ok, _ := p.Kill(100 * time.Millisecond); ok {
				t.Logf("%s in %s was gone %v after SIGKILL", name, dir, took.Round(time.Millisecond))
			}
		}
	}

	if took, ok, where := holders["/killed"].Kill(endBound); !ok {
		t.Errorf("who holds the lock is still there %v after SIGKILL\n%s", took, where)
	}
	wantGone(t, waiters["/killed"], endBound)
	began := time.Now()
	select {
	case err := <-ended["/left"]:
		if err == nil {
			t.Errorf("a call succeeded, with all other hosts frozen")
		}
		t.Logf("the call of who was not killed ended after %v: %v", time.Since(began).Round(time.Millisecond), err)
	case <-time.After(ring.Bound):
		t.Errorf("a call has not ended after %v\n%s", ring.Bound, holders["/left"].Where())
	}
	wantGone(t, waiters["/left"], endBound)
	r.Host(1).Thaw()
	r.Host(2).Thaw()
}

// inKernel says whether a program waits in the kernel: for its call to be answered by
// the daemon, or for something else.
func inKernel(p *ring.Program, answer bool) error {
	if at := p.Where(); at == "" || strings.Contains(at, "fuse_simple_request") != answer {
		return fmt.Errorf("it waits elsewhere:\n%s", at)
	}
	return nil
}

// wantGone wants killed programs to be gone within bound, all together.
func wantGone(t *testing.T, programs map[string]*ring.Program, bound time.Duration) {
	t.Helper()
	end := time.After(bound)
	for name, p := range programs {
		select {
		case <-p.Done():
		case <-end:
			t.Errorf("%s: the program is still there, %v after the lock was free\n%s", name, bound, p.Where())
			end = time.After(0)
		}
	}
}
