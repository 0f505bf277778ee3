package netlab_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/netlab"
)

// roleEnv makes the test binary play a part in a lab instead of testing.
const roleEnv = "SIGNET_NETLAB_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "echo":
		echo()
	case "probe":
		probe(os.Args[1])
	case "talk":
		talk(os.Args[1])
	case "lab":
		lab(os.Args[1])
	}
}

// echo answers every connection to port 7 with what it says.
func echo() {
	l, err := net.Listen("tcp", ":7")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("listening")
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go io.Copy(c, c)
	}
}

// probe says how an attempt to talk to an echo ends: "ok", "refused", "no answer"
// (connected, then silence) or "no connection".
func probe(addr string) {
	c, err := net.DialTimeout("tcp", addr+":7", time.Second)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		fmt.Print("refused")
		return
	case err != nil:
		fmt.Print("no connection")
		return
	}
	c.SetDeadline(time.Now().Add(time.Second))
	b := []byte{'x'}
	c.Write(b)
	if _, err := io.ReadFull(c, b); err != nil {
		fmt.Print("no answer")
		return
	}
	fmt.Print("ok")
}

// talk keeps one connection and prints each answer until it breaks.
func talk(addr string) {
	c, err := net.DialTimeout("tcp", addr+":7", 5*time.Second)
	for err == nil {
		b := []byte{'x'}
		c.Write(b)
		if _, err = io.ReadFull(c, b); err == nil {
			fmt.Println("heard")
			time.Sleep(20 * time.Millisecond)
		}
	}
	fmt.Println("broken:", errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF))
}

func role(name string, args ...string) netlab.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return netlab.Cmd{Args: append([]string{self}, args...), Env: []string{roleEnv + "=" + name, "GORACE=atexit_sleep_ms=0"}}
}

// wants checks what host i gets when it talks to host j.
func wants(t *testing.T, l *netlab.Lab, i, j int, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := l.Host(i).Exec(ctx, role("probe", l.Host(j).Addr().String()))
	if err != nil || string(got) != want {
		t.Errorf("host %d to host %d: %q, %v; want %q", i, j, got, err, want)
	}
}

// eventually waits for a condition on real processes, whose changes have no event.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// echoes boots n hosts with an echo on each.
func echoes(t *testing.T, n int) (*netlab.Lab, []*netlab.Process) {
	t.Helper()
	l := netlab.New(t, n)
	ps := make([]*netlab.Process, n)
	for i := range ps {
		ps[i] = l.Host(i).Start("echo", role("echo"))
	}
	for i, p := range ps {
		eventually(t, fmt.Sprintf("echo %d listens", i), func() bool { return strings.Contains(p.Log(), "listening") })
	}
	return l, ps
}

func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	l, _ := echoes(t, 3)
	wants(t, l, 0, 1, "ok")
	wants(t, l, 2, 0, "ok")

	l.Cut(1)
	wants(t, l, 0, 1, "no connection")
	wants(t, l, 1, 2, "no connection")
	wants(t, l, 0, 2, "ok")
	l.Heal()
	wants(t, l, 0, 1, "ok")

	l.CutPair(0, 1)
	wants(t, l, 0, 1, "no connection")
	wants(t, l, 1, 0, "no connection")
	wants(t, l, 0, 2, "ok")
	wants(t, l, 2, 1, "ok")
	l.Heal()

	l.CutDial(0, 1)
	wants(t, l, 0, 1, "no connection")
	wants(t, l, 1, 0, "ok")
	l.Heal()

	l.CutOneWay(0, 1)
	wants(t, l, 1, 0, "no connection")
	wants(t, l, 0, 2, "ok")
	l.Heal()

	l.Refuse(1, 7)
	wants(t, l, 0, 1, "refused")
	wants(t, l, 1, 0, "ok")
	l.Heal()
	wants(t, l, 0, 1, "ok")

	l.Unplug(1)
	wants(t, l, 0, 1, "no connection")
	if s := l.Host(1).Run("ip", "link", "show", "eth0"); !strings.Contains(s, "NO-CARRIER") {
		t.Errorf("an unplugged host still has a carrier: %s", s)
	}
	l.Heal()
	eventually(t, "host 1 is back on the network", func() bool {
		got, _ := l.Host(0).Exec(t.Context(), role("probe", l.Host(1).Addr().String()))
		return string(got) == "ok"
	})
}

func TestLiveConnectionOutlivesACut(t *testing.T) {
	t.Parallel()
	l, _ := echoes(t, 2)
	talk := l.Host(0).Start("talk", role("talk", l.Host(1).Addr().String()))
	heard := func() int { return strings.Count(talk.Log(), "heard") }
	eventually(t, "they talk", func() bool { return heard() > 3 })

	l.CutOneWay(1, 0)
	n := heard()
	time.Sleep(300 * time.Millisecond)
	if m := heard(); m > n+1 {
		t.Errorf("heard %d answers through a cut", m-n)
	}
	l.Heal()
	n = heard()
	eventually(t, "they go on", func() bool { return heard() > n+3 })

	l.Host(1).Kill()
	eventually(t, "the connection breaks at once", func() bool { return strings.Contains(talk.Log(), "broken: true") })
}

