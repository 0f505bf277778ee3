package heal

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// TestModel lets hosts write, name, remove, come, go, crash, fall behind and heal in any
// order. At no time may a named object be nowhere, or a host have dropped what the log
// says it has when it is named; and when all is quiet everybody has what he should have
// and nothing else.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{newSim(t, rapid.Uint64().Draw(t, "seed"))}
		m.join()
		m.join()
		m.pass(12 * time.Second)
		t.Repeat(map[string]func(*rapid.T){
			"write":   m.write,
			"begin":   m.beginPut,
			"name":    m.namePut,
			"forget":  m.forgetPut,
			"late":    m.lateCopy,
			"remove":  m.removeFile,
			"apply":   m.apply,
			"heal":    m.heal,
			"crash":   m.crash,
			"steward": m.stewards,
			"report":  m.reports,
			"time":    m.time,
			"away":    m.away,
			"session": m.newSession,
			"join":    m.newHost,
			"lead":    m.newLeader,
			"drain":   m.drain,
			"":        func(*rapid.T) { m.safe(); m.honest() },
		})
		m.converge()
	})
}

type model struct{ *sim }

// some draws a host that is up.
func (m *model) some(t *rapid.T) *host {
	var up []signet.HostID
	for _, id := range m.ids() {
		if m.hosts[id].up {
			up = append(up, id)
		}
	}
	return m.hosts[rapid.SampledFrom(up).Draw(t, "host")]
}

func (m *model) file(t *rapid.T) signet.Ino {
	var inos []signet.Ino
	for ino := range m.files {
		inos = append(inos, ino)
	}
	if len(inos) == 0 {
		return 0
	}
	slices.Sort(inos)
	return rapid.SampledFrom(inos).Draw(t, "file")
}

func (m *model) onTheWay(t *rapid.T) *put {
	if len(m.puts) == 0 {
		return nil
	}
	return m.puts[rapid.IntRange(0, len(m.puts)-1).Draw(t, "put")]
}

func (m *model) write(t *rapid.T) {
	if p := m.some(t).begin(rapid.IntRange(0, 1).Draw(t, "late")); p != nil {
		m.name(p, 0)
	}
}

func (m *model) beginPut(t *rapid.T) { m.some(t).begin(rapid.IntRange(0, 1).Draw(t, "late")) }

func (m *model) namePut(t *rapid.T) {
	p := m.onTheWay(t)
	if p == nil || !p.writer.up {
		return
	}
	ino := signet.Ino(0)
	if len(m.files) > 0 && rapid.Bool().Draw(t, "overwrite") {
		ino = m.file(t)
	}
	m.name(p, ino)
}

func (m *model) forgetPut(t *rapid.T) {
	p := m.onTheWay(t)
	if p == nil {
		return
	}
	m.puts = slices.DeleteFunc(m.puts, func(o *put) bool { return o == p })
	m.strays = append(m.strays, p)
}

// lateCopy delivers a copy of a put that is named, on its way or given up.
func (m *model) lateCopy(t *rapid.T) {
	var all []*put
	for _, p := range slices.Concat(m.puts, m.strays) {
		if len(p.late) > 0 {
			all = append(all, p)
		}
	}
	for _, p := range m.files {
		if len(p.late) > 0 {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b *put) int { return compare(a.row.Address, b.row.Address) })
	p := rapid.SampledFrom(all).Draw(t, "put")
	h := m.hosts[p.late[0]]
	p.late = p.late[1:]
	if h.up {
		h.receive(p)
	}
}

func (m *model) removeFile(t *rapid.T) {
	h := m.some(t)
	ino := m.file(t)
	if p := m.files[ino]; p != nil && h.remove(ino) == signet.OK {
		m.strays = append(m.strays, p)
	}
}

func (m *model) apply(t *rapid.T) {
	h := m.some(t)
	h.catchUp(signet.Index(rapid.Uint64Range(uint64(h.applied()), uint64(m.sim.log.Last())).Draw(t, "to")))
}

func (m *model) heal(t *rapid.T) {
	h := m.some(t)
	for n := rapid.IntRange(1, 40).Draw(t, "steps"); n > 0 && h.step(); n-- {
	}
}

// crash has a host's healing end between any two operations, maybe with its tables
// falling back.
func (m *model) crash(t *rapid.T) {
	h := m.some(t)
	h.budget = rapid.IntRange(0, 60).Draw(t, "operations")
	for !h.crashed() && h.step() {
	}
	if rapid.Bool().Draw(t, "falls back") {
		h.fallBack(signet.Index(rapid.Uint64Range(1, uint64(h.applied())).Draw(t, "to")))
	} else {
		h.restart()
	}
	if m.lead == h {
		m.elect(h) // it knows nothing of its time as leader
	}
}

func (m *model) stewards(t *rapid.T) {
	select {
	case <-m.term.wake:
		m.term.hostsMoved()
	default:
	}
	m.term.round(t.Context())
}

func (m *model) reports(t *rapid.T) { m.some(t).tell() }

func (m *model) time(t *rapid.T) {
	m.clock.Advance(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
}

func (m *model) away(t *rapid.T) {
	ids := m.ids()
	h := m.hosts[rapid.SampledFrom(ids).Draw(t, "host")]
	switch {
	case h == m.lead: // it stays
	case h.up:
		m.down(h)
	default:
		m.back(h)
	}
}

// newSession ends a host's session and opens another. What it has put may still be named.
func (m *model) newSession(t *rapid.T) {
	h := m.some(t)
	m.lead.must(signet.ClusterGroup, &meta.EndSession{Session: h.session})
	h.open()
}

func (m *model) newHost(*rapid.T) {
	if len(m.hosts) < 5 {
		m.join()
	}
}

func (m *model) newLeader(t *rapid.T) { m.elect(m.some(t)) }

func (m *model) drain(t *rapid.T) {
	h := m.some(t)
	if h == m.lead {
		return
	}
	if rapid.Bool().Draw(t, "drain") {
		m.setState(h, meta.HostDraining)
	} else {
		m.setState(h, meta.HostUp)
	}
}

// converge brings everybody back and waits until nothing is left to do.
func (m *model) converge() {
	for _, id := range m.ids() {
		if h := m.hosts[id]; !h.up {
			m.back(h)
		}
		m.setState(m.hosts[id], meta.HostUp)
	}
	m.puts = nil
	for range 5 {
		m.lead.write()
		m.elapse(20*time.Second, 4*time.Second)
	}
	m.elapse(6*time.Minute, 15*time.Second)
	m.safe()
	m.tidy()
	m.readable()
}
