package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signetfs/signet"
)

func serve(t *testing.T, dir string, h map[string]Handler) *Server {
	t.Helper()
	s, err := Serve(dir, h, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// raw opens a connection to the socket.
func raw(t *testing.T, dir string) net.Conn {
	t.Helper()
	c, err := (&Client{Dir: dir}).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCall(t *testing.T) {
	// Longer than what fits into the address of a socket.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	serve(t, dir, map[string]Handler{
		"double": func(_ context.Context, args json.RawMessage, progress func(string)) (any, error) {
			var n int
			if err := json.Unmarshal(args, &n); err != nil {
				return nil, err
			}
			progress("thinking")
			progress("still thinking")
			return 2 * n, nil
		},
		"fail": func(context.Context, json.RawMessage, func(string)) (any, error) {
			return nil, signet.Errorf(signet.NoKey, "mount", "/mnt", "say \"please\"")
		},
		"none": func(context.Context, json.RawMessage, func(string)) (any, error) { return nil, nil },
	})
	st, err := os.Stat(SocketPath(dir))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatal(st.Mode(), err)
	}
	var said []string
	c := &Client{Dir: dir, Progress: func(s string) { said = append(said, s) }}
	var got int
	if err := c.Call(t.Context(), "double", 21, &got); err != nil || got != 42 {
		t.Error(got, err)
	}
	if !slices.Equal(said, []string{"thinking", "still thinking"}) {
		t.Error(said)
	}
	err = c.Call(t.Context(), "fail", nil, nil)
	if signet.KindOf(err) != signet.NoKey || err.Error() != `mount /mnt: say "please"` {
		t.Error(err)
	}
	if err := c.Call(t.Context(), "none", nil, nil); err != nil {
		t.Error(err)
	}
	if err := c.Call(t.Context(), "frob", nil, nil); signet.KindOf(err) != signet.NotSupported {
		t.Error(err)
	}
}

func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	c := &Client{Dir: dir}
	if err := c.Call(t.Context(), "x", nil, nil); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
	if err := (&Client{Dir: filepath.Join(dir, "none")}).Call(t.Context(), "x", nil, nil); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
	s := serve(t, dir, nil)
	s.Close()
	if err := c.Call(t.Context(), "x", nil, nil); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
	// What a killed daemon leaves.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: SocketPath(dir), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if err := c.Call(t.Context(), "x", nil, nil); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
	serve(t, dir, map[string]Handler{"x": func(context.Context, json.RawMessage, func(string)) (any, error) { return 1, nil }})
	if err := c.Call(t.Context(), "x", nil, nil); err != nil {
		t.Error(err)
	}
}

func TestClientHangsUp(t *testing.T) {
	dir := t.TempDir()
	begun, ended := make(chan struct{}), make(chan error, 1)
	serve(t, dir, map[string]Handler{"wait": func(ctx context.Context, _ json.RawMessage, _ func(string)) (any, error) {
		close(begun)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	if err := (&Client{Dir: dir}).Call(ctx, "wait", nil, nil); signet.KindOf(err) != signet.Interrupted {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the call went on")
	}
}

func TestServerCloses(t *testing.T) {
	dir := t.TempDir()
	begun := make(chan struct{})
	s := serve(t, dir, map[string]Handler{"wait": func(ctx context.Context, _ json.RawMessage, _ func(string)) (any, error) {
		close(begun)
		<-ctx.Done()
		return nil, signet.Errorf(signet.Closed, "wait", "", "the daemon stops")
	}})
	idle := raw(t, dir) // has not sent its request
	go func() {
		<-begun
		s.Close()
	}()
	if err := (&Client{Dir: dir}).Call(t.Context(), "wait", nil, nil); signet.KindOf(err) != signet.Closed {
		t.Error(err)
	}
	_, _ = bufio.NewReader(idle).ReadString('\n')
}

// A process that was killed a moment ago still takes connections.
func TestKilledDuringCall(t *testing.T) {
	dir := t.TempDir()
	path, done, err := dirAddress(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	if err := (&Client{Dir: dir}).Call(t.Context(), "any", nil, nil); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, map[string]Handler{"x": func(context.Context, json.RawMessage, func(string)) (any, error) { return 1, nil }})
	for in, want := range map[string]signet.Kind{
		"garbage\n":                         signet.BadMessage,
		`{"version":9,"call":"x"}` + "\n":   signet.WrongVersion,
		`{"version":1,"call":["x"]}` + "\n": signet.BadMessage,
		`{"version":1,"call":"` + strings.Repeat("x", MaxLine) + `"}` + "\n": signet.TooBig,
	} {
		c := raw(t, dir)
		go func() { _, _ = c.Write([]byte(in)) }()
		var out Response
		if err := readLine(bufio.NewReader(c), MaxLine, &out); err != nil || out.Error == nil || out.Error.Kind != want {
			t.Errorf("%.40q: %+v, %v", in, out.Error, err)
		}
	}
}

func TestStateOf(t *testing.T) {
	for in, want := range map[string]string{
		"signet daemon --state /a":             "/a",
		"/usr/bin/signet daemon --state=/a b":  "/a",
		"signet --state /a daemon":             "/a",
		"signet daemon -state /a --listen x":   "/a",
		"signet daemon":                        "",
		"signet daemon --state":                "",
		"signet mount --state /a /mnt":         "",
		"vim daemon --state /a":                "",
		"signet.test -test.run daemon state x": "",
	} {
		if got := stateOf([]byte(strings.ReplaceAll(in, " ", "\x00") + "\x00")); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte(`{"version":1,"call":"x","args":{}}` + "\n"))
	f.Add([]byte("{\n\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Request
		if err := readLine(bufio.NewReader(strings.NewReader(string(b))), 100, &r); err == nil && slices.Index(b, '\n') >= 100 {
			t.Error("a line longer than allowed was taken")
		}
	})
}
