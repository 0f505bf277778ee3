package wiretest_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/wire/wiretest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends is a connection from a to b, both ends.
type ends struct {
	t    *testing.T
	net  *wiretest.Network
	time *clock.Manual
	addr string
	a, b net.Conn
}

func connect(t *testing.T) *ends {
	t.Helper()
	e := &ends{t: t, time: clock.NewManual(time.Unix(0, 0))}
	e.net = wiretest.New(e.time)
	t.Cleanup(e.net.Close)
	l, err := e.net.Listen("b")
	if err != nil {
		t.Fatal(err)
	}
	e.addr = l.Addr().String()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	if e.a, err = e.net.Dial("a")(t.Context(), e.addr); err != nil {
		t.Fatal(err)
	}
	e.b = <-accepted
	t.Cleanup(func() { e.b.Close() })
	return e
}

func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// reading begins to read n bytes.
func reading(c net.Conn, n int) <-chan string {
	out := make(chan string, 1)
	go func() {
		p := make([]byte, n)
		k, err := io.ReadFull(c, p)
		if err != nil {
			out <- string(p[:k]) + " " + err.Error()
			return
		}
		out <- string(p)
	}()
	return out
}

func want(t *testing.T, c <-chan string, s string) {
	t.Helper()
	if got := <-c; got != s {
		t.Errorf("got %q, want %q", got, s)
	}
}

func nothing(t *testing.T, c <-chan string) {
	t.Helper()
	for range 100 {
		select {
		case s := <-c:
			t.Fatalf("%q came through", s)
		default:
		}
	}
}

func TestCutOneWay(t *testing.T) {
	e := connect(t)
	e.net.CutOneWay("a", "b")
	there, back := reading(e.b, 5), reading(e.a, 3)
	send(t, e.a, "hello")
	send(t, e.b, "you")
	want(t, back, "you")
	nothing(t, there)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.net.Dial("a")(ctx, e.addr); err != context.Canceled {
		t.Error(err)
	}
	e.net.Heal()
	want(t, there, "hello")
}

func TestFreezeAndHold(t *testing.T) {
	e := connect(t)
	e.net.Freeze("b")
	if c, err := e.net.Dial("a")(t.Context(), e.addr); err != nil {
		t.Error("the kernel of a frozen host accepts:", err)
	} else {
		c.Close()
	}
	there := reading(e.b, 5)
	send(t, e.a, "hello")
	nothing(t, there)
	e.net.Conns("a", "b")[0].Hold()
	e.net.Thaw("b")
	nothing(t, there)
	e.net.Conns("a", "b")[0].Pass(5)
	want(t, there, "hello")
}

func TestDelay(t *testing.T) {
	e := connect(t)
	e.net.Delay("a", "b", time.Second)
	there := reading(e.b, 5)
	send(t, e.a, "hello")
	e.time.Advance(time.Second - 1)
	nothing(t, there)
	e.time.Advance(1)
	want(t, there, "hello")
}

func TestGarble(t *testing.T) {
	e := connect(t)
	e.net.Garble("b", "a")
	send(t, e.b, "hello")
	want(t, reading(e.a, 5), "hell"+string(rune('o'^0x55)))
	send(t, e.b, "hello")
	want(t, reading(e.a, 5), "hello")
}

func TestKillAndRefuse(t *testing.T) {
	e := connect(t)
	there, back := reading(e.b, 1), reading(e.a, 1)
	e.net.Cut("a", "b")
	e.net.KillHost("b")
	want(t, back, " connection reset by peer")
	<-there
	e.net.Heal()
	e.net.Refuse("b", true)
	if _, err := e.net.Dial("a")(t.Context(), e.addr); err == nil {
		t.Error("not refused")
	}
	if n := len(e.net.Conns("a", "b")); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestWhatWasWrittenBeforeCloseArrives(t *testing.T) {
	e := connect(t)
	e.net.Cut("a", "b")
	send(t, e.a, "hello")
	e.a.Close()
	there := reading(e.b, 6)
	nothing(t, there)
	e.net.Heal()
	want(t, there, "hello unexpected EOF")
}

func TestWritesWaitWhenTheNetworkIsFull(t *testing.T) {
	e := connect(t)
	e.net.Cut("a", "b")
	written := make(chan string, 1)
	go func() {
		for range 5 {
			_, _ = e.a.Write(make([]byte, 64<<10))
		}
		written <- "all"
	}()
	nothing(t, written)
	go func() { _, _ = io.Copy(io.Discard, e.b) }()
	e.net.Heal()
	want(t, written, "all")
}
