package posix

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// patterned is n bytes none of whose pages are the same.
func patterned(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>12) + byte(i)*3 + 1
	}
	return string(b)
}

var dataCases = []testCase{
	{name: "errors of every call with the wrong descriptor", run: func(s *scene) {
		s.file("f", "content")
		must(unix.Mkdir("d", 0o755))
		for _, x := range [][2]any{{"f", unix.O_RDONLY}, {"f", unix.O_WRONLY}, {"f", unix.O_PATH}, {"d", unix.O_RDONLY}, {"d", unix.O_PATH}} {
			fd := s.open(x[0].(string), x[1].(int), 0)
			s.pread(fd, 3, 0)
			s.pwrite(fd, "x", 0)
			s.pread(fd, 3, -1)
			s.pwrite(fd, "", 0)
			s.did("ftruncate", unix.Ftruncate(fd, 3))
			s.did("ftruncate", unix.Ftruncate(fd, -1))
			s.did("fallocate", unix.Fallocate(fd, 0, 0, 10))
			s.did("fsync", unix.Fsync(fd))
			s.did("fdatasync", unix.Fdatasync(fd))
			s.did("fchmod", unix.Fchmod(fd, 0o700))
			_, err := unix.Seek(fd, -1, unix.SEEK_SET)
			s.did("lseek", err)
			_, err = unix.Seek(fd, 0, 9)
			s.did("lseek", err)
			_, err = unix.CopyFileRange(fd, nil, fd, nil, 1, 0)
			s.did("copy", err)
			_, err = unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			s.did("mmap", err)
			_, err = unix.Getdents(fd, make([]byte, 4096))
			s.did("getdents", err)
			s.close(fd)
			s.close(fd)
		}
		s.did("truncate a directory", unix.Truncate("d", 0))
		s.did("truncate", unix.Truncate("f", -1))
	}},
	{name: "reads at and beyond the end", run: func(s *scene) {
		fd := s.fresh("f", patterned(10000), 0)
		for _, x := range [][2]int{{9999, 1}, {9999, 2}, {10000, 1}, {10001, 1}, {9000, 5000}, {0, 20000}, {0, 0}, {1 << 40, 1}} {
			b := make([]byte, x[1])
			n, err := unix.Pread(fd, b, int64(x[0]))
			s.did(fmt.Sprint(x, n), err)
		}
		s.close(fd)
	}},
	{name: "read what was written, by every way, while it is dirty", run: func(s *scene) {
		w, r := s.fresh("f", patterned(20000), 0), s.open("f", unix.O_RDONLY, 0)
		d := s.open("f", unix.O_RDWR|unix.O_DIRECT, 0)
		m, err := unix.Mmap(w, 0, 20480, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(err)
		private, err := unix.Mmap(r, 0, 20480, unix.PROT_READ, unix.MAP_PRIVATE)
		must(err)
		page := aligned(4096)
		all := func(what string) {
			for _, off := range []int64{0, 100, 4096, 5000, 8192, 12288, 16384} {
				a, b := make([]byte, 16), make([]byte, 16)
				unix.Pread(r, a, off)
				n, err := unix.Pread(d, page, off&^4095)
				var p [2]int
				must(unix.Pipe2(p[:], unix.O_CLOEXEC))
				from := off
				unix.Splice(r, &from, p[1], nil, 16, 0)
				unix.Read(p[0], b)
				unix.Close(p[0])
				unix.Close(p[1])
				s.did(fmt.Sprintf("%s %d: pread %x splice %x direct %d %x shared %x private %x", what, off, a, b, n, page[off&4095:][:16], m[off:][:16], private[off:][:16]), err)
			}
		}
		all("at first")
		s.pwrite(w, "by pwrite, over a page's edge", 4090)
		all("pwrite")
		copy(m[90:], "by a mapping")
		copy(m[8190:], "by a mapping too")
		all("mapping")
		copy(page, strings.Repeat("direct", 700))
		_, err = unix.Pwrite(d, page, 12288)
		s.did("direct", err)
		all("direct")
		s.did("truncate", unix.Ftruncate(w, 17000))
		s.did("truncate", unix.Ftruncate(w, 20480))
		all("truncate")
		s.did("punch", unix.Fallocate(w, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4000, 5000))
		all("punch")
		s.did("msync", unix.Msync(m, unix.MS_SYNC))
		from, to := int64(100), int64(12300)
		n, err := unix.CopyFileRange(r, &from, w, &to, 3000, 0)
		s.did(fmt.Sprint("copy ", n), err)
		all("copy")
		unix.Munmap(m)
		unix.Munmap(private)
		s.close(w)
		s.close(r)
		s.close(d)
		s.cat("f")
	}},
	{name: "two descriptors' positions", run: func(s *scene) {
		a := s.fresh("f", "0123456789", 0)
		b, err := unix.Dup(a)
		must(err)
		c := s.open("f", unix.O_RDWR, 0)
		buf := make([]byte, 3)
		for _, fd := range []int{a, b, c, a, c} {
			n, err := unix.Read(fd, buf)
			s.did(fmt.Sprintf("read %q", buf[:n]), err)
		}
		n, err := unix.Write(b, []byte("xyz"))
		s.did(fmt.Sprint(n), err)
		for _, fd := range []int{a, b, c} {
			at, err := unix.Seek(fd, 0, unix.SEEK_CUR)
			s.did(fmt.Sprint("at ", at), err)
			unix.Close(fd)
		}
		s.cat("f")
	}},
	{name: "copy_file_range", run: func(s *scene) {
		fd := s.fresh("a", patterned(300000), 0)
		to := s.open("b", unix.O_CREAT|unix.O_RDWR, 0o644)
		for _, x := range [][3]int64{{0, 0, 300000}, {100, 7, 5000}, {299990, 400000, 100}, {300000, 0, 10}, {400000, 0, 10}, {0, 1 << 40, 4096}, {5, 5, 0}} {
			from, at := x[0], x[1]
			n, err := unix.CopyFileRange(fd, &from, to, &at, int(x[2]), 0)
			s.did(fmt.Sprint("copy ", x, n, from, at), err)
		}
		for _, x := range [][3]int64{{0, 100000, 50000}, {0, 10, 20}, {10, 0, 20}, {0, 0, 10}, {0, 300000, 100}} {
			from, at := x[0], x[1]
			n, err := unix.CopyFileRange(fd, &from, fd, &at, int(x[2]), 0)
			s.did(fmt.Sprint("within ", x, n), err)
		}
		n, err := unix.CopyFileRange(fd, nil, to, nil, 1000, 0)
		s.did(fmt.Sprint("at the positions ", n), err)
		n, err = unix.CopyFileRange(fd, nil, to, nil, 1000, 1)
		s.did(fmt.Sprint("with a flag ", n), err)
		s.pwrite(fd, "later", 120)
		s.pwrite(to, "other", 10)
		s.close(fd)
		s.close(to)
		s.cat("a")
		s.cat("b")
	}},
	{name: "an append by many descriptors", run: func(s *scene) {
		s.file("f", "")
		var fds []int
		for range 5 {
			fds = append(fds, s.open("f", unix.O_WRONLY|unix.O_APPEND, 0))
		}
		for i := range 50 {
			s.pwrite(fds[i*3%5], fmt.Sprintf("line %d\n", i), int64(i))
		}
		for _, fd := range fds {
			s.close(fd)
		}
		s.cat("f")
	}},
	{name: "vectors", run: func(s *scene) {
		fd := s.fresh("f", "", 0)
		n, err := unix.Pwritev(fd, [][]byte{[]byte("ab"), nil, []byte("cdef"), []byte(strings.Repeat("g", 10000))}, 5)
		s.did(fmt.Sprint(n), err)
		a, b := make([]byte, 3), make([]byte, 20000)
		n, err = unix.Preadv(fd, [][]byte{a, b}, 4)
		s.did(fmt.Sprintf("%d %q %q", n, a, b[:10]), err)
		n, err = unix.Pwritev2(fd, [][]byte{[]byte("end")}, 0, unix.RWF_APPEND)
		s.did(fmt.Sprint("append ", n), err)
		n, err = unix.Pwritev2(fd, [][]byte{[]byte("sync")}, 0, unix.RWF_DSYNC)
		s.did(fmt.Sprint("dsync ", n), err)
		s.close(fd)
		s.cat("f")
	}},
	{name: "larger than one object, in pieces of every alignment", run: func(s *scene) {
		fd := s.open("f", unix.O_CREAT|unix.O_RDWR, 0o644)
		big := patterned(1 << 20)
		for i := range 10 {
			n, err := unix.Pwrite(fd, []byte(big), int64(i)*(1<<20-77))
			s.did(fmt.Sprint(n), err)
		}
		s.close(fd)
		s.cat("f")
		fd = s.open("f", unix.O_RDWR, 0)
		for _, off := range []int64{4<<20 - 3, 4 << 20, 8<<20 - 1, 5, 1<<20 + 1} {
			s.pwrite(fd, "overwritten", off)
		}
		s.did("truncate", unix.Ftruncate(fd, 6<<20+1))
		s.did("truncate", unix.Ftruncate(fd, 9<<20))
		s.close(fd)
		s.cat("f")
	}},
}

var mappedCases = []testCase{
	{name: "truncate under a mapping", run: func(s *scene) {
		fd := s.fresh("f", patterned(16384), 0)
		m, err := unix.Mmap(fd, 0, 32768, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(err)
		defer unix.Munmap(m)
		touch := func() {
			for _, off := range []int{0, 4095, 4096, 6000, 8191, 8192, 16383, 16384, 30000} {
				var v byte
				err := guarded(func() { v = m[off] })
				s.did(fmt.Sprintf("read [%d] %d", off, v), err)
			}
		}
		touch()
		for _, size := range []int64{6000, 16384, 4096, 0, 100, 20000} {
			s.did(fmt.Sprint("truncate to ", size), unix.Ftruncate(fd, size))
			touch()
			s.did("write", guarded(func() { m[5000] = 7 }))
		}
		s.close(fd)
		s.cat("f")
	}},
	{name: "a write into the last page behind the end is not kept", run: func(s *scene) {
		fd := s.fresh("f", "12345", 0)
		m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(err)
		defer unix.Munmap(m)
		copy(m[3:], "abcdef")
		s.did("msync", unix.Msync(m, unix.MS_SYNC))
		s.fstat(fd)
		s.pread(fd, 20, 0)
		s.did("grow", unix.Ftruncate(fd, 12))
		s.pread(fd, 20, 0)
		s.say("%q", m[:12])
		s.close(fd)
		s.cat("f")
	}},
	{name: "a private mapping changes nothing", run: func(s *scene) {
		fd := s.fresh("f", patterned(8192), 0)
		m, err := unix.Mmap(fd, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
		must(err)
		defer unix.Munmap(m)
		copy(m, "mine")
		s.pread(fd, 10, 0)
		s.pwrite(fd, "theirs", 0)
		s.pwrite(fd, "theirs", 4096)
		s.say("%q %q", m[:8], m[4096:4104])
		s.close(fd)
		s.cat("f")
	}},
	{name: "it outlives the descriptor and the name", run: func(s *scene) {
		fd := s.fresh("f", patterned(4096), 0)
		m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(err)
		s.close(fd)
		copy(m, "after the close")
		s.cat("f")
		s.did("msync", unix.Msync(m, unix.MS_SYNC))
		s.cat("f")
		copy(m, "after the msync")
		s.did("unlink", unix.Unlink("f"))
		copy(m[100:], "after the unlink")
		s.did("msync", unix.Msync(m, unix.MS_SYNC))
		s.say("%q %q", m[:20], m[100:120])
		s.did("munmap", unix.Munmap(m))
	}},
	{name: "SEEK_DATA before a store is written back", differs: "lseek(2) asks a FUSE filesystem for data and holes without writing back what was stored through a mapping first", run: func(s *scene) {
		fd := s.open("f", unix.O_CREAT|unix.O_RDWR, 0o644)
		must(unix.Ftruncate(fd, 1<<20))
		m, err := unix.Mmap(fd, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(err)
		defer unix.Munmap(m)
		copy(m[65536:], patterned(65536))
		s.segments(fd)
		s.did("msync", unix.Msync(m, unix.MS_SYNC))
		s.segments(fd)
	}},
	{name: "rights of a descriptor that appends", differs: "mmap(2) with MAP_SHARED of a descriptor opened with O_APPEND is ENODEV", run: func(s *scene) {
		s.file("f", patterned(4096))
		fd := s.open("f", unix.O_RDWR|unix.O_APPEND, 0)
		for _, flags := range []int{unix.MAP_SHARED, unix.MAP_PRIVATE} {
			m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ, flags)
			if s.did(fmt.Sprint("mmap ", flags), err) {
				unix.Munmap(m)
			}
		}
		s.close(fd)
	}},
	{name: "rights", run: func(s *scene) {
		s.file("f", patterned(4096))
		for _, access := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_RDWR | unix.O_DIRECT} {
			fd := s.open("f", access, 0)
			for _, prot := range []int{unix.PROT_READ, unix.PROT_WRITE, unix.PROT_READ | unix.PROT_WRITE, unix.PROT_READ | unix.PROT_EXEC} {
				for _, flags := range []int{unix.MAP_SHARED, unix.MAP_PRIVATE, unix.MAP_SHARED_VALIDATE} {
					m, err := unix.Mmap(fd, 0, 4096, prot, flags)
					if s.did(fmt.Sprint("mmap ", prot, flags), err) {
						unix.Munmap(m)
					}
				}
			}
			s.close(fd)
		}
	}},
	{name: "fork-like use: two mappings of one file", run: func(s *scene) {
		a, b := s.fresh("f", patterned(40960), 0), s.open("f", unix.O_RDWR, 0)
		m, err := unix.Mmap(a, 0, 40960, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(err)
		n, err := unix.Mmap(b, 4096, 36864, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(err)
		for i := 0; i < 36864; i += 1111 {
			n[i] = byte(i)
			s.say("%d", m[i+4096])
			m[i+4096]++
			s.say("%d", n[i])
		}
		unix.Munmap(m)
		unix.Munmap(n)
		s.close(a)
		s.close(b)
		s.cat("f")
	}},
}
