package posix

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// namesFamily are the calls that make, move and remove names.
var namesFamily = map[string]func(*call, *machine, *side, *outcome){
	"mkdir": func(c *call, _ *machine, _ *side, o *outcome) { o.err(unix.Mkdir(c.path, c.mode)) },
	"rmdir": func(c *call, _ *machine, _ *side, o *outcome) { o.err(unix.Rmdir(c.path)) },
	"mknod": func(c *call, _ *machine, _ *side, o *outcome) {
		kind := []uint32{unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFREG, 0, unix.S_IFDIR, unix.S_IFLNK}[c.pick%8]
		o.err(unix.Mknod(c.path, kind|c.mode, int(unix.Mkdev(uint32(c.pick*70), uint32(c.seed)*999))))
	},
	"symlink":  func(c *call, _ *machine, _ *side, o *outcome) { o.err(unix.Symlink(c.path, c.to)) },
	"readlink": func(c *call, _ *machine, _ *side, o *outcome) { o.text = readLink(c.path, o) },
	"link": func(c *call, _ *machine, _ *side, o *outcome) {
		o.err(unix.Linkat(unix.AT_FDCWD, c.path, unix.AT_FDCWD, c.to, c.pick%2*unix.AT_SYMLINK_FOLLOW))
	},
	"unlink": func(c *call, _ *machine, _ *side, o *outcome) { o.err(unix.Unlink(c.path)) },
	"rename": func(c *call, _ *machine, _ *side, o *outcome) {
		flags := []uint{0, 0, 0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, unix.RENAME_EXCHANGE, unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE}[c.pick%8]
		o.err(unix.Renameat2(unix.AT_FDCWD, c.path, unix.AT_FDCWD, c.to, flags))
	},
	"linkat": func(c *call, m *machine, x *side, o *outcome) {
		if x.ways[c.slot].host != m.host {
			return // another mount: EXDEV, rightly
		}
		o.err(unix.Linkat(m.proc, fmt.Sprintf("self/fd/%d", x.fds[c.slot]), unix.AT_FDCWD, c.to, unix.AT_SYMLINK_FOLLOW))
		if x.fds[c.slot] < 0 {
			o.errno = 0
		}
	},
	"readdir": func(c *call, _ *machine, _ *side, o *outcome) {
		names, err := list(c.path)
		o.err(err)
		o.text = strings.Join(names, "/")
	},
}

func readLink(path string, o *outcome) string {
	b := make([]byte, 8192)
	n, err := unix.Readlink(path, b)
	o.err(err)
	return string(b[:max(n, 0)])
}

// list returns the names in a directory, each with its type, sorted.
func list(path string) ([]string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	all, err := entries(fd)
	var names []string
	for _, e := range all {
		names = append(names, fmt.Sprintf("%s %d", e.name, e.kind))
	}
	slices.Sort(names)
	return names, err
}

// entry is one of a directory's.
type entry struct {
	name string
	ino  uint64
	off  int64
	kind byte
}

// entries reads a directory to its end.
func entries(fd int) ([]entry, error) {
	var out []entry
	b := make([]byte, 32<<10)
	for {
		n, err := unix.Getdents(fd, b)
		if err != nil || n == 0 {
			return out, err
		}
		out = append(out, parse(b[:n])...)
	}
}

// parse takes apart what getdents64 returned.
func parse(b []byte) (out []entry) {
	for len(b) > 0 {
		size := int(native.Uint16(b[16:]))
		name, _, _ := strings.Cut(string(b[19:size]), "\x00")
		out = append(out, entry{name, native.Uint64(b), int64(native.Uint64(b[8:])), b[18]})
		b = b[size:]
	}
	return out
}

// removeAll removes a tree, whatever it is.
func removeAll(path string) error { return removeAt(unix.AT_FDCWD, path) }

func removeAt(dir int, name string) error {
	err := unix.Unlinkat(dir, name, 0)
	if err != unix.EISDIR {
		if err == unix.ENOENT {
			return nil
		}
		return err
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	all, err := entries(fd)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.name != "." && e.name != ".." {
			if err := removeAt(fd, e.name); err != nil {
				return err
			}
		}
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}
