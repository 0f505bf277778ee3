package fuse

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
)

// mountDirect opens /dev/fuse and mounts it, which only root may do. The descriptor
// is closed in children: one that a child holds would keep the mount from dying with
// the daemon, and whoever uses it would hang.
func mountDirect(path string, o *Options) (int, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, deviceError(err)
	}
	data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d,max_read=%d,default_permissions",
		fd, os.Geteuid(), os.Getegid(), maxWrite)
	if o.AllowOther {
		data += ",allow_other"
	}
	if err := unix.Mount(o.Source, path, FSType, o.flags(), data); err != nil {
		unix.Close(fd)
		return -1, mountError(path, err)
	}
	return fd, nil
}

func deviceError(err error) error {
	const op = "open /dev/fuse"
	switch err {
	case syscall.ENOENT, syscall.ENODEV, syscall.ENXIO:
		return signet.Errorf(signet.NotSupported, op, "", "the kernel offers no FUSE here: load the module (modprobe fuse), or give the container the device /dev/fuse")
	case syscall.EACCES, syscall.EPERM:
		return signet.Errorf(signet.Permission, op, "", "not permitted: a container must be given the device /dev/fuse")
	}
	return signet.Errorf(signet.Other, op, "", "%w", err)
}

func mountError(path string, err error) error {
	switch err {
	case syscall.EPERM:
		return signet.Errorf(signet.NotPermitted, "mount", path, "not permitted: root lacks CAP_SYS_ADMIN here (a container needs it to mount)")
	case syscall.ENODEV:
		return signet.Errorf(signet.NotSupported, "mount", path, "the kernel knows no filesystem %s: load the module (modprobe fuse)", FSType)
	}
	return signet.Errorf(kindOf(err), "mount", path, "%w", err)
}

// findFusermount returns the path of the set-uid helper with which ordinary users
// mount.
func findFusermount() (string, error) {
	const name = "fusermount3"
	for _, n := range []string{name, "/usr/bin/" + name, "/bin/" + name} {
		if p, err := exec.LookPath(n); err == nil {
			return p, nil
		}
	}
	return "", signet.Errorf(signet.NotFound, "run", name, "not installed: only with it can an ordinary user mount (Debian: apt install fuse3)")
}

// mountHelped has fusermount3 open /dev/fuse, mount it and send us the descriptor
// over a socket.
func mountHelped(ctx context.Context, path string, o *Options) (int, error) {
	bin, err := findFusermount()
	if err != nil {
		return -1, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, signet.Wrap("mount", path, err)
	}
	defer unix.Close(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "fusermount3")
	defer theirs.Close()

	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, bin, "-o", helperOptions(o), "--", path)
	cmd.Dir, cmd.Env = "/", []string{"_FUSE_COMMFD=3", "LC_ALL=C"}
	cmd.ExtraFiles, cmd.Stderr = []*os.File{theirs}, &said
	if err := cmd.Run(); err != nil {
		return -1, helperError(path, o, err, said.String())
	}
	return receive(pair[0])
}

// helperOptions is what follows -o.
func helperOptions(o *Options) string {
	opts := []string{"fsname=" + escapeOption(o.Source), "subtype=" + subtype, fmt.Sprintf("max_read=%d", maxWrite), "default_permissions"}
	if o.AllowOther {
		opts = append(opts, "allow_other")
	}
	for _, f := range mountFlags {
		if f.of(o) {
			opts = append(opts, f.name)
		}
	}
	return strings.Join(opts, ",")
}

// escapeOption keeps a comma in an option's value from ending it.
func escapeOption(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(s)
}

// helperError says why fusermount3 failed, in our words where we can find out.
func helperError(path string, o *Options, err error, said string) error {
	said = strings.TrimSpace(said)
	if _, serr := os.Stat("/dev/fuse"); os.IsNotExist(serr) {
		return deviceError(syscall.ENOENT)
	}
	if unix.Access("/dev/fuse", unix.R_OK|unix.W_OK) != nil {
		return signet.Errorf(signet.Permission, "open /dev/fuse", "", "this user may not open it: udev gives it mode 0666, here somebody has to (chmod 666 /dev/fuse)")
	}
	if o.AllowOther && !userAllowOther() {
		return signet.Errorf(signet.NotPermitted, "mount", path, "allow_other is for ordinary users only if /etc/fuse.conf has a line user_allow_other: add it, or mount without allow_other")
	}
	if unix.Access(path, unix.W_OK) != nil {
		return signet.Errorf(signet.Permission, "mount", path, "an ordinary user can mount only on a directory that he may write to (fusermount3: %s)", said)
	}
	return signet.Errorf(signet.Other, "mount", path, "fusermount3: %w: %s", err, said)
}

// userAllowOther says whether ordinary users may use allow_other.
func userAllowOther() bool {
	f, err := os.Open("/etc/fuse.conf")
	if err != nil {
		return false
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if strings.TrimSpace(sc.Text()) == "user_allow_other" {
			return true
		}
	}
	return false
}

// receive takes the one descriptor that was sent over a socket.
func receive(sock int) (int, error) {
	const op = "take /dev/fuse from fusermount3"
	data, oob := make([]byte, 16), make([]byte, 128)
	// It has ended, so what it sent is here. CLOEXEC from the first moment on.
	_, n, _, _, err := unix.Recvmsg(sock, data, oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return -1, signet.Wrap(op, "", err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		return -1, signet.Errorf(signet.BadMessage, op, "", "%d control messages (%v)", len(msgs), err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return -1, signet.Errorf(signet.BadMessage, op, "", "%d descriptors (%v)", len(fds), err)
	}
	return fds[0], nil
}
