package cluster

import (
	"crypto/ed25519"
	"path/filepath"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/internal/disk"
	"github.com/signetfs/signet/internal/pack"
	"github.com/signetfs/signet/wire"
)

// What lies in a state directory, beside what package cmd/signet keeps there. The
// formats are described in docs/statedir.md.
const (
	identityFile = "identity" // the private key: readable by the owner only
	hostFile     = "host"     // who this host is and whom it knew when it joined
	startFile    = "start"    // how often it was started
	logDir       = "raft"     // DIR/log is the text that the daemon writes
	objectsDir   = "objects"

	identityVersion = 1
	hostVersion     = 1
	startVersion    = 1
	maxStateFile    = 1 << 20
)

// self is the content of the host file.
type self struct {
	cluster [16]byte
	name    string // of the cluster
	host    signet.HostID
	listen  string
	members []member.Host // where to find others before the log tells; keys and addresses only
	options StoreOptions
}

// StoreOptions say how much of the disk objects may take.
type StoreOptions struct {
	Capacity uint64 // bytes of objects; 0: what the disk has
	Reserve  uint64 // bytes of the disk that stay free; 0: the default of package store
}

func writeIdentity(d *disk.Disk, key ed25519.PrivateKey) error {
	var e pack.Encoder
	e.Array(2)
	e.Uint(identityVersion)
	e.Bytes(key.Seed())
	return d.WriteFile(identityFile, e.Buf(), 0o600)
}

func readIdentity(d *disk.Disk) (*wire.Identity, error) {
	b, err := readState(d, identityFile, 2, identityVersion)
	if err != nil {
		return nil, err
	}
	seed := b.Bytes(ed25519.SeedSize)
	if err := b.Done(); err != nil || len(seed) != ed25519.SeedSize {
		return nil, damaged(identityFile)
	}
	return wire.NewIdentity(ed25519.NewKeyFromSeed(seed))
}

func damaged(name string) error {
	return signet.Errorf(signet.Corrupt, "read", name, "the file does not decode: the state directory is damaged; join again with a new one")
}

// readState opens a state file that is an array of n elements with the version first.
func readState(d *disk.Disk, name string, n int, version uint64) (*pack.Decoder, error) {
	b, err := d.ReadFile(name, maxStateFile)
	if err != nil {
		return nil, signet.Wrap("read", name, err)
	}
	p := pack.NewDecoder(b)
	if p.Array(64) < 1 {
		return nil, damaged(name)
	}
	v := p.Uint()
	if p.Err() != nil {
		return nil, damaged(name)
	}
	if v != version {
		return nil, signet.Errorf(signet.WrongVersion, "read", name, "it is of format %d, this program knows %d: use a newer signet", v, version)
	}
	q := pack.NewDecoder(b)
	if !q.ArrayExact(n) {
		return nil, damaged(name)
	}
	q.Uint()
	return q, nil
}

func (s *self) write(d *disk.Disk) error {
	var e pack.Encoder
	e.Array(8)
	e.Uint(hostVersion)
	e.Bytes(s.cluster[:])
	e.String(s.name)
	e.Uint(uint64(s.host))
	e.String(s.listen)
	e.Uint(s.options.Capacity)
	e.Uint(s.options.Reserve)
	e.Array(len(s.members))
	for _, m := range s.members {
		e.Array(3)
		e.Uint(uint64(m.ID))
		e.Bytes(m.Key[:])
		e.Array(len(m.Addrs))
		for _, a := range m.Addrs {
			e.String(a)
		}
	}
	return d.WriteFile(hostFile, e.Buf(), 0o600)
}

func readSelf(d *disk.Disk) (*self, error) {
	p, err := readState(d, hostFile, 8, hostVersion)
	if err != nil {
		return nil, err
	}
	s := &self{}
	p.Fixed(s.cluster[:])
	s.name = p.String(wire.MaxHostName)
	s.host = signet.HostID(p.Uint())
	s.listen = p.String(wire.MaxAddr)
	s.options.Capacity = p.Uint()
	s.options.Reserve = p.Uint()
	for range p.Array(wire.MaxMembers) {
		var m member.Host
		p.ArrayExact(3)
		m.ID = signet.HostID(p.Uint())
		p.Fixed(m.Key[:])
		for range p.Array(wire.MaxAddrs) {
			m.Addrs = append(m.Addrs, p.String(wire.MaxAddr))
		}
		m.Up = true
		s.members = append(s.members, m)
	}
	if p.Done() != nil || s.host == 0 {
		return nil, damaged(hostFile)
	}
	return s, nil
}

// countStart returns the number of this start, durably counted.
func countStart(d *disk.Disk) (uint64, error) {
	start := uint64(0)
	p, err := readState(d, startFile, 2, startVersion)
	switch {
	case signet.KindOf(err) == signet.NotFound:
	case err != nil:
		return 0, err
	default:
		start = p.Uint()
		if p.Done() != nil {
			return 0, damaged(startFile)
		}
	}
	var e pack.Encoder
	e.Array(2)
	e.Uint(startVersion)
	e.Uint(start + 1)
	return start + 1, d.WriteFile(startFile, e.Buf(), 0o600)
}

// Exists says whether dir is the state directory of a host.
func Exists(dir string) (bool, error) {
	d, err := disk.Open(filepath.Clean(dir))
	if err != nil {
		return false, err
	}
	_, err = d.ReadFile(hostFile, maxStateFile)
	if signet.KindOf(err) == signet.NotFound {
		return false, nil
	}
	return err == nil, err
}
