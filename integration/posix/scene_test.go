package posix

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// testCase is a few calls whose results are noted, to be compared with those on ext4.
type testCase struct {
	name    string
	who     int    // who can do it: 0 everybody, else onlyRoot or onlyUser
	differs string // why the results differ, as docs/posix.md says. They must, or this is out of date
	long    bool   // only in long runs
	run     func(*scene)
}

const (
	onlyRoot = 1
	onlyUser = 2
)

// scene is where a case happens: an empty directory, which is the working directory.
type scene struct {
	proc   int // descriptor of /proc
	dir    string
	asRoot bool
	lines  []string
}

// say notes a result.
func (s *scene) say(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// did notes how a call ended.
func (s *scene) did(what string, err error) bool {
	r := "ok"
	if err != nil {
		r = unix.ErrnoName(err.(unix.Errno))
	}
	s.say("%s: %s", what, r)
	return err == nil
}

// open opens a file; -1 if it cannot.
func (s *scene) open(path string, flags int, mode uint32) int {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, mode)
	if !s.did(fmt.Sprintf("open %.20q %#x %o", path, flags, mode), err) {
		return -1
	}
	return fd
}

// file makes a file with contents.
func (s *scene) file(path, content string) {
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_TRUNC|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	must(err)
	if content != "" {
		_, err = unix.Write(fd, []byte(content))
		must(err)
	}
	must(unix.Close(fd))
}

// fresh makes and opens a file.
func (s *scene) fresh(path, content string, flags int) int {
	s.file(path, content)
	return s.open(path, unix.O_RDWR|flags, 0)
}

func (s *scene) close(fd int) { s.did("close", unix.Close(fd)) }

func (s *scene) pwrite(fd int, b string, off int64) {
	n, err := unix.Pwrite(fd, []byte(b), off)
	s.did(fmt.Sprintf("pwrite %d at %d -> %d", len(b), off, n), err)
}

func (s *scene) pread(fd, size int, off int64) {
	b := make([]byte, size)
	n, err := unix.Pread(fd, b, off)
	s.did(fmt.Sprintf("pread %d at %d -> %d %.60q", size, off, n, b[:max(n, 0)]), err)
}

// cat notes what a file holds.
func (s *scene) cat(path string) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if !s.did("open "+path, err) {
		return
	}
	defer unix.Close(fd)
	s.say("%s holds %s", path, blocks(fd))
	s.pread(fd, 100, 0)
}

// stat notes attributes.
func (s *scene) stat(path string) {
	var st unix.Statx_t
	if s.did(fmt.Sprintf("stat %.20q", path), unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st)) {
		s.attrs(&st)
	}
}

func (s *scene) fstat(fd int) {
	var st unix.Statx_t
	if s.did("fstat", unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &st)) {
		s.attrs(&st)
	}
}

func (s *scene) attrs(st *unix.Statx_t) {
	size := st.Size
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		size = 0 // what each filesystem likes
	}
	s.say("  mode %o links %d owner %d:%d size %d device %d:%d", st.Mode, st.Nlink, st.Uid, st.Gid, size, st.Rdev_major, st.Rdev_minor)
}

func (s *scene) ls(path string) {
	names, err := list(path)
	s.did(fmt.Sprintf("list %.20q", path), err)
	s.say("%.2000q", names)
}

// changed notes which times of a file f changes.
func (s *scene) changed(what, path string, f func()) {
	s.changes(what, []string{path}, func() error { f(); return nil })
}

// changes notes which times of some files a call changes.
func (s *scene) changes(what string, paths []string, call func() error) {
	was := make([]stamp, len(paths))
	for i, p := range paths {
		was[i] = stampOf(p)
	}
	s.did(what, call())
	for i, p := range paths {
		is := stampOf(p)
		s.say("%s: %s: mtime changed %v, ctime changed %v", what, p, was[i].mtime != is.mtime, was[i].ctime != is.ctime)
	}
}

// stampOf returns the times of what a path leads to, zero if there is nothing.
func stampOf(path string) stamp {
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st) != nil {
		return stamp{}
	}
	return stamp{st.Mtime, st.Ctime}
}

