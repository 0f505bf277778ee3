package posix

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// filesFamily are the calls that make and change descriptors.
var filesFamily = map[string]func(*call, *machine, *side, *outcome){
	"open": func(c *call, _ *machine, x *side, o *outcome) {
		x.keep(c.slot, c.path, c.flags, c.mode, o)
	},
	"tmpfile": func(c *call, _ *machine, x *side, o *outcome) {
		x.keep(c.slot, c.path, c.flags&^(unix.O_CREAT|unix.O_PATH)|unix.O_TMPFILE|c.pick%4/3*unix.O_EXCL, c.mode, o)
	},
	"close": func(c *call, _ *machine, x *side, o *outcome) {
		if x.fds[c.slot] >= 0 {
			o.err(unix.Close(x.fds[c.slot]))
			x.fds[c.slot] = -1
		}
	},
	"dup": func(c *call, _ *machine, x *side, o *outcome) {
		if x.fds[c.slot] < 0 {
			return
		}
		fd, err := unix.FcntlInt(uintptr(x.fds[c.slot]), unix.F_DUPFD_CLOEXEC, 0)
		o.err(err)
		if to := (c.slot + 1 + c.pick%(slots-1)) % slots; err == nil {
			if x.fds[to] >= 0 {
				unix.Close(x.fds[to])
			}
			x.fds[to], x.ways[to] = fd, x.ways[c.slot]
		}
	},
	"setfl": func(c *call, _ *machine, x *side, o *outcome) {
		fd := uintptr(x.fds[c.slot])
		was, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		o.err(err)
		if err == nil {
			_, err = unix.FcntlInt(fd, unix.F_SETFL, was&^unix.O_APPEND|[]int{0, unix.O_APPEND}[c.pick%2])
			o.err(err)
		}
		o.text = fmt.Sprintf("%#x", was)
	},
	"fsync":     func(c *call, _ *machine, x *side, o *outcome) { o.err(unix.Fsync(x.fds[c.slot])) },
	"fdatasync": func(c *call, _ *machine, x *side, o *outcome) { o.err(unix.Fdatasync(x.fds[c.slot])) },
	"seek": func(c *call, _ *machine, x *side, o *outcome) {
		whence := c.pick % 3
		if whence == unix.SEEK_END && x.isDir(c.slot) {
			return // the end of a directory is where its filesystem likes it to be
		}
		n, err := unix.Seek(x.fds[c.slot], c.off-c.off2%7, whence)
		o.err(err)
		o.n = n
	},
	"truncate":  func(c *call, _ *machine, _ *side, o *outcome) { o.err(unix.Truncate(c.path, c.off)) },
	"ftruncate": func(c *call, _ *machine, x *side, o *outcome) { o.err(unix.Ftruncate(x.fds[c.slot], c.off)) },
	"fallocate": func(c *call, _ *machine, x *side, o *outcome) {
		const collapse, insert = unix.FALLOC_FL_COLLAPSE_RANGE, unix.FALLOC_FL_INSERT_RANGE
		modes := []uint32{0, unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE,
			unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE, collapse | insert}
		o.err(unix.Fallocate(x.fds[c.slot], modes[c.pick%8], c.off, c.n))
	},
	"contents": func(*call, *machine, *side, *outcome) {},
	"holes":    func(c *call, _ *machine, x *side, o *outcome) { x.holes(c, o) },
}

// keep opens a file into a slot.
func (x *side) keep(slot int, path string, flags int, mode uint32, o *outcome) {
	// Devices are not asked: they are none of the filesystem's business, nor is a FIFO.
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, mode)
	o.err(err)
	if err != nil {
		return
	}
	var st unix.Stat_t
	must(unix.Fstat(fd, &st))
	if k := st.Mode & unix.S_IFMT; flags&unix.O_PATH == 0 && k != unix.S_IFREG && k != unix.S_IFDIR {
		unix.Close(fd)
		return
	}
	if x.fds[slot] >= 0 {
		unix.Close(x.fds[slot])
	}
	x.fds[slot], x.ways[slot] = fd, opened{x.host, flags&unix.O_APPEND != 0}
}

func (x *side) isDir(slot int) bool {
	var st unix.Stat_t
	return x.fds[slot] >= 0 && unix.Fstat(x.fds[slot], &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// holes asks for the next data and the next hole. The answers of two filesystems may
// differ, but what is passed over as a hole must be zeros, and no data may lie beyond
// the last that was told.
func (x *side) holes(c *call, o *outcome) {
	fd := x.fds[c.slot]
	var st unix.Stat_t
	if fd < 0 || unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	x.syncMaps()
	now, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	if err != nil {
		o.err(err)
		return
	}
	defer unix.Seek(fd, now, unix.SEEK_SET)
	data, err := unix.Seek(fd, c.off, unix.SEEK_DATA)
	if c.off < 0 || c.off >= st.Size {
		o.err(err)
		return
	}
	if err == unix.ENXIO {
		data = st.Size
	} else {
		o.err(err)
	}
	if data < c.off || data > st.Size || !zeros(fd, c.off, data) {
		o.text = fmt.Sprintf("%s: data at %d after %d of %d is wrong", x.name, data, c.off, st.Size)
	}
	hole, err := unix.Seek(fd, c.off, unix.SEEK_HOLE)
	o.err(err)
	if hole < c.off || hole > st.Size {
		o.text = fmt.Sprintf("%s: a hole at %d after %d of %d", x.name, hole, c.off, st.Size)
	}
}

// zeros says whether a range reads as zeros, as far as it can be read and is not large.
func zeros(fd int, from, to int64) bool {
	b := aligned(64 << 10)
	from &^= 4095 // for O_DIRECT; what lies before is data, or a hole as well
	for end := min(to, from+1<<20); from < end; {
		n, err := unix.Pread(fd, b, from)
		if err != nil || n == 0 {
			return true
		}
		for i, v := range b[:min(int64(n), to-from)] {
			if v != 0 && from+int64(i) >= to {
				return true
			}
		}
		from += int64(n)
	}
	return true
}
