package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/cmd/signet/internal/daemon"
)

const mountHelp = `Mounts the volume and returns when the mount can be used. If this host's daemon does not run
it is started in the background; it logs to DIR/log and runs on after 'signet unmount'.

Options (-o, separated by commas):
   ro, nosuid, nodev, noexec, noatime, nodiratime, sync, dirsync   as in mount(8)
   allow_other      let other users in, as far as modes and owners let them. On if root mounts
                    (noallow_other turns it off); an ordinary user needs user_allow_other in
                    /etc/fuse.conf
   cutoff=stale     without a majority of the voters, show an older state (the default)
   cutoff=eio       without a majority, fail

Examples:
   signet mount /mnt/signet
   signet mount -o ro,cutoff=eio /mnt/signet
   mount -t signet signet:/ /mnt/signet        (after 'make install')`

func mountCommand() *cli.Command {
	return &cli.Command{
		Name: "mount", Usage: "mount the volume", ArgsUsage: "MOUNTPOINT", Description: mountHelp,
		Flags:  []cli.Flag{&cli.StringSliceFlag{Name: "o", Usage: "mount `OPTIONS`"}},
		Action: action(1, 1, runMount),
	}
}

func runMount(c *cli.Context) error {
	dir, err := stateDir(c)
	if err != nil {
		return err
	}
	o, err := parseOptions(c.StringSlice("o"))
	if err != nil {
		return usage("-o: %v", err)
	}
	if o.state != "" && !stateGiven(c) {
		dir = o.state
	}
	target, err := target(c.Args().First(), o)
	if err != nil {
		return err
	}
	m, err := mountAt(c, dir, target)
	if err != nil {
		return err
	}
	return show(c, m, func(w io.Writer) { fmt.Fprintf(w, "Mounted at %s.\n", m.Mountpoint) })
}

// mountTarget reads --mount and -o of init and join; nil if nothing is to be mounted.
func mountTarget(c *cli.Context) (*control.MountArgs, error) {
	if c.String("mount") == "" {
		if len(c.StringSlice("o")) > 0 {
			return nil, usage("-o is for --mount MOUNTPOINT")
		}
		return nil, nil
	}
	o, err := parseOptions(c.StringSlice("o"))
	if err != nil {
		return nil, usage("-o: %v", err)
	}
	return target(c.String("mount"), o)
}

func target(path string, o *mountOptions) (*control.MountArgs, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	return &control.MountArgs{Mountpoint: abs, Options: o.MountOptions}, daemon.CheckMountpoint(abs)
}

// mountAt mounts, with the daemon started if none runs.
func mountAt(c *cli.Context, dir string, a *control.MountArgs) (*control.Mount, error) {
	m, err := mountWith(c.Context, dir, a, c.App.ErrWriter)
	if err != nil {
		return nil, err
	}
	if m.Warning != "" {
		fmt.Fprintf(c.App.ErrWriter, "signet: warning: %s\n", m.Warning)
	}
	return m, nil
}

func mountWith(ctx context.Context, dir string, a *control.MountArgs, messages io.Writer) (*control.Mount, error) {
	client := &control.Client{Dir: dir, Progress: progress(messages)}
	var m control.Mount
	err := client.Call(ctx, control.CallMount, a, &m)
	if !errors.Is(err, control.ErrNotRunning) {
		return &m, err
	}
	if is, err := hostIn(dir); err != nil || !is {
		return nil, errors.Join(explain(control.ErrNotRunning, dir), err)
	}
	progress(messages)("starting the host in " + dir)
	if err := daemon.Start(ctx, dir); err != nil {
		return nil, err
	}
	if err := client.Call(ctx, control.CallMount, a, &m); err != nil {
		// Who could not mount has changed nothing.
		_, stopped := daemon.Stop(context.WithoutCancel(ctx), dir, func(string) {})
		return nil, errors.Join(err, stopped)
	}
	return &m, nil
}
