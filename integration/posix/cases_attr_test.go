package posix

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// xattr notes an attribute's value, read into a buffer of n bytes.
func (s *scene) xattr(path, name string, n int) {
	b := make([]byte, n)
	got, err := unix.Lgetxattr(path, name, b)
	s.did(fmt.Sprintf("get %.20s of %d: %d %.8q", name, n, got, b[:min(max(got, 0), n)]), err)
}

var xattrCases = []testCase{
	{name: "sizes and buffers", run: func(s *scene) {
		s.file("f", "")
		for _, n := range []int{0, 1, 100, 1000} {
			name := fmt.Sprintf("user.%d", n)
			s.did(name, unix.Setxattr("f", name, []byte(strings.Repeat("v", n)), 0))
			for _, room := range []int{0, n - 1, n, n + 1} {
				s.xattr("f", name, max(room, 0))
			}
		}
		s.did("too large", unix.Setxattr("f", "user.large", make([]byte, 65537), 0))
		for _, n := range []int{249, 250, 251} {
			name := "user." + strings.Repeat("n", n)
			s.did(fmt.Sprint("name of ", n), unix.Setxattr("f", name, nil, 0))
			s.xattr("f", name, 10)
		}
		all, err := unix.Listxattr("f", nil)
		s.did(fmt.Sprint("names take ", all), err)
		_, err = unix.Listxattr("f", make([]byte, all-1))
		s.did("in too small a buffer", err)
	}},
	{name: "made, replaced, removed, missing", run: func(s *scene) {
		s.file("f", "")
		must(unix.Mkdir("d", 0o755))
		must(unix.Symlink("f", "l"))
		for _, path := range []string{"f", "d", "l"} {
			for _, name := range []string{"user.a", "trusted.a", "security.a", "system.a", "other.a", "user.", "none"} {
				s.xattr(path, name, 10)
				s.did("replace", unix.Lsetxattr(path, name, []byte("1"), unix.XATTR_REPLACE))
				s.did("create", unix.Lsetxattr(path, name, []byte("2"), unix.XATTR_CREATE))
				s.did("create again", unix.Lsetxattr(path, name, []byte("3"), unix.XATTR_CREATE))
				s.xattr(path, name, 10)
				s.did("remove", unix.Lremovexattr(path, name))
				s.did("remove again", unix.Lremovexattr(path, name))
			}
		}
	}},
	{name: "a label of SELinux", who: onlyRoot, run: func(s *scene) {
		s.file("f", "")
		s.did("set", unix.Setxattr("f", "security.selinux", []byte("a:b:c"), 0))
		s.xattr("f", "security.selinux", 20)
		s.did("remove", unix.Removexattr("f", "security.selinux"))
		s.did("remove again", unix.Removexattr("f", "security.selinux"))
	}},
	{name: "no label of SELinux", differs: "getxattr(2) of security.selinux where there is none is EOPNOTSUPP, not ENODATA, so that ls -l does not ask for it of each file", run: func(s *scene) {
		s.file("f", "")
		s.xattr("f", "security.selinux", 20)
	}},
}
