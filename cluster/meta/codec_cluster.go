package meta

import "github.com/signetfs/signet"

const (
	maxAddrs   = 32 // addresses of a host
	maxHolders = 64 // hosts that are said to have an object or an arc
	maxSlots   = 256
)

func codeInit(c *coder, x *Init) {
	c.array(11)
	c.fixed(x.Cluster[:])
	c.text(&x.Name, maxText)
	num(c, &x.Arcs)
	num(c, &x.Copies)
	codeNewHost(c, &x.Host)
	list(c, &x.Slots, maxSlots, codeNewSlot)
	num(c, &x.UID)
	num(c, &x.GID)
	num(c, &x.Mode)
	c.time(&x.Time)
}

func codeNewHost(c *coder, x *NewHost) {
	c.array(9)
	c.fixed(x.Key[:])
	c.bytes(&x.Seal, maxBlob)
	c.text(&x.Name, maxText)
	list(c, &x.Addrs, maxAddrs, func(c *coder, s *string) { c.text(s, maxText) })
	c.text(&x.Zone, maxText)
	num(c, &x.Capacity)
	num(c, &x.Weight)
	num(c, &x.Roles)
	num(c, &x.Knows)
}

func codeNewSlot(c *coder, x *NewSlot) {
	c.array(4)
	num(c, &x.Kind)
	num(c, &x.Host)
	c.text(&x.Label, maxText)
	c.bytes(&x.Data, maxBlob)
}

func codeOpenSession(c *coder, x *OpenSession) {
	c.array(4)
	num(c, &x.Host)
	num(c, &x.Start)
	c.time(&x.Time)
}

func codeEndSession(c *coder, x *EndSession) {
	c.array(1)
	num(c, &x.Session)
}

func codeGrantInodes(c *coder, x *GrantInodes) {
	c.array(1)
	num(c, &x.Count)
}

func codeJoin(c *coder, x *Join) {
	c.array(4)
	c.fixed(x.Token[:])
	codeNewHost(c, &x.Host)
	c.time(&x.Time)
}

func codeSetHost(c *coder, x *SetHost) {
	c.array(3)
	num(c, &x.Host)
	num(c, &x.Set)
	codeNewHost(c, &x.Value)
}

func codeSetHostState(c *coder, x *SetHostState) {
	c.array(2)
	num(c, &x.Host)
	num(c, &x.State)
}

func codeRemoveHost(c *coder, x *RemoveHost) {
	c.array(1)
	num(c, &x.Host)
}

func codeSetRing(c *coder, x *SetRing) {
	c.array(2)
	num(c, &x.Base)
	list(c, &x.Arcs, signet.MaxRows, func(c *coder, a *ArcOwners) {
		c.array(2)
		num(c, &a.Arc)
		c.hosts(&a.Owners)
	})
}

func codeArcDone(c *coder, x *ArcDone) {
	c.array(3)
	num(c, &x.Arc)
	num(c, &x.Host)
	num(c, &x.Version)
}

func codeArcsDone(c *coder, x *ArcsDone) {
	c.array(2)
	num(c, &x.Host)
	list(c, &x.Arcs, signet.MaxRows, func(c *coder, a *ArcVersion) {
		c.array(2)
		num(c, &a.Arc)
		num(c, &a.Version)
	})
}

func codePlaced(c *coder, x *Placed) {
	c.array(3)
	num(c, &x.Host)
	c.flag(&x.Gone)
	list(c, &x.Addresses, signet.MaxRows, (*coder).address)
}

func codeCollect(c *coder, x *Collect) {
	c.array(2)
	num(c, &x.Horizon)
	list(c, &x.Addresses, signet.MaxRows, (*coder).address)
}

func codeReap(c *coder, x *Reap) {
	c.array(1)
	num(c, &x.Ino)
}

func codeSetPolicy(c *coder, x *SetPolicy) {
	c.array(3)
	num(c, &x.Ino)
	num(c, &x.Policy.Copies)
	num(c, &x.Policy.Layout)
}

func codeSetFeature(c *coder, x *SetFeature) {
	c.array(1)
	num(c, &x.Feature)
	if c.reading && x.Feature > FeatureNewest {
		c.unknown = true // checked here so that nobody proposes what stops every host
		c.dec.Fail("feature %d", x.Feature)
	}
}

func codeAddSlot(c *coder, x *AddSlot) {
	c.array(1)
	codeNewSlot(c, &x.Slot)
}

func codeRemoveSlot(c *coder, x *RemoveSlot) {
	c.array(1)
	num(c, &x.Slot)
}

func codeCreateToken(c *coder, x *CreateToken) {
	c.array(7)
	c.fixed(x.Digest[:])
	c.time(&x.Expires)
	num(c, &x.Uses)
	num(c, &x.Roles)
	c.time(&x.Time)
}

func codeRevokeToken(c *coder, x *RevokeToken) {
	c.array(1)
	c.fixed(x.Digest[:])
}
