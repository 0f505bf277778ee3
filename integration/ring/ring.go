package ring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/netlab"
	"github.com/signetfs/signet/internal/need"
)

// Config says what a ring is to be like. The zero value of a field is the usual.
type Config struct {
	Hosts    int                     // that are members and run when Start returns
	Spare    int                     // machines beside them that are no members yet
	Mount    string                  // options of mount -o
	NoKey    []int                   // hosts that join without the volume's key, and do not mount
	Init     []string                // additional arguments of signet init
	Offer    string                  // capacity that each host offers, if not all that its disk has
	Names    []string                // of the hosts, if they are not to be host0, host1 and so on
	Env      []string                // additional environment of daemons and commands
	EnvOf    func(host int) []string // the same for one host; may be nil
	Verbose  bool                    // the daemons log all that they can
	Raced    bool                    // the daemons have the race detector if the test has it: they are five times slower
	Unsealed bool                    // do not look for data races and panics in the logs: the test makes them
}

func (c *Config) noKey(i int) bool { return slices.Contains(c.NoKey, i) }

func (c *Config) name(i int) string {
	if i < len(c.Names) {
		return c.Names[i]
	}
	return fmt.Sprintf("host%d", i)
}

// Ring is a cluster of hosts.
type Ring struct {
	t      testing.TB
	config Config
	lab    *netlab.Lab
	bin    string // signet
	daemon string // signet for daemons: the same, or one with the race detector
	self   string // this test binary
	hosts  []*Host
	Init   Init
}

// Init is what "signet init --json" told.
type Init struct {
	Cluster     string `json:"cluster"`
	Volume      string `json:"volume"`
	Recovery    string `json:"recovery_key"`
	JoinToken   string `json:"join_token"`
	HostAddress string `json:"address"`
}

// Start starts a ring of n hosts, each with its mount.
func Start(t testing.TB, n int) *Ring {
	t.Helper()
	return StartWith(t, Config{Hosts: n})
}

// StartWith starts a ring as config says. It returns when all hosts are mounted, as many
// of them vote as ever will, and all have leases.
func StartWith(t testing.TB, config Config) *Ring {
	t.Helper()
	need.Root(t)
	need.FUSE(t)
	r := &Ring{t: t, config: config, bin: Build(t, false), daemon: Build(t, Raced && config.Raced)}
	var err error
	if r.self, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.wantNothingLeft)
	r.lab = netlab.New(t, config.Hosts+config.Spare)
	for i := range config.Hosts + config.Spare {
		r.hosts = append(r.hosts, &Host{ring: r, lab: r.lab.Host(i), index: i})
	}
	t.Cleanup(r.wantNoPanics)
	began := time.Now()
	first := r.hosts[0]
	out := first.Must("init", slices.Concat([]string{"--json"}, first.memberArgs(), config.Init)...)
	if err := json.Unmarshal([]byte(out), &r.Init); err != nil {
		t.Fatalf("init printed %q: %v", out, err)
	}
	if err := first.TryBoot(); err != nil {
		t.Fatal(err)
	}
	r.config.Hosts, r.config.Spare = 1, config.Hosts+config.Spare-1
	r.Add(config.Hosts - 1)
	r.WantVoters(voters(config.Hosts))
	t.Logf("a ring of %d hosts after %v", config.Hosts, time.Since(began).Round(time.Millisecond))
	return r
}

