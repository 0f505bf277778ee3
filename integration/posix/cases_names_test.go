package posix

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

var linkCases = []testCase{
	{name: "of everything", run: func(s *scene) {
		s.file("one", "")
		for _, k := range kindsOfThings {
			makeThing(s, k, "t")
			s.changed(k, ".", func() { s.did("link "+k, unix.Link("t", "u")) })
			s.stat("t")
			s.stat("u")
			s.did("over", unix.Link("one", "u"))
			s.did("onto itself", unix.Link("one", "one"))
			removeAll("t")
			removeAll("u")
		}
		s.did("into nothing", unix.Link("one", "none/x"))
		s.did("into a file", unix.Link("one", "one/x"))
		s.did("with a slash", unix.Link("one", "y/"))
		s.did("of nothing", unix.Link("none", "y"))
		s.did("of a directory", unix.Link(".", "y"))
	}},
	{name: "a symlink's, followed or not", run: func(s *scene) {
		s.file("f", "x")
		must(unix.Symlink("f", "l"))
		for i, flags := range []int{0, unix.AT_SYMLINK_FOLLOW} {
			s.did("link", unix.Linkat(unix.AT_FDCWD, "l", unix.AT_FDCWD, fmt.Sprint("n", i), flags))
			s.stat(fmt.Sprint("n", i))
		}
	}},
	{name: "changes of one are changes of all", run: func(s *scene) {
		fd := s.fresh("a", "x", 0)
		for i := range 20 {
			s.did("link", unix.Link("a", fmt.Sprint("b", i)))
		}
		s.pwrite(fd, "hello", 0)
		s.did("chmod", unix.Chmod("b7", 0o600))
		s.stat("b3")
		s.did("unlink", unix.Unlink("a"))
		s.fstat(fd)
		s.close(fd)
		s.cat("b19")
	}},
	{name: "65,000 of one file and no more", long: true, run: func(s *scene) {
		s.file("f", "")
		must(unix.Mkdir("d", 0o755))
		n := 1
		var err error
		for err == nil && n < 70000 {
			if err = unix.Link("f", fmt.Sprintf("d/%d", n)); err == nil {
				n++
			}
		}
		s.did(fmt.Sprint("the one after ", n), err)
		s.stat("f")
	}},
}

var symlinkCases = []testCase{
	{name: "loops and long chains", run: func(s *scene) {
		must(unix.Symlink("b", "a"))
		must(unix.Symlink("a", "b"))
		must(unix.Symlink("self", "self"))
		for _, p := range []string{"a", "b", "self", "a/x"} {
			s.open(p, unix.O_RDONLY, 0)
			s.open(p, unix.O_RDWR|unix.O_CREAT, 0o644)
			s.did("mkdir", unix.Mkdir(p, 0o755))
			s.did("chmod", unix.Chmod(p, 0o755))
			s.stat(p)
		}
		s.file("f", "x")
		last := "f"
		for i := range 42 {
			name := fmt.Sprintf("l%d", i)
			must(unix.Symlink(last, name))
			last = name
		}
		for _, i := range []int{38, 39, 40, 41} {
			s.open(fmt.Sprintf("l%d", i), unix.O_RDONLY, 0)
		}
	}},
	{name: "targets of every length", run: func(s *scene) {
		for _, n := range []int{0, 1, 59, 60, 61, 255, 1000, 4000, 4094, 4095, 4096, 5000} {
			target := strings.Repeat("t", n)
			if s.did(fmt.Sprint("symlink ", n), unix.Symlink(target, "l")) {
				s.stat("l")
				var o outcome
				s.say("right: %v", readLink("l", &o) == target)
				b := make([]byte, 10)
				k, err := unix.Readlink("l", b)
				s.did(fmt.Sprint("a short buffer ", k), err)
				s.did("unlink", unix.Unlink("l"))
			}
		}
		s.did("odd", unix.Symlink("\xff\n\x01 ", "l"))
		var o outcome
		s.say("%q", readLink("l", &o))
	}},
	{name: "to a directory, with and without a slash", run: func(s *scene) {
		must(unix.Mkdir("d", 0o755))
		must(unix.Symlink("d", "l"))
		must(unix.Symlink("none", "n"))
		s.ls("l")
		s.ls("l/")
		s.did("rmdir", unix.Rmdir("l"))
		s.did("rmdir/", unix.Rmdir("l/"))
		s.did("unlink/", unix.Unlink("l/"))
		s.did("mkdir", unix.Mkdir("n", 0o755))
		s.did("mkdir/", unix.Mkdir("n/", 0o755))
		s.did("rename", rename("l/", "m", 0))
		s.did("rename", rename("l", "m/", 0))
		s.did("readlink/", func() error { _, err := unix.Readlink("l/", make([]byte, 9)); return err }())
		s.open("n/", unix.O_CREAT|unix.O_RDWR, 0o644)
		s.open("n", unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o644)
		s.open("n", unix.O_CREAT|unix.O_RDWR, 0o644)
		s.stat("none")
		s.ls(".")
	}},
	{name: "attributes of the link itself", run: func(s *scene) {
		must(unix.Symlink("none", "l"))
		s.did("chmod", unix.Fchmodat(unix.AT_FDCWD, "l", 0o600, unix.AT_SYMLINK_NOFOLLOW))
		s.did("chown", unix.Lchown("l", -1, otherGroup))
		ts := []unix.Timespec{{Sec: 5}, {Sec: -7, Nsec: 9}}
		s.did("times", unix.UtimesNanoAt(unix.AT_FDCWD, "l", ts, unix.AT_SYMLINK_NOFOLLOW))
		s.did("xattr", unix.Lsetxattr("l", "user.x", []byte("v"), 0))
		s.did("follow", unix.Chmod("l", 0o600))
		s.stat("l")
		var st unix.Statx_t
		must(unix.Statx(unix.AT_FDCWD, "l", unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st))
		s.say("%d %d", st.Mtime.Sec, st.Mtime.Nsec)
	}},
	{name: "an absolute one", run: func(s *scene) {
		s.file("f", "x")
		must(unix.Symlink(s.dir+"/f", "l"))
		s.stat("l")
		s.cat("l")
	}},
}

