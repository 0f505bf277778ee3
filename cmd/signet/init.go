package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/cmd/signet/internal/daemon"
)

const initHelp = `Makes a cluster of this one host, its volume and the volume's key. Prints the recovery
key, once, and a token with which other hosts join.

The key is kept in this host's state directory, sealed for this host; with --passphrase-file
also sealed under a passphrase. Whoever has the recovery key and any host's state directory
can open the volume.

Examples:
   signet init --mount /mnt/signet
   signet init --listen 10.0.0.1:7420 --zone rack1 --capacity 500G
   signet init --state ./a --listen 127.0.0.1:7421 --json`

func initCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make a new cluster of this one host", Description: initHelp,
		Flags: append(hostFlags(),
			&cli.StringFlag{Name: "cluster", Usage: "call the cluster `NAME`; df shows it", Value: "signet"},
			&cli.UintFlag{Name: "replicas", Usage: "keep `K` copies of every object, on different hosts", Value: 3},
			&cli.StringFlag{Name: "passphrase-file", Usage: "let the passphrase in the first line of `FILE` (-: standard input) open the volume too"},
		),
		Action: action(0, 0, runInit),
	}
}

func runInit(c *cli.Context) error {
	host, err := hostConfig(c)
	if err != nil {
		return err
	}
	k := c.Uint("replicas")
	if k < 1 || k > signet.MaxReplicas {
		return usage("--replicas %d: want 1 to %d", k, signet.MaxReplicas)
	}
	name := c.String("cluster")
	if name == "" || len(name) > 64 || bytes.ContainsAny([]byte(name), ":/ \t\n,") {
		return usage("--cluster %q: want a name of at most 64 letters without blanks, commas, colons and slashes", name)
	}
	target, err := mountTarget(c)
	if err != nil {
		return err
	}
	config := daemon.InitConfig{HostConfig: host, Cluster: name, Replicas: uint8(k)}
	if f := c.String("passphrase-file"); f != "" {
		if config.Passphrase, err = readSecret(c, f, "passphrase"); err != nil {
			return err
		}
		defer clear(config.Passphrase)
	}
	out, err := daemon.Init(c.Context, config)
	if err != nil {
		return err
	}
	asJSON := lookup(c, "json").Bool("json")
	if !asJSON {
		printInit(c.App.Writer, out, target != nil)
	}
	// What was made is shown even if the mount fails: the recovery key is not shown again.
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

func printInit(w io.Writer, i *control.Init, mounting bool) {
	state := stateFlag(i.State)
	fmt.Fprintf(w, `Made cluster %q. This is host-%d at %s; its state is in %s.

The recovery key opens the volume when all hosts are lost but a state directory is left. It is
not shown again: keep it on paper or in a password manager, not on these hosts.

    %s

To add a host, run this there and give it the token when it asks:

    signet join --mount MOUNTPOINT

    %s

The token is good for %d hosts until %s. 'signet token create' makes others.
`, i.Name, i.Host, i.Address, i.State, i.RecoveryKey, i.JoinToken, i.Uses, i.Expires)
	if !mounting {
		fmt.Fprintf(w, "\nThis host does not run yet. Start it with one of\n\n    signet mount%s MOUNTPOINT\n    signet daemon%s\n", state, state)
	}
}

// stateFlag is what commands about a state directory need to be told.
func stateFlag(dir string) string {
	if dir == defaultState() {
		return ""
	}
	return " --state " + quoteAll([]string{dir})
}

// readSecret reads a secret from the first line of a file.
func readSecret(c *cli.Context, file, what string) ([]byte, error) {
	const most = 4 << 10
	in := c.App.Reader
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the %s: %w", what, err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 || len(line) > most {
		return nil, fmt.Errorf("read the %s: the first line of %s is empty or longer than %d bytes", what, file, most)
	}
	return line, nil
}
