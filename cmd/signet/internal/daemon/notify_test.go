package daemon

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A service of Type=notify is told when the host serves, and when it begins to stop.
func TestServiceManagerIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	c := InitConfig{HostConfig: hostConfig(dir), Cluster: "c", Replicas: 1}
	if _, err := Init(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@" + t.TempDir()} { // systemd uses both kinds
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		if err := socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		said := func() string {
			t.Helper()
			b := make([]byte, 1024)
			n, err := socket.Read(b)
			if err != nil {
				t.Fatal("the service manager was told nothing: ", err)
			}
			return string(b[:n])
		}
		t.Setenv("NOTIFY_SOCKET", name)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		ready := make(chan struct{})
		go func() {
			ended <- Run(ctx, Config{Dir: dir, Version: "test", Logger: c.Logger, Ready: func() { close(ready) }})
		}()
		if got := said(); got != "READY=1" {
			t.Errorf("first: %q", got)
		}
		select {
		case <-ready: // the control socket answers, so commands that come after READY find it
		default:
			t.Error("READY before the host serves")
		}
		select {
		case err := <-ended:
			t.Fatal("ended: ", err)
		default:
		}
		stop()
		if got := said(); !strings.HasPrefix(got, "STOPPING=1") {
			t.Errorf("then: %q", got)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
