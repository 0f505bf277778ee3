package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime/pprof"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

// handlers are what commands may ask of a running host.
func (d *Daemon) handlers() map[string]control.Handler {
	return map[string]control.Handler{
		control.CallStatus: func(ctx context.Context, _ json.RawMessage, _ func(string)) (any, error) { return d.status(ctx) },
		control.CallMount: handler(func(ctx context.Context, a control.MountArgs, progress func(string)) (any, error) {
			return d.mount(ctx, a, progress)
		}),
		control.CallUnmount: handler(func(ctx context.Context, a control.UnmountArgs, progress func(string)) (any, error) {
			return nil, d.unmount(ctx, a, progress)
		}),
		control.CallLocked: func(ctx context.Context, _ json.RawMessage, progress func(string)) (any, error) {
			return d.locked(ctx, progress)
		},
		control.CallUnlock: handler(func(_ context.Context, a control.UnlockArgs, _ func(string)) (any, error) {
			return nil, d.keys.unlock(a.Slot)
		}),
		control.CallRemount: handler(func(ctx context.Context, a control.MountArgs, progress func(string)) (any, error) {
			return d.remount(ctx, a, progress)
		}),
		control.CallMounts: func(context.Context, json.RawMessage, func(string)) (any, error) { return d.mountRows(), nil },
		control.CallTokenCreate: handler(func(ctx context.Context, a control.TokenArgs, _ func(string)) (any, error) {
			return createToken(ctx, d.node, a)
		}),
		control.CallTokenList: func(context.Context, json.RawMessage, func(string)) (any, error) { return d.listTokens() },
		control.CallTokenRevoke: handler(func(ctx context.Context, a control.RevokeArgs, _ func(string)) (any, error) {
			return d.revokeToken(ctx, a.ID)
		}),
		control.CallRing: handler(func(_ context.Context, a control.RingArgs, _ func(string)) (any, error) { return d.ring(a.Arcs) }),
		control.CallStat: handler(func(ctx context.Context, a control.StatArgs, _ func(string)) (any, error) { return d.stat(ctx, a) }),
		control.CallShutdown: func(context.Context, json.RawMessage, func(string)) (any, error) {
			d.stop(errStopped)
			return map[string]int{"pid": pid()}, nil
		},
		control.CallProfile: handler(profile),
	}
}

// handler decodes the arguments of a call.
func handler[A any](f func(ctx context.Context, a A, progress func(string)) (any, error)) control.Handler {
	return func(ctx context.Context, raw json.RawMessage, progress func(string)) (any, error) {
		var a A
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &a); err != nil {
				return nil, signet.Errorf(signet.BadMessage, "control", "", "%w", err)
			}
		}
		return f(ctx, a, progress)
	}
}

func (d *Daemon) mountRows() []control.Mount {
	out := []control.Mount{}
	for _, m := range d.mountList() {
		out = append(out, m.row())
	}
	return out
}

// profile returns a profile of the running process, for those who work on it.
func profile(_ context.Context, name string, _ func(string)) (any, error) {
	p := pprof.Lookup(name)
	if p == nil {
		return nil, signet.Errorf(signet.NotFound, "profile", name, "there is no profile of that name: try goroutine, heap or mutex")
	}
	var b bytes.Buffer
	debug := 0
	if name == "goroutine" {
		debug = 2
	}
	if err := p.WriteTo(&b, debug); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
