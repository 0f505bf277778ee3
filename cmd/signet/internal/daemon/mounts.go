package daemon

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/crypto"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fuse"
	"github.com/signetfs/signet/internal/clock"
)

const (
	mountsFile = "mounts"

	// keyPatience is how long a mount waits for another host to give this one the key.
	keyPatience = 60 * time.Second
	// statePatience is how long it waits for a host that has just joined to catch up.
	statePatience = 120 * time.Second
	// leasePatience is how long a mount waits for a lease, and leaderPatience for a leader
	// to appear who could grant it: some elections.
	leasePatience  = 15 * time.Second
	leaderPatience = 4 * time.Second
	// syncPatience is how long an unmount waits until what is dirty is safe.
	syncPatience = 60 * time.Second
	// stopGrace is how long a host that stops waits for programs to let go of its mount.
	stopGrace = 3 * time.Second
	// lazyPatience is how long the end of a mount that is off its directory is waited for.
	lazyPatience = 2 * time.Second
	// pollState is how often a mount looks whether this host has caught up.
	pollState = 20 * time.Millisecond
)

// mounted is a mount of this host, from before it serves until nothing of it runs.
type mounted struct {
	fs     *fs.FS
	mount  *fuse.Mount
	cutoff consensus.Cutoff
	source string
	off    atomic.Bool   // taken off its directory, and still used
	gone   chan struct{} // closed when all is cleaned up
	failed error         // to be read after gone: what could not be made safe
}

func (m *mounted) row() control.Mount {
	return control.Mount{Mountpoint: m.mount.Path(), Source: m.source, Cutoff: cutoffName(m.cutoff)}
}

func cutoffName(c consensus.Cutoff) string {
	if c == consensus.CutoffFail {
		return "eio"
	}
	return "stale"
}

// mount mounts the volume. It returns when the mount is usable.
func (d *Daemon) mount(ctx context.Context, a control.MountArgs, progress func(string)) (*control.Mount, error) {
	if !filepath.IsAbs(a.Mountpoint) {
		return nil, signet.Errorf(signet.Invalid, "mount", a.Mountpoint, "the mountpoint is not an absolute path")
	}
	ring, name, err := d.mountable(ctx, &a, progress)
	if err != nil {
		return nil, signet.Wrap("mount", a.Mountpoint, err)
	}
	// Who joined without the key can read when people open the volume here, but has not got the
	// role to mount: the others refuse its changes, and writes would only fail late.
	guest := d.keys.secret == nil
	a.Options.ReadOnly = a.Options.ReadOnly || guest
	d.changing.Lock()
	defer d.changing.Unlock()
	d.awaitEnds(ctx)
	if err := d.roomFor(a.Mountpoint); err != nil {
		return nil, err
	}
	m, err := d.attach(ctx, &a, ring, name)
	if err != nil {
		return nil, err
	}
	row := m.row()
	if err := d.probe(ctx, m); err != nil {
		_ = m.mount.Unmount(context.WithoutCancel(ctx), fuse.Lazy)
		return nil, signet.Errorf(signet.KindOf(err), "mount", a.Mountpoint, "the volume's root cannot be read: %w", err)
	}
	switch _, leased := d.node.Log().Leased(); {
	case !leased && m.cutoff == consensus.CutoffFail:
		row.Warning = "this host cannot reach a majority of the voters: everything fails until it can. See 'signet status'"
	case !leased:
		row.Warning = "this host cannot reach a majority of the voters: what it shows may be old, and nothing can be changed. See 'signet status'"
	}
	if guest {
		row.Warning = strings.TrimPrefix(row.Warning+". ", ". ") + "this host joined with --no-key or --witness, so the others take no changes from it: mounted read-only"
	}
	notify("STATUS=mounted at " + m.mount.Path())
	return &row, nil
}

// probe reads the root of a new mount: one that cannot be read is of no use to anybody,
// but for a mount that is to fail as long as there is no lease.
func (d *Daemon) probe(ctx context.Context, m *mounted) error {
	ctx, cancel := context.WithTimeout(ctx, statePatience)
	defer cancel()
	r := &fs.Request{Ctx: ctx}
	defer r.Done()
	_, _, err := m.fs.GetAttr(r, signet.RootIno)
	if _, leased := d.node.Log().Leased(); !leased && m.cutoff == consensus.CutoffFail && signet.KindOf(err) == signet.Unavailable {
		return nil
	}
	return err
}

