package posix

import (
	"golang.org/x/sys/unix"
)

// dataFamily are the calls that read and write.
var dataFamily = map[string]func(*call, *machine, *side, *outcome){
	"pwrite": func(c *call, _ *machine, x *side, o *outcome) {
		off, n := x.rounded(c)
		if x.flag(c.slot, unix.O_DIRECT|unix.O_APPEND) {
			return // the end may be at an odd offset
		}
		w, err := unix.Pwrite(x.fds[c.slot], c.bytes(n), off)
		o.err(err)
		o.n = int64(w)
	},
	"write": func(c *call, _ *machine, x *side, o *outcome) {
		_, n := x.rounded(c)
		if x.flag(c.slot, unix.O_DIRECT|unix.O_APPEND) {
			return
		}
		w, err := unix.Write(x.fds[c.slot], c.bytes(n))
		o.err(err)
		o.n = int64(w)
	},
	"writev": func(c *call, _ *machine, x *side, o *outcome) {
		off, n := x.rounded(c)
		if x.direct(c.slot) {
			return
		}
		b := c.bytes(n)
		w, err := unix.Pwritev(x.fds[c.slot], [][]byte{b[:n/3], b[n/3 : n/3], b[n/3:]}, off)
		o.err(err)
		o.n = int64(w)
	},
	"pread": func(c *call, _ *machine, x *side, o *outcome) {
		off, n := x.rounded(c)
		o.read(n, func(b []byte) (int, error) { return unix.Pread(x.fds[c.slot], b, off) })
	},
	"read": func(c *call, _ *machine, x *side, o *outcome) {
		_, n := x.rounded(c)
		o.read(n, func(b []byte) (int, error) { return unix.Read(x.fds[c.slot], b) })
	},
	"readv": func(c *call, _ *machine, x *side, o *outcome) {
		off, n := x.rounded(c)
		if x.direct(c.slot) {
			return
		}
		o.read(n, func(b []byte) (int, error) { return unix.Preadv(x.fds[c.slot], [][]byte{b[:n/4], b[n/4:]}, off) })
	},
	"copy range": func(c *call, _ *machine, x *side, o *outcome) {
		if x.direct(c.slot) || x.direct(c.slot2) || x.ways[c.slot].host != x.ways[c.slot2].host {
			return // between two mounts the kernel does not see that it is one file, whose ranges overlap
		}
		from, to := c.off, c.off2
		for done := 0; int64(done) < c.n || done == 0; {
			n, err := unix.CopyFileRange(x.fds[c.slot], &from, x.fds[c.slot2], &to, int(c.n)-done, 0)
			o.err(err)
			if n <= 0 {
				break
			}
			done += n
			o.n = int64(done)
		}
	},
	"sendfile": func(c *call, _ *machine, x *side, o *outcome) {
		if x.direct(c.slot) || x.direct(c.slot2) {
			return
		}
		from := c.off
		n, err := unix.Sendfile(x.fds[c.slot2], x.fds[c.slot], &from, int(c.n))
		o.err(err)
		o.n = int64(n)
	},
	"splice": func(c *call, _ *machine, x *side, o *outcome) {
		if x.direct(c.slot) || x.direct(c.slot2) {
			return
		}
		var p [2]int
		must(unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
		defer unix.Close(p[0])
		defer unix.Close(p[1])
		from, to := c.off, c.off2
		n, err := unix.Splice(x.fds[c.slot], &from, p[1], nil, int(min(c.n, 32<<10)), 0)
		o.err(err)
		if err == nil && n > 0 {
			n, err = unix.Splice(p[0], nil, x.fds[c.slot2], &to, int(n), 0)
			o.err(err)
		}
		o.n = int64(n)
	},
}

// read keeps what was read.
func (o *outcome) read(n int64, f func([]byte) (int, error)) {
	b := aligned(n)
	got, err := f(b)
	o.err(err)
	o.n = int64(got)
	o.data = b[:max(0, got)]
}

// direct says whether a slot has a descriptor with O_DIRECT.
func (x *side) direct(slot int) bool { return x.flag(slot, unix.O_DIRECT) }

// flag says whether a slot has a descriptor with all these flags.
func (x *side) flag(slot, flags int) bool {
	f, err := unix.FcntlInt(uintptr(x.fds[slot]), unix.F_GETFL, 0)
	return err == nil && f&flags == flags
}

// rounded returns where the call reads or writes: with O_DIRECT in whole pages, which
// ext4 insists on.
func (x *side) rounded(c *call) (off, n int64) {
	if !x.direct(c.slot) {
		return c.off, c.n
	}
	if now, err := unix.Seek(x.fds[c.slot], 0, unix.SEEK_CUR); err == nil && now%4096 != 0 {
		unix.Seek(x.fds[c.slot], now&^4095, unix.SEEK_SET)
	}
	return c.off &^ 4095, (c.n + 4095) &^ 4095
}

// mapFamily are the calls about mappings.
var mapFamily = map[string]func(*call, *machine, *side, *outcome){
	"map": func(c *call, _ *machine, x *side, o *outcome) {
		prot, flags := unix.PROT_READ, unix.MAP_PRIVATE
		if c.pick%3 > 0 {
			flags = unix.MAP_SHARED
		}
		if flags == unix.MAP_SHARED && len(x.by) > 1 {
			return // refused or not by what the other host has open: integration/openfile_test.go
		}
		if flags == unix.MAP_SHARED && x.ways[c.slot].appends {
			return // ENODEV: docs/posix.md, and the case "rights of a descriptor that appends"
		}
		if c.pick%4 > 0 {
			prot |= unix.PROT_WRITE
		}
		mem, err := unix.Mmap(x.fds[c.slot], 0, 64<<10, prot, flags)
		o.err(err)
		if err == nil {
			x.unmap(c.slot)
			var st unix.Stat_t
			must(unix.Fstat(x.fds[c.slot], &st))
			fd, err := unix.FcntlInt(uintptr(x.fds[c.slot]), unix.F_DUPFD_CLOEXEC, 0)
			must(err)
			x.maps[c.slot] = mapping{mem, fd, flags == unix.MAP_SHARED, prot&unix.PROT_WRITE != 0, st.Ino}
		}
	},
	"poke": func(c *call, _ *machine, x *side, o *outcome) {
		p := &x.maps[c.slot]
		if p.mem == nil || !p.write {
			return
		}
		var st unix.Stat_t
		must(unix.Fstat(p.fd, &st))
		from, n := int64(uint64(c.off)%60000), min(c.n, 5000)
		if from < st.Size {
			n = min(n, st.Size-from) // what is written behind the end, into its page, is nobody's
		} else if from < (st.Size+4095)&^4095 {
			return
		}
		o.err(guarded(func() { copy(p.mem[from:], c.bytes(n)) }))
		if p.shared {
			o.poked = p.ino
		}
	},
	"peek": func(c *call, _ *machine, x *side, o *outcome) {
		p := &x.maps[c.slot]
		if p.mem == nil {
			return
		}
		from := uint64(c.off) % 60000
		b := make([]byte, min(c.n, 5000))
		o.err(guarded(func() { copy(b, p.mem[from:]) }))
		if o.errno == 0 {
			o.data = b
		}
	},
	"msync": func(c *call, _ *machine, x *side, o *outcome) {
		if p := &x.maps[c.slot]; p.mem != nil {
			o.err(unix.Msync(p.mem, unix.MS_SYNC))
			if p.shared {
				o.synced = p.ino
			}
		}
	},
	"unmap": func(c *call, _ *machine, x *side, _ *outcome) { x.unmap(c.slot) },
}

func (x *side) unmap(slot int) {
	if p := &x.maps[slot]; p.mem != nil {
		must(unix.Munmap(p.mem))
		unix.Close(p.fd)
		*p = mapping{}
	}
}