var nameCases = []testCase{
	{name: "every byte but zero and slash", run: func(s *scene) {
		for b := 1; b < 256; b++ {
			if b == '/' {
				continue
			}
			for _, n := range []string{string([]byte{byte(b)}), "x" + string([]byte{byte(b)})} {
				if n != "." {
					s.did(fmt.Sprintf("%q", n), unix.Mkdir(n, 0o755))
				}
			}
		}
		s.ls(".")
		all, err := list(".")
		s.did(fmt.Sprint(len(all)), err)
	}},
	{name: "every length", run: func(s *scene) {
		for n := 1; n <= 258; n++ {
			name := strings.Repeat("\xe4", n)
			s.did(fmt.Sprint("mknod ", n), unix.Mknod(name, unix.S_IFREG|0o600, 0))
		}
		long := strings.Repeat("n", 256)
		s.did("mkdir", unix.Mkdir(long, 0o755))
		s.did("link", unix.Link("\xe4", long))
		s.did("symlink", unix.Symlink("x", long))
		s.did("rename", rename("\xe4", long, 0))
		s.did("rename", rename(long, "x", 0))
		s.did("unlink", unix.Unlink(long))
		s.did("rmdir", unix.Rmdir(long))
		s.open(long, unix.O_RDONLY, 0)
		s.open(long, unix.O_CREAT|unix.O_RDWR, 0o644)
		s.stat(long)
		s.stat(long + "/x")
		s.did("in a file", unix.Mkdir("\xe4/"+long, 0o755))
		all, err := list(".")
		s.did(fmt.Sprint(len(all)), err)
	}},
	{name: "paths up to the limit", run: func(s *scene) {
		dir := strings.Repeat("d", 250)
		depth := 0
		for ; depth < 20; depth++ {
			if err := unix.Mkdir(dir, 0o755); err != nil {
				s.did("mkdir", err)
			}
			must(unix.Chdir(dir))
		}
		s.file("deep", "x")
		b := make([]byte, 8192)
		n, err := unix.Getcwd(b)
		s.did(fmt.Sprint("getcwd ", n-len(s.dir)), err)
		must(unix.Chdir(s.dir))
		for _, n := range []int{4000, 4094, 4095, 4096, 4097} {
			path := strings.Repeat("./", n/2-1) + "d"[:n%2]
			path += strings.Repeat("x", n-len(path))
			s.open(path, unix.O_RDONLY, 0)
			s.did(fmt.Sprint("mkdir ", n), unix.Mkdir(path, 0o755))
		}
	}},
	{name: "dots and slashes", run: func(s *scene) {
		must(unix.Mkdir("d", 0o755))
		s.file("f", "x")
		for _, p := range []string{".", "..", "d/.", "d/..", "./", "d/", "d//", "f/", "f/.", "f/..", "none/", "none/.", "none/..", "", "d/../f", "f/../f", ".//f", "/", "//"} {
			s.did(fmt.Sprintf("mkdir %q", p), unix.Mkdir(p, 0o755))
			s.did(fmt.Sprintf("rmdir %q", p), notAbove(p, unix.Rmdir))
			s.did(fmt.Sprintf("unlink %q", p), notAbove(p, unix.Unlink))
			s.did(fmt.Sprintf("mknod %q", p), unix.Mknod(p, unix.S_IFIFO|0o600, 0))
			s.did(fmt.Sprintf("symlink %q", p), unix.Symlink("x", p))
			s.did(fmt.Sprintf("link %q", p), unix.Link("f", p))
			s.open(p, unix.O_RDONLY|unix.O_NONBLOCK, 0)
			s.open(p, unix.O_RDWR|unix.O_CREAT|unix.O_NONBLOCK, 0o644)
			removeAll("none")
			unix.Mkdir("d", 0o755)
			s.file("f", "x")
		}
		s.ls(".")
	}},
	{name: "case matters, and nothing is normalised", run: func(s *scene) {
		for _, n := range []string{"A", "a", "\u00e4", "a\u0308", "ǅ", "ß", "SS"} {
			s.file(n, n)
		}
		s.ls(".")
		for _, n := range []string{"A", "a", "\u00e4", "a\u0308"} {
			s.cat(n)
		}
	}},
}

