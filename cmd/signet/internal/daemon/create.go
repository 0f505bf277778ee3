package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cmd/signet/internal/control"
	"github.com/signetfs/signet/crypto"
	"github.com/signetfs/signet/internal/disk"
	"github.com/signetfs/signet/wire"
)

// HostConfig describes a host that comes to be, as its command was told.
type HostConfig struct {
	Dir       string // state directory, absolute
	Name      string
	Listen    string // address to listen on
	Advertise []string
	Zone      string
	Capacity  uint64
	Logger    *slog.Logger
}

// InitConfig describes a new cluster.
type InitConfig struct {
	HostConfig
	Cluster    string // its name
	Replicas   uint8
	Passphrase []byte // for a slot of its own; empty: none
}

// Init makes a cluster of one host and stops the host again. It changes nothing if it
// fails.
func Init(ctx context.Context, c InitConfig) (out *control.Init, err error) {
	begun, err := begin(&c.HostConfig)
	if err != nil {
		return nil, err
	}
	defer func() { begun.done(err == nil) }()
	// Before anything is written: the port is what fails most.
	listener, err := listenTCP(c.Listen, true)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	if err := c.settle(listener.Addr()); err != nil {
		return nil, err
	}
	ring, err := crypto.NewKeyring(rand.Reader)
	if err != nil {
		return nil, err
	}
	defer ring.Wipe()
	recovery, err := crypto.NewRecoveryKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	defer recovery.Wipe()
	seal, err := newSeal(begun.disk)
	if err != nil {
		return nil, err
	}
	defer seal.Wipe()
	slots, err := firstSlots(ring, seal, recovery, &c)
	if err != nil {
		return nil, err
	}
	if err := writeVolumeID(begun.disk, ring.ID()); err != nil {
		return nil, err
	}
	n, err := cluster.Create(ctx, c.hostOptions(begun.disk, seal.Public(), meta.RoleAll), cluster.VolumeOptions{
		Name: c.Cluster, Copies: c.Replicas, Arcs: signet.DefaultArcs,
		UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Mode: 0o755, Slots: slots,
	}, cluster.Options{
		Environment: environment(c.Logger),
		Listen:      func(string) (net.Listener, error) { return listener, nil },
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	token, err := createToken(ctx, n, control.TokenArgs{Uses: FirstTokenUses, Seconds: int64(TokenTime.Seconds()), Roles: meta.RoleAll})
	if err != nil {
		return nil, err
	}
	id, err := clusterID(n)
	return &control.Init{
		Cluster: id, Name: c.Cluster, Volume: ring.ID().String(), Host: uint64(n.ID()),
		RecoveryKey: recovery.Text(), JoinToken: token.Token, Expires: token.Expires, Uses: token.Uses,
		State: c.Dir, Address: c.Advertise[0],
	}, err
}

func clusterID(n *cluster.Node) (string, error) {
	r := n.Log().Reader(signet.ClusterGroup)
	defer r.Close()
	c, err := r.Cluster()
	return hex.EncodeToString(c.ID[:]), err
}

// firstSlots seals the new volume's key for all who are to open it.
func firstSlots(ring *crypto.Keyring, seal *crypto.HostSecret, recovery *crypto.RecoveryKey, c *InitConfig) ([]meta.NewSlot, error) {
	host, err := ring.SealToHost(seal.Public(), slotLabel(c.Name))
	if err != nil {
		return nil, err
	}
	spare, err := ring.SealToRecovery(rand.Reader, recovery, "recovery key")
	if err != nil {
		return nil, err
	}
	slots := []meta.NewSlot{newSlot(host, 1), newSlot(spare, 0)}
	if len(c.Passphrase) > 0 {
		p, err := ring.SealToPassphrase(rand.Reader, c.Passphrase, crypto.DefaultKDF(), "passphrase")
		if err != nil {
			return nil, err
		}
		slots = append(slots, newSlot(p, 0))
	}
	return slots, nil
}

func newSlot(s *crypto.Slot, h signet.HostID) meta.NewSlot {
	return meta.NewSlot{Kind: uint8(s.Kind), Host: h, Label: s.Label, Data: s.Encode()}
}

// JoinConfig describes a host that joins.
type JoinConfig struct {
	HostConfig
	Token member.Token
	Roles uint8
	Key   bool // it is to hold the volume's key
}

// Join makes this host a member of the token's cluster. It does not run it: a host that
// was admitted and never ran votes on nothing, so the others do not wait for it. A host
// that holds the key makes its slot meanwhile. If it fails it changes nothing, unless
// the outcome is unknown: then joining again with the same directory goes on.
func Join(ctx context.Context, c JoinConfig) (out *control.Join, err error) {
	begun, err := begin(&c.HostConfig)
	if err != nil {
		return nil, err
	}
	known := false
	defer func() { begun.done(err == nil || !known) }()
	listener, err := listenTCP(c.Listen, true)
	if err != nil {
		known = true
		return nil, err
	}
	err = c.settle(listener.Addr())
	listener.Close()
	if err != nil {
		known = true
		return nil, err
	}
	var public []byte
	if c.Key {
		seal, err := newSeal(begun.disk)
		if err != nil {
			return nil, err
		}
		public = seal.Public()
		seal.Wipe()
	}
	err = cluster.Join(ctx, c.Token, c.hostOptions(begun.disk, public, c.Roles), environment(c.Logger))
	if err != nil {
		known = joinRefused(err)
		if wire.NotSent(err) && signet.KindOf(err) == signet.Unavailable {
			err = signet.Errorf(signet.Unavailable, "", "", "%w: see that the host which made the token runs ('signet status' there), and that this one can reach its address", err)
		}
		return nil, err
	}
	id, host, err := cluster.Who(begun.disk)
	return &control.Join{Cluster: hex.EncodeToString(id[:]), Host: uint64(host), State: c.Dir, Address: c.Advertise[0]}, err
}

// joinRefused says whether an error means that the host was not admitted for certain.
func joinRefused(err error) bool {
	switch signet.KindOf(err) {
	case signet.Timeout, signet.Interrupted, signet.Other, signet.Unavailable:
		return wire.NotSent(err)
	}
	return true
}

func (c *HostConfig) hostOptions(d *disk.Disk, public []byte, roles uint8) cluster.HostOptions {
	return cluster.HostOptions{
		Disk: d, Name: c.Name, Listen: c.Listen, Advertise: c.Advertise, Zone: c.Zone,
		Store: cluster.StoreOptions{Capacity: c.Capacity}, Seal: public, Roles: roles,
	}
}

// settle fills in the port that the system chose and the addresses to advertise.
func (c *HostConfig) settle(bound net.Addr) error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return signet.Errorf(signet.Invalid, "listen on", c.Listen, "%w", err)
	}
	if port == "0" {
		_, port, err = net.SplitHostPort(bound.String())
		if err != nil {
			return err
		}
		c.Listen = net.JoinHostPort(host, port)
	}
	if len(c.Advertise) == 0 {
		c.Advertise = addresses(host, port)
	}
	return nil
}

