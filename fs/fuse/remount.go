package fuse

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
)

// Remount gives the mount those of the options that mount(8) calls filesystem-independent:
// ReadOnly to DirSync, and the times of access. The others stay. It fails with Busy if it is
// to become read-only and a file is open for writing. Only root can do it.
func (m *Mount) Remount(o Options) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	if os.Geteuid() != 0 {
		return signet.Errorf(signet.NotPermitted, "remount", m.path, "only root can change a mount, and this host runs as user %d: unmount it, and mount it again", os.Geteuid())
	}
	at, err := mountAt(m.path)
	if err != nil || at == nil || at.dev != m.dev {
		return signet.Errorf(signet.NotFound, "remount", m.path, "it is not mounted there any more")
	}
	switch err := unix.Mount("", m.path, "", unix.MS_REMOUNT|o.flags(), ""); err {
	case nil:
	case unix.EBUSY:
		return signet.Errorf(signet.Busy, "remount", m.path, "a file is open for writing")
	default:
		return signet.Errorf(kindOf(err), "remount", m.path, "%w", err)
	}
	if m.setAtime != nil {
		m.setAtime(o.atime())
	}
	return nil
}

// OptionsAt returns the options of the mount of ours at path, as the kernel lists them. path
// is absolute and without symlinks.
func OptionsAt(path string) (string, error) {
	m, err := mountAt(path)
	if err != nil {
		return "", err
	}
	if m == nil || m.fstype != FSType {
		return "", signet.Errorf(signet.NotFound, "remount", path, "it is not a signet mount")
	}
	return m.options, nil
}
