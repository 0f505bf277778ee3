package posix

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// call is one random call: what it does, and of what. Not all of it matters to all.
type call struct {
	kind     string
	path, to string
	slot     int // of a descriptor or mapping
	slot2    int
	flags    int
	mode     uint32
	off, n   int64
	off2     int64
	seed     byte // of the bytes that are written
	pick     int
	asRoot   bool
}

func (c call) String() string {
	return fmt.Sprintf("{%s path=%.40q to=%.40q fd=%d fd2=%d flags=%#x mode=%o off=%d n=%d off2=%d pick=%d root=%v}",
		c.kind, c.path, c.to, c.slot, c.slot2, c.flags, c.mode, c.off, c.n, c.off2, c.pick, c.asRoot)
}

// GoString is what rapid prints.
func (c call) GoString() string { return c.String() }

// outcome is what came back.
type outcome struct {
	errno  syscall.Errno
	n      int64
	data   []byte
	text   string
	poked  uint64 // inode that was written to through a mapping
	synced uint64 // inode of which such writes have reached the file
}

// err sets the errno.
func (o *outcome) err(err error) {
	if err == nil {
		return
	}
	e, ok := err.(syscall.Errno)
	if !ok {
		panic(err)
	}
	o.errno = e
}

// differs says how two outcomes differ.
func (o *outcome) differs(p *outcome) string {
	switch {
	case o.errno != p.errno:
		return fmt.Sprintf("ext4 says %q, signet %q", errText(o.errno), errText(p.errno))
	case o.n != p.n:
		return fmt.Sprintf("ext4 returns %d, signet %d", o.n, p.n)
	case o.text != p.text:
		return fmt.Sprintf("ext4 says %q, signet %q", o.text, p.text)
	case !bytes.Equal(o.data, p.data):
		i := 0
		for i < len(o.data) && i < len(p.data) && o.data[i] == p.data[i] {
			i++
		}
		return fmt.Sprintf("%d bytes on ext4, %d on signet; from byte %d on they differ: %.24x, %.24x", len(o.data), len(p.data), i, o.data[i:], p.data[i:])
	}
	return ""
}

func errText(e syscall.Errno) string {
	if e == 0 {
		return "success"
	}
	return unix.ErrnoName(e)
}

// weights says how often each kind of call is made.
var weights = map[string]int{
	"open": 14, "close": 4, "pwrite": 10, "pread": 8, "write": 4, "read": 4, "writev": 2, "readv": 2, "ftruncate": 4, "truncate": 3,
	"fallocate": 6, "seek": 2, "holes": 3, "copy range": 5, "sendfile": 2, "splice": 2, "map": 3, "poke": 4, "peek": 3, "msync": 2, "unmap": 1,
	"fsync": 1, "fdatasync": 1, "setfl": 2, "dup": 1,
	"mkdir": 5, "rmdir": 3, "mknod": 3, "symlink": 3, "readlink": 1, "link": 4, "unlink": 5, "rename": 9, "tmpfile": 2, "linkat": 2,
	"chmod": 3, "fchmod": 1, "chown": 3, "fchown": 1, "utimens": 3, "futimens": 1, "access": 2, "stat": 2, "statx": 1, "readdir": 1,
	"setxattr": 3, "getxattr": 1, "listxattr": 1, "removexattr": 2, "contents": 2,
}

// kinds are the keys of weights, each as often as it weighs, in an order that stays.
var kinds = func() (out []string) {
	for _, f := range families {
		for k := range f {
			if weights[k] == 0 {
				panic("no weight: " + k)
			}
		}
	}
	for _, k := range sortedKeys(weights) {
		for range weights[k] {
			out = append(out, k)
		}
	}
	return out
}()

// paths is what calls are made with: a small tree, so that they meet, and now and then
// something odd.
var paths = rapid.Custom(func(t *rapid.T) string {
	if rapid.IntRange(0, 11).Draw(t, "odd") == 11 {
		return rapid.SampledFrom(odd).Draw(t, "path")
	}
	return rapid.SampledFrom([]string{"a", "b", "c", "d", "a/x", "a/y", "a/d", "b/x", "b/d", "a/d/x", "a/d/e", "b/d/x"}).Draw(t, "path")
})

var odd = []string{
	".", "..", "", "a/", "b/x/", "a/.", "a/..", "./a", "a/d/../x", "a//x", "none/x", "a/x/y", "c/", "d/x/", "../w/b", "a/d/../../b/x",
	strings.Repeat("n", 255), strings.Repeat("n", 256), "a/" + strings.Repeat("\xff", 255), "a/\xff\x01\n \"*", "b/\xc3\xa4", "a/.hidden", "...", "-", "a/" + strings.Repeat("n", 256) + "/x",
	strings.Repeat("a/../", 818) + "a", strings.Repeat("a/../", 819) + "a", // PATH_MAX is 4096 with the zero byte
}

