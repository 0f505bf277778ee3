package meta

import (
	"encoding/binary"

	"github.com/signetfs/signet"
)

// What a host may say of itself, and no more.
const (
	maxHostText = 255
	maxSealKey  = 2048
)

func (t *tx) host(id signet.HostID) (Host, bool) {
	h, ok := read(t, numKey(0, tableHosts, id), codeHost)
	h.ID = id
	return h, ok
}

func (t *tx) putHost(h *Host) {
	write(t, numKey(0, tableHosts, h.ID), codeHost, h)
	t.step.Effects.Hosts = append(t.step.Effects.Hosts, h.ID)
}

// checkHost says what is wrong with what a host says of itself.
func checkHost(h *NewHost) signet.Kind {
	switch {
	case h.Key == signet.HostKey{}, h.Roles&^RoleAll != 0, h.Roles == 0:
		return signet.Invalid
	case len(h.Name) > maxHostText, len(h.Zone) > maxHostText, len(h.Seal) > maxSealKey, len(h.Addrs) > maxAddrs:
		return signet.TooBig
	}
	for _, a := range h.Addrs {
		if len(a) > maxHostText {
			return signet.TooBig
		}
	}
	return signet.OK
}

// admitHost gives a host that is not in the table the next number.
func (t *tx) admitHost(n *NewHost, state HostState, cluster *Cluster) signet.HostID {
	cluster.Hosts++
	h := Host{ID: signet.HostID(cluster.Hosts), NewHost: *n, State: state, Joined: t.index}
	t.putHost(&h)
	write(t, digestKey(tableKeys, n.Key), codeKey, &keyRow{h.ID})
	t.clusters.set(struct{}{}, *cluster)
	return h.ID
}

func (t *tx) join(c *Join) signet.Result {
	if k := checkHost(&c.Host); k != signet.OK {
		return refuse(k)
	}
	if row, ok := read(t, digestKey(tableKeys, c.Host.Key), codeKey); ok {
		if h, _ := t.host(row.Host); h.State == HostRemoved {
			return refuse(signet.NotPermitted)
		}
		t.extra = uint64(row.Host)
		return signet.Result{}
	}
	tok, ok := read(t, digestKey(tableTokens, c.Token), codeToken)
	if !ok || tok.Left == 0 || !c.Time.Before(tok.Expires) || c.Host.Roles&^tok.Roles != 0 {
		return refuse(signet.BadToken)
	}
	if c.Host.Knows < t.newestFeature() {
		return refuse(signet.WrongVersion)
	}
	tok.Left--
	tok.Used++
	write(t, digestKey(tableTokens, c.Token), codeToken, &tok)
	cluster, _ := t.cluster()
	t.extra = uint64(t.admitHost(&c.Host, HostJoining, &cluster))
	return signet.Result{}
}

// member returns a host that was not removed.
func (t *tx) member(id signet.HostID) (Host, signet.Kind) {
	h, ok := t.host(id)
	switch {
	case !ok:
		return h, signet.NotFound
	case h.State == HostRemoved:
		return h, signet.NotPermitted
	}
	return h, signet.OK
}

func (t *tx) setHost(c *SetHost) signet.Result {
	h, k := t.member(c.Host)
	if k != signet.OK {
		return refuse(k)
	}
	const known = SetName | SetAddrs | SetZone | SetCapacity | SetWeight | SetRoles | SetKnows | SetSeal
	if c.Set&^known != 0 {
		return refuse(signet.Invalid)
	}
	n := h.NewHost
	if c.Set&SetName != 0 {
		n.Name = c.Value.Name
	}
	if c.Set&SetAddrs != 0 {
		n.Addrs = c.Value.Addrs
	}
	if c.Set&SetZone != 0 {
		n.Zone = c.Value.Zone
	}
	if c.Set&SetCapacity != 0 {
		n.Capacity = c.Value.Capacity
	}
	if c.Set&SetWeight != 0 {
		n.Weight = c.Value.Weight
	}
	if c.Set&SetRoles != 0 {
		n.Roles = c.Value.Roles
	}
	if c.Set&SetKnows != 0 {
		n.Knows = c.Value.Knows
	}
	if c.Set&SetSeal != 0 {
		n.Seal = c.Value.Seal
	}
	if k := checkHost(&n); k != signet.OK {
		return refuse(k)
	}
	h.NewHost = n
	t.putHost(&h)
	return signet.Result{}
}

func (t *tx) setHostState(c *SetHostState) signet.Result {
	h, k := t.member(c.Host)
	if k != signet.OK {
		return refuse(k)
	}
	if c.State < HostJoining || c.State >= HostRemoved {
		return refuse(signet.Invalid)
	}
	h.State = c.State
	t.putHost(&h)
	return signet.Result{}
}

func (t *tx) removeHost(c *RemoveHost) signet.Result {
	h, k := t.member(c.Host)
	if k != signet.OK {
		return refuse(k)
	}
	others := false
	p := prefix(0, tableHosts)
	t.scan(p, next(p), func(key, value []byte) bool {
		var o Host
		if !decodeRow(t, value, codeHost, &o) {
			return false
		}
		id := signet.HostID(binary.BigEndian.Uint64(key[len(p):]))
		others = id != c.Host && o.State != HostRemoved
		return !others
	})
	if !others {
		return refuse(signet.Busy)
	}
	h.State = HostRemoved
	t.putHost(&h)
	var ids []signet.SessionID
	for _, s := range t.sessionsOf(c.Host) {
		ids = append(ids, s.ID)
	}
	t.dropSlotsOf(c.Host)
	t.end(ids) // what is left of many is ended: EndSession forgets the answers
	return signet.Result{}
}