// mountable waits until this host could mount: it has the key and a state.
func (d *Daemon) mountable(ctx context.Context, a *control.MountArgs, progress func(string)) (*crypto.Keyring, string, error) {
	keyed, cancel := context.WithTimeout(ctx, keyPatience)
	defer cancel()
	ring, err := d.keys.await(keyed, func() { progress("waiting for a host that holds the volume's key to give it to this one") })
	if err != nil {
		return nil, "", err
	}
	caught, cancel := context.WithTimeout(ctx, statePatience)
	defer cancel()
	name, err := d.awaitState(caught, progress)
	if err != nil {
		return nil, "", err
	}
	d.awaitLease(ctx, progress)
	if a.Cluster != "" && a.Cluster != name {
		return nil, "", signet.Errorf(signet.Invalid, "", "", "the host in %s belongs to cluster %q, not to %q", d.config.Dir, name, a.Cluster)
	}
	return ring, name, nil
}

// awaitState waits until this host has the cluster's tables, and returns its name.
func (d *Daemon) awaitState(ctx context.Context, progress func(string)) (string, error) {
	slow := time.AfterFunc(waitQuietly, func() { progress("waiting to catch up with the cluster") })
	defer slow.Stop()
	for {
		name, err := d.clusterName()
		if err == nil || signet.KindOf(err) != signet.NotFound {
			return name, err
		}
		if sleep(ctx, pollState) != nil {
			return "", signet.Errorf(signet.Unavailable, "", "", "this host has nothing of the cluster yet and cannot reach the others: check their addresses, firewalls and 'signet status' there")
		}
	}
}

// awaitLease waits until this host has a lease, so that a mount shows the newest state
// from the start. While there is no leader it gives up early: with the majority lost,
// people want to read what is here.
func (d *Daemon) awaitLease(ctx context.Context, progress func(string)) {
	ctx, cancel := context.WithTimeout(ctx, leasePatience)
	defer cancel()
	slow := time.AfterFunc(waitQuietly, func() { progress("waiting for the cluster to answer") })
	defer slow.Stop()
	alone := time.Now().Add(leaderPatience)
	for {
		log := d.node.Log()
		if _, leased := log.Leased(); leased {
			return
		}
		if leader, _, _ := log.Lead(); leader != 0 {
			alone = time.Now().Add(leaderPatience)
		}
		if time.Now().After(alone) || sleep(ctx, pollState) != nil {
			return
		}
	}
}

func (d *Daemon) clusterName() (string, error) {
	r := d.node.Log().Reader(signet.DefaultVolume)
	defer r.Close()
	c, err := r.Cluster()
	if err == nil {
		_, err = r.Attr(signet.RootIno)
	}
	return c.Name, err
}

// awaitEnds gives mounts that umount(8) took off their directories the moment they need to
// end: who unmounts here and mounts there should not have to know about it.
func (d *Daemon) awaitEnds(ctx context.Context) {
	for _, m := range d.mountList() {
		if at, _, err := fuse.At(m.mount.Path()); err != nil || at == m.mount.Path() {
			continue
		}
		select {
		case <-m.mount.Done():
			select {
			case <-m.gone: // after syncPatience at the latest
			case <-ctx.Done():
			}
		case <-time.After(lazyPatience):
			m.off.Store(true)
		case <-ctx.Done():
		}
	}
}

// roomFor refuses a second mount: the change feed knows writes of this host as those of
// one kernel's mount.
func (d *Daemon) roomFor(path string) error {
	mounts := d.mountList()
	if len(mounts) == 0 {
		return nil
	}
	at := mounts[0].mount.Path()
	switch {
	case mounts[0].off.Load():
		return signet.Errorf(signet.Busy, "mount", path, "a program or a container still uses the mount that was taken off %s: it has to end first", at)
	case at == filepath.Clean(path):
		return signet.Errorf(signet.Busy, "mount", path, "this host has it mounted there already")
	}
	return signet.Errorf(signet.Busy, "mount", path, "this host has the volume mounted at %s already: unmount it first, or show it in a second place with 'mount --bind %s %s'", at, at, path)
}

