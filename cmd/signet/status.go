package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet/cmd/signet/internal/control"
)

const statusHelp = `Shows the cluster's health as this host sees it: hosts, leader, objects short of copies, work
under way, and what to do about what is wrong.

Healthy means: every voter can be reached, every object has all its copies, this host has its
lease. Exit status 0, whatever the health; with --check 3 if not healthy.

Examples:
   signet status
   signet status --check --json`

func statusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "health at a glance", Description: statusHelp,
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "check", Usage: "exit with status 3 if the cluster is not healthy", DisableDefaultText: true}},
		Action: action(0, 0, runStatus),
	}
}

func runStatus(c *cli.Context) error {
	s, err := getStatus(c)
	if err != nil {
		return err
	}
	if err := show(c, s, func(w io.Writer) { printStatus(w, s) }); err != nil {
		return err
	}
	if c.Bool("check") && !s.Healthy {
		return errUnhealthy
	}
	return nil
}

func getStatus(c *cli.Context) (*control.Status, error) {
	dir, err := stateDir(c)
	if err != nil {
		return nil, err
	}
	s := &control.Status{}
	return s, call(c, dir, control.CallStatus, nil, s)
}

func printStatus(w io.Writer, s *control.Status) {
	health := "healthy"
	if !s.Healthy {
		health = "NOT HEALTHY"
	}
	leader := "no leader"
	if s.Leader != 0 {
		leader = fmt.Sprintf("host-%d leads", s.Leader)
	}
	fmt.Fprintf(w, "Cluster %q is %s; %s. This is host-%d.\n", s.Name, health, leader, s.Self)
	for _, p := range s.Problems {
		word := "problem"
		if p.Warning {
			word = "note"
		}
		fmt.Fprintf(w, "\n  %s: %s\n    -> %s\n", word, p.Text, p.Hint)
	}
	fmt.Fprintln(w)
	printHosts(w, s.Hosts)
	fmt.Fprintf(w, "\nFiles     %d, %s of %s used\n", s.Files.Inodes, size(s.Files.Total-min(s.Files.Free, s.Files.Total)), size(s.Files.Total))
	fmt.Fprintf(w, "Objects   %d, %s, %d copies wanted; %d short of copies, %d lost\n", s.Objects.Total, size(s.Objects.Bytes), s.Copies, s.Objects.Short, s.Objects.Lost)
	for _, k := range s.Work {
		eta := "no estimate yet"
		if k.ETA >= 0 {
			eta = "about " + (time.Duration(k.ETA) * time.Second).String() + " left"
		}
		fmt.Fprintf(w, "Work      %s: %d of %d done, %s\n", k.Kind, k.Done, k.Total, eta)
	}
	key := "this host holds it"
	if !s.Key {
		key = "this host does not hold it, so it cannot mount"
	}
	fmt.Fprintf(w, "Key       %s\n", key)
	if len(s.Mounts) == 0 {
		fmt.Fprintln(w, "Mounts    none here")
	}
	for _, m := range s.Mounts {
		fmt.Fprintf(w, "Mounted   %s (cutoff=%s)\n", m.Mountpoint, m.Cutoff)
	}
}

// printHosts prints the table of hosts.
func printHosts(w io.Writer, hosts []control.Host) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "HOST\tNAME\tADDRESS\tZONE\tSTATE\tROLE\tUSED\tOF\tLAG")
	for _, h := range hosts {
		role := "learner"
		switch {
		case h.Leader:
			role = "leader"
		case h.Voter:
			role = "voter"
		}
		switch {
		case !slices.Contains(h.Roles, "store"):
			role += ", witness"
		case !h.Key:
			role += ", no key"
		}
		fmt.Fprintf(t, "host-%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", h.ID, dash(h.Name), dash(h.Address), dash(h.Zone), h.State, role, size(h.Used), size(h.Capacity), h.Lag)
	}
	t.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// hostList prints host numbers.
func hostList(ids []uint64) string {
	if len(ids) == 0 {
		return "nobody"
	}
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = fmt.Sprintf("host-%d", id)
	}
	return strings.Join(out, " ")
}
