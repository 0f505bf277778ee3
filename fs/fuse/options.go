package fuse

import (
	"log/slog"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/internal/clock"
)

// FSType is what mounts of ours are called in /proc/mounts: mount -t FSType.
const FSType = "fuse." + subtype

const subtype = "signet"

// Options say where and how a volume is mounted. Mountpoint, Source, Clock and
// Panicked must be set.
type Options struct {
	Mountpoint string // an existing directory
	Source     string // what df shows as the device: "CLUSTER:/"

	// AllowOther lets other users in, as far as modes and owners allow. Without it
	// only the user who mounted gets in, not even root. An ordinary user may set it
	// only if user_allow_other is in /etc/fuse.conf.
	AllowOther bool

	// The mount options of mount(8) with these names. An ordinary user's mount is
	// always nosuid and nodev.
	ReadOnly, NoSUID, NoDev, NoExec, Sync, DirSync, NoAtime, NoDirAtime, StrictAtime bool

	// ReadAhead is how many KiB the kernel reads ahead of programs that read in
	// order. Only root can raise it above the kernel's 128. 0: 4096.
	ReadAhead int

	Clock clock.Clock
	Log   *slog.Logger // nil: nothing is logged

	// Panicked is told when a request made us panic, after that is in the log. The
	// state in memory may be wrong from then on, so a daemon ends itself here. If it
	// returns, the request fails with EIO and the mount goes on.
	Panicked func(value any, stack []byte)
}

func (o *Options) validate() error {
	const op = "mount"
	switch {
	case o.Mountpoint == "":
		return signet.Errorf(signet.Invalid, op, "", "no mountpoint given")
	case o.Source == "" || strings.ContainsRune(o.Source, 0):
		return signet.Errorf(signet.Invalid, op, o.Mountpoint, "no usable source given")
	case o.ReadAhead < 0:
		return signet.Errorf(signet.Invalid, op, o.Mountpoint, "read-ahead of %d KiB", o.ReadAhead)
	case o.Clock == nil || o.Panicked == nil:
		return signet.Errorf(signet.Invalid, op, o.Mountpoint, "Options.Clock and Options.Panicked must be set")
	}
	if o.ReadAhead == 0 {
		o.ReadAhead = 4096
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// atime is what the options say of times of access. The kernel leaves these to us; that it
// has the options too is so that everybody can see them.
func (o *Options) atime() fs.Atime {
	a := fs.Atime{Kind: fs.AtimeRelative, NoDirs: o.NoDirAtime}
	switch {
	case o.ReadOnly || o.NoAtime:
		a.Kind = fs.AtimeNever
	case o.StrictAtime:
		a.Kind = fs.AtimeStrict
	}
	return a
}

// flags are the options that mount(2) takes as bits.
func (o *Options) flags() (bits uintptr) {
	for _, f := range mountFlags {
		if f.of(o) {
			bits |= f.bit
		}
	}
	switch { // fusermount3 knows neither
	case o.NoAtime:
	case o.StrictAtime:
		bits |= unix.MS_STRICTATIME
	default:
		bits |= unix.MS_RELATIME // a remount that says nothing keeps what there is
	}
	return bits
}

// mountFlags are the options that mount(2) takes as bits, and their names for
// fusermount3.
var mountFlags = []struct {
	of   func(*Options) bool
	name string
	bit  uintptr
}{
	{func(o *Options) bool { return o.ReadOnly }, "ro", unix.MS_RDONLY},
	{func(o *Options) bool { return o.NoSUID }, "nosuid", unix.MS_NOSUID},
	{func(o *Options) bool { return o.NoDev }, "nodev", unix.MS_NODEV},
	{func(o *Options) bool { return o.NoExec }, "noexec", unix.MS_NOEXEC},
	{func(o *Options) bool { return o.Sync }, "sync", unix.MS_SYNCHRONOUS},
	{func(o *Options) bool { return o.DirSync }, "dirsync", unix.MS_DIRSYNC},
	{func(o *Options) bool { return o.NoAtime }, "noatime", unix.MS_NOATIME},
	{func(o *Options) bool { return o.NoDirAtime }, "nodiratime", unix.MS_NODIRATIME},
}
