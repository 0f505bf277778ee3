package netlab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// keeper is the first process of a host, or the one that holds the switch: it keeps
// namespaces alive for as long as our end of its pipe is open.
type keeper struct {
	cmd  *exec.Cmd
	hold *os.File // closing it ends the keeper
	done chan struct{}
}

// keep is what a keeper runs: set up, say so, and wait for the pipe on descriptor 3 to
// be closed. The shell's wait reaps what the host's processes leave orphaned.
const keep = `set -e
%s
cat <&3 >/dev/null &
echo ready
wait $!`

// startKeeper starts a keeper in new namespaces, by the flags of clone(2).
func startKeeper(flags uintptr, setup string) (*keeper, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf(keep, setup))
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Setpgid: true}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Close()
		return nil, err
	}
	err = inThread(func() error {
		if flags&syscall.CLONE_NEWNS != 0 {
			cmd.SysProcAttr.Cloneflags &^= syscall.CLONE_NEWNS
			if err := ownMounts(); err != nil {
				return err
			}
		}
		return cmd.Start()
	})
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("new namespaces: %w", err)
	}
	k := &keeper{cmd: cmd, hold: w, done: make(chan struct{})}
	said := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(out).ReadString('\n')
		if err == nil && line != "ready\n" {
			err = fmt.Errorf("it said %q", line)
		}
		said <- err
	}()
	select {
	case err = <-said:
	case <-time.After(20 * time.Second):
		err = errors.New("not ready after 20 s")
	}
	if err != nil {
		cmd.Process.Kill()
	}
	waited := make(chan struct{})
	go func() {
		defer close(k.done)
		cmd.Wait()
		close(waited)
	}()
	if err != nil {
		w.Close()
		<-waited
		if errors.Is(err, io.EOF) {
			err = errors.New("it ended")
		}
		return nil, fmt.Errorf("set up a namespace: %w: %s", err, complaint.String())
	}
	return k, nil
}

func (k *keeper) pid() int { return k.cmd.Process.Pid }

// kill ends the keeper, and with a pid namespace everything in it, and waits for the
// end. It fails if the kernel does not get rid of them in time.
func (k *keeper) kill() error {
	k.cmd.Process.Kill()
	k.hold.Close()
	select {
	case <-k.done:
		return nil
	case <-time.After(20 * time.Second):
		return fmt.Errorf("first process %d of a host is still there 20 s after SIGKILL", k.pid())
	}
}
