package daemon

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/fs/fuse"
)

// fuseOptions are the options of a mount that the kernel, or package fuse, is told.
func fuseOptions(o *control.MountOptions) fuse.Options {
	return fuse.Options{
		AllowOther: o.AllowOther, ReadOnly: o.ReadOnly, NoSUID: o.NoSUID, NoDev: o.NoDev, NoExec: o.NoExec,
		Sync: o.Sync, DirSync: o.DirSync, NoAtime: o.NoAtime, NoDirAtime: o.NoDirAtime, StrictAtime: o.StrictAtime,
	}
}

// mountOn returns the mount of this host on a directory, nil if there is none.
func (d *Daemon) mountOn(path string) *mounted {
	for _, m := range d.mountList() {
		if m.mount.Path() == filepath.Clean(path) {
			return m
		}
	}
	return nil
}

// remount gives a mount other options: those that the kernel can change. Before it gets
// read-only what is dirty is published.
func (d *Daemon) remount(ctx context.Context, a control.MountArgs, progress func(string)) (*control.Mount, error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	m := d.mountOn(a.Mountpoint)
	if m == nil {
		return nil, signet.Errorf(signet.NotFound, "remount", a.Mountpoint, "this host has nothing mounted there")
	}
	row := m.row()
	if !a.Options.ReadOnly && d.keys.secret == nil {
		a.Options.ReadOnly = true
		row.Warning = "this host joined with --no-key or --witness, so the others take no changes from it: it stays read-only"
	}
	if err := d.makeSafe(ctx, m, progress); err != nil && a.Options.ReadOnly {
		return nil, signet.Errorf(signet.KindOf(err), "remount", a.Mountpoint, "what was written there is not safe yet, so nothing is changed: %w", err)
	}
	if err := m.mount.Remount(fuseOptions(&a.Options)); err != nil {
		return nil, err
	}
	// The kernel has written back what was dirty in mappings.
	return &row, d.makeSafe(ctx, m, progress)
}

// MountedOptions returns the options that a mount has, as mount -o takes them.
func MountedOptions(path string) (string, error) {
	options, err := fuse.OptionsAt(path)
	if err != nil {
		return "", err
	}
	list := strings.Split(options, ",")
	relative := false
	for _, o := range list {
		relative = relative || o == "relatime" || o == "noatime"
	}
	if !relative {
		options += ",strictatime" // which the kernel has no word for
	}
	return options, nil
}
