package integration

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

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

func stuckCalls(other *ring.Host) []stuckCall {
	path := func(q ring.Call) func(*ring.Host, *ring.Program, string) []ring.Call {
		return func(_ *ring.Host, _ *ring.Program, path string) []ring.Call {
			theFile(other, path)
			q := q
			q.Path = path
			if q.Op == ring.OpRename || q.Op == ring.OpLink {
				q.To = path + "-to"
			}
			if q.Op == ring.OpMkdir || q.Op == ring.OpOpen && q.Flags&os.O_CREATE != 0 {
				q.Path = path + "-new"
			}
			return []ring.Call{q}
		}
	}
	return []stuckCall{
		{"open", false, path(ring.Call{Op: ring.OpOpen, Flags: os.O_RDONLY})},
		{"stat", false, path(ring.Call{Op: ring.OpStat})},
		{"readdir", false, func(_ *ring.Host, _ *ring.Program, path string) []ring.Call {
			other.Mkdir(path)
			theFile(other, path+"/a")
			return []ring.Call{{Op: ring.OpNames, Path: path}}
		}},
		{"read", false, func(_ *ring.Host, p *ring.Program, path string) []ring.Call {
			other.WriteSync(path, bytesOf(9<<20, 2))
			fd := p.Must(ring.Call{Op: ring.OpOpen, Path: path, Flags: os.O_RDONLY}).FD
			return []ring.Call{{Op: ring.OpRead, FD: fd, Len: 9 << 20}}
		}},
		{"mapped read", false, func(_ *ring.Host, p *ring.Program, path string) []ring.Call {
			other.WriteSync(path, bytesOf(9<<20, 3))
			fd := p.Must(ring.Call{Op: ring.OpOpen, Path: path, Flags: os.O_RDONLY}).FD
			m := p.Must(ring.Call{Op: ring.OpMap, FD: fd, Len: 9 << 20}).Map
			return []ring.Call{{Op: ring.OpPeek, Map: m, Len: 9 << 20}}
		}},
		{"write and fsync", true, func(_ *ring.Host, p *ring.Program, path string) []ring.Call {
			theFile(other, path)
			fd := p.Must(ring.Call{Op: ring.OpOpen, Path: path, Flags: os.O_RDWR}).FD
			return []ring.Call{{Op: ring.OpWrite, FD: fd, Data: []byte(bytesOf(100<<10, 4))}, {Op: ring.OpSync, FD: fd}}
		}},
		{"write and close", true, func(_ *ring.Host, p *ring.Program, path string) []ring.Call {
			theFile(other, path)
			fd := p.Must(ring.Call{Op: ring.OpOpen, Path: path, Flags: os.O_RDWR}).FD
			return []ring.Call{{Op: ring.OpWrite, FD: fd, Data: []byte(bytesOf(5<<20, 5))}, {Op: ring.OpClose, FD: fd}}
		}},
		{"create", true, path(ring.Call{Op: ring.OpOpen, Flags: os.O_CREATE | os.O_EXCL | os.O_WRONLY, Mode: 0o644})},
		{"truncate", true, path(ring.Call{Op: ring.OpTruncate, Len: 10})},
		{"rename", true, path(ring.Call{Op: ring.OpRename})},
		{"link", true, path(ring.Call{Op: ring.OpLink})},
		{"unlink", true, path(ring.Call{Op: ring.OpUnlink})},
		{"mkdir", true, path(ring.Call{Op: ring.OpMkdir, Mode: 0o755})},
		{"setxattr", true, path(ring.Call{Op: ring.OpSetXattr, To: "user.a", Data: []byte("b")})},
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
				// A directory for each: who waits for the kernel's lock of a directory that
				// another program's call holds cannot be killed, on any filesystem.
				dir := fmt.Sprintf("/%s%d", trouble.name, i)
				r.Host(1).Mkdir(dir)
				work[i] = c.before(h, programs[i], dir+"/file")
			}
			trouble.begin()
			began := time.Now()
			var all sync.WaitGroup
			for i, c := range calls {
				after := crash.Moment(rnd, 50*time.Millisecond, 3*time.Second)
				all.Go(func() {
					done, answered := programs[i].Begin(work[i]...), false
					select {
					case <-done:
						answered = true
						<-time.After(time.Until(began.Add(after)))
					case <-time.After(after):
					}
					took, ok, where := programs[i].Kill(endBound)
					if !ok {
						t.Errorf("%s: the program is still there %v after SIGKILL\n%s", c.name, endBound, where)
					}
					if answered && c.waits {
						t.Errorf("%s was answered, with all other hosts %s", c.name, trouble.name)
					}
					t.Logf("%s: answered %v; killed after %v, gone %v later", c.name, answered, after.Round(time.Millisecond), took.Round(time.Millisecond))
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
