package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// options is what the command line says.
type options struct {
	dir     string // where the ring and the local directory are
	signet  string // the program
	tree    string // a real tree
	size    int    // MiB of the large file
	files   int    // how many files a directory gets
	rounds  int
	kills   int
	only    *regexp.Regexp
	also    []target
	out     string
	urgent  bool   // before other sessions of this machine
	profile string // directory for profiles, one for each run of a scenario
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o, os.Stdout)
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.dir, "dir", ".bench", "the ring and the local directory are below `DIR`, which is made and removed")
	f.StringVar(&o.signet, "signet", "bin/signet", "measure this `PROGRAM`")
	f.StringVar(&o.tree, "tree", "", "a real tree to unpack and copy (default: src/internal of the Go tree)")
	f.IntVar(&o.size, "size", 1024, "`MIB` of the large file")
	f.IntVar(&o.files, "files", 10000, "files in one directory")
	f.IntVar(&o.rounds, "rounds", 3, "measure this often; the table shows the median, and what was best")
	f.IntVar(&o.kills, "kills", 5, "how often the leader is killed")
	f.StringVar(&o.out, "json", "", "write all figures to `FILE` (default: DIR.json)")
	f.StringVar(&o.profile, "perf", "", "record with perf what the hosts do in each scenario, into `DIR`")
	f.BoolVar(&o.urgent, "urgent", false, "let the kernel prefer this and the hosts to what else the machine does (root)")
	f.Func("only", "only the scenarios whose names match `REGEXP`", func(s string) (err error) {
		o.only, err = regexp.Compile(s)
		return err
	})
	f.Func("also", "measure `NAME=DIR[,DIR2]` too; DIR2 is where another host has the same mounted", func(s string) error {
		name, dirs, ok := strings.Cut(s, "=")
		dir, peer, _ := strings.Cut(dirs, ",")
		if !ok || name == "" || dir == "" {
			return errors.New("give NAME=DIR or NAME=DIR,DIR2")
		}
		o.also = append(o.also, target{Name: name, Dir: dir, Peer: peer})
		return nil
	})
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("there is no argument %q; go run ./bench -h lists the flags", f.Arg(0))
	}
	var err error
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return nil, err
	}
	if o.out == "" {
		o.out = o.dir + ".json"
	}
	if o.signet, err = filepath.Abs(o.signet); err != nil {
		return nil, err
	}
	if _, err := os.Stat(o.signet); err != nil {
		return nil, fmt.Errorf("%w: build it with make, or name it with -signet", err)
	}
	return o, nil
}

// run does everything and cleans up.
func run(ctx context.Context, o *options, out io.Writer) (err error) {
	if err := os.Mkdir(o.dir, 0o700); err != nil {
		return fmt.Errorf("%w: is another bench running? If not, see that nothing is mounted there and remove it", err)
	}
	local := filepath.Join(o.dir, "local")
	if err := os.Mkdir(local, 0o700); err != nil {
		return err
	}
	if o.urgent {
		if err := urge("self"); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stderr, "starting three hosts ...")
	r, err := startRing(ctx, o.signet, o.dir, o.urgent)
	if err != nil {
		return errors.Join(err, r.stop())
	}
	defer func() {
		stopped := r.stop()
		if stopped == nil && (err == nil || ctx.Err() != nil) { // else somebody will want the logs
			stopped = os.RemoveAll(o.dir)
		}
		err = errors.Join(err, stopped)
	}()
	b := &bench{
		options: o, ring: r, report: newReport(o),
		targets: append([]target{{Name: "local", Dir: local}, {Name: "signet", Dir: r.hosts[0].mnt, Peer: r.hosts[1].mnt, ring: r}}, o.also...),
	}
	for _, t := range b.targets {
		b.report.Targets = append(b.report.Targets, targetRow{t.Name, fsOf(t.Dir)})
	}
	if err := b.all(ctx); err != nil {
		return err
	}
	b.report.table(out)
	text, err := json.MarshalIndent(b.report, "", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "\nAll figures:", o.out)
	return os.WriteFile(o.out, append(text, '\n'), 0o644)
}