// Add makes members of n spare machines and starts them.
func (r *Ring) Add(n int) {
	r.t.Helper()
	for ; n > 0; n-- {
		h := r.hosts[r.config.Hosts]
		r.config.Hosts, r.config.Spare = r.config.Hosts+1, r.config.Spare-1
		if err := h.Join(r.Init.JoinToken); err != nil {
			r.t.Fatal(err)
		}
		if err := h.TryBoot(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// voters is how many of n hosts vote in the end.
func voters(n int) int {
	switch {
	case n <= 3:
		return n
	case n < 5:
		return 3
	}
	return 5
}

// Join makes the host a member with a token. It does not start it.
func (h *Host) Join(token string) error {
	args := h.memberArgs()
	if h.ring.config.noKey(h.index) {
		args = append(args, "--no-key")
	}
	_, err := h.SignetIn(h.State(), token+"\n", "join", args...)
	return err
}

// memberArgs are those of init and join alike.
func (h *Host) memberArgs() []string {
	args := []string{"--name", h.ring.config.name(h.index), "--listen", h.Address()}
	if o := h.ring.config.Offer; o != "" {
		args = append(args, "--capacity", o)
	}
	return args
}

// Host returns host i, counted from 0.
func (r *Ring) Host(i int) *Host { return r.hosts[i] }

// Hosts returns the members that Start started.
func (r *Ring) Hosts() []*Host { return r.hosts[:r.config.Hosts] }

// Heal ends all cuts.
func (r *Ring) Heal() { r.t.Helper(); r.lab.Heal() }

// Lab returns the machines and the network between them.
func (r *Ring) Lab() *netlab.Lab { return r.lab }

// Each does f for all members, side by side.
func (r *Ring) Each(f func(h *Host)) {
	var all sync.WaitGroup
	for _, h := range r.Hosts() {
		all.Go(func() { f(h) })
	}
	all.Wait()
}

// Leader returns the host that leads, as the hosts that are up see it.
func (r *Ring) Leader() *Host {
	r.t.Helper()
	var found *Host
	r.Eventually(30*time.Second, "somebody leads", func() error {
		for _, h := range r.Hosts() {
			if !h.lab.Alive() {
				continue
			}
			s, err := h.Status()
			if err == nil && s.Leader != 0 && s.Leased {
				found = r.hosts[s.Leader-1]
				return nil
			}
		}
		return errors.New("nobody leads")
	})
	return found
}

// WantVoters waits until n hosts vote and every host that is up has a lease.
func (r *Ring) WantVoters(n int) {
	r.t.Helper()
	r.Eventually(60*time.Second, fmt.Sprintf("%d hosts vote", n), func() error {
		for _, h := range r.Hosts() {
			if !h.lab.Alive() {
				continue
			}
			s, err := h.Status()
			switch {
			case err != nil:
				return err
			case s.Voters() != n:
				return fmt.Errorf("%s sees %d voters", h.Name(), s.Voters())
			case !s.Leased:
				return fmt.Errorf("%s has no lease", h.Name())
			}
		}
		return nil
	})
}

// WantWhole waits until every object has all its copies and every host that is up has
// applied the whole log.
func (r *Ring) WantWhole() {
	r.t.Helper()
	r.Eventually(90*time.Second, "every object has all its copies", func() error {
		for _, h := range r.Hosts() {
			if !h.lab.Alive() {
				continue
			}
			s, err := h.Status()
			switch {
			case err != nil:
				return err
			case s.Objects.Short > 0 || s.Objects.Lost > 0:
				return fmt.Errorf("%s sees %d objects short of copies, %d lost", h.Name(), s.Objects.Short, s.Objects.Lost)
			case !s.Leased:
				return fmt.Errorf("%s has no lease", h.Name())
			}
		}
		return nil
	})
}

// Eventually tries f until it succeeds, at most for bound.
func (r *Ring) Eventually(bound time.Duration, what string, f func() error) {
	r.t.Helper()
	end := time.Now().Add(bound)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("not in %v: %s: %v", bound, what, err)
		}
		time.Sleep(wait)
	}
}

// wantNothingLeft runs after the lab was taken down.
func (r *Ring) wantNothingLeft() {
	if r.lab == nil {
		return
	}
	dir := filepath.Dir(r.hosts[0].lab.Dir())
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err == nil && strings.Contains(string(mounts), dir) {
		r.t.Errorf("something is left mounted:\n%s", mounts)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, l := range lines {
		b, err := os.ReadFile(l)
		if err == nil && strings.Contains(string(b), dir) {
			r.t.Errorf("something is left running: %s: %q", l, b)
		}
	}
}

// wantNoPanics looks through the logs for what no test may cause. It runs before the
// lab is taken down, which removes them.
func (r *Ring) wantNoPanics() {
	if r.config.Unsealed {
		return
	}
	for _, h := range r.hosts {
		names, _ := filepath.Glob(filepath.Join(h.lab.Dir(), "log", "*"))
		for _, n := range append(names, filepath.Join(h.State(), "log")) {
			b, err := os.ReadFile(n)
			if err != nil {
				continue
			}
			for _, bad := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "goroutine 1 ["} {
				if i := strings.Index(string(b), bad); i >= 0 {
					r.t.Errorf("%s: %s: %s", h.Name(), filepath.Base(n), excerptLines(string(b[i:]), 80))
					break
				}
			}
		}
	}
}

func excerptLines(s string, n int) string {
	lines := strings.SplitN(s, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "\n")
}

var build struct {
	sync.Mutex
	dir  string
	bins map[bool]string
}

// binEnv names a signet to test instead of the one that Build would build.
const binEnv = "SIGNET_BIN"

// Build builds signet with crash points, once for each test binary, and returns its path.
func Build(t testing.TB, race bool) string {
	t.Helper()
	if bin := os.Getenv(binEnv); bin != "" {
		return bin
	}
	build.Lock()
	defer build.Unlock()
	if bin := build.bins[race]; bin != "" {
		return bin
	}
	if build.dir == "" {
		var err error
		if build.dir, err = netlab.TempDir(); err != nil {
			t.Fatal(err)
		}
		build.bins = map[bool]string{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	began := time.Now()
	dir := filepath.Join(build.dir, fmt.Sprint("race-", race))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	bin, err := crash.Build(ctx, "./cmd/signet", dir, race)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("built signet in %v", time.Since(began).Round(time.Millisecond))
	build.bins[race] = bin
	return bin
}

// removeBuild removes what Build made, when all tests are over.
func removeBuild() {
	build.Lock()
	defer build.Unlock()
	if build.dir != "" {
		os.RemoveAll(build.dir)
	}
}

// raceEnv makes a data race end the daemon only at its end, so that its test goes on.
var raceEnv = []string{"GORACE=halt_on_error=0 exitcode=0 atexit_sleep_ms=0"}

// agentEnvOf is the environment of an agent. Without asynchronous preemption no signal
// of the Go runtime interrupts its system calls.
func agentEnvOf(socket, mount string) []string {
	return []string{agentEnv + "=" + socket, mountEnv + "=" + mount, "GODEBUG=asyncpreemptoff=1"}
}
