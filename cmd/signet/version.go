package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

func versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "what program this is",
		Action: action(0, 0, func(c *cli.Context) error {
			v := control.Version{Version: version, Go: runtime.Version(), Feature: meta.FeatureNewest, Control: control.Protocol}
			return show(c, v, func(w io.Writer) {
				fmt.Fprintf(w, "signet %s (%s, %s/%s)\n", v.Version, v.Go, runtime.GOOS, runtime.GOARCH)
			})
		}),
	}
}
