package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/cmd/signet/internal/daemon"
)

const statHelp = `Shows the extents of a file on a mount of this machine, the objects they lie in, which hosts
have those, and how many hosts could be lost now without losing a byte of the file.

Example:
   signet stat /mnt/signet/report.pdf`

func statCommand() *cli.Command {
	return &cli.Command{
		Name: "stat", Usage: "where a file's bytes are, and how safe", ArgsUsage: "PATH", Description: statHelp,
		Action: action(1, 1, runStat),
	}
}

func runStat(c *cli.Context) error {
	s, err := getStat(c)
	if err != nil {
		return err
	}
	return show(c, s, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s, inode %d, %s\n", s.Path, s.Type, s.Inode, size(s.Size))
		if s.CanLose >= 0 {
			fmt.Fprintf(w, "Can lose %s and still be read.\n", hosts(uint32(s.CanLose)))
		} else {
			fmt.Fprintln(w, "CANNOT BE READ NOW: some of it is only on hosts that do not answer.")
		}
		if s.Type == "file" && len(s.Extents) > 0 {
			fmt.Fprintln(w)
			printExtents(w, s)
		}
	})
}

func printExtents(w io.Writer, s *control.Stat) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "OFFSET\tLENGTH\tFORM\tARC\tHOSTS\tOBJECT")
	for _, e := range s.Extents {
		arc, object := "-", "in the log"
		if e.Arc != nil {
			arc, object = fmt.Sprint(*e.Arc), e.Object
		}
		who := hostList(e.Hosts)
		if len(e.Down) > 0 {
			who += " (down: " + hostList(e.Down) + ")"
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\n", e.Offset, e.Length, e.Form, arc, who, object)
	}
	t.Flush()
}

// getStat asks the daemon of the mount that a path lies in.
func getStat(c *cli.Context) (*control.Stat, error) {
	path := c.Args().First()
	place, err := daemon.Locate(c.Context, path, stateDirs(c)...)
	if err != nil {
		return nil, err
	}
	if place.State == "" {
		return nil, fmt.Errorf("%s lies in the mount at %s, whose daemon is not running or is not one of this user", path, place.Mountpoint)
	}
	fi, err := os.Lstat(place.Path)
	if err != nil {
		return nil, err
	}
	if fi.Mode().IsRegular() {
		publish(place.Path)
	}
	st := fi.Sys().(*syscall.Stat_t)
	s := &control.Stat{}
	return s, call(c, place.State, control.CallStat, control.StatArgs{Path: path, Inode: st.Ino}, s)
}

// publish has what is still being written of a file made safe, so that it can be shown.
// Who may not read the file sees what is published already.
func publish(path string) {
	if f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
		_ = f.Sync()
		f.Close()
	}
}
