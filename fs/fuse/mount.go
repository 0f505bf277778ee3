package fuse

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
)

// Mount is a volume attached to a directory of this host.
type Mount struct {
	path   string
	dev    string  // major:minor, by which we know that what is mounted at path is still ours
	opts   Options // as it was mounted
	server *server

	changing sync.Mutex     // held by Remount
	setAtime func(fs.Atime) // may be nil
}

// New mounts a volume and begins to serve it; when it returns, the mount is usable.
// It attaches itself to f as its Kernel. A dead mount that a crashed daemon left on
// the mountpoint is cleared away.
func New(ctx context.Context, f *fs.FS, o Options) (*Mount, error) {
	f.SetAtime(o.atime())
	m, err := mountVolume(ctx, f, f.Attach, o)
	if err == nil {
		m.setAtime = f.SetAtime
	}
	return m, err
}

func mountVolume(ctx context.Context, v volume, attach func(fs.Kernel), o Options) (*Mount, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	path, err := prepare(ctx, o.Clock, o.Mountpoint, func(p string) error { return detach(ctx, p, Lazy) })
	if err != nil {
		return nil, err
	}
	fd := -1
	if os.Geteuid() == 0 {
		fd, err = mountDirect(path, &o)
	} else {
		fd, err = mountHelped(ctx, path, &o)
	}
	if err != nil {
		return nil, err
	}
	m := &Mount{path: path, opts: o, server: newServer(&conn{fd: fd}, v, o.Clock, o.Log, o.Panicked)}
	if err := m.begin(attach); err != nil {
		detach(ctx, path, Lazy)
		m.server.conn.close()
		return nil, err
	}
	return m, nil
}

// begin serves INIT and starts the loop.
func (m *Mount) begin(attach func(fs.Kernel)) error {
	if err := m.server.initialise(); err != nil {
		return err
	}
	at, err := mountAt(m.path)
	if err != nil || at == nil {
		return signet.Errorf(signet.Other, "mount", m.path, "it is not in /proc/self/mountinfo (%v)", err)
	}
	m.dev, m.server.mapsDev = at.dev, mapsDev(at.dev)
	m.readAhead()
	attach(m.server)
	m.server.start()
	return nil
}

// readAhead has the kernel read further ahead than its 128 KiB, which no message of
// the protocol can do.
func (m *Mount) readAhead() {
	f, err := os.OpenFile("/sys/class/bdi/"+m.dev+"/read_ahead_kb", os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(m.opts.ReadAhead))
		f.Close()
	}
	if err != nil {
		m.opts.Log.Info("fuse: reading ahead stays at the kernel's default; raising it takes root", "err", err)
	}
}

// Path returns the directory, absolute and without symlinks.
func (m *Mount) Path() string { return m.path }

// Done is closed when the mount has ended, by whomever, and nothing of it runs any
// more.
func (m *Mount) Done() <-chan struct{} { return m.server.done }

// Err returns why the mount ended, nil if it was unmounted; only after Done.
func (m *Mount) Err() error { return m.server.err }

// Kernel says what the kernel of the mount can do, for status pages.
func (m *Mount) Kernel() string {
	k := &m.server.kernel
	return fmt.Sprintf("FUSE 7.%d, capabilities %#x, requests up to %d bytes", k.minor, k.flags, k.maxWrite)
}

// abort ends the connection to the kernel at once: what waits for it fails.
func abort(path string) {
	if os.Geteuid() == 0 {
		unix.Unmount(path, unix.MNT_FORCE|unix.UMOUNT_NOFOLLOW)
		return
	}
	// Where fusectl is mounted its file belongs to whoever mounted.
	if at, err := mountAt(path); err == nil && at != nil {
		os.WriteFile("/sys/fs/fuse/connections/"+at.minor()+"/abort", []byte("1"), 0)
	}
}
