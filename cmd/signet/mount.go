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
	"github.com/signetfs/signet/crypto"
)

const mountHelp = `Mounts the volume and returns when the mount can be used. If this host's daemon does not run
it is started in the background; it logs to DIR/log and runs on after 'signet unmount'.

Options (-o, separated by commas):
   ro, nosuid, nodev, noexec, sync, dirsync, noatime, relatime (the default),
   strictatime, nodiratime                  as in mount(8)
   remount          change these of a mount, as root: -o remount,ro
   uid=N, gid=N     everything appears as owned by user N, group N, and what is made belongs to
                    them
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
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "o", Usage: "mount `OPTIONS`"},
			&cli.StringFlag{Name: "passphrase-file", Usage: "open the volume with the passphrase in the first line of `FILE` (-: standard input), if this host has no key"},
			&cli.StringFlag{Name: "recovery-key-file", Usage: "the same with the recovery key in `FILE`"},
		},
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
	if o.remount {
		m, err := remount(c.Context, c.Args().First(), c.StringSlice("o"), c.App.ErrWriter, dir)
		if err != nil {
			return err
		}
		return show(c, m, func(w io.Writer) { fmt.Fprintf(w, "Remounted %s.\n", m.Mountpoint) })
	}
	target, err := target(c, c.Args().First(), o)
	if err != nil {
		return err
	}
	opener, err := readOpener(c)
	if err != nil {
		return err
	}
	m, err := mountAt(c, dir, target, opener)
	if err != nil {
		return err
	}
	return show(c, m, func(w io.Writer) { fmt.Fprintf(w, "Mounted at %s.\n", m.Mountpoint) })
}

// readOpener reads the secret with which to open the volume; nil if none was given.
func readOpener(c *cli.Context) (*daemon.Opener, error) {
	o := &daemon.Opener{Kind: crypto.SlotPassphrase}
	file, what := c.String("passphrase-file"), "passphrase"
	if f := c.String("recovery-key-file"); f != "" {
		if file != "" {
			return nil, usage("give --passphrase-file or --recovery-key-file, not both")
		}
		o.Kind, file, what = crypto.SlotRecovery, f, "recovery key"
	}
	if file == "" {
		return nil, nil
	}
	var err error
	o.Secret, err = readSecret(c, file, what)
	return o, err
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
	if o.remount {
		return nil, usage("-o: there is nothing to remount yet")
	}
	return target(c, c.String("mount"), o)
}

func target(c *cli.Context, path string, o *mountOptions) (*control.MountArgs, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	return &control.MountArgs{Mountpoint: abs, Options: o.MountOptions}, daemon.CheckMountpoint(c.Context, abs)
}

// mountAt mounts, with the daemon started if none runs.
func mountAt(c *cli.Context, dir string, a *control.MountArgs, opener *daemon.Opener) (*control.Mount, error) {
	m, err := mountWith(c.Context, dir, a, opener, c.App.ErrWriter)
	if err != nil {
		return nil, err
	}
	if m.Warning != "" {
		fmt.Fprintf(c.App.ErrWriter, "signet: warning: %s\n", m.Warning)
	}
	return m, nil
}

func mountWith(ctx context.Context, dir string, a *control.MountArgs, opener *daemon.Opener, messages io.Writer) (*control.Mount, error) {
	client := &control.Client{Dir: dir, Progress: progress(messages)}
	m, err := callMount(ctx, client, a, opener)
	if !errors.Is(err, control.ErrNotRunning) && !errors.Is(err, control.ErrEnded) {
		return m, err
	}
	if is, err := hostIn(dir); err != nil || !is {
		return nil, errors.Join(explain(control.ErrNotRunning, dir), err)
	}
	if err := daemon.CheckKey(dir, a.Mountpoint); err != nil && opener == nil {
		return nil, err
	}
	progress(messages)("starting the host in " + dir)
	if err := daemon.Start(ctx, dir); err != nil {
		return nil, err
	}
	m, err = callMount(ctx, client, a, opener)
	if err != nil {
		// It may have a vote by now, so stopping it again could stop the others.
		progress(messages)(fmt.Sprintf("the host runs, without a mount; 'signet daemon%s --stop' stops it", stateFlag(dir)))
	}
	return m, err
}

func callMount(ctx context.Context, client *control.Client, a *control.MountArgs, opener *daemon.Opener) (*control.Mount, error) {
	if opener != nil {
		if err := daemon.Unlock(ctx, client, *opener); err != nil {
			return nil, err
		}
	}
	m := &control.Mount{}
	return m, client.Call(ctx, control.CallMount, a, m)
}

// remount changes the options of a mount. What is not named stays. dirs are state
// directories to look for the daemon first.
func remount(ctx context.Context, path string, options []string, messages io.Writer, dirs ...string) (*control.Mount, error) {
	place, err := daemon.Locate(ctx, path, dirs...)
	switch {
	case err != nil:
		return nil, err
	case place.Path != place.Mountpoint:
		return nil, fmt.Errorf("%s is no mount: it lies in the one at %s", path, place.Mountpoint)
	case place.State == "":
		return nil, fmt.Errorf("no daemon of this user serves the mount at %s", place.Mountpoint)
	}
	now, err := daemon.MountedOptions(place.Mountpoint)
	if err != nil {
		return nil, err
	}
	o, err := parseOptions(append([]string{now}, options...))
	if err != nil {
		return nil, usage("-o: %v", err)
	}
	client, m := &control.Client{Dir: place.State, Progress: progress(messages)}, &control.Mount{}
	return m, client.Call(ctx, control.CallRemount, &control.MountArgs{Mountpoint: place.Mountpoint, Options: o.MountOptions}, m)
}
