package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/cmd/signet/internal/daemon"
)

const daemonHelp = `Runs the host in the foreground and logs to standard error: what systemd starts. 'signet
mount' starts it in the background if none runs; it then logs to DIR/log.

On SIGTERM or SIGINT it makes safe what was written, takes its mounts away and ends.

Examples:
   signet daemon
   signet daemon --detach
   signet daemon --stop`

func daemonCommand() *cli.Command {
	return &cli.Command{
		Name: "daemon", Usage: "run the host in the foreground", Description: daemonHelp,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "listen on `ADDR` instead of the one given to init or join"},
			&cli.BoolFlag{Name: "detach", Usage: "run in the background; returns when the host runs", DisableDefaultText: true},
			&cli.BoolFlag{Name: "stop", Usage: "stop the daemon that runs", DisableDefaultText: true},
			&cli.BoolFlag{Name: "verbose", Usage: "log more", DisableDefaultText: true},
			&cli.StringFlag{Name: "profile", Usage: "print a profile of the daemon that runs", Hidden: true},
		},
		Action: action(0, 0, runDaemon),
	}
}

func runDaemon(c *cli.Context) error {
	dir, err := stateDir(c)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("stop"):
		return stopDaemon(c, dir)
	case c.String("profile") != "":
		var b []byte
		if err := call(c, dir, control.CallProfile, c.String("profile"), &b); err != nil {
			return err
		}
		_, err := c.App.Writer.Write(b)
		return err
	}
	listen := c.String("listen")
	if listen != "" {
		if listen, err = withPort(listen, defaultPort); err != nil {
			return usage("--listen %s: %v", listen, err)
		}
	}
	if is, err := hostIn(dir); err != nil || !is {
		return errors.Join(explain(control.ErrNotRunning, dir), err)
	}
	if c.Bool("detach") {
		var args []string
		if listen != "" {
			args = []string{"--listen", listen}
		}
		if err := daemon.Start(c.Context, dir, args...); err != nil {
			return err
		}
		return show(c, map[string]string{"state": dir, "log": daemon.LogPath(dir)}, func(w io.Writer) {
			fmt.Fprintf(w, "The host in %s runs; its log is %s.\n", dir, daemon.LogPath(dir))
		})
	}
	return runHost(c, dir, listen)
}

// runHost is the daemon itself.
func runHost(c *cli.Context, dir, listen string) error {
	starter := daemon.StartedBy()
	syscall.Umask(0o077)
	var out io.Writer = c.App.ErrWriter
	if starter.InBackground() {
		out = &daemon.LogWriter{Dir: dir}
		// Started through /proc/self/exe, it would be "exe" to ps, top and pgrep.
		_ = os.WriteFile("/proc/self/comm", []byte("signet"), 0)
	}
	level := slog.LevelInfo
	if c.Bool("verbose") {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
	told := false
	err := daemon.Run(c.Context, daemon.Config{
		Dir: dir, Listen: listen, Version: version, Logger: logger,
		Ready: func() {
			told = true
			starter.Tell(nil)
		},
		// Its memory may be wrong: what is dirty is better lost than written.
		Panicked: func(any, []byte) { os.Exit(exitFailed) },
	})
	if !told {
		starter.Tell(err)
	}
	return err
}

func stopDaemon(c *cli.Context, dir string) error {
	pid, err := daemon.Stop(c.Context, dir, progress(c.App.ErrWriter))
	if err != nil {
		return explain(err, dir)
	}
	return show(c, map[string]int{"pid": pid}, func(w io.Writer) { fmt.Fprintf(w, "The host in %s has stopped.\n", dir) })
}
