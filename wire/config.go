package wire

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

// The protocol versions that this code speaks.
const (
	Version    = 1
	MinVersion = 1
)

// ClusterID tells clusters apart.
type ClusterID [16]byte

// Config is what a Server or a Pool is made from. Start with Defaults and fill in
// the first group.
type Config struct {
	Identity *Identity     // who we are
	Cluster  ClusterID     // zero only before this host belongs to one
	Host     signet.HostID // our number, 0 before we have one
	Features uint64        // bits that peers see in our Hello
	Clock    clock.Clock
	Rand     io.Reader    // for jitter; need not be secret
	Logger   *slog.Logger // nil: silent

	// Authorize says whether a member may connect, and why not. A Server asks it for
	// every connection, so it must answer from memory. Only a Server needs it.
	Authorize func(signet.HostKey) error
	// Refused is told when a host that proved its key does not let a Pool in, and why not.
	// It must not block, and may be nil.
	Refused func(peer signet.HostKey, why error)
	// Dial opens a connection to an address of a Peer. Only a Pool needs it.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Methods adds methods of the application, from FirstAppMethod on.
	Methods map[Method]Limits

	Control ClassConfig
	Bulk    ClassConfig

	// Handshake is how long a stranger may take from its first byte to its Hello. A
	// host under load needs some 10 ms for it; the rest is for slow networks.
	Handshake time.Duration
	// Strangers is how many connections may be without a Hello at once. One more
	// closes the oldest of them, so that a flood of silent ones keeps nobody out who is
	// quicker than the flood.
	Strangers int
	// Receive is how many bytes of large payloads all connections of a Server may hold
	// at once in each class, from their announcement until their handler is done with
	// them. Beyond, a connection that announces one is read later.
	Receive int64
	// Retire is how many bytes may pass on a connection before a Pool replaces it. An
	// AES-GCM key is good for 2^24.5 full records (RFC 8446, 5.5), some 360 GiB, which a
	// fast network carries in an hour, and Go's TLS never changes keys by itself.
	Retire uint64
	// DialTimeout bounds a whole attempt: connect, TLS, Hello. Above one retransmission
	// of a lost SYN (1 s).
	DialTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause after a failed attempt; it doubles from
	// one to the other, and jitter takes up to half of it off. The maximum is how long
	// a host that came back may go unnoticed by those who want it.
	BackoffMin, BackoffMax time.Duration
}

// ClassConfig is what may differ between the classes of connections.
type ClassConfig struct {
	// Ping is the silence after which the peer is asked for a sign of life.
	Ping time.Duration
	// Dead is the silence after which the connection is closed. On Control it is well
	// above a busy machine's pauses; the liveness that leases need is measured by the
	// leader, not here. On Bulk it must outlast the disk of a peer that stopped reading
	// because it holds Receive bytes.
	Dead time.Duration
	// Calls is how many calls may be in flight on a connection. Each end has its own
	// number, the lower one counts. More calls wait.
	Calls int
	// Queue is how many bytes of one-way messages may wait to be written. Beyond, Send
	// refuses with TooBusy: the sender knows best what to repeat.
	Queue int
}

// Defaults returns the configuration for real hosts.
func Defaults() Config {
	return Config{
		Clock: clock.Real(),
		Control: ClassConfig{
			Ping: time.Second, Dead: 3 * time.Second, Calls: 1024, Queue: 16 << 20,
		},
		Bulk: ClassConfig{
			Ping: time.Second, Dead: 15 * time.Second, Calls: 16, Queue: 16 << 20,
		},
		Handshake:   5 * time.Second,
		Strangers:   256,
		Receive:     64 << 20,
		Retire:      256 << 30,
		DialTimeout: 3 * time.Second,
		BackoffMin:  50 * time.Millisecond,
		BackoffMax:  2 * time.Second,
	}
}

// check completes the configuration and says what is wrong with it.
func (c *Config) check() error {
	bad := func(what string) error {
		return signet.Errorf(signet.Invalid, "configure wire", "", "%s", what)
	}
	if c.Identity == nil || c.Clock == nil || c.Rand == nil {
		return bad("identity, clock and randomness are needed")
	}
	for _, cc := range []ClassConfig{c.Control, c.Bulk} {
		if cc.Ping <= 0 || cc.Dead < 2*cc.Ping || cc.Calls < 1 || cc.Queue < 1 {
			return bad("a class needs times, calls and a queue, and Dead at twice Ping or more")
		}
	}
	if c.Handshake <= 0 || c.Strangers < 1 || c.Receive < MaxPayload || c.Retire == 0 || c.DialTimeout <= 0 ||
		c.BackoffMin <= 0 || c.BackoffMax < c.BackoffMin {
		return bad("a time or size is missing or too small")
	}
	methods := methodLimits()
	for m, l := range c.Methods {
		if m < FirstAppMethod || l.Request < 0 || l.Request > MaxPayload || l.Reply < 0 || l.Reply > MaxPayload {
			return bad("application methods begin at FirstAppMethod and keep below MaxPayload")
		}
		methods[m] = l
	}
	c.Methods = maps.Clone(methods)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// class returns the configuration of a class.
func (c *Config) class(k Class) *ClassConfig {
	if k == Bulk {
		return &c.Bulk
	}
	return &c.Control
}
