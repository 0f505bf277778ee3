package daemon

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

const (
	// reportPatience is how long a status waits for the leader.
	reportPatience = 2 * time.Second
	// maxScan is how many rows a status looks at to count what has no counter.
	maxScan = 100_000
)

// tables is what a status reads at one moment.
type tables struct {
	cluster  meta.Cluster
	hosts    []meta.Host // without removed ones
	slots    []meta.Slot
	counters meta.Counters
	moving   []meta.Arc
	owning   map[signet.HostID]bool // hosts that own arcs
	thin     []meta.Arc             // have fewer owners than there are hosts for: the ring is about to change
	short    uint64                 // objects
	lost     uint64
	none     bool // nothing of the cluster is here yet
}

func (d *Daemon) readTables() (*tables, error) {
	r := d.node.Log().Reader(signet.DefaultVolume)
	defer r.Close()
	t := &tables{}
	var err error
	t.cluster, err = r.Cluster()
	if signet.KindOf(err) == signet.NotFound {
		t.none = true
		return t, nil
	}
	if err == nil {
		t.hosts, err = r.Hosts()
		t.hosts = slices.DeleteFunc(t.hosts, func(h meta.Host) bool { return h.State == meta.HostRemoved })
	}
	if err == nil {
		t.slots, err = r.Slots()
	}
	if err == nil {
		t.counters, err = r.Counters()
	}
	if err == nil {
		owners := t.owners()
		t.owning = map[signet.HostID]bool{}
		err = r.Arcs(func(a meta.Arc) bool {
			for _, h := range a.Owners {
				t.owning[h] = true
			}
			switch {
			case a.Moving():
				t.moving = append(t.moving, a)
			case len(a.Owners) < owners:
				t.thin = append(t.thin, a)
			}
			return true
		})
	}
	if err == nil {
		err = t.count(r)
	}
	return t, err
}

// owners is how many hosts each arc should have.
func (t *tables) owners() int {
	n := 0
	for _, h := range t.hosts {
		if h.State == meta.HostUp && h.Roles&meta.RoleStore != 0 && h.Weight > 0 {
			n++
		}
	}
	return min(n, int(t.cluster.Copies))
}

// count counts the objects that are short of copies, and those that nobody has.
func (t *tables) count(r *consensus.Reader) error {
	left := maxScan
	err := r.Short(signet.Address{}, func(o signet.Object) bool {
		if len(meta.Holders(&o, &meta.Arc{})) == 0 {
			t.lost++
		}
		left--
		return left > 0
	})
	t.short = t.counters.Short
	for i, a := range slices.Concat(t.moving, t.thin) {
		thin := i >= len(t.moving)
		if err != nil || left <= 0 {
			break
		}
		for _, alg := range []signet.DigestAlg{signet.DigestSHA256, signet.DigestBLAKE3} {
			if err == nil {
				err = r.ObjectsOfArc(alg, a.Arc, signet.Address{}, func(o signet.Object) bool {
					if len(o.Hosts) == 0 && (thin || o.Ring < a.Version) {
						t.short++
					}
					left--
					return left > 0
				})
			}
		}
	}
	return err
}

