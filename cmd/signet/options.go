package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/signetfs/signet/cmd/signet/internal/control"
)

// mountOptions is what stands behind -o.
type mountOptions struct {
	control.MountOptions
	state string // state=DIR, for /etc/fstab
}

// parseOptions reads mount options. What mount(8) and systemd pass to everybody is
// passed over; what nobody knows is an error, because a wish that is not granted should
// not look as if it were.
func parseOptions(lists []string) (*mountOptions, error) {
	// root mounts for everybody, as with any filesystem; modes and owners say who may what.
	o := &mountOptions{MountOptions: control.MountOptions{AllowOther: os.Geteuid() == 0}}
	flags := map[string]*bool{
		"ro": &o.ReadOnly, "nosuid": &o.NoSUID, "nodev": &o.NoDev, "noexec": &o.NoExec, "sync": &o.Sync,
		"dirsync": &o.DirSync, "noatime": &o.NoAtime, "nodiratime": &o.NoDirAtime, "allow_other": &o.AllowOther,
	}
	opposite := map[string]*bool{
		"rw": &o.ReadOnly, "suid": &o.NoSUID, "dev": &o.NoDev, "exec": &o.NoExec, "async": &o.Sync, "atime": &o.NoAtime,
		"diratime": &o.NoDirAtime, "noallow_other": &o.AllowOther,
	}
	for _, list := range lists {
		for _, w := range strings.Split(list, ",") {
			name, value, _ := strings.Cut(w, "=")
			switch {
			case flags[w] != nil:
				*flags[w] = true
			case opposite[w] != nil:
				*opposite[w] = false
			case name == "cutoff" && (value == "stale" || value == "eio"):
				o.Cutoff = value
			case name == "cutoff":
				return nil, fmt.Errorf("cutoff is stale (without a majority reads show an older state) or eio (they fail), not %q", value)
			case name == "state" && strings.HasPrefix(value, "/"):
				o.state = value
			case w == "remount":
				return nil, fmt.Errorf("a mount cannot be changed (remount): unmount it, and mount it again with the options that it is to have")
			case w == "", passedOver[name], strings.HasPrefix(w, "x-"), strings.HasPrefix(w, "X-"):
			default:
				return nil, fmt.Errorf("there is no option %q: there are ro, nosuid, nodev, noexec, noatime, nodiratime, sync, dirsync, allow_other, cutoff=stale|eio, state=DIR", w)
			}
		}
	}
	return o, nil
}

// passedOver are options that are for mount(8) and systemd, or that hold anyway.
var passedOver = map[string]bool{
	"_netdev": true, "nofail": true, "auto": true, "noauto": true, "user": true, "nouser": true, "users": true, "owner": true,
	"group": true, "defaults": true, "default_permissions": true, "relatime": true, "norelatime": true, "strictatime": true,
	"lazytime": true, "nolazytime": true, "comment": true, "silent": true, "loud": true, "uhelper": true, "helper": true,
}
