package posix

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// stepThrough reads a directory in small pieces and calls between after each. It returns how
// often each name came.
func stepThrough(path string, piece int, between func(round int, fd int)) map[string]int {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(err)
	defer unix.Close(fd)
	seen := map[string]int{}
	b := make([]byte, piece)
	for round := 0; ; round++ {
		n, err := unix.Getdents(fd, b)
		must(err)
		if n == 0 {
			return seen
		}
		for _, e := range parse(b[:n]) {
			seen[e.name]++
		}
		between(round, fd)
	}
}

// once notes whether each of the names was seen exactly once.
func (s *scene) once(what string, seen map[string]int, prefix string, n int) {
	bad := ""
	for i := range n {
		if name := fmt.Sprintf("%s%d", prefix, i); seen[name] != 1 {
			bad += fmt.Sprintf("%s %d times, ", name, seen[name])
		}
	}
	s.say("%s: of %d wrong: %.200s", what, n, bad)
}

func (s *scene) fill(dir, prefix string, from, to int) {
	for i := from; i < to; i++ {
		must(unix.Mknod(fmt.Sprintf("%s/%s%d", dir, prefix, i), unix.S_IFREG|0o600, 0))
	}
}

var dirCases = []testCase{
	{name: "what is there throughout is listed once while others come and go", run: func(s *scene) {
		must(unix.Mkdir("d", 0o755))
		s.fill("d", "stays", 0, 300)
		s.fill("d", "goes", 0, 150)
		seen := stepThrough("d", 1024, func(round, _ int) {
			for i := range 10 {
				unix.Unlink(fmt.Sprintf("d/goes%d", round*10+i))
				unix.Mknod(fmt.Sprintf("d/comes%d", round*10+i), unix.S_IFREG|0o600, 0)
			}
			unix.Rename(fmt.Sprintf("d/comes%d", round*7), fmt.Sprintf("d/renamed%d", round))
		})
		s.once("stays", seen, "stays", 300)
		bad := 0
		for _, n := range seen {
			if n != 1 {
				bad++
			}
		}
		s.say("names that came more than once: %d", bad)
	}},
	{name: "seekdir and telldir", run: func(s *scene) {
		must(unix.Mkdir("d", 0o755))
		s.fill("d", "f", 0, 300)
		fd := s.open("d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		all, err := entries(fd)
		must(err)
		for _, i := range []int{0, 1, 2, 100, 250, 300, 301} {
			// The offset of an entry is where the next one begins.
			_, err := unix.Seek(fd, all[i].off, unix.SEEK_SET)
			must(err)
			rest, err := entries(fd)
			must(err)
			same := len(rest) == len(all)-i-1
			for j := range rest {
				same = same && rest[j].name == all[i+1+j].name
			}
			s.say("from %d on: %v", i, same)
		}
		// What was passed comes again after rewinddir, with what is new.
		s.fill("d", "g", 0, 10)
		for i := range 100 {
			must(unix.Unlink(fmt.Sprintf("d/f%d", i)))
		}
		_, err = unix.Seek(fd, 0, unix.SEEK_SET)
		must(err)
		again, err := entries(fd)
		s.did(fmt.Sprint("again ", len(again)), err)
		// Where the entry was removed whose offset one had.
		_, err = unix.Seek(fd, all[200].off, unix.SEEK_SET)
		must(err)
		_, err = entries(fd)
		s.did("from a removed one", err)
		s.close(fd)
	}},
	{name: "removing while listing, as rm -r does", run: func(s *scene) {
		must(unix.Mkdir("d", 0o755))
		s.fill("d", "f", 0, 400)
		fd := s.open("d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		b := make([]byte, 2048)
		for {
			n, err := unix.Getdents(fd, b)
			must(err)
			if n == 0 {
				break
			}
			for _, e := range parse(b[:n]) {
				if e.name != "." && e.name != ".." {
					must(unix.Unlinkat(fd, e.name, 0))
				}
			}
		}
		s.close(fd)
		s.ls("d")
		s.did("rmdir", unix.Rmdir("d"))
	}},
	{name: "a removed one that is still open", run: func(s *scene) {
		must(unix.Mkdir("d", 0o755))
		fd := s.open("d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		s.did("chdir", unix.Chdir("d"))
		s.did("rmdir", unix.Rmdir("../d"))
		s.fstat(fd)
		all, err := entries(fd)
		s.did(fmt.Sprint("list ", len(all)), err)
		_, err = unix.Getcwd(make([]byte, 4096))
		s.did("getcwd", err)
		s.stat(".")
		s.did("mkdir", unix.Mkdir("x", 0o755))
		s.open("x", unix.O_CREAT|unix.O_RDWR, 0o644)
		s.did("symlink", unix.Symlink("x", "y"))
		s.did("mkdirat", unix.Mkdirat(fd, "x", 0o755))
		s.did("rename", rename("../a", "a", 0))
		s.open("..", unix.O_RDONLY, 0)
		s.did("chmod", unix.Fchmod(fd, 0o700))
		s.fstat(fd)
		s.did("fsync", unix.Fsync(fd))
		s.close(fd)
	}},
	{name: "link counts and emptiness", run: func(s *scene) {
		must(unix.Mkdir("d", 0o755))
		for i := range 5 {
			must(unix.Mkdir(fmt.Sprintf("d/%d", i), 0o755))
			s.stat("d")
		}
		s.file("d/f", "")
		s.stat("d")
		s.did("rmdir", unix.Rmdir("d"))
		for i := range 5 {
			s.did("rmdir", unix.Rmdir(fmt.Sprintf("d/%d", i)))
			s.stat("d")
		}
		s.did("rmdir", unix.Rmdir("d"))
		s.did("rmdir", unix.Rmdir("d/f"))
		s.did("unlink", unix.Unlink("d/f"))
		s.did("unlink", unix.Unlink("d"))
		s.did("rmdir", unix.Rmdir("d"))
		s.did("rmdir", unix.Rmdir("d"))
	}},
	{name: "lseek on a directory", run: func(s *scene) {
		fd := s.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		for _, x := range [][2]int{{0, 0}, {-1, 0}, {0, 1}, {0, 9}} {
			n, err := unix.Seek(fd, int64(x[0]), x[1])
			s.did(fmt.Sprint("seek ", x, n), err)
		}
		_, err := unix.Getdents(fd, make([]byte, 10))
		s.did("a buffer too small", err)
		s.close(fd)
	}},
	{name: "a large tree is removed whole", run: func(s *scene) {
		for i := range 10 {
			d := fmt.Sprintf("t/%d", i)
			unix.Mkdir("t", 0o755)
			must(unix.Mkdir(d, 0o755))
			for j := range 10 {
				must(unix.Mkdir(fmt.Sprintf("%s/%d", d, j), 0o755))
				s.fill(fmt.Sprintf("%s/%d", d, j), "f", 0, 5)
			}
		}
		s.did("remove", removeAll("t"))
		s.ls(".")
	}},
}

var timeCases = []testCase{
	{name: "which call changes which time of which file", run: func(s *scene) {
		must(unix.Mkdir("d", 0o755))
		fd := s.fresh("d/f", patterned(9000), 0)
		s.file("g", "x")
		buf := make([]byte, 100)
		for _, c := range []struct {
			name string
			f    func() error
		}{
			{"read", func() error { _, err := unix.Pread(fd, buf, 0); return err }},
			{"write", func() error { _, err := unix.Pwrite(fd, buf, 0); return err }},
			{"write of nothing", func() error { _, err := unix.Pwrite(fd, nil, 0); return err }},
			{"fsync", func() error { return unix.Fsync(fd) }},
			{"ftruncate to the same", func() error { return unix.Ftruncate(fd, 9000) }},
			{"truncate to the same", func() error { return unix.Truncate("d/f", 9000) }},
			{"ftruncate", func() error { return unix.Ftruncate(fd, 8000) }},
			{"truncate", func() error { return unix.Truncate("d/f", 8500) }},
			{"fallocate within", func() error { return unix.Fallocate(fd, 0, 0, 10) }},
			{"fallocate beyond", func() error { return unix.Fallocate(fd, 0, 9000, 10) }},
			{"punch", func() error { return unix.Fallocate(fd, 3, 0, 10) }},
			{"chmod", func() error { return unix.Chmod("d/f", 0o600) }},
			{"chmod to the same", func() error { return unix.Chmod("d/f", 0o600) }},
			{"chown to the same", func() error { return unix.Chown("d/f", -1, -1) }},
			{"chgrp", func() error { return unix.Chown("d/f", -1, unix.Getegid()) }},
			{"utimens", func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, "d/f", []unix.Timespec{{Sec: 1}, {Sec: 1}}, 0) }},
			{"utimens now", func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, "d/f", nil, 0) }},
			{"utimens of nothing", func() error {
				return unix.UtimesNanoAt(unix.AT_FDCWD, "d/f", []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}, 0)
			}},
			{"setxattr", func() error { return unix.Setxattr("d/f", "user.a", []byte("v"), 0) }},
			{"setxattr to the same", func() error { return unix.Setxattr("d/f", "user.a", []byte("v"), 0) }},
			{"removexattr", func() error { return unix.Removexattr("d/f", "user.a") }},
			{"link", func() error { return unix.Link("d/f", "d/h") }},
			{"rename", func() error { return rename("d/h", "d/i", 0) }},
			{"rename onto itself", func() error { return rename("d/i", "d/f", 0) }},
			{"unlink", func() error { return unix.Unlink("d/i") }},
			{"open with O_TRUNC", func() error { f, err := unix.Open("d/f", unix.O_RDWR|unix.O_TRUNC, 0); unix.Close(f); return err }},
			{"open with O_TRUNC, empty", func() error { f, err := unix.Open("d/f", unix.O_RDWR|unix.O_TRUNC, 0); unix.Close(f); return err }},
			{"open with O_CREAT", func() error { f, err := unix.Open("d/f", unix.O_RDWR|unix.O_CREAT, 0); unix.Close(f); return err }},
			{"mkdir", func() error { return unix.Mkdir("d/s", 0o755) }},
			{"a mkdir that fails", func() error { unix.Mkdir("d/s", 0o755); return nil }},
			{"something in the subdirectory", func() error { return unix.Mkdir("d/s/t", 0o755) }},
			{"exchange", func() error { return rename("g", "d/f", unix.RENAME_EXCHANGE) }},
			{"and back", func() error { return rename("g", "d/f", unix.RENAME_EXCHANGE) }},
			{"replaced", func() error { return rename("g", "d/f", 0) }},
			{"tmpfile", func() error { f, err := unix.Open("d", unix.O_RDWR|unix.O_TMPFILE, 0o600); unix.Close(f); return err }},
			{"listing", func() error { _, err := list("d"); return err }},
		} {
			s.changes(c.name, []string{"d/f", "d", "g", "."}, c.f)
		}
		s.close(fd)
	}},
	{name: "set to nanoseconds, long ago and far away", run: func(s *scene) {
		s.file("f", "")
		must(unix.Mkdir("d", 0o755))
		for _, sec := range []int64{0, 1, -1, -86400 * 365 * 50, -1<<31 + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 86400 * 365 * 200, 15032385533} {
			for _, nsec := range []int64{0, 1, 999999999, 123456789} {
				for _, p := range []string{"f", "d"} {
					ts := []unix.Timespec{{Sec: sec, Nsec: nsec}, {Sec: sec + 1, Nsec: nsec}}
					s.did(fmt.Sprint("utimens ", p, ts), unix.UtimesNanoAt(unix.AT_FDCWD, p, ts, 0))
					var st unix.Statx_t
					must(unix.Statx(unix.AT_FDCWD, p, 0, unix.STATX_BASIC_STATS, &st))
					s.say("%d.%d %d.%d", st.Atime.Sec, st.Atime.Nsec, st.Mtime.Sec, st.Mtime.Nsec)
				}
			}
		}
	}},
	{name: "the time of creation without asking", differs: "statx(2) with AT_STATX_DONT_SYNC is answered by the kernel, which knows the time of creation only once somebody has asked for it without that flag", run: func(s *scene) {
		s.file("f", "")
		for _, flags := range []int{unix.AT_STATX_DONT_SYNC, 0, unix.AT_STATX_FORCE_SYNC} {
			var st unix.Statx_t
			s.did("statx", unix.Statx(unix.AT_FDCWD, "f", flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st))
			s.say("%d: %v", flags, st.Mask&unix.STATX_BTIME != 0)
		}
	}},
	{name: "who may set them", who: onlyUser, run: func(s *scene) {
		s.file("f", "")
		for _, p := range []string{"f", "/others", "/writable"} {
			for _, ts := range [][]unix.Timespec{nil, {{Sec: 1}, {Sec: 1}}, {{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}, {{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_OMIT}}, {{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}} {
				s.did(fmt.Sprint(p, ts), unix.UtimesNanoAt(unix.AT_FDCWD, p, ts, 0))
			}
		}
		s.did("bad", unix.UtimesNanoAt(unix.AT_FDCWD, "f", []unix.Timespec{{Nsec: 1e9}, {}}, 0))
	}},
	{name: "times survive that dirty data is published later", run: func(s *scene) {
		fd := s.fresh("f", "x", 0)
		s.pwrite(fd, "dirty", 0)
		ts := []unix.Timespec{{Sec: 77, Nsec: 7}, {Sec: 88, Nsec: 8}}
		s.did("futimens", futimens(fd, ts))
		s.changed("close", "f", func() { s.close(fd) })
		var st unix.Statx_t
		must(unix.Statx(unix.AT_FDCWD, "f", 0, unix.STATX_BASIC_STATS, &st))
		s.say("%d.%d", st.Mtime.Sec, st.Mtime.Nsec)
		fd = s.open("f", unix.O_RDWR, 0)
		s.pwrite(fd, "dirty", 0)
		s.changed("link", "f", func() { s.did("link", unix.Link("f", "g")) })
		s.changed("rename", "g", func() { s.did("rename", rename("f", "h", 0)) })
		s.changed("xattr", "g", func() { s.did("xattr", unix.Setxattr("g", "user.x", nil, 0)) })
		s.changed("unlink", "g", func() { s.did("unlink", unix.Unlink("h")) })
		s.changed("fsync", "g", func() { s.did("fsync", unix.Fsync(fd)) })
		s.close(fd)
	}},
}

var unlinkedCases = []testCase{
	{name: "a file lives on while it is open", run: func(s *scene) {
		fd := s.fresh("f", "content", 0)
		again := s.open("f", unix.O_RDONLY, 0)
		s.did("unlink", unix.Unlink("f"))
		s.fstat(fd)
		s.pwrite(fd, "more content", 5)
		s.pread(again, 50, 0)
		s.did("truncate", unix.Ftruncate(fd, 1<<20))
		s.did("fallocate", unix.Fallocate(fd, 0, 1<<20, 4096))
		s.did("punch", unix.Fallocate(fd, 3, 0, 5))
		s.did("chmod", unix.Fchmod(fd, 0o600))
		s.did("xattr", unix.Fsetxattr(fd, "user.x", []byte("v"), 0))
		s.did("fsync", unix.Fsync(fd))
		s.close(again)
		s.pread(fd, 20, 0)
		s.fstat(fd)
		reopened := -1
		func() {
			var err error
			reopened, err = unix.Openat(s.proc, fmt.Sprintf("self/fd/%d", fd), unix.O_RDWR|unix.O_CLOEXEC, 0)
			s.did("open through /proc", err)
		}()
		s.close(fd)
		if reopened >= 0 {
			s.pread(reopened, 20, 0)
			s.close(reopened)
		}
		s.stat("f")
	}},
	{name: "replaced while open", run: func(s *scene) {
		old := s.fresh("f", "old", 0)
		s.file("t", "new")
		s.did("rename", rename("t", "f", 0))
		s.pread(old, 10, 0)
		s.fstat(old)
		s.pwrite(old, "written", 0)
		s.cat("f")
		s.close(old)
	}},
	{name: "the name is taken again at once", run: func(s *scene) {
		var fds []int
		for i := range 10 {
			s.file("f", fmt.Sprint("life ", i))
			fds = append(fds, s.open("f", unix.O_RDWR, 0))
			s.did("unlink", unix.Unlink("f"))
		}
		slices.Reverse(fds)
		for _, fd := range fds {
			s.pread(fd, 20, 0)
			s.fstat(fd)
			s.close(fd)
		}
	}},
	{name: "errors", run: func(s *scene) {
		must(unix.Mkdir("d", 0o755))
		s.file("f", "")
		for _, p := range []string{"d", "d/", "f/", "none", "f/x", "none/x", "", ".", ".."} {
			s.did("unlink "+p, unix.Unlink(p))
			if p != "d" && p != "d/" {
				s.did("rmdir "+p, unix.Rmdir(p))
			}
		}
	}},
}
