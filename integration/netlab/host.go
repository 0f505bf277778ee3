package netlab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Host is one host of a lab.
type Host struct {
	lab   *Lab
	index int
	dir   string

	mu        sync.Mutex // guards:
	keeper    *keeper    // nil while the host is dead
	processes []*Process // all that were started since it booted
	started   int        // counts processes, for the names of logs
}

// Index returns the host's number, counted from 0.
func (h *Host) Index() int { return h.index }

// Addr returns the host's address.
func (h *Host) Addr() netip.Addr { return h.lab.addr(h.index) }

// Dir returns a directory of the host's own. It stays when the host is killed, as a
// disk does.
func (h *Host) Dir() string { return h.dir }

func (h *Host) logs() string { return filepath.Join(h.dir, "log") }

// hostSetup shows a host its own processes, and names it.
const hostSetup = `mount -t proc proc /proc
echo host%d >/proc/sys/kernel/hostname`

// boot starts the host's first process and plugs the host in.
func (h *Host) boot() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keeper != nil {
		return errors.New("it is running")
	}
	k, err := startKeeper(syscall.CLONE_NEWNET|syscall.CLONE_NEWNS|syscall.CLONE_NEWUTS|syscall.CLONE_NEWIPC|syscall.CLONE_NEWPID,
		fmt.Sprintf(hostSetup, h.index))
	if err != nil {
		return err
	}
	h.keeper = k
	return h.lab.plugIn(h.index, k.pid())
}

// Boot starts a host that was killed: with its directory as it was, and with nothing
// mounted or running.
func (h *Host) Boot() {
	h.lab.t.Helper()
	if err := h.boot(); err != nil {
		h.lab.t.Fatalf("netlab: boot host %d: %v", h.index, err)
	}
}

// Kill ends every process of the host with SIGKILL, at once, and takes it off the
// network. Peers see their connections reset; cut the host first for a silent death.
func (h *Host) Kill() {
	h.lab.t.Helper()
	if err := h.kill(); err != nil {
		h.lab.t.Fatalf("netlab: kill host %d: %v", h.index, err)
	}
}

func (h *Host) kill() error {
	h.mu.Lock()
	k, ps := h.keeper, h.processes
	h.keeper, h.processes = nil, nil
	h.mu.Unlock()
	if k == nil {
		return nil
	}
	err := k.kill() // the kernel kills the others, stopped ones too
	for _, p := range ps {
		if p.await(10*time.Second) != nil {
			err = errors.Join(err, fmt.Errorf("%s (%d) is still there after SIGKILL%s", p.name, p.Pid(), stuck(p.Pid())))
		}
	}
	if !h.lab.closed.Load() {
		err = errors.Join(err, h.lab.plugOut(h.index))
	}
	return err
}

// Freeze stops every process of the host with SIGSTOP. The kernel goes on: it accepts
// connections and acknowledges what arrives, but nothing answers.
func (h *Host) Freeze() { h.lab.t.Helper(); h.signalAll(syscall.SIGSTOP) }

// Thaw lets a frozen host go on.
func (h *Host) Thaw() { h.lab.t.Helper(); h.signalAll(syscall.SIGCONT) }

// signalAll sends a signal to every process of the host but its keeper's own, which
// must stay able to end the host. Processes born meanwhile are caught in the next round.
func (h *Host) signalAll(sig syscall.Signal) {
	h.lab.t.Helper()
	first, err := h.first()
	if err != nil {
		h.lab.t.Fatal(err)
	}
	seen := map[int]bool{first: true}
	for found := true; found; {
		found = false
		pids, err := sameNamespace(first)
		if err != nil {
			h.lab.t.Fatalf("netlab: processes of host %d: %v", h.index, err)
		}
		for _, pid := range pids {
			if seen[pid] {
				continue
			}
			seen[pid], found = true, true
			if group, err := syscall.Getpgid(pid); err != nil || group == first {
				continue
			}
			if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				h.lab.t.Fatalf("netlab: signal %d of host %d: %v", pid, h.index, err)
			}
		}
	}
}

// first returns the process id of the host's first process.
func (h *Host) first() (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keeper == nil {
		return 0, fmt.Errorf("netlab: host %d is dead", h.index)
	}
	return h.keeper.pid(), nil
}

// Alive says whether the host is up, frozen or not.
func (h *Host) Alive() bool { _, err := h.first(); return err == nil }

// Exec runs a program on the host and returns its standard output. The error of a
// program that failed holds what it wrote to standard error. When ctx ends the
// program and its children are killed; should even that not end it, Exec returns all
// the same, with an error that says where in the kernel it hangs.
func (h *Host) Exec(ctx context.Context, c Cmd) ([]byte, error) {
	first, err := h.first()
	if err != nil {
		return nil, err
	}
	return execIn(ctx, first, namespaces, c)
}

// Run runs a program that must succeed within 30 seconds, and returns its standard
// output.
func (h *Host) Run(args ...string) string {
	h.lab.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := h.Exec(ctx, Cmd{Args: args})
	if err != nil {
		h.lab.t.Fatalf("host %d: %v", h.index, err)
	}
	return string(out)
}

// Start starts a program on the host that runs until it ends, is killed, or the host
// dies. What it prints goes to a log that is printed if the test fails.
func (h *Host) Start(name string, c Cmd) *Process {
	h.lab.t.Helper()
	p, err := h.start(name, c)
	if err != nil {
		h.lab.t.Fatalf("netlab: start %s on host %d: %v", name, h.index, err)
	}
	return p
}

func (h *Host) start(name string, c Cmd) (*Process, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keeper == nil {
		return nil, errors.New("the host is dead")
	}
	h.started++
	log, err := os.OpenFile(filepath.Join(h.logs(), fmt.Sprintf("%03d-%s", h.started, name)), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p, err := startIn(h.keeper.pid(), namespaces, c, log)
	if err != nil {
		return nil, err
	}
	p.name = name
	h.processes = append(h.processes, p)
	return p, nil
}