var offsets = rapid.Custom(func(t *rapid.T) int64 {
	switch rapid.IntRange(0, 9).Draw(t, "where") {
	case 0, 1, 2, 3:
		return rapid.Int64Range(0, 9000).Draw(t, "off")
	case 4, 5:
		return 4096 * rapid.Int64Range(0, 40).Draw(t, "off")
	case 6, 7:
		return rapid.Int64Range(0, 300000).Draw(t, "off")
	case 8:
		return 1<<40 + rapid.Int64Range(-5000, 5000).Draw(t, "off")
	}
	return rapid.SampledFrom([]int64{0, -1, 65536, 1 << 32, 4194304, 4194303}).Draw(t, "off")
})

var lengths = rapid.Custom(func(t *rapid.T) int64 {
	switch rapid.IntRange(0, 5).Draw(t, "size") {
	case 0:
		return rapid.SampledFrom([]int64{0, 1, 512, 4095, 4096, 4097, 131072}).Draw(t, "n")
	case 1, 2:
		return rapid.Int64Range(1, 9000).Draw(t, "n")
	case 3:
		return 4096 * rapid.Int64Range(1, 20).Draw(t, "n")
	}
	return rapid.Int64Range(1, 100).Draw(t, "n")
})

// calls draws a call. Everything is drawn for each kind, so that what is left after
// shrinking keeps its meaning.
var calls = rapid.Custom(func(t *rapid.T) call {
	c := call{
		kind: rapid.SampledFrom(kinds).Draw(t, "kind"), path: paths.Draw(t, "path"), slot: rapid.IntRange(0, slots-1).Draw(t, "fd"),
		seed: byte(rapid.IntRange(1, 255).Draw(t, "seed")), pick: rapid.IntRange(0, 63).Draw(t, "pick"), asRoot: rapid.IntRange(0, 3).Draw(t, "root") == 0,
	}
	switch c.kind {
	case "link", "rename", "linkat", "symlink":
		c.to = paths.Draw(t, "to")
	case "pwrite", "pread", "write", "read", "writev", "readv", "fallocate", "copy range", "sendfile", "splice", "poke", "peek", "seek", "ftruncate", "truncate", "contents", "holes":
		c.off, c.n, c.off2, c.slot2 = offsets.Draw(t, "off"), lengths.Draw(t, "n"), offsets.Draw(t, "off2"), rapid.IntRange(0, slots-1).Draw(t, "fd2")
	case "setxattr", "utimens", "futimens":
		c.n = rapid.Int64Range(0, 300).Draw(t, "n")
		c.off = rapid.Int64Range(-1<<31+1, 1<<34-1<<31-2).Draw(t, "sec") // what an inode of ext4 holds
	}
	c.mode = rapid.SampledFrom([]uint32{0o644, 0o600, 0o755, 0o777, 0o700, 0o400, 0o000, 0o4755, 0o2755, 0o6777, 0o1777, 0o070, 0o007, 0o222}).Draw(t, "mode")
	c.flags = openFlags(t)
	return c
})

// openFlags draws flags of open(2).
func openFlags(t *rapid.T) int {
	f := rapid.SampledFrom([]int{unix.O_RDWR, unix.O_RDWR, unix.O_RDWR, unix.O_RDONLY, unix.O_WRONLY}).Draw(t, "access")
	if rapid.IntRange(0, 2).Draw(t, "create") > 0 {
		f |= unix.O_CREAT
	}
	rare := []int{unix.O_EXCL, unix.O_TRUNC, unix.O_TRUNC, unix.O_APPEND, unix.O_APPEND, unix.O_DIRECT, unix.O_SYNC, unix.O_DSYNC, unix.O_PATH, unix.O_NOFOLLOW, unix.O_DIRECTORY, unix.O_NOATIME}
	for range 2 {
		if i := rapid.IntRange(0, 2*len(rare)).Draw(t, "flag"); i < len(rare) {
			f |= rare[i]
		}
	}
	return f
}

// make makes the call on one side.
func (c *call) make(m *machine, x *side) (o outcome) {
	for _, f := range families {
		if do := f[c.kind]; do != nil {
			do(c, m, x, &o)
			return o
		}
	}
	panic("no call " + c.kind)
}

// families are the kinds of calls.
var families = []map[string]func(*call, *machine, *side, *outcome){namesFamily, attrFamily, filesFamily, dataFamily, mapFamily}

// bytes are what the call writes: the beginning of a pattern that shows from where it is.
func (c *call) bytes(n int64) []byte {
	b := aligned(n)
	for i := range b {
		b[i] = c.seed + byte(i) + byte(i>>8)*7
	}
	return b
}

// aligned returns n bytes of memory that O_DIRECT may use.
func aligned(n int64) []byte {
	b := make([]byte, n+4096)
	skip := -int(addr(&b[0])) & 4095
	return b[skip : skip+int(n)]
}

func addr[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
