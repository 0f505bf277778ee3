package meta

import (
	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// coder writes or reads a value: one function per type gives its layout for both
// directions, so they cannot drift apart. When reading, an error sticks in dec.
type coder struct {
	reading bool
	unknown bool // a version from the future was met
	enc     pack.Encoder
	dec     pack.Decoder
}

// array begins an array of exactly n elements.
func (c *coder) array(n int) {
	if c.reading {
		c.dec.ArrayExact(n)
		return
	}
	c.enc.Array(n)
}

// row begins a table's row: an array of n elements, of which the first is the version
// of its layout.
func (c *coder) row(version uint64, n int) {
	if !c.reading {
		c.enc.Array(n)
		c.enc.Uint(version)
		return
	}
	// The version is read before the length is judged: a newer one may be longer.
	got := c.dec.Array(n + 1024)
	v := c.dec.Uint()
	if c.dec.Err() == nil && v > version {
		c.unknown = true
		c.dec.Fail("version %d, the newest known is %d", v, version)
	}
	if c.dec.Err() == nil && (v != version || got != n) {
		c.dec.Fail("version %d with %d elements", v, got)
	}
}

// num is an unsigned integer of any size.
func num[T ~uint8 | ~uint16 | ~uint32 | ~uint64](c *coder, v *T) {
	if c.reading {
		*v = T(c.dec.UintMax(uint64(^T(0))))
		return
	}
	c.enc.Uint(uint64(*v))
}

func (c *coder) int(v *int64) {
	if c.reading {
		*v = c.dec.Int()
		return
	}
	c.enc.Int(*v)
}

// bytes is a byte string of at most max bytes; what is read is a part of the input.
func (c *coder) bytes(v *[]byte, max int) {
	if c.reading {
		*v = c.dec.Bytes(max)
		return
	}
	c.enc.Bytes(*v)
}

func (c *coder) text(v *string, max int) {
	if c.reading {
		*v = c.dec.String(max)
		return
	}
	c.enc.String(*v)
}

// fixed is a byte string of exactly len(v) bytes.
func (c *coder) fixed(v []byte) {
	if c.reading {
		c.dec.Fixed(v)
		return
	}
	c.enc.Bytes(v)
}

func (c *coder) flag(v *bool) {
	if c.reading {
		*v = c.dec.Bool()
		return
	}
	c.enc.Bool(*v)
}

// time is two elements.
func (c *coder) time(t *signet.Time) {
	c.int(&t.Sec)
	num(c, &t.Nsec)
	if c.reading && t.Nsec >= 1e9 {
		c.dec.Fail("%d nanoseconds", t.Nsec)
	}
}

// address is empty for none, else signet.AddressSize bytes.
func (c *coder) address(a *signet.Address) {
	if !c.reading {
		if a.IsZero() {
			c.enc.Bytes(nil)
		} else {
			c.enc.Bytes(a[:])
		}
		return
	}
	b := c.dec.Bytes(len(a))
	switch {
	case len(b) == len(a):
		copy(a[:], b)
		if a.IsZero() {
			c.dec.Fail("an address of zeros")
		}
	case len(b) != 0:
		c.dec.Fail("an address of %d bytes", len(b))
	}
}

// list is a slice of at most max items. It grows as items are read, so that a short
// input cannot claim much memory.
func list[T any](c *coder, v *[]T, max int, item func(*coder, *T)) {
	if !c.reading {
		c.enc.Array(len(*v))
		for i := range *v {
			item(c, &(*v)[i])
		}
		return
	}
	n := c.dec.Array(max)
	if n == 0 {
		return
	}
	out := make([]T, 0, min(n, 16))
	for range n {
		var x T
		item(c, &x)
		if c.dec.Err() != nil {
			return
		}
		out = append(out, x)
	}
	*v = out
}

func hostID(c *coder, h *signet.HostID) { num(c, h) }

// hosts is a list of hosts.
func (c *coder) hosts(v *[]signet.HostID) { list(c, v, maxHolders, hostID) }
