package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet"
)

// SocketName is the socket's name in the state directory.
const SocketName = "control.sock"

// Protocol is the version that both sides must speak.
const Protocol = 1

// MaxLine bounds a request, and each line of an answer but the last.
const MaxLine = 1 << 20

// maxAnswer bounds the line with the result: the extents of a large file are many.
const maxAnswer = 256 << 20

// Request is what a client sends.
type Request struct {
	Version int             `json:"version"`
	Call    string          `json:"call"`
	Args    json.RawMessage `json:"args,omitempty"`
}

// Response is a line of an answer. Exactly one field is set.
type Response struct {
	Progress string          `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    *Failure        `json:"error,omitempty"`
}

// Failure is an error on its way to the client.
type Failure struct {
	Kind signet.Kind `json:"kind"`
	Text string      `json:"text"`
}

func failureOf(err error) *Failure { return &Failure{signet.KindOf(err), err.Error()} }

// Error returns what the client is to see.
func (f *Failure) error() error {
	return &signet.Error{Kind: f.Kind, Err: errors.New(f.Text)}
}

// dirAddress returns a short path to the socket, whatever the length of dir: socket
// addresses have room for 107 bytes. It is valid until close is called.
func dirAddress(dir string) (path string, closeDir func(), err error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, SocketName), func() { unix.Close(fd) }, nil
}

// checkPeer refuses processes of other users.
func checkPeer(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if inner != nil {
		return inner
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return signet.Errorf(signet.Permission, "control", "", "user %d may not control a host of user %d", cred.Uid, os.Geteuid())
	}
	return nil
}

// readLine reads one line of at most max bytes into v.
func readLine(r *bufio.Reader, max int, v any) error {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > max {
			return signet.Errorf(signet.TooBig, "control", "", "a line of more than %d bytes", max)
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if err != bufio.ErrBufferFull {
			if err == io.EOF && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	if err := json.Unmarshal(line, v); err != nil {
		return signet.Errorf(signet.BadMessage, "control", "", "%w", err)
	}
	return nil
}

// writeLine writes v as one line.
func writeLine(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// SocketPath returns the path of the socket of a state directory, for messages.
func SocketPath(dir string) string { return filepath.Join(dir, SocketName) }
