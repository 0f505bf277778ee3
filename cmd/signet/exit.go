package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

// The exit statuses, published in docs/cli.md. They never change their meaning.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitUnhealthy  = 3 // signet status --check: something is not as it should be
	exitNotRunning = 4 // no host, or its daemon does not run
)

// usageError is a command line that makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// notRunning is a state directory without a daemon.
type notRunning struct{ text string }

func (e *notRunning) Error() string { return e.text }
func (e *notRunning) Unwrap() error { return control.ErrNotRunning }

// errUnhealthy ends status --check when all has been said.
var errUnhealthy = errors.New("not healthy")

func exitCode(err error) int {
	var u *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &u):
		return exitUsage
	case errors.Is(err, errUnhealthy):
		return exitUnhealthy
	case errors.Is(err, control.ErrNotRunning):
		return exitNotRunning
	}
	return exitFailed
}

// report prints an error, for people and if wanted for programs, and returns the exit
// status.
func report(err error, asJSON bool, t terminal) int {
	code := exitCode(err)
	if err == nil || code == exitUnhealthy {
		return code
	}
	fmt.Fprintf(t.err, "signet: %v\n", err)
	if asJSON && !errors.As(err, new(*told)) {
		_ = json.NewEncoder(t.out).Encode(map[string]any{"error": fault(err)})
	}
	return code
}

// told is an error that standard output has already, as a part of the result.
type told struct{ error }

func (t *told) Unwrap() error { return t.error }

// fault puts an error into the form of JSON.
func fault(err error) *control.Fault {
	code := exitCode(err)
	return &control.Fault{Code: errorName(err, code), Text: err.Error(), Exit: code}
}

// errorName is a word for a kind of error that programs can compare.
func errorName(err error, code int) string {
	switch code {
	case exitUsage:
		return "usage"
	case exitNotRunning:
		return "not running"
	}
	return signet.KindOf(err).String()
}

// wantsJSON says whether --json is among the arguments, for errors that come before
// they are parsed.
func wantsJSON(args []string) bool {
	return slices.Contains(args, "--json") || slices.Contains(args, "-json")
}
