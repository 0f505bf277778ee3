package main

import (
	"io"

	"github.com/urfave/cli/v2"
)

const (
	hostHelp = `The hosts of the cluster, as the host of this machine knows them.

Example:
   signet host ls`

	hostListHelp = `Lists the hosts: number, name, address, zone, state, role, what they keep of what they offer,
and how many log entries they are behind the leader.

Examples:
   signet host ls
   signet host ls --json`
)

func hostCommand() *cli.Command {
	return &cli.Command{
		Name: "host", Usage: "the hosts of the cluster", Description: hostHelp, Subcommands: []*cli.Command{{
			Name: "ls", Usage: "list the hosts", Description: hostListHelp, Action: action(0, 0, runHostList),
		}},
	}
}

func runHostList(c *cli.Context) error {
	s, err := getStatus(c)
	if err != nil {
		return err
	}
	return show(c, s.Hosts, func(w io.Writer) { printHosts(w, s.Hosts) })
}
