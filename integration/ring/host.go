package ring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signetfs/signet/integration/netlab"
)

// daemonName is what the logs of daemons are called.
const daemonName = "daemon"

// Host is one host of a ring.
type Host struct {
	ring  *Ring
	lab   *netlab.Host
	index int

	mu      sync.Mutex // guards:
	daemon  *netlab.Process
	agent   *client // nil while the host is dead or was never mounted
	agents  int     // counts agents, for the names of their sockets
	process *netlab.Process
}

// Index returns the host's number, counted from 0.
func (h *Host) Index() int { return h.index }

// ID returns the host's id in the cluster, counted from 1.
func (h *Host) ID() uint64 { return uint64(h.index) + 1 }

// Name returns what logs and messages of tests call the host.
func (h *Host) Name() string { return fmt.Sprintf("host %d", h.index) }

// Lab returns the machine under the host.
func (h *Host) Lab() *netlab.Host { return h.lab }

// State returns the host's state directory.
func (h *Host) State() string { return filepath.Join(h.lab.Dir(), "state") }

// Mountpoint returns where the volume is mounted, for the host's own processes.
func (h *Host) Mountpoint() string { return filepath.Join(h.lab.Dir(), "mnt") }

// Address returns where the other hosts reach this one.
func (h *Host) Address() string { return h.lab.Addr().String() + ":7420" }

// Signet runs a command of signet on this host's state directory to its end and returns
// what it printed. Flags and arguments follow the command's name.
func (h *Host) Signet(name string, args ...string) (string, error) {
	return h.SignetIn(h.State(), "", name, args...)
}

// SignetIn is Signet with another state directory and with standard input.
func (h *Host) SignetIn(state, stdin, name string, args ...string) (string, error) {
	words := append(strings.Fields(name), "--state", state)
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	out, err := h.lab.Exec(ctx, netlab.Cmd{Args: append(append([]string{h.ring.bin}, words...), args...), Stdin: strings.NewReader(stdin), Env: h.env()})
	return string(out), err
}

// env is the environment of this host's daemon and commands.
func (h *Host) env(more ...string) []string {
	own := []string(nil)
	if f := h.ring.config.EnvOf; f != nil {
		own = f(h.index)
	}
	return slices.Concat(raceEnv, h.ring.config.Env, own, more)
}

// Must runs a command of signet that must succeed.
func (h *Host) Must(name string, args ...string) string {
	h.ring.t.Helper()
	out, err := h.Signet(name, args...)
	if err != nil {
		h.ring.t.Fatalf("%s: signet %s: %v", h.Name(), name, err)
	}
	return out
}

// Run runs a program on the host, in the root of the mount, that must succeed within
// bound, and returns what it printed.
func (h *Host) Run(bound time.Duration, args ...string) string {
	h.ring.t.Helper()
	out, err := h.Try(bound, args...)
	if err != nil {
		h.ring.t.Fatalf("%s: %v\n%s", h.Name(), err, out)
	}
	return out
}

// Try is Run for a program that may fail.
func (h *Host) Try(bound time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	// Not Dir: the process would be born in a directory of the mount before its time limit counts.
	script := append([]string{"/bin/sh", "-c", `cd "$0" && exec "$@"`, h.Mountpoint()}, args...)
	out, err := h.lab.Exec(ctx, netlab.Cmd{Args: script})
	return string(out), err
}

// StartDaemon starts the daemon, with additional environment, and returns when it serves
// its control socket. It fails if the daemon ends first.
func (h *Host) StartDaemon(env ...string) error {
	args := []string{h.ring.daemon, "daemon", "--state", h.State()}
	if h.ring.config.Verbose {
		args = append(args, "--verbose")
	}
	p := h.lab.Start(daemonName, netlab.Cmd{Args: args, Env: h.env(env...)})
	h.mu.Lock()
	h.daemon = p
	h.mu.Unlock()
	socket := filepath.Join(h.State(), "control.sock")
	end := time.Now().Add(60 * time.Second)
	for time.Now().Before(end) {
		// A socket that a dead daemon left refuses.
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return nil
		}
		select {
		case <-p.Done():
			return fmt.Errorf("the daemon of %s ended: %v", h.Name(), p.Wait(context.Background()))
		case <-time.After(2 * time.Millisecond):
		}
	}
	return fmt.Errorf("the daemon of %s does not serve after 60 s", h.Name())
}

