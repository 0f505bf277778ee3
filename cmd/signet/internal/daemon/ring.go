package daemon

import (
	"context"
	"fmt"
	"math"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

// fewArcs is how much of the ring is listed unless all of it is asked for.
const fewArcs = 8

// ring returns the ring and who has what of it.
func (d *Daemon) ring(all bool) (*control.Ring, error) {
	r := d.node.Log().Reader(signet.DefaultVolume)
	defer r.Close()
	c, err := r.Cluster()
	if err != nil {
		return nil, signet.Wrap("read the ring", "", err)
	}
	hosts, err := r.Hosts()
	if err != nil {
		return nil, err
	}
	var arcs []meta.Arc
	if err := r.Arcs(func(a meta.Arc) bool {
		arcs = append(arcs, a)
		return true
	}); err != nil {
		return nil, err
	}
	out := &control.Ring{Arcs: c.Arcs, Copies: int(c.Copies), Hosts: []control.RingHost{}}
	primary, owned, copies := map[signet.HostID]int{}, map[signet.HostID]int{}, 0
	for i, a := range arcs {
		if a.Moving() {
			out.Moving++
		}
		for j, h := range a.Owners {
			owned[h]++
			copies++
			if j == 0 {
				primary[h]++
			}
		}
		if all || i < fewArcs {
			out.List = append(out.List, arcRow(arcs, i))
		}
	}
	for _, h := range hosts {
		if h.State == meta.HostRemoved {
			continue
		}
		out.Hosts = append(out.Hosts, control.RingHost{
			ID: uint64(h.ID), Name: h.Name, Zone: h.Zone, State: stateName(h.State), Weight: h.Weight,
			Primary: primary[h.ID], Owned: owned[h.ID], Share: float64(owned[h.ID]) / float64(max(copies, 1)),
		})
	}
	return out, nil
}

// arcRow describes an arc and its neighbours on the circle.
func arcRow(arcs []meta.Arc, i int) control.Arc {
	keys := signet.MaxArcs / len(arcs)
	a := &arcs[i]
	return control.Arc{
		Arc: uint32(a.Arc), From: fmt.Sprintf("%04x", i*keys), To: fmt.Sprintf("%04x", (i+1)*keys-1),
		Owners: numbers(a.Owners), Previous: numbers(a.Previous),
		Predecessor: first(arcs[(i+len(arcs)-1)%len(arcs)].Owners), Successor: first(arcs[(i+1)%len(arcs)].Owners),
	}
}

func first(h []signet.HostID) uint64 {
	if len(h) == 0 {
		return 0
	}
	return uint64(h[0])
}

func numbers(hosts []signet.HostID) []uint64 {
	out := make([]uint64, len(hosts))
	for i, h := range hosts {
		out[i] = uint64(h)
	}
	return out
}

// extentsAtOnce is how many extents are read at a time.
const extentsAtOnce = 1024

// stat says where the bytes of a file are.
func (d *Daemon) stat(ctx context.Context, a control.StatArgs) (*control.Stat, error) {
	r := d.node.Log().Reader(signet.DefaultVolume)
	defer r.Close()
	ino := signet.Ino(a.Inode)
	at, err := r.Attr(ino)
	if err != nil {
		return nil, signet.Wrap("stat", a.Path, err)
	}
	l, err := newLocator(r)
	if err != nil {
		return nil, err
	}
	out := &control.Stat{Path: a.Path, Inode: a.Inode, Type: typeName(at.Mode), Size: at.Size, Extents: []control.Extent{}, CanLose: len(l.up) - 1}
	if !at.IsRegular() {
		return out, nil
	}
	for off := uint64(0); ctx.Err() == nil; {
		es, err := r.Extents(ino, off, math.MaxUint64-off, extentsAtOnce)
		if err != nil {
			return nil, err
		}
		for i := range es {
			row, living, err := l.locate(&es[i])
			if err != nil {
				return nil, err
			}
			out.Extents = append(out.Extents, row)
			out.CanLose = min(out.CanLose, living-1)
			off = es[i].End()
		}
		if len(es) < extentsAtOnce {
			return out, nil
		}
	}
	return nil, ctx.Err()
}

// locator knows the ring and who answers, for the length of one call.
type locator struct {
	r    *consensus.Reader
	arcs uint32
	up   map[signet.HostID]bool
	all  []signet.HostID
}

func newLocator(r *consensus.Reader) (*locator, error) {
	c, err := r.Cluster()
	if err != nil {
		return nil, err
	}
	hosts, err := r.Hosts()
	if err != nil {
		return nil, err
	}
	l := &locator{r: r, arcs: c.Arcs, up: map[signet.HostID]bool{}}
	for _, h := range hosts {
		if h.State == meta.HostRemoved || h.State == meta.HostJoining {
			continue
		}
		l.all = append(l.all, h.ID)
		if h.State != meta.HostDown {
			l.up[h.ID] = true
		}
	}
	return l, nil
}

// locate says who has an extent, and how many of them answer.
func (l *locator) locate(e *signet.Extent) (row control.Extent, living int, err error) {
	row = control.Extent{Offset: e.Off, Length: uint64(e.Len), Form: "inline"}
	hosts := l.all // inline data lies in the tables that every host has
	if !e.Object.IsZero() {
		o, err := l.r.Object(e.Object)
		if err != nil {
			return row, 0, signet.Wrap("find object", e.Object.String(), err)
		}
		arc, err := l.r.Arc(signet.ArcOf(e.Object.ArcKey(), l.arcs))
		if err != nil {
			return row, 0, err
		}
		number := uint32(arc.Arc)
		row.Object, row.Form, row.Arc = e.Object.String(), formName(o.Form), &number
		hosts = meta.Holders(&o, &arc)
	}
	row.Hosts = numbers(hosts)
	for _, h := range hosts {
		if l.up[h] {
			living++
		} else {
			row.Down = append(row.Down, uint64(h))
		}
	}
	return row, living, nil
}

func formName(f signet.Form) string {
	if f == signet.FormReplicas {
		return "replicas"
	}
	return fmt.Sprintf("form-%d", f)
}

func typeName(mode uint32) string {
	switch mode & signet.ModeType {
	case signet.ModeRegular:
		return "file"
	case signet.ModeDir:
		return "directory"
	case signet.ModeSymlink:
		return "symlink"
	case signet.ModeFIFO:
		return "fifo"
	case signet.ModeSocket:
		return "socket"
	}
	return "device"
}
