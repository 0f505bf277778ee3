package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet/cmd/signet/internal/control"
)

const (
	ringHelp = `Objects lie on a circle of arcs, each with owner hosts; every host knows the whole circle.

Examples:
   signet ring show
   signet ring show --arcs
   signet ring locate /mnt/signet/report.pdf`

	ringShowHelp = `Shows each host's share of the ring, and of the first arcs, or with --arcs of all, the owners,
predecessor and successor.

Examples:
   signet ring show
   signet ring show --arcs --json`

	ringLocateHelp = `Shows on which hosts the pieces of a file on a mount of this machine lie. 'signet stat' shows the
same, and how many hosts the file can lose.

Examples:
   signet ring locate /mnt/signet/report.pdf
   signet ring locate --json /mnt/signet/report.pdf`
)

func ringCommand() *cli.Command {
	return &cli.Command{
		Name: "ring", Usage: "who keeps what", Description: ringHelp,
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "the hosts' shares, and the arcs with their owners and neighbours",
				Description: ringShowHelp,
				Flags:       []cli.Flag{&cli.BoolFlag{Name: "arcs", Usage: "list every arc", DisableDefaultText: true}},
				Action:      action(0, 0, runRingShow),
			},
			{
				Name: "locate", Usage: "which hosts keep a file's bytes", ArgsUsage: "PATH", Description: ringLocateHelp,
				Action: action(1, 1, runLocate),
			},
		},
	}
}

func runRingShow(c *cli.Context) error {
	dir, err := stateDir(c)
	if err != nil {
		return err
	}
	var r control.Ring
	if err := call(c, dir, control.CallRing, control.RingArgs{Arcs: c.Bool("arcs")}, &r); err != nil {
		return err
	}
	return show(c, r, func(w io.Writer) { printRing(w, &r) })
}

func printRing(w io.Writer, r *control.Ring) {
	fmt.Fprintf(w, "%d arcs, %d copies wanted", r.Arcs, r.Copies)
	if r.Moving > 0 {
		fmt.Fprintf(w, ", %d arcs on the move", r.Moving)
	}
	fmt.Fprint(w, "\n\n")
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "HOST\tNAME\tZONE\tSTATE\tWEIGHT\tPRIMARY OF\tOWNER OF\tSHARE")
	for _, h := range r.Hosts {
		fmt.Fprintf(t, "host-%d\t%s\t%s\t%s\t%d\t%d arcs\t%d arcs\t%.1f %%\n", h.ID, dash(h.Name), dash(h.Zone), h.State, h.Weight, h.Primary, h.Owned, 100*h.Share)
	}
	t.Flush()
	fmt.Fprintln(w)
	fmt.Fprintln(t, "ARC\tKEYS\tOWNERS\tPREDECESSOR\tSUCCESSOR\tMOVING FROM")
	for _, a := range r.List {
		from := "-"
		if len(a.Previous) > 0 {
			from = hostList(a.Previous)
		}
		fmt.Fprintf(t, "%d\t%s-%s\t%s\thost-%d\thost-%d\t%s\n", a.Arc, a.From, a.To, hostList(a.Owners), a.Predecessor, a.Successor, from)
	}
	t.Flush()
	if len(r.List) < int(r.Arcs) {
		fmt.Fprintf(w, "... %d more: --arcs lists them\n", int(r.Arcs)-len(r.List))
	}
}

// runLocate is stat without what is not about hosts.
func runLocate(c *cli.Context) error {
	s, err := getStat(c)
	if err != nil {
		return err
	}
	return show(c, s, func(w io.Writer) { printExtents(w, s) })
}
