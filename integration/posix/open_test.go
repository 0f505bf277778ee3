package posix

import (
	"fmt"

	"golang.org/x/sys/unix"
)

var openCases = []testCase{
	{name: "every pair of flags, of a file, a directory, a symlink and nothing", run: func(s *scene) {
		flags := []int{0, unix.O_CREAT, unix.O_CREAT | unix.O_EXCL, unix.O_TRUNC, unix.O_APPEND, unix.O_DIRECT, unix.O_SYNC, unix.O_DSYNC, unix.O_PATH, unix.O_NOFOLLOW, unix.O_DIRECTORY, unix.O_NOATIME, unix.O_TMPFILE}
		reset := func() {
			for _, p := range []string{"file", "dir", "none", "target", "link", "dangling"} {
				must(removeAll(p))
			}
			s.file("file", "content")
			must(unix.Mkdir("dir", 0o755))
			must(unix.Symlink("target", "dangling"))
			must(unix.Symlink("file", "link"))
		}
		reset()
		for _, path := range []string{"file", "dir", "link", "dangling", "none", "file/x", "dir/", "file/", "none/"} {
			for _, access := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR} {
				for i, a := range flags {
					for _, b := range flags[i:] {
						fd := s.open(path, access|a|b, 0o640)
						if fd < 0 {
							continue
						}
						s.fstat(fd)
						if (a|b)&unix.O_DIRECT == 0 {
							_, err := unix.Write(fd, []byte("x"))
							s.did("write", err)
						}
						s.close(fd)
						if path == "none" || access != unix.O_RDONLY || (a|b)&unix.O_TRUNC != 0 {
							s.stat("file")
							s.stat(path)
							reset()
						}
					}
				}
			}
		}
	}},
	{name: "O_TMPFILE gets a name by linkat, unless it is exclusive", run: func(s *scene) {
		for _, excl := range []int{0, unix.O_EXCL} {
			fd := s.open(".", unix.O_TMPFILE|unix.O_RDWR|excl, 0o640)
			s.pwrite(fd, "hello", 3)
			s.fstat(fd)
			s.ls(".")
			name := fmt.Sprint("named", excl)
			s.did("linkat", unix.Linkat(s.proc, fmt.Sprintf("self/fd/%d", fd), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW))
			s.fstat(fd)
			s.close(fd)
			s.ls(".")
			s.cat(name)
		}
		s.did("again", unix.Link("named0", "two"))
		s.stat("two")
	}},
	{name: "an empty path of linkat", who: onlyRoot, run: func(s *scene) {
		fd := s.open(".", unix.O_TMPFILE|unix.O_RDWR, 0o600)
		s.did("linkat", unix.Linkat(fd, "", unix.AT_FDCWD, "n", unix.AT_EMPTY_PATH))
		s.stat("n")
		s.close(fd)
	}},
	{name: "what is removed while it is open gets no name again", run: func(s *scene) {
		fd := s.fresh("f", "x", 0)
		s.did("unlink", unix.Unlink("f"))
		s.did("linkat", unix.Linkat(s.proc, fmt.Sprintf("self/fd/%d", fd), unix.AT_FDCWD, "g", unix.AT_SYMLINK_FOLLOW))
		s.fstat(fd)
		s.close(fd)
	}},
	{name: "O_APPEND set and cleared by fcntl", run: func(s *scene) {
		fd := s.fresh("f", "12345", unix.O_APPEND)
		s.pwrite(fd, "a", 0)
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0)
		s.did("clear", err)
		s.pwrite(fd, "b", 0)
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_APPEND)
		s.did("set", err)
		s.pwrite(fd, "c", 0)
		s.close(fd)
		s.cat("f")
	}},
	{name: "a descriptor keeps its rights when the mode changes", run: func(s *scene) {
		fd := s.fresh("f", "x", 0)
		s.did("chmod", unix.Chmod("f", 0))
		s.pwrite(fd, "yy", 0)
		s.pread(fd, 5, 0)
		s.did("ftruncate", unix.Ftruncate(fd, 1))
		s.open("f", unix.O_RDWR, 0)
		s.close(fd)
		s.did("chmod", unix.Chmod("f", 0o200))
		s.open("f", unix.O_RDONLY, 0)
	}},
	{name: "O_CREAT without the right to write", run: func(s *scene) {
		s.say("%d", s.open("f", unix.O_CREAT|unix.O_RDWR, 0o000)&^0xfff)
		s.stat("f")
		s.open("f", unix.O_RDWR, 0)
		s.open("f", unix.O_RDWR|unix.O_CREAT, 0)
		s.open("f", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0)
		s.did("mkdir", unix.Mkdir("d", 0o555))
		s.open("d/f", unix.O_RDWR|unix.O_CREAT, 0o644)
		s.open("d", unix.O_TMPFILE|unix.O_RDWR, 0o644)
	}},
	{name: "set-uid and set-gid are cleared by who may not set them", who: onlyUser, run: func(s *scene) {
		for _, mode := range []uint32{0o4777, 0o2777, 0o2767, 0o6777, 0o6755} {
			for i, f := range []func(int) error{
				func(fd int) error { _, err := unix.Write(fd, []byte("x")); return err },
				func(fd int) error { return unix.Ftruncate(fd, 1) },
				func(fd int) error { return unix.Fallocate(fd, 0, 0, 10) },
				func(fd int) error {
					return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 1)
				},
				func(fd int) error { return unix.Fchown(fd, -1, otherGroup) },
				func(fd int) error { return unix.Fchown(fd, -1, -1) },
			} {
				fd := s.fresh("f", "abc", 0)
				s.did("chmod", unix.Chmod("f", mode))
				s.did(fmt.Sprint("change ", i), f(fd))
				s.fstat(fd)
				s.close(fd)
				s.stat("f")
			}
		}
	}},
	{name: "a stranger's chown to nothing", who: onlyUser, differs: "chown(2) with neither user nor group of a set-uid file of somebody else is EPERM; the kernel asks us as it does before an allocation by who may write, so it succeeds, and changes nothing", run: func(s *scene) {
		s.did("chown", unix.Chown("/set-uid", -1, -1))
	}},
	{name: "O_DIRECT of whole pages", run: func(s *scene) {
		fd := s.open("f", unix.O_CREAT|unix.O_RDWR|unix.O_DIRECT, 0o644)
		b := aligned(16384)
		for i := range b {
			b[i] = byte(i >> 9)
		}
		n, err := unix.Pwrite(fd, b, 4096)
		s.did(fmt.Sprint("write ", n), err)
		n, err = unix.Pread(fd, b[:8192], 0)
		s.did(fmt.Sprintf("read %d %x %x", n, b[4000], b[5000]), err)
		n, err = unix.Pread(fd, b[:8192], 16384)
		s.did(fmt.Sprintf("read at the end %d", n), err)
		s.close(fd)
		s.cat("f")
	}},
	{name: "O_DIRECT of odd offsets", differs: "ext4 refuses what is not aligned (EINVAL); FUSE has no disk below that would need it, and takes it", run: func(s *scene) {
		fd := s.open("f", unix.O_CREAT|unix.O_RDWR|unix.O_DIRECT, 0o644)
		s.pwrite(fd, "odd", 1)
	}},
}
