package daemon

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/crypto"
	"github.com/signetfs/signet/internal/disk"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir); signet.KindOf(err) != signet.Busy || !strings.Contains(err.Error(), "process ") {
		t.Error(err)
	}
	unlock()
	unlock, err = lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if _, err := lock(filepath.Join(dir, "none")); signet.KindOf(err) != signet.NotFound {
		t.Error(err)
	}
}

func hostConfig(dir string) HostConfig {
	return HostConfig{Dir: dir, Name: "h", Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)}
}

// A daemon takes over from one that was killed and has not ended yet.
func TestLockSoon(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, unlock)
	again, err := lockSoon(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockSoon(ctx, dir); signet.KindOf(err) != signet.Busy {
		t.Errorf("taken twice: %v", err)
	}
}

// What could not be made leaves nothing behind.
func TestFailedInitLeavesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := filepath.Join(t.TempDir(), "state")
	c := InitConfig{HostConfig: hostConfig(dir), Cluster: "c", Replicas: 3}
	c.Listen = l.Addr().String()
	if _, err := Init(t.Context(), c); signet.KindOf(err) != signet.Busy {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error(err)
	}
	// Somebody's files are somebody's.
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "letter"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), c); signet.KindOf(err) != signet.Busy {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "letter")); err != nil {
		t.Error(err)
	}
}

// A join that was refused for certain leaves nothing; one that may have been carried out
// keeps the identity, so that it can be repeated.
func TestFailedJoin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	dir := filepath.Join(t.TempDir(), "state")
	c := JoinConfig{HostConfig: hostConfig(dir), Token: member.Token{Addrs: []string{nobody}}, Roles: meta.RoleAll, Key: true}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Join(ctx, c); err == nil {
		t.Error("joined nobody")
	} else if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error("left: ", err)
	}
	cancel()
	for kind, want := range map[signet.Kind]bool{
		signet.BadToken: true, signet.Permission: true, signet.WrongVersion: true,
		signet.Timeout: false, signet.Interrupted: false, signet.Other: false, signet.Unavailable: false,
	} {
		if got := joinRefused(signet.Errorf(kind, "join", "", "x")); got != want {
			t.Errorf("%v: %v", kind, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{"10.1.2.3": "10.1.2.3:7", "host": "host:7", "::1": "[::1]:7"} {
		if got := addresses(in, "7"); !slices.Equal(got, []string{want}) {
			t.Errorf("%q: %q", in, got)
		}
	}
	for _, in := range []string{"", "0.0.0.0", "::"} {
		got := addresses(in, "7")
		if len(got) == 0 || len(got) > maxAddresses {
			t.Errorf("%q: %q", in, got)
		}
		for _, a := range got {
			host, port, err := net.SplitHostPort(a)
			if err != nil || port != "7" || net.ParseIP(host).IsUnspecified() {
				t.Errorf("%q: %q", in, a)
			}
		}
	}
}

func TestWhoGivesTheKey(t *testing.T) {
	host := func(id signet.HostID, state meta.HostState, seal string) meta.Host {
		h := meta.Host{ID: id, State: state}
		h.Seal = []byte(seal)
		return h
	}
	hosts := []meta.Host{
		host(1, meta.HostDown, "x"), host(2, meta.HostUp, "x"), host(3, meta.HostUp, ""), host(4, meta.HostUp, "x"),
		host(5, meta.HostJoining, "x"), host(6, meta.HostRemoved, "x"),
	}
	slot := func(h signet.HostID) meta.Slot {
		return meta.Slot{NewSlot: meta.NewSlot{Kind: uint8(crypto.SlotHost), Host: h}}
	}
	slots := []meta.Slot{slot(1), slot(2), slot(4), {NewSlot: meta.NewSlot{Kind: uint8(crypto.SlotPassphrase)}}}
	var want []signet.HostID
	for _, h := range lacking(slots, hosts) {
		want = append(want, h.ID)
	}
	if !slices.Equal(want, []signet.HostID{5}) {
		t.Errorf("without a key: %v", want)
	}
	for self, n := range map[signet.HostID]int{1: 0, 2: 0, 4: 1, 5: 2} {
		if got := (&keys{self: self}).before(slots, hosts); got != n {
			t.Errorf("%v waits for %d, want %d", self, got, n)
		}
	}
}

func TestVolumeIsRemembered(t *testing.T) {
	d, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	secret, err := newSeal(d)
	if err != nil {
		t.Fatal(err)
	}
	again, err := newSeal(d)
	if err != nil || string(again.Public()) != string(secret.Public()) {
		t.Error("an interrupted attempt's key pair was not used", err)
	}
	k, err := newKeys(d, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	slotOf := func() (crypto.VolumeID, []byte) {
		ring, err := crypto.NewKeyring(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ring.SealToHost(secret.Public(), "x")
		if err != nil {
			t.Fatal(err)
		}
		return ring.ID(), s.Encode()
	}
	id, ours := slotOf()
	_, theirs := slotOf()
	if err := k.unlock(ours); err != nil || k.get().ID() != id {
		t.Fatal(err)
	}
	if known, err := readVolumeID(d); err != nil || known != id {
		t.Error(known, err)
	}
	k, _ = newKeys(d, slog.New(slog.DiscardHandler))
	if err := k.unlock(theirs); signet.KindOf(err) != signet.Corrupt || k.get() != nil {
		t.Error(err)
	}
	if err := d.WriteFile(volumeFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.unlock(ours); signet.KindOf(err) != signet.Corrupt {
		t.Error(err)
	}
}

func TestSlotLabel(t *testing.T) {
	for in, want := range map[string]string{"host": "host", strings.Repeat("x", 100): strings.Repeat("x", 64), strings.Repeat("x", 63) + "é": strings.Repeat("x", 63)} {
		if got := slotLabel(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