// attach makes the mount and begins to serve it.
func (d *Daemon) attach(ctx context.Context, a *control.MountArgs, ring *crypto.Keyring, name string) (*mounted, error) {
	cutoff := consensus.CutoffStale
	if a.Options.Cutoff == "eio" {
		cutoff = consensus.CutoffFail
	}
	v := d.node.Volume(signet.DefaultVolume, cutoff)
	m := &mounted{cutoff: cutoff, source: name + ":/", gone: make(chan struct{})}
	m.fs = fs.New(fs.Config{
		Names: names{v}, Objects: v, Sealer: fs.NewKeys(ring, rand.Reader), Clock: clock.Real(),
		Report: func(err error) { d.logger.Error("data that was written is lost", "err", err) },
	})
	unsubscribe := v.Subscribe(func(ctx context.Context, b signet.Batch) { d.changed(ctx, m, b) })
	deafen := v.Answer(m.fs.Recalled)
	end := func() {
		deafen()
		unsubscribe()
	}
	if err := d.remember(a.Mountpoint); err != nil {
		end()
		return nil, errors.Join(err, m.fs.Close(ctx))
	}
	o := &a.Options
	var err error
	m.fs.SetSquash(fs.Squash{UID: o.UID, GID: o.GID})
	fo := fuseOptions(o)
	fo.Mountpoint, fo.Source, fo.Clock, fo.Log, fo.Panicked = a.Mountpoint, m.source, clock.Real(), d.logger, d.config.Panicked
	m.mount, err = fuse.New(ctx, m.fs, fo)
	if err != nil {
		end()
		return nil, errors.Join(err, m.fs.Close(ctx), d.remember(""))
	}
	d.mu.Lock()
	d.mounts = append(d.mounts, m)
	d.mu.Unlock()
	d.work.Go(func() { d.watchLease(m) })
	d.work.Go(func() { d.clean(m, end) })
	d.logger.Info("mounted", "mountpoint", m.mount.Path())
	return m, d.remember("")
}

// changed takes a batch of changes to a mount, and what a gap in them means.
func (d *Daemon) changed(ctx context.Context, m *mounted, b signet.Batch) {
	err := m.fs.Changed(ctx, b)
	if err == nil && b.All {
		err = m.fs.Forget(ctx)
	}
	if err != nil && ctx.Err() == nil {
		d.logger.Error("the kernel did not forget what changed", "err", err)
	}
}

// leaseMargin is how long before the end of a lease the kernel is made to forget, so
// that it has when the lease is over. A lease that lives is renewed much earlier.
const leaseMargin = 25 * time.Millisecond

// watchLease makes the kernel forget everything when this host loses its lease: from
// then on others need not wait for this host before they show a change.
func (d *Daemon) watchLease(m *mounted) {
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	go func() {
		<-m.gone
		cancel()
	}()
	lost := false
	for ctx.Err() == nil {
		until, leased := d.node.Log().Leased()
		left := time.Until(until) - leaseMargin
		switch {
		case leased && left > 0:
			lost = false
			_ = sleep(ctx, left)
		case lost:
			_ = sleep(ctx, pollState)
		default:
			lost = true
			if err := m.fs.Forget(ctx); err != nil && ctx.Err() == nil {
				d.logger.Warn("the lease is lost, and the kernel may still know something old", "err", err)
			}
		}
	}
}

// clean waits for the end of a mount, by whomever, and cleans up after it.
func (d *Daemon) clean(m *mounted, end func()) {
	<-m.mount.Done()
	if err := m.mount.Err(); err != nil {
		d.logger.Error("the mount ended", "mountpoint", m.mount.Path(), "err", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), syncPatience)
	defer cancel()
	m.failed = m.fs.Close(ctx)
	end()
	d.mu.Lock()
	d.mounts = slices.DeleteFunc(d.mounts, func(x *mounted) bool { return x == m })
	d.mu.Unlock()
	if err := d.remember(""); err != nil {
		d.logger.Warn("cannot note that a mount is gone", "err", err)
	}
	d.logger.Info("unmounted", "mountpoint", m.mount.Path(), "err", m.failed)
	close(m.gone)
}

