package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/cluster"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

// newApp puts the commands together.
func newApp(args []string, t terminal) *cli.App {
	app := &cli.App{
		Name: "signet", Usage: "a sealed filesystem on a ring of hosts",
		UsageText:   "signet COMMAND [flags] [arguments]",
		Description: appHelp,
		Reader:      t.in, Writer: t.out, ErrWriter: t.err,
		HideVersion: true, HideHelpCommand: true, DisableSliceFlagSeparator: true, EnableBashCompletion: true,
		ExitErrHandler: func(*cli.Context, error) {}, // errors become exit statuses in one place: report
		Flags:          commonFlags(),
		Commands: []*cli.Command{
			initCommand(), joinCommand(), daemonCommand(), mountCommand(), unmountCommand(),
			statusCommand(), hostCommand(), tokenCommand(), ringCommand(), statCommand(),
			completionCommand(), versionCommand(), helpCommand(),
		},
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return cli.ShowAppHelp(c)
			}
			return unknownCommand(c.Args().First(), c.App.Commands)
		},
		OnUsageError:          usageProblem,
		CustomAppHelpTemplate: appTemplate,
		Metadata:              map[string]any{"args": args},
	}
	prepare("", app.Commands)
	return app
}

// prepare gives every command what all have.
func prepare(above string, commands []*cli.Command) {
	for _, c := range commands {
		c.HelpName = strings.TrimSpace(above + " " + c.Name) // the library puts signet before it
		c.CustomHelpTemplate = commandTemplate
		c.Flags = append(c.Flags, commonFlags()...)
		c.OnUsageError = usageProblem
		c.HideHelpCommand = true
		if len(c.Subcommands) > 0 {
			c.Action = group
			prepare("signet "+c.HelpName, c.Subcommands)
		}
	}
}

func usageProblem(c *cli.Context, err error, _ bool) error {
	name := ""
	if c.Command != nil {
		name = strings.TrimPrefix(c.Command.HelpName, "signet")
	}
	return usage("%v. 'signet help%s' lists the flags", err, name)
}

func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "state", Usage: "the host whose state is in `DIR`", DefaultText: defaultState()},
		&cli.BoolFlag{Name: "json", Usage: "print JSON", DisableDefaultText: true},
	}
}

func defaultState() string {
	if os.Geteuid() == 0 {
		return "/var/lib/signet"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "signet")
	}
	if dir := home(); dir != "" {
		return filepath.Join(dir, ".local", "state", "signet")
	}
	return ""
}

// home returns this user's home directory. mount(8) takes HOME away before it calls a helper
// for an ordinary user, and mount.fuse3 then says /root: what is no use is looked up.
func home() string {
	if dir := os.Getenv("HOME"); filepath.IsAbs(dir) && unix.Access(dir, unix.X_OK) == nil {
		return dir
	}
	if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil && filepath.IsAbs(u.HomeDir) {
		return u.HomeDir
	}
	return ""
}

// lookup finds a flag that may have been given to the command or to one above it.
func lookup(c *cli.Context, name string) *cli.Context {
	for _, x := range c.Lineage() {
		if x.IsSet(name) {
			return x
		}
	}
	return c
}

// stateDir returns the state directory that a command is about, absolute.
func stateDir(c *cli.Context) (string, error) {
	dir := lookup(c, "state").String("state")
	if dir == "" {
		if dir = defaultState(); dir == "" {
			return "", usage("neither HOME nor XDG_STATE_HOME is set, and the user database knows no home directory: name the state directory with --state")
		}
	}
	return filepath.Abs(dir)
}

func stateGiven(c *cli.Context) bool { return lookup(c, "state").IsSet("state") }

// show prints a result: as JSON if wanted, else as human does.
func show(c *cli.Context, v any, human func(w io.Writer)) error {
	if lookup(c, "json").Bool("json") {
		e := json.NewEncoder(c.App.Writer)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	human(c.App.Writer)
	return nil
}

// call makes a call to the daemon of a state directory.
func call(c *cli.Context, dir, name string, args, result any) error {
	client := &control.Client{Dir: dir, Progress: progress(c.App.ErrWriter)}
	return explain(client.Call(c.Context, name, args, result), dir)
}

// progress tells people on standard error what a command waits for.
func progress(w io.Writer) func(string) {
	return func(text string) { fmt.Fprintf(w, "signet: %s\n", text) }
}

// explain says what to do when no daemon runs.
func explain(err error, dir string) error {
	if !errors.Is(err, control.ErrNotRunning) {
		return err
	}
	if is, err := hostIn(dir); err == nil && !is {
		hint := ""
		if os.Geteuid() != 0 {
			if _, err := os.Stat("/var/lib/signet"); err == nil {
				hint = "; root has one in /var/lib/signet: use sudo"
			}
		}
		return &notRunning{fmt.Sprintf("there is no host in %s: make a cluster with 'signet init', join one with 'signet join', or name the state directory with --state%s", dir, hint)}
	}
	return &notRunning{fmt.Sprintf("the host in %s is not running: start it with 'signet mount MOUNTPOINT' or 'signet daemon'", dir)}
}

// hostIn says whether dir is a host's state directory. It makes nothing.
func hostIn(dir string) (bool, error) {
	if _, err := os.Stat(dir); err != nil {
		if os.IsNotExist(err) {
			return false, nil
		}
		return false, err
	}
	return cluster.Exists(dir)
}

// quiet is the log of commands that run a host for a moment: only what is wrong.
func quiet(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelError}))
}