// Mount mounts the volume and starts the agent.
func (h *Host) Mount(options string) error {
	args := []string{}
	if options != "" {
		args = append(args, "-o", options)
	}
	if err := os.MkdirAll(h.Mountpoint(), 0o755); err != nil {
		return err
	}
	if _, err := h.Signet("mount", append(args, h.Mountpoint())...); err != nil {
		return err
	}
	return h.startAgent()
}

func (h *Host) startAgent() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.agent != nil {
		return nil
	}
	var err error
	h.agent, h.process, err = h.newAgent()
	return err
}

// newAgent starts one more agent. h.mu is held.
func (h *Host) newAgent() (*client, *netlab.Process, error) {
	h.agents++
	socket := filepath.Join(h.lab.Dir(), fmt.Sprintf("agent%d", h.agents))
	p := h.lab.Start("agent", netlab.Cmd{Args: []string{h.ring.self}, Env: agentEnvOf(socket, h.Mountpoint()), Dir: "/"})
	end := time.Now().Add(20 * time.Second)
	for time.Now().Before(end) {
		if c, err := net.Dial("unix", socket); err == nil {
			return newClient(c), p, nil
		}
		select {
		case <-p.Done():
			return nil, nil, errors.New("the agent ended")
		case <-time.After(time.Millisecond):
		}
	}
	return nil, nil, errors.New("the agent does not answer")
}

// Logs returns the files to which this host's daemons logged: one for each that ran in
// the foreground, and one for all that ran in the background.
func (h *Host) Logs() []string {
	names, _ := filepath.Glob(filepath.Join(h.lab.Dir(), "log", "*-"+daemonName))
	if own := filepath.Join(h.State(), "log"); exists(own) {
		names = append(names, own)
	}
	return names
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Kill ends every process of the host with SIGKILL, the daemon and the programs alike,
// and takes it off the network. Its disk stays.
func (h *Host) Kill() {
	h.ring.t.Helper()
	h.lab.Kill()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.agent, h.process, h.daemon = nil, nil, nil
}

// KillDaemon ends only the daemon with SIGKILL: programs on the host see a dead mount.
func (h *Host) KillDaemon() {
	h.ring.t.Helper()
	p := h.Daemon()
	p.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if p.Wait(ctx); ctx.Err() != nil {
		h.ring.t.Fatalf("%s: the daemon is still there 20 s after SIGKILL", h.Name())
	}
}

// Daemon returns the daemon's process.
func (h *Host) Daemon() *netlab.Process {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.daemon
}

// Boot starts a host that was killed, its daemon and its mount.
func (h *Host) Boot(env ...string) {
	h.ring.t.Helper()
	if err := h.TryBoot(env...); err != nil {
		h.ring.t.Fatalf("%s: boot: %v", h.Name(), err)
	}
}

// TryBoot is Boot with environment for the daemon, for a host that may die of it.
func (h *Host) TryBoot(env ...string) error {
	if !h.lab.Alive() {
		h.lab.Boot()
	}
	if err := h.StartDaemon(env...); err != nil {
		return err
	}
	if h.ring.config.noKey(h.index) {
		return nil
	}
	return h.Mount(h.ring.config.Mount)
}

// Freeze stops the daemon with SIGSTOP: connections stand, nothing is answered, and
// programs on the host wait for it.
func (h *Host) Freeze() { h.Daemon().Freeze() }

// Thaw lets a frozen daemon go on.
func (h *Host) Thaw() { h.Daemon().Thaw() }

// Cut drops every packet from and to the host until Ring.Heal.
func (h *Host) Cut() { h.ring.t.Helper(); h.ring.lab.Cut(h.index) }

// Status is what "signet status --json" tells, as far as tests look at it.
type Status struct {
	Healthy  bool
	Leader   uint64
	Leased   bool
	Problems []struct {
		Code, Text, Hint string
		Warning          bool
	}
	Hosts []struct {
		ID    uint64
		Name  string
		State string
		Voter bool
		Lag   uint64
	}
	Objects struct{ Total, Bytes, Short, Lost uint64 }
	Process struct{ Applied, RSS uint64 }
}

// Voters counts the voters.
func (s *Status) Voters() int {
	n := 0
	for _, h := range s.Hosts {
		if h.Voter {
			n++
		}
	}
	return n
}

// Status asks the daemon how the cluster is.
func (h *Host) Status() (*Status, error) {
	// An unhealthy cluster has an exit status of its own, and is described all the same.
	out, err := h.Signet("status", "--json")
	s := new(Status)
	if json.Unmarshal([]byte(out), s) == nil && len(s.Hosts) > 0 {
		return s, nil
	}
	return nil, fmt.Errorf("status: %w: %s", err, out)
}
