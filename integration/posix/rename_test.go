package posix

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// kindsOfThings makes one of each kind of what can be renamed.
var kindsOfThings = []string{"none", "file", "empty", "full", "symlink", "fifo", "linked"}

func makeThing(s *scene, kind, path string) {
	switch kind {
	case "file":
		s.file(path, kind+path)
	case "empty":
		must(unix.Mkdir(path, 0o755))
	case "full":
		must(unix.Mkdir(path, 0o755))
		s.file(path+"/x", "in "+path)
	case "symlink":
		must(unix.Symlink("nowhere", path))
	case "fifo":
		must(unix.Mkfifo(path, 0o600))
	case "linked":
		if err := unix.Link("one", path); err != nil {
			panic(err)
		}
	}
}

func rename(from, to string, flags uint) error {
	return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
}

const whiteouts = "RENAME_WHITEOUT is for the upper layer of overlayfs, which takes no FUSE filesystem: it is refused (EINVAL) as by any filesystem without"

var renameCases = []testCase{
	{name: "everything over everything, in one directory and across, with every flag", run: func(s *scene) {
		for _, flags := range []uint{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE, 8} {
			for _, a := range kindsOfThings {
				for _, b := range kindsOfThings {
					for _, dir := range []string{".", "there"} {
						must(unix.Mkdir("t", 0o755))
						must(unix.Chdir("t"))
						must(unix.Mkdir("there", 0o755))
						s.file("one", "one")
						makeThing(s, a, "a")
						makeThing(s, b, dir+"/b")
						fd, err := unix.Open("a", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
						s.did(fmt.Sprintf("%s over %s in %s with %d", a, b, dir, flags), rename("a", dir+"/b", flags))
						s.ls(".")
						s.ls("there")
						for _, p := range []string{"a", dir + "/b", ".", "there", "one"} {
							s.stat(p)
						}
						if err == nil {
							s.fstat(fd)
							unix.Close(fd)
						}
						must(unix.Chdir(".."))
						must(removeAll("t"))
					}
				}
			}
		}
	}},
	{name: "into itself and its own child", run: func(s *scene) {
		must(unix.Mkdir("a", 0o755))
		must(unix.Mkdir("a/b", 0o755))
		must(unix.Mkdir("a/b/c", 0o755))
		s.file("f", "")
		for _, flags := range []uint{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE} {
			for _, p := range [][2]string{{"a", "a/b"}, {"a", "a/b/x"}, {"a", "a/b/c"}, {"a", "a"}, {"a/b", "a"}, {"a/b/c", "a"}, {"a", "a/"}, {"a", "a/."}, {"a/.", "x"}, {"a/..", "x"}, {".", "x"}, {"..", "x"}, {"x", "."}, {"a", ".."}, {"f", "f/x"}, {"a", "f/x"}, {"f", "a/"}, {"f", "y/"}, {"f/", "y"}, {"a/", "y/"}, {"y", "a"}, {"", "a"}, {"a", ""}, {"/", "x"}, {"x", "/"}} {
				s.did(fmt.Sprintf("%q to %q %d", p[0], p[1], flags), rename(p[0], p[1], flags))
			}
		}
		s.ls(".")
	}},
	{name: "onto another name of itself", run: func(s *scene) {
		s.file("a", "x")
		s.did("link", unix.Link("a", "b"))
		s.changed("rename", "a", func() { s.did("rename", rename("a", "b", 0)) })
		s.did("noreplace", rename("a", "b", unix.RENAME_NOREPLACE))
		s.did("exchange", rename("a", "b", unix.RENAME_EXCHANGE))
		s.did("to the same", rename("a", "a", 0))
		s.ls(".")
	}},
	{name: "with open handles", run: func(s *scene) {
		a, b := s.fresh("a", "aaaa", 0), s.fresh("b", "bbbb", 0)
		s.pwrite(a, "A", 0)
		s.pwrite(b, "B", 0)
		s.did("rename", rename("a", "b", 0))
		s.pwrite(a, "AA", 1)
		s.pwrite(b, "BB", 1)
		s.pread(a, 10, 0)
		s.pread(b, 10, 0)
		s.fstat(a)
		s.fstat(b)
		s.close(a)
		s.close(b)
		s.cat("b")
	}},
	{name: "the working directory moves along", run: func(s *scene) {
		for _, d := range []string{"a", "a/b", "z"} {
			must(unix.Mkdir(d, 0o755))
		}
		must(unix.Chdir("a/b"))
		s.did("rename", rename("../../a", "../../z/y", 0))
		var b [4096]byte
		n, err := unix.Getcwd(b[:])
		s.did("getcwd "+string(b[len(s.dir):n-1]), err)
		s.ls("..")
		s.ls("../..")
		s.file("f", "x")
		must(unix.Chdir("../../.."))
		s.cat("z/y/b/f")
	}},
	{name: "times and link counts", run: func(s *scene) {
		for _, d := range []string{"p", "q", "p/d", "q/e"} {
			must(unix.Mkdir(d, 0o755))
		}
		s.file("p/f", "")
		s.file("q/g", "")
		for _, x := range [][3]string{{"p/f", "q/f"}, {"q/f", "q/g"}, {"p/d", "q/d"}, {"q/d", "q/e"}, {"q/e", "p/e"}} {
			for _, look := range []string{"p", "q"} {
				y := x
				s.changed(fmt.Sprintf("%s to %s: %s", x[0], x[1], look), look, func() {
					s.did("rename", rename(y[0], y[1], 0))
					s.stat(y[1])
				})
				s.did("back", rename(x[1], x[0], 0))
			}
			s.did("rename", rename(x[0], x[1], 0))
			s.stat("p")
			s.stat("q")
		}
	}},
	{name: "in a sticky directory", who: onlyUser, run: func(s *scene) {
		s.did("over another's", func() error { s.file("mine", ""); return rename("mine", "/sticky/root", 0) }())
		s.did("another's", rename("/sticky/root", "mine", 0))
		s.did("unlink", unix.Unlink("/sticky/root"))
		s.did("exchange", rename("mine", "/sticky/root", unix.RENAME_EXCHANGE))
		s.did("rmdir", unix.Rmdir("/sticky/dir"))
		s.ls(".")
	}},
	{name: "with a whiteout", who: onlyRoot, differs: whiteouts, run: func(s *scene) {
		s.file("a", "x")
		s.file("c", "y")
		s.did("rename", rename("a", "b", unix.RENAME_WHITEOUT))
		s.stat("a")
		s.did("rename", rename("c", "b", unix.RENAME_WHITEOUT|unix.RENAME_NOREPLACE))
		s.did("rename", rename("c", "b", unix.RENAME_WHITEOUT|unix.RENAME_EXCHANGE))
		s.did("rename", rename("c", "b", unix.RENAME_WHITEOUT))
		s.ls(".")
		s.did("mkdir", unix.Mkdir("d", 0o700))
		s.did("rename", rename("d", "e", unix.RENAME_WHITEOUT))
		s.ls(".")
		s.stat("d")
		s.stat(".")
	}},
}
