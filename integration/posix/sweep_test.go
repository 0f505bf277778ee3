package posix

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// seen is what a sweep sees of one name or descriptor.
type seen struct {
	where  string // path, or "fd 3"
	st     unix.Statx_t
	target string   // of a symlink
	xattrs []string // names and values
	names  []string // of a directory, with types
	odd    string   // what is wrong by itself
}

// sweep looks at everything that there is, on both sides, and compares.
func (m *machine) sweep(after string) {
	m.t.Helper()
	var all [2][]seen
	for i, x := range m.pair {
		x.root[m.host].do(func() { all[i] = look(x) })
	}
	local, ours := all[0], all[1]
	if d := m.compare(local, ours); d != "" {
		m.t.Fatalf("after %s: %s", after, d)
	}
	for i := 1; i < len(m.pair[1].root); i++ {
		var there []seen
		m.pair[1].root[(m.host+i)%len(m.pair[1].root)].do(func() { there = look(m.pair[1]) })
		if d := sameEverywhere(ours, there); d != "" {
			m.t.Fatalf("after %s: %s", after, d)
		}
	}
}

// look walks the tree below the working directory, then asks the descriptors.
func look(x *side) []seen {
	var out []seen
	walk(".", &out)
	for i, fd := range x.fds {
		if fd >= 0 {
			s := seen{where: fmt.Sprintf("fd %d", i)}
			must(unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &s.st))
			out = append(out, s)
		}
	}
	return out
}

func walk(path string, out *[]seen) {
	s := seen{where: path}
	must(unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &s.st))
	kind := uint32(s.st.Mode) & unix.S_IFMT
	if kind == unix.S_IFLNK {
		var o outcome
		s.target = readLink(path, &o)
		must(errOf(&o))
	}
	if kind == unix.S_IFREG || kind == unix.S_IFDIR {
		s.xattrs = attributes(path)
	}
	var all []entry
	if kind == unix.S_IFDIR {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOATIME, 0)
		must(err)
		all, err = entries(fd)
		must(err)
		unix.Close(fd)
		slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
		for i, e := range all {
			s.names = append(s.names, fmt.Sprintf("%q %d", e.name, e.kind))
			var st unix.Stat_t
			if must(unix.Lstat(path+"/"+e.name, &st)); (path != "." || e.name != "..") && st.Ino != e.ino {
				s.odd += fmt.Sprintf("%q is inode %d in the listing, %d in stat; ", e.name, e.ino, st.Ino)
			}
			if i > 0 && all[i-1].name == e.name {
				s.odd += fmt.Sprintf("%q twice; ", e.name)
			}
		}
	}
	*out = append(*out, s)
	for _, e := range all {
		if e.name != "." && e.name != ".." {
			walk(path+"/"+e.name, out)
		}
	}
}

func errOf(o *outcome) error {
	if o.errno != 0 {
		return o.errno
	}
	return nil
}

// attributes returns the extended attributes of a file or directory, with their values.
func attributes(path string) []string {
	names, err := xattrNames(path)
	must(err)
	for i, n := range names {
		if n == "" {
			continue
		}
		b := make([]byte, 64<<10)
		k, err := unix.Getxattr(path, n, b)
		must(err)
		names[i] = fmt.Sprintf("%s=%x", n, b[:k])
	}
	return names
}

// compare returns the first difference between the sides.
func (m *machine) compare(local, ours []seen) string {
	if len(local) != len(ours) {
		return fmt.Sprintf("%d things on ext4, %d on signet", len(local), len(ours))
	}
	twin := map[uint64]uint64{} // inode on ext4 -> on signet
	back := map[uint64]uint64{}
	for i := range local {
		a, b := &local[i], &ours[i]
		if d := a.differs(b); d != "" {
			return fmt.Sprintf("%s: %s", a.where, d)
		}
		if t, ok := twin[a.st.Ino]; ok && t != b.st.Ino {
			return fmt.Sprintf("%s: one inode of two on ext4, not on signet", a.where)
		}
		if t, ok := back[b.st.Ino]; ok && t != a.st.Ino {
			return fmt.Sprintf("%s: one inode of two on signet, not on ext4", a.where)
		}
		twin[a.st.Ino], back[b.st.Ino] = b.st.Ino, a.st.Ino
	}
	return m.compareTimes(local, ours)
}

