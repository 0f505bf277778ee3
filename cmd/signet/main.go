package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/signetfs/signet/cmd/signet/internal/daemon"
)

// version is set by the linker.
var version = "unknown"

func main() {
	// Commands hold tokens, passphrases and keys for a moment, the daemon for long.
	if err := daemon.Harden(); err != nil {
		os.Exit(report(err, false, terminal{os.Stdin, os.Stdout, os.Stderr}))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, terminal{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// terminal is what a command reads and writes.
type terminal struct{ in, out, err *os.File }

// run runs one command line and returns the exit status.
func run(ctx context.Context, args []string, t terminal) int {
	if a, ok := helperArgs(args); ok {
		return mountHelper(ctx, a, t)
	}
	if len(args) == 2 && (args[1] == "--version" || args[1] == "-v") {
		args = []string{args[0], "version"}
	}
	if err := refuseSecrets(args); err != nil {
		return report(err, wantsJSON(args), t)
	}
	return report(newApp(args, t).RunContext(ctx, args), wantsJSON(args), t)
}
