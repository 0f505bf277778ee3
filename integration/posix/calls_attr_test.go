package posix

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

var native = binary.NativeEndian

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// strangersChown says whether the call is a stranger's chown(2) of neither user nor group of
// a set-uid file: the kernel does not tell us enough to refuse it, see the case "a
// stranger's chown to nothing".
func (c *call) strangersChown(st *unix.Stat_t) bool {
	return c.pick%16 == 15 && st.Mode&0o6000 != 0 && st.Uid != uint32(unix.Geteuid())
}

// attrFamily are the calls about attributes.
var attrFamily = map[string]func(*call, *machine, *side, *outcome){
	"chmod":  func(c *call, _ *machine, _ *side, o *outcome) { o.err(unix.Chmod(c.path, c.mode)) },
	"fchmod": func(c *call, _ *machine, x *side, o *outcome) { o.err(unix.Fchmod(x.fds[c.slot], c.mode)) },
	"chown": func(c *call, _ *machine, _ *side, o *outcome) {
		var st unix.Stat_t
		if unix.Stat(c.path, &st) == nil && c.strangersChown(&st) {
			return
		}
		f := unix.Chown
		if c.pick%3 == 0 {
			f = unix.Lchown
		}
		o.err(f(c.path, ids[c.pick%4], ids[c.pick/4%4]))
	},
	"fchown": func(c *call, _ *machine, x *side, o *outcome) {
		var st unix.Stat_t
		if unix.Fstat(x.fds[c.slot], &st) == nil && c.strangersChown(&st) {
			return
		}
		o.err(unix.Fchown(x.fds[c.slot], ids[c.pick%4], ids[c.pick/4%4]))
	},
	"utimens": func(c *call, _ *machine, _ *side, o *outcome) {
		flags := c.pick / 16 % 2 * unix.AT_SYMLINK_NOFOLLOW
		ts := c.times()
		o.err(unix.UtimesNanoAt(unix.AT_FDCWD, c.path, ts, flags))
		told(unix.AT_FDCWD, c.path, flags, ts, o)
	},
	"futimens": func(c *call, _ *machine, x *side, o *outcome) {
		ts := c.times()
		o.err(futimens(x.fds[c.slot], ts))
		told(x.fds[c.slot], "", unix.AT_EMPTY_PATH, ts, o)
	},
	"access": func(c *call, _ *machine, _ *side, o *outcome) {
		o.err(unix.Faccessat2(unix.AT_FDCWD, c.path, uint32(c.pick%8), []int{0, unix.AT_EACCESS, unix.AT_SYMLINK_NOFOLLOW, unix.AT_EACCESS}[c.pick/8%4]))
	},
	"stat": func(c *call, _ *machine, _ *side, o *outcome) {
		var st unix.Stat_t
		o.err(unix.Stat(c.path, &st))
		o.text = fmt.Sprintf("%o", st.Mode)
	},
	"statx": func(c *call, _ *machine, _ *side, o *outcome) {
		var st unix.Statx_t
		o.err(unix.Statx(unix.AT_FDCWD, c.path, []int{0, unix.AT_SYMLINK_NOFOLLOW, unix.AT_STATX_FORCE_SYNC, unix.AT_STATX_DONT_SYNC}[c.pick%4], unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st))
		o.text = fmt.Sprintf("%o", st.Mode)
		if c.pick%4 != 3 { // what is not to ask the filesystem gets no time of creation from FUSE
			o.text += fmt.Sprintf(" %#x", st.Mask&(unix.STATX_BASIC_STATS|unix.STATX_BTIME))
		}
	},
	"setxattr": func(c *call, _ *machine, _ *side, o *outcome) {
		f := unix.Setxattr
		if c.pick%3 == 0 {
			f = unix.Lsetxattr
		}
		o.err(f(c.path, xattrs[c.pick%len(xattrs)], c.bytes(c.n), []int{0, unix.XATTR_CREATE, unix.XATTR_REPLACE}[int(c.seed)%3]))
	},
	"getxattr": func(c *call, _ *machine, _ *side, o *outcome) {
		b := make([]byte, 4096)
		n, err := unix.Getxattr(c.path, xattrs[c.pick%len(xattrs)], b[:[]int{0, 4096, 10}[int(c.seed)%3]])
		o.err(err)
		o.n = int64(n)
		if n > 0 && int(c.seed)%3 != 0 {
			o.data = b[:n]
		}
	},
	"listxattr": func(c *call, _ *machine, _ *side, o *outcome) {
		names, err := xattrNames(c.path)
		o.err(err)
		o.text = strings.Join(names, " ")
	},
	"removexattr": func(c *call, _ *machine, _ *side, o *outcome) {
		o.err(unix.Removexattr(c.path, xattrs[c.pick%len(xattrs)]))
	},
}

var ids = []int{0, user, otherGroup, -1}

var xattrs = []string{"user.a", "user.b", "user." + strings.Repeat("l", 250), "user." + strings.Repeat("l", 251), "user.", "trusted.t", "nothing.x", "user"}

// xattrNames lists the extended attributes of what path leads to, sorted.
func xattrNames(path string) ([]string, error) {
	b := make([]byte, 64<<10)
	n, err := unix.Listxattr(path, b)
	if err != nil {
		return nil, err
	}
	names := strings.Split(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00")
	slices.Sort(names)
	return names, nil
}

// times are what utimensat(2) is asked to set: access and modification.
func (c *call) times() []unix.Timespec {
	at := func(k int) unix.Timespec {
		switch k % 4 {
		case 0:
			return unix.Timespec{Nsec: unix.UTIME_NOW}
		case 1:
			return unix.Timespec{Nsec: unix.UTIME_OMIT}
		case 2:
			return unix.Timespec{Sec: c.off / 7, Nsec: int64(c.seed)}
		}
		return unix.Timespec{Sec: c.off, Nsec: 999_999_999 - c.n}
	}
	return []unix.Timespec{at(c.pick), at(c.pick / 4)}
}

// told adds the times that were set to certain values.
func told(fd int, path string, flags int, ts []unix.Timespec, o *outcome) {
	var st unix.Statx_t
	if o.errno != 0 || unix.Statx(fd, path, flags, unix.STATX_BASIC_STATS, &st) != nil {
		return
	}
	for i, got := range []unix.StatxTimestamp{st.Atime, st.Mtime} {
		if ts[i].Nsec < 1e9 {
			o.text += fmt.Sprintf("%d.%09d ", got.Sec, got.Nsec)
		}
	}
}

func futimens(fd int, ts []unix.Timespec) error {
	_, _, e := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, addr(&ts[0]), 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