// notAbove calls f unless that would take away what a test stands on.
func notAbove(path string, f func(string) error) error {
	if path == "f" {
		return nil
	}
	return f(path)
}

var specialCases = []testCase{
	{name: "devices, FIFOs and sockets", run: func(s *scene) {
		for _, k := range []uint32{unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFREG, 0, unix.S_IFDIR, unix.S_IFLNK, 0o030000} {
			for i, dev := range []uint64{0, unix.Mkdev(1, 3), unix.Mkdev(4095, 1048575), unix.Mkdev(259, 256)} {
				name := fmt.Sprintf("%o-%d", k, i)
				s.did(name, unix.Mknod(name, k|0o640, int(dev)))
				s.stat(name)
			}
		}
		s.ls(".")
	}},
	{name: "a device works", who: onlyRoot, run: func(s *scene) {
		s.did("mknod", unix.Mknod("null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		fd := s.open("null", unix.O_RDWR, 0)
		s.pwrite(fd, "gone", 0)
		s.pread(fd, 10, 0)
		s.close(fd)
	}},
	{name: "a FIFO works", run: func(s *scene) {
		s.did("mkfifo", unix.Mkfifo("p", 0o600))
		fd := s.open("p", unix.O_RDWR|unix.O_NONBLOCK, 0)
		n, err := unix.Write(fd, []byte("through"))
		s.did(fmt.Sprint("write ", n), err)
		b := make([]byte, 20)
		n, err = unix.Read(fd, b)
		s.did(fmt.Sprintf("read %q", b[:max(n, 0)]), err)
		s.open("p", unix.O_WRONLY|unix.O_NONBLOCK, 0)
		s.close(fd)
		s.open("p", unix.O_WRONLY|unix.O_NONBLOCK, 0)
		s.did("truncate", unix.Truncate("p", 5))
	}},
	{name: "a socket works", run: func(s *scene) {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(err)
		defer unix.Close(fd)
		s.did("bind", unix.Bind(fd, &unix.SockaddrUnix{Name: "s"}))
		s.did("listen", unix.Listen(fd, 1))
		c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(err)
		defer unix.Close(c)
		s.did("connect", unix.Connect(c, &unix.SockaddrUnix{Name: "s"}))
		s.stat("s")
		s.open("s", unix.O_RDWR, 0)
		s.did("bind again", unix.Bind(c, &unix.SockaddrUnix{Name: "s"}))
		s.did("truncate", unix.Truncate("s", 5))
		s.did("unlink", unix.Unlink("s"))
	}},
}