// families of cases, one for each file.
var caseFamilies = []struct {
	name  string
	cases []testCase
}{
	{"open", openCases}, {"rename", renameCases}, {"link", linkCases}, {"symlink", symlinkCases}, {"data", dataCases}, {"mapped", mappedCases}, {"sparse", sparseCases},
	{"fallocate", fallocateCases}, {"directories", dirCases}, {"times", timeCases}, {"names", nameCases}, {"special files", specialCases},
	{"attributes", xattrCases}, {"unlinked", unlinkedCases},
}

// tally counts how cases ended.
type tally struct{ same, known, failed int }

// TestCases runs every case on ext4 and on a mount, as root and as an ordinary user.
func TestCases(t *testing.T) {
	s := newStage(t, 1)
	for _, a := range []*actor{s.onExt4(0), s.onMount(0, 0)} {
		a.do(furnish)
	}
	long := os.Getenv(stepsEnv) != ""
	for _, uid := range []int{0, user} {
		local, ours := s.onExt4(uid), s.onMount(0, uid)
		localRoot, oursRoot := s.onExt4(0), s.onMount(0, 0)
		who := "root"
		if uid != 0 {
			who = "user"
		}
		table := fmt.Sprintf("\ncases as %-7s same  differs and is known to  failed\n", who)
		for _, f := range caseFamilies {
			var n tally
			for _, c := range f.cases {
				if c.who == onlyRoot && uid != 0 || c.who == onlyUser && uid == 0 || c.long && !long {
					continue
				}
				t.Run(f.name+"/"+c.name+"/as "+who, func(t *testing.T) {
					dir := s.dir()
					a := perform(&c, s.proc, localRoot, local, dir, uid)
					b := perform(&c, s.proc, oursRoot, ours, dir, uid)
					n.count(t, &c, a, b)
				})
			}
			table += fmt.Sprintf("%-16s %4d  %23d  %6d\n", f.name, n.same, n.known, n.failed)
		}
		t.Log(table)
	}
}

// furnish makes in the root directory what belongs to others than who plays.
func furnish() {
	unix.Umask(0)
	defer unix.Umask(0o022)
	for path, mode := range map[string]uint32{"/set-uid": 0o4755, "/others": 0o644, "/writable": 0o666, "/readable": 0o444} {
		fd, err := unix.Open(path, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		must(err)
		must(unix.Fchmod(fd, mode))
		unix.Close(fd)
	}
	must(unix.Mkdir("/sticky", 0o1777))
	must(unix.Mkdir("/sticky/dir", 0o777))
	must(unix.Mknod("/sticky/root", unix.S_IFREG|0o666, 0))
}

// perform runs a case on one filesystem.
func perform(c *testCase, proc int, root, by *actor, dir string, uid int) []string {
	root.do(func() {
		must(unix.Mkdir(dir, 0o755))
		must(unix.Chown(dir, uid, uid))
	})
	s := &scene{proc: proc, dir: dir, asRoot: uid == 0}
	by.do(func() {
		must(unix.Chdir(dir))
		defer unix.Chdir("/")
		c.run(s)
	})
	root.do(func() { must(removeAll(dir)) })
	return s.lines
}

// count compares the results of a case.
func (n *tally) count(t *testing.T, c *testCase, local, ours []string) {
	same := slices.Equal(local, ours)
	switch {
	case same && c.differs == "":
		n.same++
	case !same && c.differs != "":
		n.known++
		t.Logf("differs: %s\n%s", c.differs, difference(local, ours))
	case same:
		n.failed++
		t.Errorf("the results are the same, so this is not true: %s", c.differs)
	default:
		n.failed++
		t.Errorf("%s", difference(local, ours))
	}
}

// difference shows where two lists of results part.
func difference(local, ours []string) string {
	i := 0
	for i < len(local) && i < len(ours) && local[i] == ours[i] {
		i++
	}
	before := strings.Join(local[max(0, i-4):i], "\n  ")
	at := func(l []string) string { return strings.Join(l[min(i, len(l)):min(i+3, len(l))], " | ") }
	return fmt.Sprintf("  %s\n  ext4:   %s\n  signet: %s", before, at(local), at(ours))
}
