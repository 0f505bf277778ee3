package meta

import (
	"encoding/binary"

	"github.com/signetfs/signet"
)

const (
	maxSlotData = 16 << 10
	maxTokens   = 1024
)

func (t *tx) addSlot(c *AddSlot) signet.Result {
	if k := checkSlot(&c.Slot); k != signet.OK {
		return refuse(k)
	}
	if c.Slot.Host != 0 {
		if _, k := t.member(c.Slot.Host); k != signet.OK {
			return refuse(k)
		}
	}
	n := 0
	t.slots(func(uint32, *Slot) { n++ })
	if n >= maxSlots {
		return refuse(signet.TooBusy)
	}
	t.extra = uint64(t.putSlot(&c.Slot))
	return signet.Result{}
}

func checkSlot(s *NewSlot) signet.Kind {
	switch {
	case len(s.Data) == 0:
		return signet.Invalid
	case len(s.Data) > maxSlotData, len(s.Label) > maxHostText:
		return signet.TooBig
	}
	return signet.OK
}

// putSlot writes a slot under the next number.
func (t *tx) putSlot(s *NewSlot) uint32 {
	vol, _ := t.volumes.get(t.group)
	vol.NextSlot++
	t.volumes.set(t.group, vol)
	write(t, smallKey(t.group, tableSlots, vol.NextSlot), codeSlot, &Slot{NewSlot: *s, Added: t.index})
	t.step.Effects.Slots = true
	return vol.NextSlot
}

// slots calls fn for the volume's slots. What it gets is valid during the call.
func (t *tx) slots(fn func(n uint32, s *Slot)) {
	p := prefix(t.group, tableSlots)
	t.scan(p, next(p), func(key, value []byte) bool {
		var s Slot
		if !decodeRow(t, value, codeSlot, &s) {
			return false
		}
		fn(binary.BigEndian.Uint32(key[len(p):]), &s)
		return true
	})
}

func (t *tx) removeSlot(c *RemoveSlot) signet.Result {
	n, there := 0, false
	t.slots(func(k uint32, _ *Slot) {
		n++
		there = there || k == c.Slot
	})
	switch {
	case !there:
		return refuse(signet.NotFound)
	case n == 1:
		return refuse(signet.NotPermitted)
	}
	t.del(smallKey(t.group, tableSlots, c.Slot))
	t.step.Effects.Slots = true
	return signet.Result{}
}

// dropSlotsOf removes the slots of a host that is removed, but never the last slot.
func (t *tx) dropSlotsOf(h signet.HostID) {
	defer func(g signet.Group) { t.group = g }(t.group)
	t.group = signet.DefaultVolume
	var gone []uint32
	n := 0
	t.slots(func(k uint32, s *Slot) {
		n++
		if s.Host == h {
			gone = append(gone, k)
		}
	})
	for _, k := range gone {
		if n > 1 {
			t.del(smallKey(t.group, tableSlots, k))
			t.step.Effects.Slots = true
			n--
		}
	}
}

func (t *tx) createToken(c *CreateToken) signet.Result {
	if c.Uses == 0 || c.Roles == 0 || c.Roles&^RoleAll != 0 || !c.Time.Before(c.Expires) {
		return refuse(signet.Invalid)
	}
	if _, ok := read(t, digestKey(tableTokens, c.Digest), codeToken); ok {
		return refuse(signet.Exists)
	}
	p := prefix(0, tableTokens)
	var expired [][]byte
	n := 0
	t.scan(p, next(p), func(key, value []byte) bool {
		var tok Token
		if !decodeRow(t, value, codeToken, &tok) {
			return false
		}
		n++
		if !c.Time.Before(tok.Expires) {
			expired = append(expired, append([]byte(nil), key...))
		}
		return true
	})
	if n-len(expired) >= maxTokens {
		return refuse(signet.TooBusy)
	}
	for _, key := range expired {
		t.del(key)
	}
	write(t, digestKey(tableTokens, c.Digest), codeToken,
		&Token{Expires: c.Expires, Left: c.Uses, Roles: c.Roles, Made: c.Time})
	return signet.Result{}
}

func (t *tx) revokeToken(c *RevokeToken) signet.Result {
	key := digestKey(tableTokens, c.Digest)
	tok, ok := read(t, key, codeToken)
	if !ok {
		return refuse(signet.NotFound)
	}
	tok.Left = 0
	write(t, key, codeToken, &tok)
	return signet.Result{}
}

func (t *tx) setPolicy(c *SetPolicy) signet.Result {
	in, k := t.dir(c.Ino)
	switch {
	case k != signet.OK:
		return refuse(k)
	case c.Policy.Copies == 0 || c.Policy.Copies > signet.MaxReplicas,
		c.Policy.Layout != LayoutSpread && c.Policy.Layout != LayoutWhole:
		return refuse(signet.Invalid)
	}
	if in.Flags&flagPolicy == 0 {
		in.Flags |= flagPolicy
		t.putInode(&in)
	}
	write(t, numKey(t.group, tablePolicies, c.Ino), codePolicy, &c.Policy)
	return signet.Result{Attr: in.Attr}
}

func (t *tx) setFeature(c *SetFeature) signet.Result {
	if c.Feature == 0 {
		return refuse(signet.Invalid)
	}
	key := smallKey(0, tableFeatures, c.Feature)
	if _, ok := read(t, key, codeFeature); !ok {
		write(t, key, codeFeature, &Feature{Since: t.index})
	}
	return signet.Result{}
}

// newestFeature is the highest feature that is switched on.
func (t *tx) newestFeature() (newest uint32) {
	p := prefix(0, tableFeatures)
	t.scan(p, next(p), func(key, _ []byte) bool {
		newest = binary.BigEndian.Uint32(key[len(p):])
		return true
	})
	return newest
}
