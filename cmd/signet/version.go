package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

const versionHelp = `Says which signet this is. Hosts of one cluster may be of different versions while they are
updated; 'signet status --json' has that of the host that runs.

Examples:
   signet version
   signet version --json`

func versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "what program this is", Description: versionHelp,
		Action: action(0, 0, func(c *cli.Context) error {
			v := control.Version{Version: version, Go: runtime.Version(), Feature: meta.FeatureNewest, Control: control.Protocol}
			return show(c, v, func(w io.Writer) {
				fmt.Fprintf(w, "signet %s (%s, %s/%s)\n", v.Version, v.Go, runtime.GOOS, runtime.GOARCH)
			})
		}),
	}
}
