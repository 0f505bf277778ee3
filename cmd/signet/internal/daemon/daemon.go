package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/disk"
)

// Config says what a Daemon runs on.
type Config struct {
	Dir      string // state directory, absolute
	Listen   string // address to listen on instead of the one that the directory names
	Version  string
	Logger   *slog.Logger
	Ready    func()                // called once when the control socket answers
	Panicked func(v any, b []byte) // ends the process: its memory may be wrong
}

// Daemon is a running host.
type Daemon struct {
	config  Config
	logger  *slog.Logger
	disk    *disk.Disk
	node    *cluster.Node
	keys    *keys
	started time.Time

	ctx  context.Context // of everything that goes on beside calls; ends after the mounts
	end  context.CancelFunc
	stop context.CancelCauseFunc // ends Run
	work sync.WaitGroup

	changing  sync.Mutex // held while a mount is made or taken away
	recording sync.Mutex // held while DIR/mounts is written
	mu        sync.Mutex // guards mounts
	mounts    []*mounted
}

// errStopped is why Run ends when a command asks it to.
var errStopped = errors.New("asked to stop")

// Run runs the host of a state directory until ctx ends, a command stops it, or it
// cannot go on, which is the only case in which it returns an error after Ready.
func Run(ctx context.Context, c Config) error {
	unlock, err := lockSoon(ctx, c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	limitMemory()
	d := &Daemon{config: c, logger: c.Logger, started: time.Now()}
	d.ctx, d.end = context.WithCancel(context.Background())
	ctx, d.stop = context.WithCancelCause(ctx)
	defer d.stop(nil)
	if err := d.open(ctx); err != nil {
		return errors.Join(err, d.close())
	}
	server, err := control.Serve(c.Dir, d.handlers(), c.Logger)
	if err != nil {
		return errors.Join(err, d.close())
	}
	if c.Ready != nil {
		c.Ready()
	}
	notify("READY=1")
	d.logger.Info("running", "state", c.Dir, "host", uint64(d.node.ID()), "address", d.node.Address(), "version", c.Version)
	<-ctx.Done()
	notify("STOPPING=1")
	cause := context.Cause(ctx)
	d.logger.Info("stopping", "why", cause)
	// The mounts first: programs may still be using them, and a mount that outlived the
	// rest would hang.
	if !d.unmountAll() {
		// Closing under running requests could go wrong in a thousand ways, being killed
		// can not: what is acknowledged is on disk.
		d.logger.Warn("ending at once: a program still uses a mount that was taken off its directory")
		return nil
	}
	server.Close()
	err = d.close()
	d.logger.Info("stopped", "err", err)
	if errors.Is(cause, errStopped) || errors.Is(cause, context.Canceled) {
		return err
	}
	return errors.Join(cause, err)
}

func (d *Daemon) open(ctx context.Context) error {
	var err error
	if d.disk, err = disk.Open(d.config.Dir); err != nil {
		return err
	}
	if d.keys, err = newKeys(d.disk, d.logger); err != nil {
		return err
	}
	if err := d.clearDead(ctx); err != nil {
		return err
	}
	d.node, err = cluster.Open(cluster.Options{
		Disk: d.disk, Environment: environment(d.logger), Listen: d.listen, Limits: logLimits(),
		Orphans: d.orphans, HostsChanged: d.keys.changed, Failed: func(err error) { d.stop(err) },
	})
	if err != nil {
		return err
	}
	d.keys.log, d.keys.self = d.node.Log(), d.node.ID()
	d.work.Go(func() { d.keys.run(d.ctx) })
	return nil
}

// environment is the machine as it is.
func environment(logger *slog.Logger) cluster.Environment {
	dialer := &net.Dialer{}
	return cluster.Environment{
		Clock: clock.Real(), Times: consensus.DefaultTimes(), Logger: logger, Rand: rand.Reader,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) },
	}
}

// listen opens the port on which the other hosts reach this one.
func (d *Daemon) listen(addr string) (net.Listener, error) {
	if d.config.Listen != "" {
		addr = d.config.Listen
	}
	return listenTCP(addr, d.config.Listen != "")
}

// close ends what open began.
func (d *Daemon) close() error {
	d.end()
	d.work.Wait()
	var err error
	if d.node != nil {
		err = d.node.Close()
	}
	if d.keys != nil {
		d.keys.wipe()
	}
	return signet.Wrap("stop", "", err)
}
