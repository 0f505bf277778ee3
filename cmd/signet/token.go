package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/cmd/signet/internal/daemon"
)

const (
	tokenHelp = `A join token lets hosts join: it says where to find this host and who it is, and holds a secret
of which the cluster keeps only a digest. It expires, counts its uses, and can be revoked. It
never holds the volume's key.

Examples:
   signet token create
   signet token create --uses 5 --expires 1h
   signet token ls
   signet token revoke 3f9a62c81d04`

	tokenCreateHelp = `Prints a join token on standard output, and nothing else there. It can be asked for on any host
that runs. It is for one host and a day unless told otherwise.

Examples:
   signet token create
   signet token create --uses 5 --expires 1h
   signet token create | ssh second signet join`

	tokenListHelp = `Lists the tokens by their ids, with what is left of them. What a token says is not kept, so
it cannot be shown again.

Examples:
   signet token ls
   signet token ls --json`

	tokenRevokeHelp = `Makes a token worthless from now on. Hosts that joined with it stay members. ID is what 'signet
token ls' shows, or the beginning of it if no other begins so.

Example:
   signet token revoke 3f9a62c81d04`
)

func tokenCommand() *cli.Command {
	return &cli.Command{
		Name: "token", Usage: "join tokens", Description: tokenHelp,
		Subcommands: []*cli.Command{
			{
				Name: "create", Usage: "make a join token and print it", Description: tokenCreateHelp,
				Flags: []cli.Flag{
					&cli.UintFlag{Name: "uses", Usage: "good for `N` hosts", Value: 1},
					&cli.DurationFlag{Name: "expires", Usage: "good for this `TIME`, such as 30m or 24h", Value: daemon.TokenTime},
				},
				Action: action(0, 0, runTokenCreate),
			},
			{
				Name: "ls", Usage: "list the tokens that the cluster remembers, without their secrets", Description: tokenListHelp,
				Action: action(0, 0, runTokenList),
			},
			{
				Name: "revoke", Usage: "make a token worthless", ArgsUsage: "ID", Description: tokenRevokeHelp,
				Action: action(1, 1, runTokenRevoke),
			},
		},
	}
}

func runTokenCreate(c *cli.Context) error {
	uses, expires := c.Uint("uses"), c.Duration("expires")
	if uses < 1 || uses > 1<<20 {
		return usage("--uses %d: want 1 to %d", uses, 1<<20)
	}
	if expires < time.Second || expires > 10*365*24*time.Hour {
		return usage("--expires %v: want one second to ten years", expires)
	}
	dir, err := stateDir(c)
	if err != nil {
		return err
	}
	var t control.Token
	a := control.TokenArgs{Uses: uint32(uses), Seconds: int64(expires.Seconds()), Roles: meta.RoleAll}
	if err := call(c, dir, control.CallTokenCreate, a, &t); err != nil {
		return err
	}
	return show(c, t, func(w io.Writer) {
		// The token alone on standard output, for pipes.
		fmt.Fprintf(c.App.ErrWriter, "Good for %s until %s. On the new host, run 'signet join --mount MOUNTPOINT' and give it:\n", hosts(t.Uses), t.Expires)
		fmt.Fprintln(w, t.Token)
	})
}

func hosts(n uint32) string {
	if n == 1 {
		return "1 host"
	}
	return fmt.Sprintf("%d hosts", n)
}

func runTokenList(c *cli.Context) error {
	dir, err := stateDir(c)
	if err != nil {
		return err
	}
	list := []control.TokenRow{}
	if err := call(c, dir, control.CallTokenList, nil, &list); err != nil {
		return err
	}
	return show(c, list, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tSTATE\tUSED\tLEFT\tEXPIRES\tROLES")
		for _, r := range list {
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\n", r.ID, r.State, r.Used, r.Left, r.Expires, strings.Join(r.Roles, ","))
		}
		t.Flush()
	})
}

func runTokenRevoke(c *cli.Context) error {
	dir, err := stateDir(c)
	if err != nil {
		return err
	}
	var r control.TokenRow
	if err := call(c, dir, control.CallTokenRevoke, control.RevokeArgs{ID: c.Args().First()}, &r); err != nil {
		return err
	}
	return show(c, r, func(w io.Writer) { fmt.Fprintf(w, "Revoked the token %s.\n", r.ID) })
}
