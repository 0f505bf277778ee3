// Package need is how a test says what it cannot do without: root, /dev/fuse, a
// program, time. Where that is missing the test is skipped with the reason, so that
// an ordinary user runs what can be run; with CI=true in the environment it fails
// instead, so that no test ever goes missing unseen. It is the only place that
// skips (a house rule), and it keeps nothing and locks nothing.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Root skips the test unless it runs as root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "needs root")
	}
}

// FUSE skips the test unless this user can mount with FUSE: as root through
// /dev/fuse, else with fusermount3 as well.
func FUSE(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		skip(t, "needs /dev/fuse: "+err.Error())
		return
	}
	f.Close()
	if os.Geteuid() != 0 {
		Program(t, "fusermount3")
	}
}

// Program skips the test unless the named programs are in PATH.
func Program(t testing.TB, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			skip(t, "needs the program "+n+" (make deps installs it)")
		}
	}
}

// Time skips the test under -short: it is one of the long ones.
func Time(t testing.TB) {
	t.Helper()
	if testing.Short() {
		skip(t, "takes long, and -short was given")
	}
}

// Long says whether tests shall do what takes minutes (SIGNET_LONG=1: make test-long). If not
// they do less of the same.
func Long(t testing.TB) bool {
	t.Helper()
	long := os.Getenv("SIGNET_LONG") != ""
	if !long {
		t.Log("the short half (make test-long has the rest)")
	}
	return long
}

// That skips the test unless ok, for what the other functions do not know. why says
// what is needed.
func That(t testing.TB, ok bool, why string) {
	t.Helper()
	if !ok {
		skip(t, "needs "+why)
	}
}

func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("would be skipped, and CI=true: %s", why)
	}
	t.Skip(why)
}

// OwnMounts returns the beginning of a command that runs with mounts of its own: what it
// mounts does not show outside. The test must run as root.
func OwnMounts(t testing.TB) []string {
	t.Helper()
	Program(t, "unshare", "nsenter", "mount", "umount")
	// In a chroot the root directory is no mount, so unshare cannot make everything private
	// from there; entering the namespace that one is in leads to its own root, from where
	// mount can. Then what is mounted or unmounted here does not show outside. Copies of
	// other tests' mounts are dropped: they would keep those alive when they are unmounted.
	return []string{"unshare", "--mount", "--propagation", "unchanged", "sh", "-euc",
		`mount --make-rprivate / 2>/dev/null || nsenter --mount=/proc/self/ns/mnt mount --make-rprivate /; umount -l -a -t fuse.signet; exec "$@"`, "sh"}
}
