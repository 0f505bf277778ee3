package main

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/cmd/signet/internal/daemon"
)

const unmountHelp = `Takes a mount away after what was written through it is safe on enough hosts. If programs still
use it nothing happens, and the message names them. The host itself runs on: it stores and
votes. 'signet daemon --stop' stops it.

Examples:
   signet unmount /mnt/signet
   signet unmount --lazy /mnt/signet`

func unmountCommand() *cli.Command {
	return &cli.Command{
		Name: "unmount", Aliases: []string{"umount"}, Usage: "take a mount away, after what is dirty is safe",
		ArgsUsage: "MOUNTPOINT", Description: unmountHelp,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "lazy", Usage: "take it off its directory now; it ends when the last program lets go", DisableDefaultText: true},
			&cli.BoolFlag{Name: "force", Usage: "fail what still uses it, and give up what cannot be made safe", DisableDefaultText: true},
		},
		Action: action(1, 1, runUnmount),
	}
}

func runUnmount(c *cli.Context) error {
	place, err := daemon.Locate(c.Context, c.Args().First(), stateDirs(c)...)
	if err != nil {
		return err
	}
	if place.Path != place.Mountpoint {
		return fmt.Errorf("%s lies in the mount at %s. To take that away, say: signet unmount %s", c.Args().First(), place.Mountpoint, quoteAll([]string{place.Mountpoint}))
	}
	if place.State == "" {
		return unmountDead(c, place.Mountpoint)
	}
	a := control.UnmountArgs{Mountpoint: place.Mountpoint, Lazy: c.Bool("lazy"), Force: c.Bool("force")}
	if err := call(c, place.State, control.CallUnmount, a, nil); err != nil {
		return err
	}
	return show(c, map[string]string{"unmounted": place.Mountpoint}, func(w io.Writer) { fmt.Fprintf(w, "Unmounted %s.\n", place.Mountpoint) })
}

// unmountDead clears away what a killed daemon left.
func unmountDead(c *cli.Context, mountpoint string) error {
	cleared, err := daemon.ClearDead(c.Context, mountpoint)
	if err != nil {
		return err
	}
	if !cleared {
		hint := ""
		if os.Geteuid() != 0 {
			hint = ", or with sudo"
		}
		return fmt.Errorf("the daemon that serves %s is not one of this user: run this as its user%s", mountpoint, hint)
	}
	return show(c, map[string]string{"cleared": mountpoint}, func(w io.Writer) {
		fmt.Fprintf(w, "Cleared away the dead mount at %s: its daemon was killed.\n", mountpoint)
	})
}

// stateDirs is where to look for the daemon that serves a mount: where --state says, or
// in the default place first.
func stateDirs(c *cli.Context) []string {
	dir, err := stateDir(c)
	if err != nil {
		return nil
	}
	return []string{dir}
}
