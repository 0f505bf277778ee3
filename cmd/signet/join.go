package main

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/cmd/signet/internal/daemon"
)

const joinHelp = `Makes this host a member of a cluster. The token comes from 'signet init' or 'signet token
create' on a host of the cluster; it is asked for, or read from standard input or a file. It
never stands on the command line, which everybody on this machine can read.

A host that holds the volume's key gives it to this one, unless --no-key is given: then this
host stores objects and votes, and cannot open what it stores.

Examples:
   signet join --mount /mnt/signet
   ssh first signet token create | signet join --zone rack2
   signet join --no-key --token-file /run/token`

func joinCommand() *cli.Command {
	return &cli.Command{
		Name: "join", Usage: "make this host a member of a cluster", Description: joinHelp,
		Flags: append(hostFlags(),
			&cli.StringFlag{Name: "token-file", Usage: "read the join token from `FILE` (-: standard input)"},
			&cli.BoolFlag{Name: "no-key", Usage: "store and vote, but do not hold the volume's key: this host cannot mount", DisableDefaultText: true},
			&cli.BoolFlag{Name: "witness", Usage: "only vote: store no objects, hold no key", DisableDefaultText: true},
		),
		Action: action(0, 0, runJoin),
	}
}

func runJoin(c *cli.Context) error {
	host, err := hostConfig(c)
	if err != nil {
		return err
	}
	target, err := mountTarget(c)
	if err != nil {
		return err
	}
	config := daemon.JoinConfig{HostConfig: host, Roles: meta.RoleAll, Key: true}
	switch {
	case c.Bool("no-key") && c.Bool("witness"):
		return usage("--witness includes --no-key: give one of them")
	case c.Bool("witness"):
		config.Roles, config.Key = meta.RoleVote, false
	case c.Bool("no-key"):
		config.Roles, config.Key = meta.RoleStore|meta.RoleVote, false
	}
	if target != nil && !config.Key {
		return usage("--mount: a host without the volume's key cannot mount: leave out --no-key or --witness, or --mount")
	}
	if config.Token, err = readToken(c); err != nil {
		return err
	}
	progress(c.App.ErrWriter)("joining through " + config.Token.Addrs[0])
	out, err := daemon.Join(c.Context, config)
	if err != nil {
		return err
	}
	asJSON := lookup(c, "json").Bool("json")
	if !asJSON {
		printJoin(c.App.Writer, out, config.Key, target != nil)
	}
	var failed error
	if target != nil {
		if out.Mount, failed = mountAt(c, host.Dir, target, nil); failed != nil {
			out.Error = fault(failed)
			failed = &told{failed}
		} else if !asJSON {
			fmt.Fprintf(c.App.Writer, "Mounted at %s.\n", out.Mount.Mountpoint)
		}
	}
	if asJSON {
		if err := show(c, out, nil); err != nil {
			return err
		}
	}
	return failed
}

func printJoin(w io.Writer, j *control.Join, key, mounting bool) {
	fmt.Fprintf(w, "Joined. This is host-%d at %s; its state is in %s.\n", j.Host, j.Address, j.State)
	if mounting {
		return
	}
	state := stateFlag(j.State)
	fmt.Fprintf(w, "\nThis host does not run yet. Start it with\n\n")
	if key {
		fmt.Fprintf(w, "    signet mount%s MOUNTPOINT\n", state)
	}
	fmt.Fprintf(w, "    signet daemon%s\n", state)
}

// readToken gets the join token from where it may come from.
func readToken(c *cli.Context) (member.Token, error) {
	file := c.String("token-file")
	in, isFile := c.App.Reader.(*os.File)
	var text []byte
	var err error
	switch {
	case file != "":
		text, err = readSecret(c, file, "join token")
	case isFile && term.IsTerminal(int(in.Fd())):
		fmt.Fprint(c.App.ErrWriter, "Join token: ")
		text, err = term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(c.App.ErrWriter)
	default:
		text, err = io.ReadAll(io.LimitReader(c.App.Reader, 8<<10))
	}
	if err != nil {
		return member.Token{}, err
	}
	defer clear(text)
	return member.ParseToken(string(text))
}
