package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"syscall"

	"github.com/signetfs/signet"
)

// ErrNotRunning says that no daemon serves the state directory.
var ErrNotRunning = errors.New("the host is not running")

// ErrEnded says that the daemon ended during the call. The socket of a process that was
// killed takes calls for a moment longer.
var ErrEnded = errors.New("the daemon ended before it answered")

// Client calls the daemon of one state directory.
type Client struct {
	Dir string
	// Progress is told what a call is waiting for. May be nil.
	Progress func(string)
}

// Call makes a call and decodes its result into result, which may be nil. If no daemon
// serves the directory the error is ErrNotRunning.
func (c *Client) Call(ctx context.Context, call string, args, result any) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	req := Request{Version: Protocol, Call: call}
	if args != nil {
		if req.Args, err = json.Marshal(args); err != nil {
			return err
		}
	}
	if err := writeLine(conn, &req); err != nil {
		return c.broken(ctx, err)
	}
	r := bufio.NewReader(conn)
	for {
		var in Response
		if err := readLine(r, maxAnswer, &in); err != nil {
			return c.broken(ctx, err)
		}
		switch {
		case in.Error != nil:
			return in.Error.error()
		case in.Progress != "":
			if c.Progress != nil {
				c.Progress(in.Progress)
			}
		case result == nil:
			return nil
		default:
			return json.Unmarshal(in.Result, result)
		}
	}
}

func (c *Client) dial(ctx context.Context) (*net.UnixConn, error) {
	path, closeDir, err := dirAddress(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, c.foreign()
	}
	if err != nil {
		return nil, err
	}
	defer closeDir()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return conn.(*net.UnixConn), nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNotRunning
	case errors.Is(err, fs.ErrPermission):
		return nil, c.foreign()
	}
	return nil, signet.Errorf(signet.Unavailable, "reach the host of", c.Dir, "%w", err)
}

func (c *Client) foreign() error {
	return signet.Errorf(signet.Permission, "reach the host of", c.Dir, "it belongs to another user: run this as that user, or with sudo")
}

// broken explains a connection that ended without an answer.
func (c *Client) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return signet.Wrap("call the host of", c.Dir, ctx.Err())
	}
	if signet.KindOf(err) != signet.Other {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return signet.Errorf(signet.Unavailable, "call the host of", c.Dir, "%w: its log is %s/log", ErrEnded, c.Dir)
	}
	return signet.Errorf(signet.Unavailable, "call the host of", c.Dir, "%w", err)
}
