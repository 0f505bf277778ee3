package ring

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The environment of an agent: where it listens, and where the mount is.
const (
	agentEnv = "SIGNET_AGENT"
	mountEnv = "SIGNET_AGENT_MOUNT"
)

// Main is what TestMain of a test binary calls: it runs the tests, or plays the agent
// of a host if that is what this process was started for.
func Main(m *testing.M) {
	if socket := os.Getenv(agentEnv); socket != "" {
		if err := serveAgent(socket, os.Getenv(mountEnv)); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	removeBuild()
	os.Exit(code)
}

// agent makes system calls for a test. Each call has a thread of its own, so that one
// that hangs holds up no other.
type agent struct {
	mount string

	mu   sync.Mutex // guards maps
	maps map[int][]byte
	next int

	out     sync.Mutex // held while an answer is written
	encoder *gob.Encoder
	buffer  *bufio.Writer
}

// serveAgent answers the calls of the one connection that the test makes.
func serveAgent(socket, mount string) error {
	syscall.Umask(0)
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	c, err := l.Accept()
	l.Close()
	if err != nil {
		return err
	}
	a := &agent{mount: mount, maps: map[int][]byte{}, buffer: bufio.NewWriter(c)}
	a.encoder = gob.NewEncoder(a.buffer)
	in := gob.NewDecoder(bufio.NewReader(c))
	for {
		var q Call
		if err := in.Decode(&q); err != nil {
			return nil // the test is done with us
		}
		go a.answer(&q)
	}
}

func (a *agent) answer(q *Call) {
	r := Reply{ID: q.ID}
	r.From = Now()
	err := a.do(q, &r)
	r.To = Now()
	if err != nil && !errors.As(err, &r.Errno) {
		fmt.Fprintln(os.Stderr, "agent:", q.Op, err)
		r.Errno = syscall.ENOTRECOVERABLE
	}
	a.out.Lock()
	defer a.out.Unlock()
	if a.encoder.Encode(&r) != nil || a.buffer.Flush() != nil {
		os.Exit(0) // the test is gone
	}
}

// do carries out a call. Touching a mapped page that cannot be had (SIGBUS) is EFAULT.
func (a *agent) do(q *Call, r *Reply) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			fault, ok := v.(interface{ Addr() uintptr })
			if !ok {
				panic(v)
			}
			err = fmt.Errorf("fault at %#x: %w", fault.Addr(), syscall.EFAULT)
		}
	}()
	f := ops[q.Op]
	if f == nil {
		return fmt.Errorf("no operation %q", q.Op)
	}
	if q.Path != "" {
		root, err := a.root()
		if err != nil {
			return err
		}
		defer unix.Close(root)
		q.root = fmt.Sprintf("/proc/self/fd/%d", root)
	}
	return f(a, q, r)
}

// root opens the mount's root directory, without asking its daemon. Between the death of
// a daemon and the next mount the mountpoint is a plain directory, where nothing that a
// program finds or misses means anything: then there is no connection.
func (a *agent) root() (int, error) {
	fd, err := unix.Open(a.mount, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	device := func(fd int, path string) (d [2]uint32, err error) {
		var st unix.Statx_t
		err = unix.Statx(fd, path, unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &st)
		return [2]uint32{st.Dev_major, st.Dev_minor}, err
	}
	here, err := device(fd, "")
	if err == nil {
		var above [2]uint32
		if above, err = device(unix.AT_FDCWD, filepath.Dir(a.mount)); err == nil && here == above {
			err = syscall.ENOTCONN
		}
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}
