package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/signetfs/signet/cmd/signet/internal/control"
)

// mountOptions is what stands behind -o.
type mountOptions struct {
	control.MountOptions
	state   string // state=DIR, for /etc/fstab
	remount bool
}

// parseOptions reads mount options. What mount(8) and systemd pass to everybody is
// passed over; what nobody knows is an error, because a wish that is not granted should
// not look as if it were.
func parseOptions(lists []string) (*mountOptions, error) {
	// root mounts for everybody, as with any filesystem; modes and owners say who may what.
	o := &mountOptions{MountOptions: control.MountOptions{AllowOther: os.Geteuid() == 0}}
	flags := map[string]*bool{
		"ro": &o.ReadOnly, "nosuid": &o.NoSUID, "nodev": &o.NoDev, "noexec": &o.NoExec, "sync": &o.Sync,
		"dirsync": &o.DirSync, "nodiratime": &o.NoDirAtime, "allow_other": &o.AllowOther, "remount": &o.remount,
	}
	opposite := map[string]*bool{
		"rw": &o.ReadOnly, "suid": &o.NoSUID, "dev": &o.NoDev, "exec": &o.NoExec, "async": &o.Sync, "atime": &o.NoAtime,
		"nostrictatime": &o.StrictAtime, "diratime": &o.NoDirAtime, "noallow_other": &o.AllowOther,
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
			case name == "uid" || name == "gid":
				id, err := strconv.ParseUint(value, 10, 32)
				if err != nil || id == math.MaxUint32 {
					return nil, fmt.Errorf("%s is a number, not %q", name, value)
				}
				n := uint32(id)
				*map[string]**uint32{"uid": &o.UID, "gid": &o.GID}[name] = &n
			case w == "noatime" || w == "relatime" || w == "strictatime": // the last counts
				o.NoAtime, o.StrictAtime = w == "noatime", w == "strictatime"
			case w == "", passedOver[name], strings.HasPrefix(w, "x-"), strings.HasPrefix(w, "X-"):
			default:
				return nil, fmt.Errorf("there is no option %q: there are ro, nosuid, nodev, noexec, noatime, relatime, strictatime, nodiratime, sync, dirsync, remount, allow_other, uid=N, gid=N, cutoff=stale|eio, state=DIR", w)
			}
		}
	}
	return o, nil
}

// passedOver are options that are for mount(8) and systemd, or that hold anyway.
var passedOver = map[string]bool{
	"_netdev": true, "nofail": true, "auto": true, "noauto": true, "user": true, "nouser": true, "users": true, "owner": true,
	"group": true, "defaults": true, "default_permissions": true, "norelatime": true,
	"lazytime": true, "nolazytime": true, "comment": true, "silent": true, "loud": true, "uhelper": true, "helper": true,
	// what mount(8) reads from the kernel when it remounts
	"user_id": true, "group_id": true, "max_read": true, "rootmode": true,
}
