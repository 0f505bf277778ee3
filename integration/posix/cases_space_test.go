package posix

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// segments notes which ranges of a file are data, in units of 64 KiB: finer ones each
// filesystem cuts as it likes.
func (s *scene) segments(fd int) {
	var st unix.Stat_t
	must(unix.Fstat(fd, &st))
	out := ""
	for off := int64(0); off < st.Size; {
		data, err := unix.Seek(fd, off, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break
		}
		must(err)
		hole, err := unix.Seek(fd, data, unix.SEEK_HOLE)
		must(err)
		out += fmt.Sprintf("%d-%d ", data>>16, (hole+65535)>>16)
		off = hole
	}
	s.say("data in units of 64 KiB: %s", out)
}

// space notes the blocks of a file in units of 64 KiB: less is what ext4 takes to note
// where they are.
func (s *scene) space(path string) {
	var st unix.Stat_t
	must(unix.Stat(path, &st))
	s.say("%s takes %d units of 64 KiB", path, (st.Blocks*512+32768)>>16)
}

var sparseCases = []testCase{
	{name: "a file of terabytes takes what was written", run: func(s *scene) {
		fd := s.open("f", unix.O_CREAT|unix.O_RDWR, 0o644)
		s.did("truncate", unix.Ftruncate(fd, 5<<40))
		s.fstat(fd)
		for _, off := range []int64{0, 1 << 30, 1 << 40, 3<<40 + 1<<20, 5<<40 - 65536} {
			s.pwrite(fd, patterned(65536), off)
		}
		s.did("fsync", unix.Fsync(fd))
		s.segments(fd)
		s.space("f")
		s.pread(fd, 10, 1<<40-5)
		s.pread(fd, 10, 2<<40)
		s.pread(fd, 10, 5<<40-5)
		s.pwrite(fd, "beyond", 6<<40)
		s.fstat(fd)
		s.did("truncate", unix.Ftruncate(fd, 1<<40+5))
		s.did("truncate", unix.Ftruncate(fd, 2<<40))
		s.pread(fd, 10, 1<<40)
		s.did("fsync", unix.Fsync(fd))
		s.segments(fd)
		s.close(fd)
		s.did("truncate", unix.Truncate("f", 0))
		s.space("f")
	}},
	{name: "SEEK_DATA and SEEK_HOLE at the edges", run: func(s *scene) {
		fd := s.open("f", unix.O_CREAT|unix.O_RDWR, 0o644)
		seek := func(off int64, whence int) {
			n, err := unix.Seek(fd, off, whence)
			s.did(fmt.Sprint("seek ", off, " ", whence, ": ", n), err)
		}
		seek(0, unix.SEEK_DATA)
		seek(0, unix.SEEK_HOLE)
		s.pwrite(fd, patterned(65536), 65536)
		s.did("truncate", unix.Ftruncate(fd, 1<<20))
		s.did("fsync", unix.Fsync(fd))
		for _, off := range []int64{0, 65536, 65537, 131071, 131072, 1<<20 - 1, 1 << 20, 1<<20 + 1, -1} {
			seek(off, unix.SEEK_DATA)
			seek(off, unix.SEEK_HOLE)
		}
		s.close(fd)
	}},
	{name: "the largest offsets", differs: "ext4 ends at 16 TiB, SignetFS at 2^63-1, where every file ends", run: func(s *scene) {
		fd := s.open("f", unix.O_CREAT|unix.O_RDWR, 0o644)
		s.did("truncate", unix.Ftruncate(fd, 16<<40))
		s.did("truncate", unix.Ftruncate(fd, 1<<63-1))
		s.pwrite(fd, "x", 1<<63-2)
		s.pwrite(fd, "xy", 1<<63-2)
		s.pwrite(fd, "x", 1<<63-1)
		s.fstat(fd)
		s.pread(fd, 5, 1<<63-3)
	}},
}

var fallocateCases = []testCase{
	{name: "every mode", run: func(s *scene) {
		const keep, punch, zero = unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_ZERO_RANGE
		for _, mode := range []uint32{0, keep, punch | keep, zero, zero | keep, punch, punch | zero | keep, 0x1000} {
			for _, x := range [][2]int64{{0, 100}, {1000, 5000}, {4096, 8192}, {90000, 30000}, {200000, 10}, {0, 0}, {-1, 5}, {5, -1}, {0, 1 << 41}} {
				if mode&punch == 0 && x[1] > 1<<40 {
					continue // that much there is not to have
				}
				s.file("f", patterned(100000))
				fd := s.open("f", unix.O_RDWR, 0)
				s.pwrite(fd, "dirty", 50000)
				s.changed("times", "f", func() { s.did(fmt.Sprintf("mode %d %v", mode, x), unix.Fallocate(fd, mode, x[0], x[1])) })
				s.fstat(fd)
				s.close(fd)
				s.cat("f")
			}
		}
	}},
	{name: "punched space is given back", run: func(s *scene) {
		fd := s.fresh("f", patterned(1<<20), 0)
		s.did("fsync", unix.Fsync(fd))
		s.space("f")
		s.did("punch", unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 131072, 524288))
		s.did("fsync", unix.Fsync(fd))
		s.space("f")
		s.segments(fd)
		s.close(fd)
	}},
	{name: "collapse and insert", differs: "the kernel refuses these modes for every FUSE filesystem before it asks (EOPNOTSUPP), which is what a program falls back from", run: func(s *scene) {
		fd := s.fresh("f", patterned(65536), 0)
		s.did("collapse", unix.Fallocate(fd, unix.FALLOC_FL_COLLAPSE_RANGE, 4096, 4096))
		s.did("insert", unix.Fallocate(fd, unix.FALLOC_FL_INSERT_RANGE, 4096, 4096))
		s.fstat(fd)
	}},
}