// differs says how two things differ, but for times.
func (s *seen) differs(o *seen) string {
	a, b := &s.st, &o.st
	kind := uint32(a.Mode) & unix.S_IFMT
	switch {
	case s.odd+o.odd != "":
		return s.odd + o.odd
	case s.where != o.where:
		return fmt.Sprintf("on signet there is %q instead", o.where)
	case a.Mode != b.Mode:
		return fmt.Sprintf("mode %o on ext4, %o on signet", a.Mode, b.Mode)
	case a.Nlink != b.Nlink:
		return fmt.Sprintf("%d links on ext4, %d on signet", a.Nlink, b.Nlink)
	case a.Uid != b.Uid || a.Gid != b.Gid:
		return fmt.Sprintf("owner %d:%d on ext4, %d:%d on signet", a.Uid, a.Gid, b.Uid, b.Gid)
	case a.Size != b.Size && kind != unix.S_IFDIR:
		return fmt.Sprintf("size %d on ext4, %d on signet", a.Size, b.Size)
	case a.Rdev_major != b.Rdev_major || a.Rdev_minor != b.Rdev_minor:
		return fmt.Sprintf("device %d:%d on ext4, %d:%d on signet", a.Rdev_major, a.Rdev_minor, b.Rdev_major, b.Rdev_minor)
	case kind == unix.S_IFREG && a.Blocks == 0 && b.Blocks != 0:
		return fmt.Sprintf("no blocks on ext4, %d on signet", b.Blocks)
	case kind == unix.S_IFREG && b.Blocks > (b.Size+511)/512:
		return fmt.Sprintf("%d blocks for %d bytes on signet", b.Blocks, b.Size)
	case s.target != o.target:
		return fmt.Sprintf("a symlink to %q on ext4, to %q on signet", s.target, o.target)
	case !slices.Equal(s.xattrs, o.xattrs):
		return fmt.Sprintf("attributes %.300q on ext4, %.300q on signet", s.xattrs, o.xattrs)
	case !slices.Equal(s.names, o.names):
		return fmt.Sprintf("holds %q on ext4, %q on signet", s.names, o.names)
	case b.Btime.Sec == 0 && b.Btime.Nsec == 0:
		return "no time of creation on signet"
	}
	return ""
}

// compareTimes compares which inodes' times have changed since the last sweep.
func (m *machine) compareTimes(local, ours []seen) string {
	before := [2]map[uint64]stamp{m.pair[0].times, m.pair[1].times}
	now := [2]map[uint64]stamp{{}, {}}
	bad := ""
	for i := range local {
		a, b := &local[i].st, &ours[i].st
		now[0][a.Ino], now[1][b.Ino] = stamp{a.Mtime, a.Ctime}, stamp{b.Mtime, b.Ctime}
		x, known := before[0][a.Ino]
		y, known2 := before[1][b.Ino]
		if bad != "" || !known || !known2 || m.poked[a.Ino] {
			continue
		}
		for _, c := range []struct {
			what                   string
			was, is, wasOur, isOur unix.StatxTimestamp
		}{{"mtime", x.mtime, a.Mtime, y.mtime, b.Mtime}, {"ctime", x.ctime, a.Ctime, y.ctime, b.Ctime}} {
			if (c.was == c.is) != (c.wasOur == c.isOur) {
				bad = fmt.Sprintf("%s: %s changed on ext4: %v, on signet: %v", local[i].where, c.what, c.was != c.is, c.wasOur != c.isOur)
			}
		}
	}
	m.pair[0].times, m.pair[1].times = now[0], now[1]
	return bad
}

// sameEverywhere compares what two hosts see, which is everything.
// But for files that are open here: what was written to those may not be published yet.
func sameEverywhere(here, there []seen) string {
	open := map[uint64]bool{}
	for _, s := range here {
		if strings.HasPrefix(s.where, "fd ") {
			open[s.st.Ino] = true
		}
	}
	for i := range here {
		if i >= len(there) {
			return fmt.Sprintf("the other host sees %d things instead of %d", len(there), len(here))
		}
		a, b := here[i], there[i]
		a.st.Atime, b.st.Atime, a.st.Dev_minor, b.st.Dev_minor = unix.StatxTimestamp{}, unix.StatxTimestamp{}, 0, 0
		a.st.Mnt_id, b.st.Mnt_id = 0, 0
		if closeBeforeSwitch && open[a.st.Ino] {
			continue
		}
		if x, y := fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b); x != y {
			return fmt.Sprintf("%s: the host itself sees %s, the other %s", a.where, x, y)
		}
	}
	return ""
}

// contents compares the bytes of every file.
func (m *machine) contents(after string) {
	m.t.Helper()
	var all [2][]string
	for i, x := range m.pair {
		x.root[m.host].do(func() {
			x.syncMaps()
			for _, s := range look(x) {
				if uint32(s.st.Mode)&unix.S_IFMT == unix.S_IFREG && !strings.HasPrefix(s.where, "fd ") {
					fd, err := unix.Open(s.where, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOATIME, 0)
					must(err)
					all[i] = append(all[i], s.where+": "+blocks(fd))
					unix.Close(fd)
				}
			}
		})
	}
	for i := range all[0] {
		if all[0][i] != all[1][i] {
			m.t.Fatalf("after %s: the bytes of a file:\n on ext4 %s\n on signet %s", after, all[0][i], all[1][i])
		}
	}
}

// blocks tells the contents of a file: where the blocks are that are not all zeros, and a
// little of a digest of each.
func blocks(fd int) string {
	var out strings.Builder
	var st unix.Stat_t
	must(unix.Fstat(fd, &st))
	const size = 4096
	var zero [size]byte
	b := make([]byte, 64*size)
	for off := int64(0); off < st.Size; {
		data, err := unix.Seek(fd, off, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break
		}
		must(err)
		off = max(off, data&^(size-1))
		n, err := unix.Pread(fd, b, off)
		must(err)
		if n == 0 {
			break
		}
		for i := 0; i < n; i += size {
			var full [size]byte
			copy(full[:], b[i:min(n, i+size)])
			if full != zero {
				sum := sha256.Sum256(full[:])
				fmt.Fprintf(&out, "%d:%x ", (off+int64(i))/size, sum[:2])
			}
		}
		if off += int64(n); n%size != 0 {
			break
		}
	}
	return out.String()
}
