package netlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Cmd is a program to run on a host.
type Cmd struct {
	Args  []string // the program, and its arguments
	Env   []string // in addition to the test's own environment
	Dir   string   // to run in; empty: the root directory
	UID   uint32   // to run as, with GID and no other groups; 0: root
	GID   uint32
	Stdin io.Reader // for Exec; nil: nothing
}

// Process is a running program on a host. It is a process group of its own.
type Process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended; then err is set
	err  error
}

// command makes the exec.Cmd.
func (c *Cmd) command() *exec.Cmd {
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/" // never a directory below a mount under test
	}
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.UID != 0 || c.GID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.UID, Gid: c.GID}
	}
	return cmd
}

// startIn starts c in namespaces of process first, with its output to log.
func startIn(first int, which []string, c Cmd, log *os.File) (*Process, error) {
	cmd := c.command()
	cmd.Stdout, cmd.Stderr = log, log
	return launch(first, which, cmd)
}

// launch starts cmd in namespaces of process first and waits for its end in the
// background: a host's first process cannot go before its children were waited for.
func launch(first int, which []string, cmd *exec.Cmd) (*Process, error) {
	err := inThread(func() error {
		if err := enter(first, which); err != nil {
			return err
		}
		return cmd.Start()
	})
	if err != nil {
		return nil, err
	}
	p := &Process{name: filepath.Base(cmd.Path), cmd: cmd, done: make(chan struct{})}
	if f, ok := cmd.Stdout.(*os.File); ok {
		p.log = f.Name()
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// execIn runs c in namespaces of process first until it ends or ctx does.
func execIn(ctx context.Context, first int, which []string, c Cmd) ([]byte, error) {
	var out, complaint bytes.Buffer
	cmd := c.command()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, &out, &complaint
	cmd.WaitDelay = time.Second // a child of it may hold the pipes
	p, err := launch(first, which, cmd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(c.Args, " "), err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		where := stuck(p.Pid())
		p.Kill()
		if p.await(5*time.Second) != nil {
			// Its buffers may still be written to: leave them alone.
			return nil, fmt.Errorf("%s: %w, and it does not die%s", strings.Join(c.Args, " "), ctx.Err(), where)
		}
		return out.Bytes(), fmt.Errorf("%s: %w%s%s", strings.Join(c.Args, " "), ctx.Err(), where, note(complaint.String()))
	}
	if p.err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w%s", strings.Join(c.Args, " "), p.err, note(complaint.String()))
	}
	return out.Bytes(), nil
}

func note(s string) string {
	if s = strings.TrimSpace(s); s != "" {
		return ": " + s
	}
	return ""
}

// Pid returns the process id, as seen outside the host.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end and returns what exec.Cmd.Wait does.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("%s has not ended: %w", p.name, ctx.Err())
	}
}

// await waits for the end, however it ended, for at most d.
func (p *Process) await(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.done:
		return nil
	case <-t.C:
		return errors.New("still running")
	}
}

// Signal sends a signal to the process and those of its children that stayed in its
// process group. A process that has ended is none of its business.
func (p *Process) Signal(sig syscall.Signal) {
	select {
	case <-p.done:
	default:
		syscall.Kill(-p.Pid(), sig)
	}
}

// Kill ends the process with SIGKILL.
func (p *Process) Kill() { p.Signal(syscall.SIGKILL) }

// Freeze stops the process: it holds its connections and answers nothing.
func (p *Process) Freeze() { p.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() { p.Signal(syscall.SIGCONT) }

// Log returns what the process has printed so far.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// sameNamespace returns the processes in the pid namespace of process first.
func sameNamespace(first int) ([]int, error) {
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", first))
	if err != nil {
		return nil, err
	}
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, l := range links {
		if ns, err := os.Readlink(l); err != nil || ns != want {
			continue // of another host, or ended meanwhile
		}
		if pid, err := strconv.Atoi(strings.Split(l, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// stuck says in which state a process is and where in the kernel it waits.
func stuck(pid int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return ""
	}
	var state string
	for line := range strings.Lines(string(status)) {
		if s, ok := strings.CutPrefix(line, "State:"); ok {
			state = strings.TrimSpace(s)
		}
	}
	stack, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stack", pid)) // may be forbidden
	return fmt.Sprintf(" (state %s)\n%s", state, stack)
}
