package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

// readyEnv names the descriptor on which a daemon tells who started it that it runs.
const readyEnv = "SIGNET_READY_FD"

// startPatience is how long a daemon may take to begin to serve. It replays its log
// first, which is a matter of a second.
const startPatience = 60 * time.Second

// readiness is what the daemon says, in one line.
type readiness struct {
	Kind signet.Kind `json:"kind"`
	Text string      `json:"text"`
}

// Start starts the daemon of a state directory in the background, in a session of its
// own, and returns when its control socket answers. Its command line is as people know
// it, and holds nothing that not everybody may see.
func Start(ctx context.Context, dir string, args ...string) error {
	log, err := OpenLog(dir)
	if err != nil {
		return dirError(dir, err)
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{"signet", "daemon", "--state", dir}, args...), Dir: "/",
		Env: append(os.Environ(), readyEnv+"=3"), Stdout: log, Stderr: log, ExtraFiles: []*os.File{w},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return signet.Errorf(signet.Other, "start the daemon of", dir, "%w", err)
	}
	defer func() { _ = cmd.Process.Release() }()
	stop := context.AfterFunc(ctx, func() { r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := r.SetReadDeadline(time.Now().Add(startPatience)); err != nil {
		return err
	}
	line, err := bufio.NewReader(r).ReadBytes('\n')
	var said readiness
	switch {
	case ctx.Err() != nil:
		return signet.Errorf(signet.Interrupted, "start the daemon of", dir, "interrupted; it goes on starting in the background")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return signet.Errorf(signet.Timeout, "start the daemon of", dir, "it does not serve yet; its log is %s", LogPath(dir))
	case err != nil || json.Unmarshal(line, &said) != nil:
		return signet.Errorf(signet.Other, "start the daemon of", dir, "it ended before it served; its log is %s", LogPath(dir))
	case said.Kind != signet.OK:
		return &signet.Error{Kind: said.Kind, Err: errors.New(said.Text)}
	}
	return nil
}

// Starter is how a daemon tells who started it how that went. The zero value is of one
// that nobody waits for.
type Starter struct{ pipe *os.File }

// StartedBy returns who started this process with Start.
func StartedBy() Starter {
	fd, err := strconv.Atoi(os.Getenv(readyEnv))
	os.Unsetenv(readyEnv)
	if err != nil || fd < 3 {
		return Starter{}
	}
	unix.CloseOnExec(fd)
	return Starter{os.NewFile(uintptr(fd), "ready")}
}

// InBackground says whether somebody started this process with Start.
func (s Starter) InBackground() bool { return s.pipe != nil }

// Tell says that the daemon serves, or why it does not.
func (s Starter) Tell(err error) {
	if s.pipe == nil {
		return
	}
	said := readiness{Kind: signet.KindOf(err)}
	if err != nil {
		said.Text = err.Error()
	}
	b, _ := json.Marshal(said)
	fmt.Fprintf(s.pipe, "%s\n", b)
	s.pipe.Close()
}

// stopPatience is how long a daemon may take to stop: it makes safe what was written.
const stopPatience = 2 * time.Minute

// Stop stops the daemon of a state directory and returns when it has ended.
func Stop(ctx context.Context, dir string, progress func(string)) (pid int, err error) {
	var said struct{ PID int }
	client := &control.Client{Dir: dir, Progress: progress}
	if err := client.Call(ctx, control.CallShutdown, nil, &said); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	slow := time.AfterFunc(2*time.Second, func() { progress("waiting until what was written is safe") })
	defer slow.Stop()
	for {
		unlock, err := lock(dir)
		if err == nil {
			unlock()
			return said.PID, nil
		}
		if signet.KindOf(err) != signet.Busy {
			return said.PID, err
		}
		if sleep(ctx, pollState) != nil {
			return said.PID, signet.Errorf(signet.Timeout, "stop the daemon of", dir, "process %d has not ended yet; its log is %s", said.PID, LogPath(dir))
		}
	}
}
