package main

import (
	"io"

	"github.com/urfave/cli/v2"
)

func hostCommand() *cli.Command {
	return &cli.Command{
		Name: "host", Usage: "the hosts of the cluster", Subcommands: []*cli.Command{{
			Name: "ls", Usage: "list the hosts", Action: action(0, 0, runHostList),
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
