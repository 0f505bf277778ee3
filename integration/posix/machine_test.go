package posix

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// stepsEnv says how many random calls to make on each pair of filesystems.
const stepsEnv = "SIGNET_STEPS"

// steps is how many calls one life of a tree has, on average. Longer ones find no more,
// and take longer to shrink.
const steps = 120

// random runs f with random calls, about n of them unless the environment says else.
func random(t *testing.T, n int, f func(*rapid.T)) {
	if v, err := strconv.Atoi(os.Getenv(stepsEnv)); err == nil {
		n = v
	}
	for k, v := range map[string]string{
		"rapid.checks": fmt.Sprint(max(1, n/steps)), "rapid.steps": fmt.Sprint(steps), "rapid.nofailfile": "true", "rapid.shrinktime": "40s",
	} {
		old := flag.Lookup(k).Value.String()
		if err := flag.Set(k, v); err != nil {
			t.Fatal(err)
		}
		defer flag.Set(k, old)
	}
	rapid.Check(t, f)
}

// TestRandomAsRoot makes random calls as root on ext4 and on the mount of a host.
func TestRandomAsRoot(t *testing.T) {
	s := newStage(t, 1)
	pair := s.pair(0, 0)
	random(t, 6000, func(rt *rapid.T) { play(rt, s, pair) })
}

// TestRandomAsUser has most of the calls made by an ordinary user, and the others by root.
func TestRandomAsUser(t *testing.T) {
	s := newStage(t, 1)
	pair := s.pair(user, 0)
	random(t, 6000, func(rt *rapid.T) { play(rt, s, pair) })
}

// TestRandomOverTwoHosts spreads the calls over the mounts of two hosts.
func TestRandomOverTwoHosts(t *testing.T) {
	s := newStage(t, 2)
	pair := s.pair(0, 0, 1)
	random(t, 2500, func(rt *rapid.T) { play(rt, s, pair) })
}

// closeBeforeSwitch says that what is open is closed before another host makes calls:
// then nothing is asked of hosts that see each other's unpublished data.
const closeBeforeSwitch = false

// side is one of the two filesystems, with what is open on it.
type side struct {
	name  string
	by    []*actor // for each host, the one whose calls are tried
	root  []*actor // for each host, one that may look at everything
	fds   [slots]int
	ways  [slots]opened
	host  int // that makes the call
	maps  [slots]mapping
	times map[uint64]stamp // of inodes, when last looked at
}

// opened is how a descriptor was.
type opened struct {
	host    int
	appends bool // O_APPEND, whatever fcntl(2) made of it since
}

// slots is how many descriptors and mappings there may be at once.
const slots = 5

// mapping is a mapping of a file.
type mapping struct {
	mem    []byte
	fd     int // a descriptor of the file
	shared bool
	write  bool
	ino    uint64
}

// stamp is what of an inode's times is compared by whether it changed.
type stamp struct{ mtime, ctime unix.StatxTimestamp }

// pair returns both sides: ext4 and the mounts of hosts.
func (s *stage) pair(uid int, hosts ...int) [2]*side {
	s.t.Helper()
	local, ours := &side{name: "ext4"}, &side{name: "signet"}
	for _, h := range hosts {
		local.by, local.root = append(local.by, s.onExt4(uid)), append(local.root, s.onExt4(0))
		ours.by, ours.root = append(ours.by, s.onMount(h, uid)), append(ours.root, s.onMount(h, 0))
	}
	return [2]*side{local, ours}
}

// begin gives the side an empty tree, below which all its actors work.
func (s *side) begin(dir string, owner int) {
	s.times = map[uint64]stamp{}
	for i := range s.fds {
		s.fds[i], s.maps[i] = -1, mapping{}
	}
	work := dir + "/w"
	s.root[0].do(func() {
		must(unix.Mkdir(dir, 0o755))
		must(unix.Mkdir(work, 0o755))
		must(unix.Chown(dir, owner, owner))
		must(unix.Chown(work, owner, owner))
	})
	for i := range s.by {
		s.by[i].do(func() { must(unix.Chdir(work)) })
		s.root[i].do(func() { must(unix.Chdir(work)) })
	}
}

// end closes what is open and removes the tree.
func (s *side) end(dir string) {
	s.closeAll()
	for i := range s.by {
		s.by[i].do(func() { unix.Chdir("/") })
		s.root[i].do(func() { must(unix.Chdir("/")) })
	}
	s.root[0].do(func() { must(removeAll(dir)) })
}

func (s *side) closeAll() {
	s.root[0].do(func() {
		for i := range s.maps {
			if s.maps[i].mem != nil {
				unix.Msync(s.maps[i].mem, unix.MS_SYNC)
				s.unmap(i)
			}
		}
		for i, fd := range s.fds {
			if fd >= 0 {
				unix.Close(fd)
			}
			s.fds[i] = -1
		}
	})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// play is one life of a tree: random calls on both sides, compared one by one.
func play(t *rapid.T, s *stage, pair [2]*side) {
	dir := s.dir()
	owner := 0
	if len(pair[0].by) == 1 && asUser(pair[0].by[0]) {
		owner = user
	}
	for _, x := range pair {
		x.begin(dir, owner)
	}
	defer func() {
		for _, x := range pair {
			x.end(dir)
		}
	}()
	m := &machine{t: t, pair: pair, proc: s.proc, work: dir + "/w", user: owner != 0, poked: map[uint64]bool{}}
	m.sweep("at first")
	t.Repeat(map[string]func(*rapid.T){"call": func(t *rapid.T) { m.t = t; m.step() }})
	m.contents("in the end")
}

func asUser(a *actor) (yes bool) {
	a.do(func() { yes = unix.Geteuid() != 0 })
	return yes
}

// machine plays calls on both sides.
type machine struct {
	t     *rapid.T
	pair  [2]*side
	proc  int
	work  string // the directory in which everything happens
	user  bool
	host  int             // that the last call was made on
	poked map[uint64]bool // inodes on ext4 that were written through a mapping and not synced
}

// step makes one call on both sides and compares.
func (m *machine) step() {
	c := calls.Draw(m.t, "call")
	if n := len(m.pair[0].by); n > 1 {
		if host := c.pick % n; host != m.host {
			m.host = host
			if closeBeforeSwitch {
				m.pair[0].closeAll()
				m.pair[1].closeAll()
				clear(m.poked)
			}
		}
	}
	var got [2]outcome
	for i, x := range m.pair {
		by := x.by[m.host]
		if m.user && c.asRoot {
			by = x.root[m.host]
		}
		x.host = m.host
		by.do(func() { got[i] = c.make(m, x) })
	}
	if d := got[0].differs(&got[1]); d != "" {
		m.t.Fatalf("%v: %s", c, d)
	}
	if got[0].poked != 0 {
		m.poked[got[0].poked] = true
	}
	m.sweep(c.String())
	if got[0].synced != 0 {
		delete(m.poked, got[0].synced)
	}
	if c.kind == "contents" {
		m.contents(c.String())
	}
}

// syncMaps has what was written through mappings reach the files: until then SEEK_DATA
// and SEEK_HOLE do not know of it, because the kernel asks a FUSE filesystem without
// telling it of its dirty pages.
func (x *side) syncMaps() {
	for i := range x.maps {
		if x.maps[i].shared {
			unix.Msync(x.maps[i].mem, unix.MS_SYNC)
		}
	}
}