func TestFreezeAndKill(t *testing.T) {
	t.Parallel()
	l, ps := echoes(t, 2)
	l.Host(1).Freeze()
	wants(t, l, 0, 1, "no answer")
	l.Host(1).Thaw()
	wants(t, l, 0, 1, "ok")

	ps[1].Freeze()
	wants(t, l, 0, 1, "no answer")
	ps[1].Thaw()
	wants(t, l, 0, 1, "ok")

	mark := filepath.Join(l.Host(1).Dir(), "mark")
	l.Host(1).Run("sh", "-c", "echo kept >"+mark)
	l.Host(1).Freeze() // stopped processes die as well
	l.Host(1).Kill()
	if err := ps[1].Wait(t.Context()); err == nil {
		t.Error("a process outlived its host")
	}
	wants(t, l, 0, 1, "no connection")
	if l.Host(1).Alive() {
		t.Error("a killed host says it is alive")
	}
	if _, err := l.Host(1).Exec(t.Context(), netlab.Cmd{Args: []string{"true"}}); err == nil {
		t.Error("a program ran on a dead host")
	}

	l.Host(1).Boot()
	wants(t, l, 0, 1, "refused")
	if got := l.Host(1).Run("cat", mark); got != "kept\n" {
		t.Errorf("after a reboot the mark is %q", got)
	}
	p := l.Host(1).Start("echo", role("echo"))
	eventually(t, "the new echo listens", func() bool { return strings.Contains(p.Log(), "listening") })
	wants(t, l, 0, 1, "ok")
	p.Kill()
	p.Wait(t.Context())
	wants(t, l, 0, 1, "refused")
}

func TestHostsAreApart(t *testing.T) {
	t.Parallel()
	l := netlab.New(t, 2)
	dir := filepath.Join(l.Host(0).Dir(), "mnt")
	l.Host(0).Run("mkdir", dir)
	l.Host(0).Run("mount", "-t", "tmpfs", "lab", dir)
	l.Host(0).Run("touch", filepath.Join(dir, "inside"))
	if _, err := os.Stat(filepath.Join(dir, "inside")); err == nil {
		t.Error("the test process sees a mount of a host")
	}
	if s := l.Host(1).Run("cat", "/proc/mounts"); strings.Contains(s, dir) {
		t.Error("a host sees another one's mount")
	}
	if got := l.Host(1).Run("hostname"); got != "host1\n" {
		t.Errorf("host 1 is called %q", got)
	}
	if s := l.Host(0).Run("sh", "-c", "echo /proc/[0-9]*"); len(strings.Fields(s)) > 5 {
		t.Errorf("a host sees foreign processes: %s", s)
	}
	if got := strings.Fields(l.Host(0).Run("ip", "-o", "-4", "route"))[0]; !strings.HasPrefix(got, "10.77.") {
		t.Errorf("a host has a route to %s", got)
	}
	if n := len(strings.Split(strings.TrimSpace(l.Host(0).Run("ip", "-4", "route")), "\n")); n != 1 {
		t.Errorf("a host has %d routes, want only the one to its peers", n)
	}

	l.Host(0).Kill()
	l.Host(0).Boot()
	if s := l.Host(0).Run("cat", "/proc/mounts"); strings.Contains(s, dir) {
		t.Error("a mount outlived its host")
	}
	nobody := netlab.Cmd{Args: []string{"id", "-u"}, UID: 65534, GID: 65534}
	if got, err := l.Host(0).Exec(t.Context(), nobody); err != nil || string(got) != "65534\n" {
		t.Errorf("as nobody: %q, %v", got, err)
	}
}

func TestExecEndsInTime(t *testing.T) {
	t.Parallel()
	l := netlab.New(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := l.Host(0).Exec(ctx, netlab.Cmd{Args: []string{"sh", "-c", "sleep 1000 & sleep 1000"}})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	_, err = l.Host(0).Exec(t.Context(), netlab.Cmd{Args: []string{"sh", "-c", "echo because >&2; exit 3"}})
	if err == nil || !strings.Contains(err.Error(), "exit status 3: because") {
		t.Errorf("a failed program: %v", err)
	}
	// Orphans are reaped by the host's first process.
	l.Host(0).Run("sh", "-c", "sleep 0.1 & exit 0")
	eventually(t, "the orphan is gone", func() bool {
		return !strings.Contains(l.Host(0).Run("sh", "-c", "cat /proc/[0-9]*/comm"), "sleep")
	})
}
