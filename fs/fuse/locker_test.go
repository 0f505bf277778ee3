package fuse

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lockerRole is a process that makes the calls about locks that it reads, each in a thread
// of its own, and prints how they ended: "TAG CALL ARGS..." is answered by "TAG RESULT".
func lockerRole(args []string) error {
	p := &lockerProcess{dir: args[0], fds: map[string]int{}}
	if len(args) > 1 {
		p.fds[args[1]] = 3 // inherited
	}
	if err := p.interruptible(); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		tag, call, _ := strings.Cut(in.Text(), " ")
		go func() {
			runtime.LockOSThread()
			result := p.call(strings.Fields(call), tag)
			p.out.Lock()
			defer p.out.Unlock()
			fmt.Println(tag, result)
		}()
	}
	return nil
}

type lockerProcess struct {
	dir     string
	out     sync.Mutex
	mu      sync.Mutex
	fds     map[string]int // guarded by mu
	threads sync.Map       // of calls under way, by tag
}

// interruptible has SIGUSR1 end a call with EINTR: Go's own handlers restart them.
func (p *lockerProcess) interruptible() error {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
	var act struct {
		handler         uintptr
		flags           uint64
		restorer, masks uintptr
	}
	const restart = 0x10000000
	if _, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGUSR1), 0, uintptr(unsafe.Pointer(&act)), 8, 0, 0); e != 0 {
		return e
	}
	act.flags &^= restart
	if _, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGUSR1), uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0); e != 0 {
		return e
	}
	return nil
}

func (p *lockerProcess) fd(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd, ok := p.fds[name]; ok {
		return fd
	}
	return -1
}

func (p *lockerProcess) set(name string, fd int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fds[name] = fd
}

var (
	openModes = map[string]int{"r": unix.O_RDONLY, "w": unix.O_WRONLY, "rw": unix.O_RDWR}
	flocks    = map[string]int{"sh": unix.LOCK_SH, "ex": unix.LOCK_EX, "un": unix.LOCK_UN}
	fcntls    = map[string]int16{"r": unix.F_RDLCK, "w": unix.F_WRLCK, "u": unix.F_UNLCK}
	lockCalls = map[string]int{"lock": unix.F_SETLK, "lockw": unix.F_SETLKW, "test": unix.F_GETLK,
		"olock": unix.F_OFD_SETLK, "olockw": unix.F_OFD_SETLKW, "otest": unix.F_OFD_GETLK}
)

func (p *lockerProcess) call(w []string, tag string) string {
	p.threads.Store(tag, unix.Gettid())
	defer p.threads.Delete(tag)
	var err error
	switch w[0] {
	case "open": // NAME FILE MODE
		var fd int
		if fd, err = unix.Open(p.dir+"/"+w[2], openModes[w[3]]|unix.O_CREAT|unix.O_CLOEXEC, 0o666); err == nil {
			p.set(w[1], fd)
		}
	case "dup": // NAME OF
		var fd int
		if fd, err = unix.FcntlInt(uintptr(p.fd(w[2])), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			p.set(w[1], fd)
		}
	case "close":
		err = unix.Close(p.fd(w[1]))
	case "flock", "flocknb": // NAME TYPE
		how := flocks[w[2]]
		if w[0] == "flocknb" {
			how |= unix.LOCK_NB
		}
		err = unix.Flock(p.fd(w[1]), how)
	case "signal": // TAG
		if tid, ok := p.threads.Load(w[1]); ok {
			err = unix.Tgkill(os.Getpid(), tid.(int), syscall.SIGUSR1)
		}
	case "write": // NAME TEXT
		_, err = unix.Pwrite(p.fd(w[1]), []byte(w[2]), 0)
	case "read": // NAME
		b := make([]byte, 100)
		var n int
		n, err = unix.Pread(p.fd(w[1]), b, 0)
		if err == nil {
			return string(b[:n])
		}
	default: // NAME TYPE START LEN
		return p.fcntl(w)
	}
	if err != nil {
		return unix.ErrnoName(err.(syscall.Errno))
	}
	return "ok"
}

func (p *lockerProcess) fcntl(w []string) string {
	start, _ := strconv.ParseInt(w[3], 10, 64)
	length, _ := strconv.ParseInt(w[4], 10, 64)
	l := unix.Flock_t{Type: fcntls[w[2]], Start: start, Len: length}
	if err := unix.FcntlFlock(uintptr(p.fd(w[1])), lockCalls[w[0]], &l); err != nil {
		return unix.ErrnoName(err.(syscall.Errno))
	}
	if !strings.HasSuffix(w[0], "test") {
		return "ok"
	}
	for name, typ := range fcntls {
		if typ == l.Type && name == "u" {
			return "free"
		} else if typ == l.Type {
			return fmt.Sprint(name, " ", l.Start, " ", l.Len, " pid ", l.Pid)
		}
	}
	return "?"
}

// locker is a lockerRole process as the test sees it.
type locker struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   *os.File
	mu   sync.Mutex
	wait map[string]chan string // guarded by mu
	last atomic.Int64
	gone chan struct{}
}

func startLocker(t testing.TB, dir string) *locker {
	t.Helper()
	l := &locker{t: t, cmd: selfIn("locker", nil, "/proc/self/exe", dir), wait: map[string]chan string{}, gone: make(chan struct{})}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l.cmd.Stdin, l.in = read, write
	out, err := l.cmd.StdoutPipe()
	if err == nil {
		l.cmd.Stderr = os.Stderr
		err = l.cmd.Start()
	}
	read.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(l.gone)
		for s := bufio.NewScanner(out); s.Scan(); {
			tag, result, _ := strings.Cut(s.Text(), " ")
			l.mu.Lock()
			l.wait[tag] <- result
			l.mu.Unlock()
		}
		l.cmd.Wait()
	}()
	t.Cleanup(l.kill)
	return l
}

func (l *locker) kill() {
	l.cmd.Process.Kill()
	within20(l.t, l.gone, "a killed locker to end")
	l.in.Close()
}

// begin makes a call without waiting for its end.
func (l *locker) begin(tag, call string) <-chan string {
	done := make(chan string, 1)
	l.mu.Lock()
	l.wait[tag] = done
	l.mu.Unlock()
	if _, err := fmt.Fprintln(l.in, tag, call); err != nil {
		l.t.Error(err)
	}
	return done
}

// do makes a call.
func (l *locker) do(call string) string {
	return l.await(l.begin(fmt.Sprint("do", l.last.Add(1)), call), limitOf)
}

func (l *locker) await(done <-chan string, most time.Duration) string {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case result := <-done:
		return result
	case <-l.gone:
		return "killed"
	case <-t.C:
		return "waits"
	}
}
