package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/crypto"
	"github.com/signetfs/signet/internal/clock"
	"github.com/signetfs/signet/internal/disk"
)

const (
	sealFile   = "seal.key"
	volumeFile = "volume"

	// grantPause is by how much the next host in line waits longer before it gives a
	// joiner the volume's key: the first one has done it long before.
	grantPause = 2 * time.Second
	// grantAgain is how often hosts that still lack the key are looked for.
	grantAgain = 5 * time.Second
	// waitQuietly is how long nobody is told that something is waited for.
	waitQuietly = time.Second
)

// newSeal makes the key pair to which the volume's key is sealed for this host, or
// reads the one that an interrupted attempt left.
func newSeal(d *disk.Disk) (*crypto.HostSecret, error) {
	if s, err := readSeal(d); signet.KindOf(err) != signet.NotFound {
		return s, err
	}
	s, err := crypto.NewHostSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	b := s.Reveal()
	defer clear(b)
	return s, d.WriteFile(sealFile, b, 0o600)
}

func readSeal(d *disk.Disk) (*crypto.HostSecret, error) {
	b, err := d.ReadFile(sealFile, 64)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	s, err := crypto.ParseHostSecret(b)
	return s, signet.Wrap("read", sealFile, err)
}

// writeVolumeID remembers which volume's key this host holds.
func writeVolumeID(d *disk.Disk, id crypto.VolumeID) error {
	return d.WriteFile(volumeFile, []byte(id.String()+"\n"), 0o600)
}

// readVolumeID returns it, zero if this host has held none.
func readVolumeID(d *disk.Disk) (crypto.VolumeID, error) {
	b, err := d.ReadFile(volumeFile, 64)
	if signet.KindOf(err) == signet.NotFound {
		return crypto.VolumeID{}, nil
	}
	if err != nil {
		return crypto.VolumeID{}, err
	}
	var id crypto.VolumeID
	if len(b) != 2*len(id)+1 {
		return id, signet.Errorf(signet.Corrupt, "read", volumeFile, "it does not decode: the state directory is damaged")
	}
	if _, err := hex.Decode(id[:], b[:2*len(id)]); err != nil {
		return id, signet.Errorf(signet.Corrupt, "read", volumeFile, "it does not decode: the state directory is damaged")
	}
	return id, nil
}

// keys is the volume's key as this host comes by it and passes it on.
type keys struct {
	disk   *disk.Disk
	log    *consensus.Node
	self   signet.HostID
	logger *slog.Logger
	secret *crypto.HostSecret // nil: this host is to hold no key
	wake   chan struct{}      // the host table or the slots changed

	mu    sync.Mutex         // guards what follows
	guest *crypto.HostSecret // in place of secret, see receiver
	ring  *crypto.Keyring
	bad   error         // why the newest slot for this host was not taken
	news  chan struct{} // closed, and another put in its place, when ring or bad is set
}

func newKeys(d *disk.Disk, logger *slog.Logger) (*keys, error) {
	k := &keys{disk: d, logger: logger, wake: make(chan struct{}, 1), news: make(chan struct{})}
	var err error
	if k.secret, err = readSeal(d); signet.KindOf(err) == signet.NotFound {
		return k, nil
	}
	return k, err
}

// changed is told of changes of the host table and the slots. It does not wait.
func (k *keys) changed() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// get returns the keyring, nil if this host has none now.
func (k *keys) get() *crypto.Keyring {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ring
}

// await waits for the keyring. waiting is called once if that takes longer than reading
// it from the log.
func (k *keys) await(ctx context.Context, waiting func()) (*crypto.Keyring, error) {
	if ring := k.get(); ring != nil {
		return ring, nil
	}
	if k.secret == nil {
		return nil, errNoKey()
	}
	slow := time.AfterFunc(waitQuietly, waiting)
	defer slow.Stop()
	for {
		k.mu.Lock()
		ring, bad, news := k.ring, k.bad, k.news
		k.mu.Unlock()
		if ring != nil || bad != nil {
			return ring, bad
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, signet.Errorf(signet.NoKey, "open volume", "", "no host has given this one the volume's key yet: a host that holds it must be up (see 'signet status'), or give --passphrase-file or --recovery-key-file")
		}
	}
}

