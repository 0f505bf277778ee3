package cluster

import (
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"net"
	"slices"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/disk"
	"github.com/signetfs/signet/wire"
)

// HostOptions describe a host that comes to be.
type HostOptions struct {
	Disk      *disk.Disk
	Name      string
	Listen    string   // address to listen on
	Advertise []string // addresses at which the others reach it
	Zone      string
	Store     StoreOptions
	Seal      []byte // HPKE public key to which the volume's key may be sealed; nil: none
	Roles     uint8  // bits of meta.RoleStore...
}

// VolumeOptions describe the volume of a new cluster.
type VolumeOptions struct {
	Name   string
	Copies uint8
	Arcs   uint32
	UID    uint32 // of the root directory
	GID    uint32
	Mode   uint32
	Slots  []meta.NewSlot
}

// Environment is what a host gets from outside, so that tests can put a world of their
// own in its place.
type Environment struct {
	Clock  clock.Clock
	Times  consensus.Times
	Logger *slog.Logger
	Rand   io.Reader // for keys: crypto/rand.Reader outside of simulations
	// Dial opens a connection to another host.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

// configure hands the environment on to package wire.
func (e *Environment) configure(cfg *wire.Config) {
	cfg.Clock, cfg.Rand, cfg.Logger, cfg.Dial = e.Clock, e.Rand, e.Logger, e.Dial
}

// Create makes the state directory of the first host of a new cluster and runs it.
func Create(ctx context.Context, h HostOptions, v VolumeOptions, o Options) (*Node, error) {
	if err := unused(h.Disk); err != nil {
		return nil, err
	}
	s := &self{name: v.Name, host: 1, listen: h.Listen, options: h.Store}
	if _, err := io.ReadFull(o.Rand, s.cluster[:]); err != nil {
		return nil, err
	}
	key, err := newIdentity(h.Disk, o.Rand)
	if err != nil {
		return nil, err
	}
	s.members = []member.Host{{ID: 1, Key: key, Addrs: h.Advertise}}
	// The host file is what makes it a state directory: last.
	if err := s.write(h.Disk); err != nil {
		return nil, err
	}
	o.Disk = h.Disk
	n, err := Open(o)
	if err != nil {
		return nil, err
	}
	first := &meta.Init{
		Cluster: s.cluster, Name: v.Name, Arcs: v.Arcs, Copies: v.Copies, Host: h.row(key), Slots: v.Slots,
		UID: v.UID, GID: v.GID, Mode: v.Mode, Time: timeOf(n.clock.Now()),
	}
	if err := n.log.Init(ctx, first); err != nil {
		_ = n.Close()
		return nil, err
	}
	return n, nil
}

// unused refuses a directory that already belongs to a host.
func unused(d *disk.Disk) error {
	_, err := d.ReadFile(hostFile, maxStateFile)
	if err == nil {
		return signet.Errorf(signet.Exists, "make host", "", "the state directory already belongs to a host of a cluster: choose another with --state, or remove it")
	}
	if signet.KindOf(err) != signet.NotFound {
		return err
	}
	return nil
}

// newIdentity makes and keeps a key pair; one that an interrupted attempt left is used.
func newIdentity(d *disk.Disk, random io.Reader) (signet.HostKey, error) {
	if id, err := readIdentity(d); err == nil {
		return id.Key, nil
	}
	public, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return signet.HostKey{}, err
	}
	return signet.HostKey(public), writeIdentity(d, private)
}

func (h *HostOptions) row(key signet.HostKey) meta.NewHost {
	capacity := h.capacity()
	return meta.NewHost{
		Key: key, Seal: h.Seal, Name: h.Name, Addrs: h.Advertise, Zone: h.Zone, Capacity: capacity,
		Weight: weightOf(capacity), Roles: h.Roles, Knows: meta.FeatureNewest,
	}
}

// capacity is what the host offers: as configured, or its disk.
func (h *HostOptions) capacity() uint64 {
	if h.Store.Capacity > 0 {
		return h.Store.Capacity
	}
	s, err := h.Disk.Space()
	if err != nil {
		return 0
	}
	return s.Total
}

// weightOf is a host's share of the ring: what it offers, in GiB, at least 1.
func weightOf(capacity uint64) uint32 { return uint32(min(max(capacity>>30, 1), 1<<31)) }

