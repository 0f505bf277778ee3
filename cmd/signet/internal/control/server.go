package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/signetfs/signet"
)

// Bounds of a server.
const (
	maxCalls    = 64               // at once
	requestTime = 10 * time.Second // for a client to send its request
)

// Handler answers one call. progress tells the client what it waits for. The context
// ends when the client hangs up or the server closes.
type Handler func(ctx context.Context, args json.RawMessage, progress func(string)) (any, error)

// Server serves the control socket of a state directory.
type Server struct {
	handlers map[string]Handler
	log      *slog.Logger
	path     string
	listener *net.UnixListener
	room     chan struct{}
	ctx      context.Context
	end      context.CancelFunc
	work     sync.WaitGroup
}

// Serve begins to serve. The caller holds the state directory's lock, so a socket that
// lies there is a dead daemon's and is replaced.
func Serve(dir string, handlers map[string]Handler, log *slog.Logger) (*Server, error) {
	s := &Server{handlers: handlers, log: log, path: filepath.Join(dir, SocketName), room: make(chan struct{}, maxCalls)}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	path, closeDir, err := dirAddress(dir)
	if err != nil {
		return nil, err
	}
	defer closeDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, signet.Errorf(signet.Other, "listen on", s.path, "%w", err)
	}
	// The name it was made under means something else soon; Close removes the real one.
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(s.path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	s.listener = l
	s.ctx, s.end = context.WithCancel(context.Background())
	s.work.Go(s.accept)
	return s, nil
}

// Close ends the calls under way and removes the socket.
func (s *Server) Close() {
	s.listener.Close()
	os.Remove(s.path)
	s.end()
	s.work.Wait()
}

func (s *Server) accept() {
	for {
		c, err := s.listener.AcceptUnix()
		if err != nil {
			if s.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
				s.log.Error("control socket", "err", err)
			}
			return
		}
		select {
		case s.room <- struct{}{}:
			s.work.Go(func() {
				defer func() { <-s.room }()
				s.serve(c)
			})
		default:
			c.Close()
		}
	}
}

// serve answers the one call of a connection.
func (s *Server) serve(c *net.UnixConn) {
	defer c.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var sending sync.Mutex
	send := func(r *Response) {
		sending.Lock()
		defer sending.Unlock()
		if err := writeLine(c, r); err != nil {
			cancel()
		}
	}
	result, err := s.answer(ctx, c, cancel, func(text string) { send(&Response{Progress: text}) })
	var out Response
	if err == nil {
		out.Result, err = json.Marshal(result)
	}
	if err != nil {
		out = Response{Error: failureOf(err)}
	}
	send(&out)
}

func (s *Server) answer(ctx context.Context, c *net.UnixConn, cancel func(), progress func(string)) (any, error) {
	if err := checkPeer(c); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(s.ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := c.SetReadDeadline(time.Now().Add(requestTime)); err != nil {
		return nil, err
	}
	r := bufio.NewReader(c)
	var req Request
	if err := readLine(r, MaxLine, &req); err != nil {
		return nil, err
	}
	if req.Version != Protocol {
		return nil, signet.Errorf(signet.WrongVersion, "control", "", "the running daemon speaks version %d of the control protocol, this program %d: restart the daemon", Protocol, req.Version)
	}
	h := s.handlers[req.Call]
	if h == nil {
		return nil, signet.Errorf(signet.NotSupported, "control", "", "the running daemon does not know the call %q: restart it after an update", req.Call)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	go func() { // a client that hangs up ends its call
		_, _ = r.ReadByte()
		cancel()
	}()
	return h(ctx, req.Args, progress)
}
