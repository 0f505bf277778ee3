package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signetfs/signet/internal/need"
)

// mountCommandEnv names the scripts that TestMountCommand runs when it has a machine of
// its own.
const mountCommandEnv = "SIGNET_TEST_MOUNT_COMMAND"

// TestMountCommand mounts with mount(8), from the command line and from /etc/fstab, as root
// and as an ordinary user: with what make install installs, and by way of package fuse3.
func TestMountCommand(t *testing.T) {
	if dir := os.Getenv(mountCommandEnv); dir != "" {
		home := os.Getenv("HOME")
		t.Cleanup(func() { stopAll(home) }) // also what is in /var/lib, which is in there
		testscript.Run(t, params(dir))
		return
	}
	need.Root(t)
	need.FUSE(t)
	need.Program(t, "fusermount3", "mount.fuse3", "setpriv", "make")
	for _, scripts := range []string{"root", "user", "fuse3"} {
		t.Run(scripts, func(t *testing.T) { runOnOwnMachine(t, scripts) })
	}
}

// ownMachine makes a place in which nothing of the machine's is changed and in which signet
// is installed: a directory of mount helpers, an empty /var/lib, an /etc/fstab that all may
// write, a user "seal", and a device that users may open.
const ownMachine = `dir=$1 scripts=$2 makefile=$3
sbin=$(readlink -f /sbin)
mkdir "$dir/sbin" && mount --bind "$sbin" "$dir/sbin"
mount -t tmpfs -o mode=755 tmpfs "$sbin"
for f in "$dir"/sbin/*; do ln -s "$f" "$sbin/"; done
cd "$dir" # which has a bin/signet
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin make -s -f "$makefile" install PREFIX="$dir/usr" # as sudo has it: no Go
ln -s "$dir/usr/bin/signet" "$sbin/signet" # the PATH that sh has by itself leads there
[ "$scripts" != fuse3 ] || rm "$sbin/mount.signet" "$sbin/mount.fuse.signet"

mknod "$dir/fuse" c 10 229 && chmod 666 "$dir/fuse" && mount --bind "$dir/fuse" /dev/fuse
: >"$dir/fstab" && chmod 666 "$dir/fstab"
[ -e /etc/fstab ] || : >/etc/fstab
mount --bind "$dir/fstab" /etc/fstab
mkdir "$dir/home/varlib" && chmod 755 "$dir/home/varlib" && mount --bind "$dir/home/varlib" /var/lib
cp /etc/passwd "$dir/passwd" && echo "seal:x:54321:54321::$dir/home:/bin/sh" >>"$dir/passwd"
mount --bind "$dir/passwd" /etc/passwd
export TMPDIR="$dir/home" HOME="$dir/home" FSTAB=/etc/fstab SIGNET_TEST_MOUNT_COMMAND="$dir/testdata/mountcommand/$scripts"
unset XDG_STATE_HOME
set -- ./signet.test -test.run='^TestMountCommand$' -test.v
[ "$scripts" = root ] || set -- setpriv --reuid=54321 --regid=54321 --clear-groups "$@"
exec "$@"`

// runOnOwnMachine runs the scripts of one directory, as root or as the user seal.
func runOnOwnMachine(t *testing.T, scripts string) {
	dir := openDir(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copyProgram(t, self, filepath.Join(dir, "signet.test"))
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	copyProgram(t, self, filepath.Join(dir, "bin", "signet"))
	makefile, err := filepath.Abs("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if scripts != "root" {
		if err := os.Chown(home, 54321, 54321); err != nil {
			t.Fatal(err)
		}
	}
	own := need.OwnMounts(t)
	cmd := exec.Command(own[0], append(own[1:], "sh", "-euc", ownMachine, "sh", dir, scripts, makefile)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else if testing.Verbose() {
		t.Logf("%s", out)
	}
}

// openDir makes a directory that every user may enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(fmt.Errorf("every directory above has to let the user through: %w", err))
		}
	}
	return dir
}

// Where this user cannot mount at all, signet mount says why and what helps.
func TestCannotMountHere(t *testing.T) {
	need.Root(t)
	need.FUSE(t)
	need.Program(t, "setpriv", "fusermount3")
	const nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
	for _, c := range []struct{ name, prepare, as, says string }{
		{"no device", `mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3`, "", "there is no /dev/fuse: load the kernel's module with 'modprobe fuse'"},
		{"no device for users", `mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3`, nobody, "there is no /dev/fuse: load the kernel's module with 'modprobe fuse'"},
		{"closed device", `mknod -m 600 "$dir/fuse" c 10 229 && mount --bind "$dir/fuse" /dev/fuse`, nobody, "this user may not open /dev/fuse"},
		{"no right to mount", ":", "setpriv --bounding-set=-sys_admin", "root lacks CAP_SYS_ADMIN here (a container needs it to mount)"},
		{"no fusermount3", `mknod -m 666 "$dir/fuse" c 10 229 && mount --bind "$dir/fuse" /dev/fuse
			mount --bind /dev/null "$(command -v fusermount3)"`, nobody, "fusermount3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := openDir(t)
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			copyProgram(t, self, filepath.Join(dir, "signet"))
			script := `dir=$1; cd "$dir"; mkdir home m; chmod 777 home m
as="env HOME=$dir/home ` + c.as + `"
$as ./signet init --state home/a --listen 127.0.0.1:0 >init 2>&1 || { cat init; exit 9; }
` + c.prepare + `
got=0; $as ./signet mount --state home/a m || got=$?
$as ./signet daemon --state home/a --stop || true # one that was started
exit $got`
			own := need.OwnMounts(t)
			out, err := exec.Command(own[0], append(own[1:], "sh", "-euc", script, "sh", dir)...).CombinedOutput()
			var failed *exec.ExitError
			if !errors.As(err, &failed) || failed.ExitCode() != exitFailed || !strings.Contains(string(out), c.says) {
				t.Errorf("%v, want exit status 1 and %q:\n%s", err, c.says, out)
			} else if testing.Verbose() {
				t.Logf("%s", out)
			}
		})
	}
}
