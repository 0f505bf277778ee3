package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/cmd/signet/internal/daemon"
)

// The exit statuses that mount(8) expects of a helper.
const (
	helperOK        = 0
	helperUsage     = 1
	helperSystem    = 2
	helperInterrupt = 8
	helperFailed    = 32
)

// helperArgs recognises the command line of a mount helper and returns what follows the
// program's name: mount.signet SRC DIR ..., as mount(8) calls the link of that name, and
// signet SRC DIR -o ..., as mount.fuse3 calls the program.
func helperArgs(args []string) ([]string, bool) {
	if strings.HasPrefix(filepath.Base(args[0]), "mount.signet") || strings.HasPrefix(filepath.Base(args[0]), "mount.fuse.signet") {
		return args[1:], true
	}
	if len(args) >= 3 && !strings.HasPrefix(args[2], "-") && (strings.HasPrefix(args[1], "/") || strings.HasSuffix(args[1], ":/")) {
		return args[1:], true
	}
	return nil, false
}

// helperCall is what a mount helper is asked to do.
type helperCall struct {
	source, dir string
	options     []string
	fake        bool
}

// parseHelper reads a mount helper's arguments, which mount(8) gives in this order and
// the flag parser would not understand: SRC DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE].
func parseHelper(args []string) (*helperCall, error) {
	var h helperCall
	var rest []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "-o" || a == "-t" || a == "-N":
			i++
			if i == len(args) {
				return nil, fmt.Errorf("%s needs a value", a)
			}
			switch a {
			case "-o":
				h.options = append(h.options, args[i])
			case "-N":
				return nil, fmt.Errorf("mounting in another namespace (-N) is not supported: use nsenter(1)")
			}
		case len(a) > 1 && a[0] == '-' && strings.Trim(a[1:], "sfnvw") == "":
			h.fake = h.fake || strings.Contains(a, "f")
		case len(a) > 1 && a[0] == '-':
			return nil, fmt.Errorf("there is no flag %s", a)
		default:
			rest = append(rest, a)
		}
	}
	if len(rest) != 2 {
		return nil, fmt.Errorf("want a source and a mountpoint, got %d arguments", len(rest))
	}
	h.source, h.dir = rest[0], rest[1]
	return &h, nil
}

// where says which host the source means: an absolute state directory, or CLUSTER:/ in
// the usual place.
func (h *helperCall) where(o *mountOptions) (state, cluster string, err error) {
	state = o.state
	if name, ok := strings.CutSuffix(h.source, ":/"); ok && !strings.ContainsAny(name, "/:") {
		cluster = name
	} else if filepath.IsAbs(h.source) && state == "" {
		state = h.source
	} else {
		return "", "", fmt.Errorf("the source is CLUSTER:/ or an absolute state directory, not %q", h.source)
	}
	if state == "" {
		if state = defaultState(); state == "" {
			return "", "", fmt.Errorf("this user has no home directory: name the state directory with -o state=DIR")
		}
	}
	return filepath.Clean(state), cluster, nil
}

// mountHelper mounts for mount(8).
func mountHelper(ctx context.Context, args []string, t terminal) int {
	fail := func(code int, err error) int {
		fmt.Fprintf(t.err, "mount.signet: %v\n", err)
		return code
	}
	h, err := parseHelper(args)
	if err != nil {
		return fail(helperUsage, fmt.Errorf("%w\nusage: mount.signet CLUSTER:/ MOUNTPOINT [-o OPTIONS]", err))
	}
	o, err := parseOptions(h.options)
	if err != nil {
		return fail(helperUsage, fmt.Errorf("-o: %w", err))
	}
	state, cluster, err := h.where(o)
	if err != nil {
		return fail(helperUsage, err)
	}
	if h.fake {
		return helperOK
	}
	dir, err := filepath.Abs(h.dir)
	if err != nil {
		return fail(helperSystem, err)
	}
	m, err := mountOrRemount(ctx, state, dir, cluster, h, o, t)
	switch {
	case errors.Is(err, context.Canceled):
		return fail(helperInterrupt, err)
	case err != nil:
		return fail(helperFailed, err)
	}
	if m.Warning != "" {
		fmt.Fprintf(t.err, "mount.signet: warning: %s\n", m.Warning)
	}
	return helperOK
}

func mountOrRemount(ctx context.Context, state, dir, cluster string, h *helperCall, o *mountOptions, t terminal) (*control.Mount, error) {
	if o.remount {
		return remount(ctx, dir, h.options, t.err, state)
	}
	if err := daemon.CheckMountpoint(ctx, dir); err != nil {
		return nil, err
	}
	return mountWith(ctx, state, &control.MountArgs{Mountpoint: dir, Cluster: cluster, Options: o.MountOptions}, nil, t.err)
}
