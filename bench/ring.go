package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for the ring.
const patience = 2 * time.Minute

// pollEvery is how often the ring's status is asked for while something is awaited.
const pollEvery = 20 * time.Millisecond

// ring is three hosts on this machine.
type ring struct {
	signet string
	urgent bool
	hosts  []*host
}

// host is one of them. pid is 0 while it does not run.
type host struct {
	id    uint64
	state string
	mnt   string
	pid   int
}

// status is what is read of signet status --json.
type status struct {
	Healthy  bool
	Problems []struct{ Text string }
	Self     uint64
	Leader   uint64
	Process  struct{ PID int }
}

// startRing starts three hosts and waits until all is well. The ring it returns must be
// stopped, also after an error.
func startRing(ctx context.Context, program, dir string, urgent bool) (*ring, error) {
	r := &ring{signet: program, urgent: urgent}
	token := filepath.Join(dir, "token")
	for i := range 3 {
		h := &host{state: filepath.Join(dir, fmt.Sprintf("h%d", i+1)), mnt: filepath.Join(dir, fmt.Sprintf("mnt%d", i+1))}
		if err := os.Mkdir(h.mnt, 0o700); err != nil {
			return r, err
		}
		how := []string{"init", "--replicas", "3"}
		if i > 0 {
			if err := r.token(ctx, token); err != nil {
				return r, err
			}
			how = []string{"join", "--token-file", token}
		}
		how = append(how, "--state", h.state, "--listen", "127.0.0.1:0", "--name", fmt.Sprintf("h%d", i+1))
		if _, err := r.call(ctx, how...); err != nil {
			return r, err
		}
		r.hosts = append(r.hosts, h)
		if err := r.mount(ctx, h); err != nil {
			return r, err
		}
	}
	return r, r.healthy(ctx)
}

// token writes a join token to a file.
func (r *ring) token(ctx context.Context, file string) error {
	out, err := r.call(ctx, "token", "create", "--state", r.hosts[0].state, "--json")
	if err != nil {
		return err
	}
	var made struct{ Token string }
	if err := json.Unmarshal(out, &made); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(made.Token+"\n"), 0o600)
}

// call runs a command of signet and returns what it prints.
func (r *ring) call(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var out, wrong bytes.Buffer
	c := exec.CommandContext(ctx, r.signet, args...)
	c.Stdout, c.Stderr = &out, &wrong
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("signet %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(wrong.Bytes()))
	}
	return out.Bytes(), nil
}

// mount mounts a host's volume, which starts the host.
func (r *ring) mount(ctx context.Context, h *host) error {
	if _, err := r.call(ctx, "mount", "--state", h.state, h.mnt); err != nil {
		return err
	}
	return r.meet(ctx, h)
}

// meet finds out who a host is that has just started.
func (r *ring) meet(ctx context.Context, h *host) error {
	s, err := r.status(ctx, h)
	if err != nil {
		return err
	}
	h.id, h.pid = s.Self, s.Process.PID
	if r.urgent {
		return urge(fmt.Sprint(h.pid))
	}
	return nil
}

func (r *ring) status(ctx context.Context, h *host) (*status, error) {
	out, err := r.call(ctx, "status", "--state", h.state, "--json")
	if err != nil {
		return nil, err
	}
	s := &status{}
	return s, json.Unmarshal(out, s)
}

// healthy waits until all is well as every host sees it.
func (r *ring) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, h := range r.hosts {
		for {
			s, err := r.status(ctx, h)
			if err != nil {
				return err
			}
			if s.Healthy {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the ring does not get healthy: %v", s.Problems)
			case <-time.After(pollEvery):
			}
		}
	}
	return nil
}

// leader returns the host that leads, and one that does not.
func (r *ring) leader(ctx context.Context) (leader, other *host, err error) {
	s, err := r.status(ctx, r.hosts[0])
	if err != nil {
		return nil, nil, err
	}
	for _, h := range r.hosts {
		if h.id == s.Leader {
			leader = h
		} else {
			other = h
		}
	}
	if leader == nil {
		return nil, nil, errors.New("nobody leads")
	}
	return leader, other, nil
}

// end sends a signal to a host and waits for its end.
func (h *host) end(sig unix.Signal, limit time.Duration) error {
	if h.pid == 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(h.pid, 0)
	if err != nil { // it has ended by itself
		h.pid = 0
		return fmt.Errorf("the host in %s is gone: %w", h.state, err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
		return err
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(limit.Milliseconds()))
	if err == nil && n == 0 {
		return fmt.Errorf("the host in %s has not ended after %v", h.state, limit)
	}
	h.pid = 0
	return err
}

// stop ends the hosts, by force if need be, and leaves nothing mounted.
func (r *ring) stop() error {
	var errs []error
	for _, h := range r.hosts {
		err := h.end(unix.SIGTERM, time.Minute)
		if err != nil {
			err = errors.Join(err, h.end(unix.SIGKILL, time.Minute))
			_ = exec.Command("fusermount3", "-u", "-z", h.mnt).Run()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