// Join asks a host of a cluster to admit this one, and makes its state directory. It
// changes nothing if it fails.
func Join(ctx context.Context, token member.Token, h HostOptions, env Environment) error {
	if err := unused(h.Disk); err != nil {
		return err
	}
	if _, err := newIdentity(h.Disk, env.Rand); err != nil {
		return err
	}
	identity, err := readIdentity(h.Disk)
	if err != nil {
		return err
	}
	cfg := wire.Defaults()
	cfg.Identity = identity
	env.configure(&cfg)
	pool, err := wire.NewPool(cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	sponsor := func(k signet.HostKey) error {
		if k != token.Sponsor {
			return signet.Errorf(signet.Permission, "check host", wire.Short(k), "not the host that the token was made on: somebody else answers at its address")
		}
		return nil
	}
	out := &wire.Join{
		Version: uint32(meta.FeatureNewest), Proof: token.Secret[:], Name: h.Name, Addrs: h.Advertise, Zone: h.Zone,
		Capacity: h.capacity(), Roles: uint32(h.Roles), PublicKey: h.Seal,
	}
	var in wire.Joined
	if _, err := pool.Join(ctx, token.Addrs, sponsor, out, &in); err != nil {
		return err
	}
	s := &self{cluster: in.Cluster, host: in.Host, listen: h.Listen, options: h.Store}
	for _, m := range in.Members {
		s.members = append(s.members, member.Host{ID: m.Host, Key: m.Key, Addrs: m.Addrs})
	}
	return s.write(h.Disk)
}

// onJoin admits a host that shows a token.
func (n *Node) onJoin(ctx context.Context, from signet.HostKey, req *wire.Request) (wire.Reply, error) {
	var m wire.Join
	if err := req.Decode(&m); err != nil {
		return wire.Reply{}, err
	}
	if m.Version < n.oldestFeature() {
		return wire.Reply{}, signet.Errorf(signet.WrongVersion, "join", "", "this cluster uses features that the joining host's signet does not know: update it first")
	}
	if err := n.checkJoin(from, m.Proof); err != nil {
		return wire.Reply{}, err
	}
	a, ticket, err := n.log.Do(ctx, signet.ClusterGroup, &meta.Join{
		Token: member.DigestOf(m.Proof), Time: timeOf(n.clock.Now()),
		Host: meta.NewHost{
			Key: from, Seal: m.PublicKey, Name: m.Name, Addrs: m.Addrs, Zone: m.Zone, Capacity: m.Capacity,
			Weight: weightOf(m.Capacity), Roles: uint8(m.Roles), Knows: m.Version,
		},
	})
	if err == nil && a.Result.Err == signet.OK {
		err = ticket.Wait(ctx)
	}
	switch {
	case err != nil:
		return wire.Reply{}, err
	case a.Result.Err == signet.BadToken:
		return wire.Reply{}, badToken()
	case a.Result.Err != signet.OK:
		return wire.Reply{}, signet.Errorf(a.Result.Err, "join", "", "refused: %v", a.Result.Err)
	}
	out := &wire.Joined{Cluster: n.self.cluster, Host: signet.HostID(a.Extra)}
	for _, h := range n.members.All() {
		if len(out.Members) < wire.MaxMembers {
			out.Members = append(out.Members, wire.Member{Host: h.ID, Key: h.Key, Addrs: h.Addrs})
		}
	}
	return wire.Reply{Message: out}, nil
}

func badToken() error {
	return signet.Errorf(signet.BadToken, "join", "", "the token is wrong, used up, expired or revoked: make another with 'signet token create'")
}

// checkJoin turns away who shows no token that this host knows, before anything is
// proposed: strangers must not be able to fill the log. Apply judges the rest. The host
// that a token names as its sponsor made it, so it knows it.
func (n *Node) checkJoin(from signet.HostKey, proof []byte) error {
	r := n.log.Reader(signet.ClusterGroup)
	defer r.Close()
	if _, err := r.HostByKey(from); err == nil {
		return nil // it asks again, its answer was lost
	}
	tokens, err := r.Tokens()
	if err != nil {
		return err
	}
	digest := member.DigestOf(proof)
	if !slices.ContainsFunc(tokens, func(t meta.Token) bool { return t.Digest == digest && t.Left > 0 }) {
		return badToken()
	}
	return nil
}

// oldestFeature is the newest feature that is switched on: who joins must know it.
func (n *Node) oldestFeature() uint32 {
	r := n.log.Reader(signet.ClusterGroup)
	defer r.Close()
	features, err := r.Features()
	if err != nil {
		return meta.FeatureNewest
	}
	newest := uint32(0)
	for _, f := range features {
		newest = max(newest, f.Feature)
	}
	return newest
}