// status returns the cluster's health as this host sees it.
func (d *Daemon) status(ctx context.Context) (*control.Status, error) {
	t, err := d.readTables()
	if err != nil {
		return nil, err
	}
	l := d.node.Log().Status()
	s := &control.Status{
		Cluster: hex.EncodeToString(t.cluster.ID[:]), Name: t.cluster.Name, Self: uint64(d.node.ID()), Version: d.config.Version,
		State: d.config.Dir, Leader: uint64(l.Leader), Leased: l.Leased, Copies: int(t.cluster.Copies),
		Problems: []control.Problem{}, Hosts: []control.Host{}, Work: append(t.work(), d.ownWork()...), Mounts: d.mountRows(), Process: d.process(l),
		Objects: control.Objects{Total: t.counters.Objects, Bytes: t.counters.ObjectBytes, Short: t.short, Lost: t.lost},
		Files:   control.Files{Inodes: t.counters.Inodes, Bytes: t.counters.Bytes},
	}
	if ring := d.keys.get(); ring != nil {
		s.Key, s.Volume = true, ring.ID().String()
	}
	if t.none {
		s.Cluster = ""
		s.Problems = append(s.Problems, control.Problem{Code: "no_state", Text: "this host has nothing of the cluster yet", Hint: "wait until it has caught up; if it does not, see that it can reach the other hosts' addresses"})
		return s, nil
	}
	sp, err := d.node.Volume(signet.DefaultVolume, consensus.CutoffStale).Space()
	if err != nil {
		return nil, err
	}
	s.Files.Total, s.Files.Free = sp.Total, sp.Total-min(sp.Used, sp.Total)
	asked, cancel := context.WithTimeout(ctx, reportPatience)
	defer cancel()
	reports, silent := d.node.Reports(asked)
	s.Hosts = hostRows(t, l, reports)
	s.Problems = append(s.Problems, problems(t, s, l, silent)...)
	s.Healthy = !slices.ContainsFunc(s.Problems, func(p control.Problem) bool { return !p.Warning })
	return s, nil
}

func hostRows(t *tables, l consensus.Status, reports []cluster.Report) []control.Host {
	out := []control.Host{}
	for _, h := range t.hosts {
		row := control.Host{
			ID: uint64(h.ID), Name: h.Name, Zone: h.Zone, State: stateName(h.State), Roles: roleNames(h.Roles),
			Voter: slices.Contains(l.Members.Voters, h.ID), Leader: h.ID == l.Leader, Key: hasSlot(t.slots, h.ID),
			Capacity: h.Capacity, PublicID: h.Key.String(), Others: h.Addrs,
		}
		if len(h.Addrs) > 0 {
			row.Address = h.Addrs[0]
		}
		for _, r := range reports {
			if r.Host == h.ID {
				row.Used, row.Lag, row.SilentMS = r.Used, r.Lag, r.Silent.Milliseconds()
				row.Differs = r.Differs
			}
		}
		out = append(out, row)
	}
	return out
}

func stateName(s meta.HostState) string {
	switch s {
	case meta.HostJoining:
		return "joining"
	case meta.HostUp:
		return "up"
	case meta.HostDown:
		return "down"
	case meta.HostDraining:
		return "draining"
	}
	return "removed"
}

// work says what the cluster is busy with.
func (t *tables) work() []control.Work {
	out := []control.Work{}
	if len(t.moving) > 0 {
		w := control.Work{Kind: "move", ETA: -1}
		for _, a := range t.moving {
			w.Done += uint64(len(a.Done))
			w.Total += uint64(len(a.Owners))
		}
		out = append(out, w)
	}
	if t.counters.Short > 0 {
		out = append(out, control.Work{Kind: "repair", Total: t.counters.Short, ETA: -1})
	}
	return out
}

// ownWork says what this host is busy with for the cluster.
func (d *Daemon) ownWork() []control.Work {
	var out []control.Work
	for _, w := range d.node.Work() {
		row := control.Work{Kind: w.Kind, Done: w.Done, Total: w.Total, ETA: -1}
		if w.ETA > 0 {
			row.ETA = int64(w.ETA.Seconds())
		}
		out = append(out, row)
	}
	return out
}

func (d *Daemon) process(l consensus.Status) control.Process {
	p := control.Process{PID: pid(), UptimeS: int64(time.Since(d.started).Seconds()), Applied: uint64(l.Applied)}
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := bytes.Fields(b); len(f) > 1 {
			pages, _ := strconv.ParseUint(string(f[1]), 10, 64)
			p.RSS = pages * uint64(os.Getpagesize())
		}
	}
	return p
}

func pid() int { return os.Getpid() }
