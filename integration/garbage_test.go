package integration

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/crash"
	"github.com/signetfs/signet/integration/netlab"
	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/pack"
	"github.com/signetfs/signet/wire"
)

// The environment of a stranger: a process of this binary on a host of the lab that
// attacks a port. The second is the cluster's number, which is no secret.
const (
	strangerEnv = "SIGNET_STRANGER"
	clusterEnv  = "SIGNET_STRANGER_CLUSTER"
)

// handshakeTime is how long a connection may take to introduce itself.
const handshakeTime = 5 * time.Second

// attack is what a stranger does once it is connected, many times at once.
type attack struct {
	name  string
	times int
	do    func(c net.Conn) error // an error means that the attack could not be made
}

// attacked is how an attack went.
type attacked struct {
	Name         string
	Made, Closed int           // connections; those that the other side closed in time
	Longest      time.Duration // that one was open
	Error        string        // the first
}

// attacks are what strangers do to a port.
func attacks(cluster wire.ClusterID) []attack {
	var first record // of a TLS client that means well
	_ = tls.Client(&first, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"signet/1"}}).Handshake()
	say := func(b []byte) func(net.Conn) error {
		return func(c net.Conn) error { _, err := c.Write(b); return err }
	}
	noise := make([]byte, 64<<10)
	_, _ = rand.Read(noise) // never fails
	framed := func(f func(c net.Conn) error) func(net.Conn) error {
		return func(c net.Conn) error {
			tc, err := introduce(c)
			if err != nil {
				return err
			}
			return f(tc)
		}
	}
	return []attack{
		{"says nothing", 150, say(nil)},
		{"says one byte", 150, say(first.b[:1])},
		{"says 100 bytes", 150, say(first.b[:100])},
		{"drips", 20, func(c net.Conn) error {
			for _, b := range first.b {
				if _, err := c.Write([]byte{b}); err != nil {
					return nil // closed, as it should be
				}
				time.Sleep(100 * time.Millisecond)
			}
			return nil
		}},
		{"says anything", 50, func(c net.Conn) error { _, _ = c.Write(noise); return nil }}, // may be closed meanwhile
		{"speaks TLS and then nothing", 20, framed(say(nil))},
		{"announces 8 GiB", 20, framed(say(bytes.Repeat([]byte{0xff}, 8)))},
		{"announces a header and does not send it", 20, framed(say([]byte{0, 0, 4, 0, 0, 0, 0, 0}))},
		{"says anything under TLS", 20, framed(say(noise[:4<<10]))},
		{"has an unknown key", 20, framed(func(c net.Conn) error {
			h := wire.Hello{Version: wire.Version, MinVersion: wire.MinVersion, Cluster: cluster, Host: 2, Class: wire.Control, Calls: 8}
			var e pack.Encoder
			e.Array(2)
			e.Uint(1)
			h.AppendTo(&e)
			b := binary.BigEndian.AppendUint64(nil, uint64(len(e.Buf()))<<32)
			_, err := c.Write(append(b, e.Buf()...))
			return err
		})},
	}
}

// record is a connection that only keeps what is said first.
type record struct {
	net.Conn
	b []byte
}

func (r *record) Write(b []byte) (int, error) { r.b = append(r.b, b...); return len(b), nil }
func (r *record) Read([]byte) (int, error)    { return 0, io.EOF }
func (r *record) Close() error                { return nil }

// introduce does the TLS handshake with a key that nobody knows.
func introduce(c net.Conn) (net.Conn, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(nil, &x509.Certificate{SerialNumber: big.NewInt(7)}, &x509.Certificate{}, public, private)
	if err != nil {
		return nil, err
	}
	tc := tls.Client(c, &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{"signet/1"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
	})
	return tc, tc.Handshake()
}

// playStranger attacks and prints how it went.
func playStranger(addr string) {
	var cluster wire.ClusterID
	if _, err := hex.Decode(cluster[:], []byte(os.Getenv(clusterEnv))); err != nil {
		panic(err)
	}
	as := attacks(cluster)
	out := make([]attacked, len(as))
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, a := range as {
		out[i].Name = a.name
		for range a.times {
			all.Go(func() {
				closed, took, err := assault(addr, a)
				mu.Lock()
				defer mu.Unlock()
				o := &out[i]
				if err != nil {
					if o.Error == "" {
						o.Error = err.Error()
					}
					return
				}
				o.Made++
				o.Longest = max(o.Longest, took)
				if closed {
					o.Closed++
				}
			})
		}
	}
	all.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		panic(err)
	}
}

// assault makes one attack, and waits for the other side to close the connection.
func assault(addr string, a attack) (closed bool, took time.Duration, err error) {
	began := time.Now()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false, 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(began.Add(3 * handshakeTime)); err != nil {
		return false, 0, err
	}
	if err := a.do(c); err != nil && time.Since(began) < handshakeTime/2 {
		// Pushed out by those who came later, before it was done: that is closed, too.
		if !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "pipe") {
			return false, 0, err
		}
	}
	_, err = io.Copy(io.Discard, c) // until the end, however it comes
	timeout, ok := err.(net.Error)
	return !ok || !timeout.Timeout(), time.Since(began), nil
}

// maxGrowth is how much memory strangers may cost a host: 256 of them at once, with
// 64 KiB of goroutine, TLS and buffers each, beside what the load needs.
const maxGrowth = 100 << 20

// TestGarbage attacks the port of a host whose cluster is at work.
func TestGarbage(t *testing.T) {
	r := ring.Start(t, 3)
	victim := r.Host(1)
	l := startLoad(t, r, "/work", crash.Random(t).Uint64())
	l.wantProgress(20)
	before, most := status(t, victim, "VmRSS"), 0
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 {
		var out []byte
		done := make(chan struct{})
		go func() {
			defer close(done)
			out, err = r.Host(2).Lab().Exec(ctx, netlab.Cmd{Args: []string{self}, Env: []string{strangerEnv + "=" + victim.Address(), clusterEnv + "=" + r.Init.Cluster}})
		}()
		for over := false; !over; {
			l.wantProgress(2) // all hosts get on meanwhile
			most = max(most, status(t, victim, "VmRSS"))
			select {
			case <-done:
				over = true
			case <-time.After(50 * time.Millisecond):
			}
		}
		var report []attacked
		if err != nil || json.Unmarshal(out, &report) != nil || len(report) == 0 {
			t.Fatalf("the stranger: %v\n%s", err, out)
		}
		for _, a := range report {
			t.Logf("%s: %d connections, %d closed, the last after %v", a.Name, a.Made, a.Closed, a.Longest.Round(time.Millisecond))
			if a.Error != "" || a.Made == 0 {
				t.Errorf("%s: %s", a.Name, a.Error)
			}
			if a.Closed != a.Made || a.Longest > handshakeTime+2*time.Second {
				t.Errorf("%s: %d of %d connections were not closed in time, the last after %v", a.Name, a.Made-a.Closed, a.Made, a.Longest)
			}
		}
	}
	l.end()
	t.Log(l.check())
	t.Logf("memory: %d KiB before, at most %d KiB", before>>10, most>>10)
	if most > before+maxGrowth {
		t.Errorf("memory grew from %d to %d KiB", before>>10, most>>10)
	}
	told := strings.Count(victim.Daemon().Log(), "refused connections")
	if told == 0 || told > 6 {
		t.Errorf("the log tells %d times that connections were refused", told)
	}
	r.WantVoters(3)
}