// run takes this host's key from its slot and gives it to members that lack it.
func (k *keys) run(ctx context.Context) {
	again := time.NewTicker(grantAgain)
	defer again.Stop()
	for {
		if err := k.look(ctx); err != nil && ctx.Err() == nil {
			k.logger.Warn("key slots", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-again.C:
		}
	}
}

func (k *keys) look(ctx context.Context) error {
	slots, hosts, err := k.tables()
	if err != nil {
		return err
	}
	if k.secret != nil && k.get() == nil {
		k.take(slots)
	}
	ring := k.get()
	if ring == nil || len(lacking(slots, hosts)) == 0 {
		return nil
	}
	if before := k.before(slots, hosts); before > 0 {
		if err := sleep(ctx, time.Duration(before)*grantPause); err != nil {
			return err
		}
		if slots, hosts, err = k.tables(); err != nil {
			return err
		}
	}
	var errs []error
	for _, h := range lacking(slots, hosts) {
		errs = append(errs, k.grant(ctx, ring, &h))
	}
	return errors.Join(errs...)
}

func (k *keys) tables() ([]meta.Slot, []meta.Host, error) {
	r := k.log.Reader(signet.DefaultVolume)
	defer r.Close()
	slots, err := r.Slots()
	if err != nil {
		return nil, nil, err
	}
	hosts, err := r.Hosts()
	return slots, hosts, err
}

func hasSlot(slots []meta.Slot, h signet.HostID) bool {
	return slices.ContainsFunc(slots, func(s meta.Slot) bool { return s.Host == h && s.Kind == uint8(crypto.SlotHost) })
}

// take opens this host's slot.
func (k *keys) take(slots []meta.Slot) {
	known, err := readVolumeID(k.disk)
	for _, s := range slots {
		if err != nil {
			break
		}
		if s.Host != k.self || s.Kind != uint8(crypto.SlotHost) {
			continue
		}
		var ring *crypto.Keyring
		if ring, err = k.open(s.Data, k.secret, known); err == nil {
			k.set(ring)
			k.logger.Info("this host holds the volume's key", "volume", ring.ID(), "version", ring.Version())
			return
		}
	}
	if err != nil {
		k.mu.Lock()
		k.bad = err
		k.tell()
		k.mu.Unlock()
		k.logger.Error("this host's key slot does not open", "err", err)
	}
}

// set makes ring this host's, unless it has one.
func (k *keys) set(ring *crypto.Keyring) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring != nil {
		ring.Wipe()
		return
	}
	k.ring, k.bad = ring, nil
	k.tell()
}

// tell wakes who waits for the key. k.mu is held.
func (k *keys) tell() {
	close(k.news)
	k.news = make(chan struct{})
}

// open opens a slot for this host, unless it holds another volume's keys than before.
func (k *keys) open(data []byte, secret *crypto.HostSecret, known crypto.VolumeID) (*crypto.Keyring, error) {
	slot, err := crypto.DecodeSlot(data)
	if err != nil {
		return nil, err
	}
	ring, err := slot.OpenAsHost(secret)
	if err != nil {
		return nil, err
	}
	if known == (crypto.VolumeID{}) {
		return ring, writeVolumeID(k.disk, ring.ID())
	}
	if ring.ID() != known {
		ring.Wipe()
		return nil, signet.Errorf(signet.Corrupt, "open key slot", "", "it holds the keys of volume %v, this host belongs to %v: somebody has put a wrong slot into the log", ring.ID(), known)
	}
	return ring, nil
}

// lacking lists the members that want the volume's key and have no slot.
func lacking(slots []meta.Slot, hosts []meta.Host) []meta.Host {
	return slices.DeleteFunc(slices.Clone(hosts), func(h meta.Host) bool {
		return h.State == meta.HostRemoved || len(h.Seal) == 0 || hasSlot(slots, h.ID)
	})
}

// before counts the key holders that are before this one in line to give the key on:
// those that are up and have a lower number.
func (k *keys) before(slots []meta.Slot, hosts []meta.Host) (n int) {
	for _, h := range hosts {
		if h.ID < k.self && h.State == meta.HostUp && hasSlot(slots, h.ID) {
			n++
		}
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) error { return clock.Sleep(ctx, clock.Real(), d) }

// grant gives a member the volume's key.
func (k *keys) grant(ctx context.Context, ring *crypto.Keyring, h *meta.Host) error {
	slot, err := ring.SealToHost(h.Seal, slotLabel(h.Name))
	if err != nil {
		return signet.Wrap("give the volume's key to", h.ID.String(), err)
	}
	a, _, err := k.log.Do(ctx, signet.DefaultVolume, &meta.AddSlot{Slot: meta.NewSlot{
		Kind: uint8(crypto.SlotHost), Host: h.ID, Label: slot.Label, Data: slot.Encode(),
	}})
	if err == nil && a.Result.Err != signet.OK {
		err = a.Result.Err
	}
	if err != nil {
		return signet.Wrap("give the volume's key to", h.ID.String(), err)
	}
	k.logger.Info("gave the volume's key", "host", uint64(h.ID), "name", h.Name)
	return nil
}

// slotLabel makes a label that slots take of a host's name.
func slotLabel(name string) string {
	const most = 64
	return strings.ToValidUTF8(name[:min(len(name), most)], "")
}

// wipe zeroes the key. Nothing may be using it.
func (k *keys) wipe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring != nil {
		k.ring.Wipe()
	}
	for _, s := range []*crypto.HostSecret{k.secret, k.guest} {
		if s != nil {
			s.Wipe()
		}
	}
}