// beginning is a state directory that is being made.
type beginning struct {
	disk   *disk.Disk
	dir    string
	had    map[string]bool // what was in it before
	unlock func()
}

// begin prepares the state directory of a new host.
func begin(c *HostConfig) (*beginning, error) {
	exists, err := cluster.Exists(c.Dir)
	if err != nil && signet.KindOf(err) != signet.NotFound {
		return nil, dirError(c.Dir, err)
	}
	if exists {
		return nil, signet.Errorf(signet.Exists, "make host in", c.Dir, "the state directory already belongs to a host of a cluster: choose another with --state, or remove it")
	}
	had, err := makeDir(c.Dir)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(c.Dir)
	if err != nil {
		return nil, err
	}
	d, err := disk.Open(c.Dir)
	if err != nil {
		unlock()
		return nil, err
	}
	return &beginning{d, c.Dir, had, unlock}, nil
}

// done ends the making. Unless it is to be kept, what was made is taken away again.
func (b *beginning) done(keep bool) {
	if !keep {
		names, _ := os.ReadDir(b.dir)
		for _, n := range names {
			if !b.had[n.Name()] {
				_ = os.RemoveAll(filepath.Join(b.dir, n.Name()))
			}
		}
		if len(b.had) == 0 {
			_ = os.Remove(b.dir)
		}
	}
	b.unlock()
}
