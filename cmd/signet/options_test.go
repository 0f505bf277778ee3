package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/signetfs/signet/cmd/signet/internal/control"
)

func TestOptions(t *testing.T) {
	root := os.Geteuid() == 0
	most := uint32(4294967294)
	for _, c := range []struct {
		in   []string
		want control.MountOptions
	}{
		{nil, control.MountOptions{AllowOther: root}},
		{[]string{"rw,dev,suid,_netdev,nofail,auto,noauto,user,users,defaults,x-systemd.automount,x-initrd.mount,relatime,"}, control.MountOptions{AllowOther: root}},
		{[]string{"ro,noatime", "noexec,nosuid,nodev"}, control.MountOptions{ReadOnly: true, NoAtime: true, NoExec: true, NoSUID: true, NoDev: true, AllowOther: root}},
		{[]string{"ro,rw,sync,async,dirsync"}, control.MountOptions{DirSync: true, AllowOther: root}},
		{[]string{"strictatime,nodiratime"}, control.MountOptions{StrictAtime: true, NoDirAtime: true, AllowOther: root}},
		{[]string{"strictatime,noatime", "relatime"}, control.MountOptions{AllowOther: root}},
		{[]string{"noatime,strictatime,remount"}, control.MountOptions{StrictAtime: true, AllowOther: root}},
		{[]string{"uid=0,gid=4294967294"}, control.MountOptions{UID: new(uint32), GID: &most, AllowOther: root}},
		{[]string{"allow_other"}, control.MountOptions{AllowOther: true}},
		{[]string{"noallow_other,cutoff=eio"}, control.MountOptions{Cutoff: "eio"}},
	} {
		got, err := parseOptions(c.in)
		if err != nil || !reflect.DeepEqual(got.MountOptions, c.want) {
			t.Errorf("%q: %+v, %v", c.in, got, err)
		}
	}
	for _, bad := range []string{"frob", "cutoff", "cutoff=never", "state=relative", "keyfile=/etc/k", "ro=1", "uid", "uid=me", "gid=-1", "gid=4294967295"} {
		if _, err := parseOptions([]string{"ro," + bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestHelperCall(t *testing.T) {
	for _, c := range []struct {
		in             string
		state, cluster string
		fake           bool
	}{
		{"signet:/ /mnt", defaultState(), "signet", false},
		{"signet:/ /mnt -o rw,state=/s", "/s", "signet", false},
		{"/s/ /mnt -o rw -t fuse.signet", "/s", "", false},
		{"/s /mnt -sv -n -f -o ro -o noatime", "/s", "", true},
		{"-o ro signet:/ /mnt", defaultState(), "signet", false},
	} {
		h, err := parseHelper(strings.Fields(c.in))
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		o, err := parseOptions(h.options)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		state, cluster, err := h.where(o)
		if err != nil || state != c.state || cluster != c.cluster || h.dir != "/mnt" || h.fake != c.fake {
			t.Errorf("%q: %q %q %+v, %v", c.in, state, cluster, h, err)
		}
	}
	for _, bad := range []string{"", "signet:/", "a b c", "signet:/ /mnt -o", "signet:/ /mnt -z", "signet:/ /mnt -N /proc/1/ns/mnt", "signet:/ /mnt -oro"} {
		if _, err := parseHelper(strings.Fields(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, bad := range []string{"relative", "host:/export", "a:b:/"} {
		if s, c, err := (&helperCall{source: bad}).where(&mountOptions{}); err == nil {
			t.Errorf("source %q was taken: %q %q", bad, s, c)
		}
	}
}

func TestHelperIsRecognised(t *testing.T) {
	for in, want := range map[string]bool{
		"/sbin/mount.signet signet:/ /mnt -o rw":   true,
		"mount.fuse.signet x y":                    true,
		"signet signet:/ /mnt -o rw,dev,suid":      true,
		"/usr/local/bin/signet /var/lib/signet /m": true,
		"signet mount /mnt":                        false,
		"signet status":                            false,
		"signet --state /a status":                 false,
		"signet":                                   false,
	} {
		if _, got := helperArgs(strings.Fields(in)); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]uint64{
		"4096": 4096, "1k": 1 << 10, "500G": 500 << 30, "1.5TiB": 3 << 39, "2 TB": 2 << 40, "7P": 7 << 50, "10MiB": 10 << 20, "12B": 12,
	} {
		if got, err := parseSize(strings.ReplaceAll(in, " ", "")); err != nil || got != want {
			t.Errorf("%q: %d, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "G", "-1", "0", "1e400", "5x", "9999999P", "NaN", "Inf", "0x10G "} {
		if got, err := parseSize(bad); err == nil {
			t.Errorf("%q: %d", bad, got)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", 1 << 62: "4096.0 PiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestAddressesGetPorts(t *testing.T) {
	for in, want := range map[string]string{
		":7421": ":7421", "10.0.0.1": "10.0.0.1:7420", "10.0.0.1:80": "10.0.0.1:80", "host": "host:7420",
		"::1": "[::1]:7420", "[::1]": "[::1]:7420", "[fd00::2]:9": "[fd00::2]:9", ":0": ":0",
	} {
		if got, err := withPort(in, defaultPort); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "a:b", "1.2.3.4:99999", "a:b:c", "host:"} {
		if got, err := withPort(bad, defaultPort); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func TestAlike(t *testing.T) {
	for _, c := range [][2]string{{"statu", "status"}, {"mont", "mount"}, {"stat", "stat"}, {"tokan", "token"}, {"rings", "ring"}} {
		if !alike(c[0], c[1]) {
			t.Errorf("%q and %q", c[0], c[1])
		}
	}
	for _, c := range [][2]string{{"frob", "join"}, {"", "init"}, {"unmount", "mount"}} {
		if alike(c[0], c[1]) {
			t.Errorf("%q and %q", c[0], c[1])
		}
	}
}