// unmount ends a mount after what was written through it is safe.
func (d *Daemon) unmount(ctx context.Context, a control.UnmountArgs, progress func(string)) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	m := d.mountOn(a.Mountpoint)
	if m == nil {
		return signet.Errorf(signet.NotFound, "unmount", a.Mountpoint, "this host has nothing mounted there")
	}
	how := fuse.Clean
	switch {
	case a.Force:
		how = fuse.Force
	case a.Lazy:
		how = fuse.Lazy
	}
	if err := d.makeSafe(ctx, m, progress); err != nil && !a.Force {
		return signet.Errorf(signet.KindOf(err), "unmount", a.Mountpoint, "what was written there is not safe yet, so it stays mounted (--force gives it up): %w", err)
	}
	// Off its directory is what was asked for. That the mount ends can take as long as some
	// program likes, or a container that has a copy of it.
	short, cancel := context.WithTimeout(ctx, lazyPatience)
	defer cancel()
	err := m.mount.Unmount(short, how)
	if err == nil {
		select {
		case <-m.gone:
			return signet.Wrap("unmount", a.Mountpoint, m.failed)
		case <-short.Done():
			err = short.Err()
		}
	}
	if short.Err() != nil && ctx.Err() == nil {
		m.off.Store(true)
		progress("it is off its directory, but a program or a container still uses it: it ends when that lets go")
		return nil // clean does the rest then
	}
	return err
}

// makeSafe publishes what is dirty.
func (d *Daemon) makeSafe(ctx context.Context, m *mounted, progress func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, syncPatience)
	defer cancel()
	slow := time.AfterFunc(2*time.Second, func() { progress("writing what is dirty") })
	defer slow.Stop()
	return m.fs.Sync(ctx)
}

// unmountAll ends all mounts, whoever uses them. It returns false if a program holds on
// to one that was taken off its directory before: only the end of this process ends that.
func (d *Daemon) unmountAll() bool {
	all := true
	for _, m := range d.mountList() {
		ctx, cancel := context.WithTimeout(context.Background(), syncPatience)
		if err := d.makeSafe(ctx, m, func(string) {}); err != nil {
			d.logger.Error("what was written is not all safe", "mountpoint", m.mount.Path(), "err", err)
		}
		grace, stop := context.WithTimeout(ctx, stopGrace)
		err := m.mount.Unmount(grace, fuse.Clean)
		for signet.KindOf(err) == signet.Busy && grace.Err() == nil {
			err = m.mount.Unmount(grace, fuse.Clean)
		}
		stop()
		if err != nil {
			d.logger.Warn("the host stops, so programs lose the mount they use", "err", err)
			force, stop := context.WithTimeout(ctx, lazyPatience)
			_ = m.mount.Unmount(force, fuse.Force)
			stop()
		}
		select {
		case <-m.gone:
		case <-time.After(lazyPatience):
			all = false
		}
		cancel()
	}
	return all
}

func (d *Daemon) mountList() []*mounted {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.mounts)
}

// orphans lists the inodes without a name that programs here have open.
func (d *Daemon) orphans() ([]signet.Ino, bool) {
	var out []signet.Ino
	for _, m := range d.mountList() {
		out = append(out, m.fs.Orphans()...)
	}
	return out, false
}

// remember writes down what is mounted, and also, for a mount that comes to be.
func (d *Daemon) remember(also string) error {
	d.recording.Lock()
	defer d.recording.Unlock()
	paths := []string{}
	for _, m := range d.mountList() {
		paths = append(paths, m.mount.Path())
	}
	if also != "" {
		paths = append(paths, also)
	}
	b, err := json.Marshal(paths)
	if err != nil {
		return err
	}
	return d.disk.WriteFile(mountsFile, append(b, '\n'), 0o600)
}

// clearDead takes away the mounts that a killed daemon left.
func (d *Daemon) clearDead(ctx context.Context) error {
	b, err := d.disk.ReadFile(mountsFile, 1<<20)
	if signet.KindOf(err) == signet.NotFound {
		return nil
	}
	var paths []string
	if err == nil {
		err = json.Unmarshal(b, &paths)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", mountsFile, err)
	}
	for _, p := range paths {
		cleared, err := fuse.Clear(ctx, clock.Real(), p)
		if err != nil {
			d.logger.Warn("a mount that a killed daemon left cannot be cleared away", "err", err)
		}
		if cleared {
			d.logger.Info("cleared away a mount that a killed daemon left", "mountpoint", p)
		}
	}
	return d.remember("")
}
