package meta

import (
	"encoding/binary"
	"math"

	"github.com/signetfs/signet"
)

func (t *tx) openSession(c *OpenSession) signet.Result {
	h, ok := t.host(c.Host)
	switch {
	case !ok:
		return refuse(signet.NotFound)
	case h.State == HostRemoved:
		return refuse(signet.NotPermitted)
	case c.Start < h.Start:
		return refuse(signet.Stale)
	}
	var old []signet.SessionID
	for _, s := range t.sessionsOf(c.Host) {
		if s.Start == c.Start {
			return signet.Result{Index: signet.Index(s.ID)} // asked again
		}
		old = append(old, s.ID)
	}
	if t.opened == t.index {
		return refuse(signet.TooBusy) // two in one entry would have one number
	}
	t.end(old)
	if c.Start > h.Start {
		h.Start = c.Start
		t.putHost(&h)
	}
	t.opened = t.index
	id := signet.SessionID(t.index)
	t.sessions.set(id, Session{ID: id, Host: c.Host, Start: c.Start, Opened: c.Time})
	return signet.Result{}
}

func (t *tx) endSession(c *EndSession) signet.Result {
	return signet.Result{More: !t.end([]signet.SessionID{c.Session})}
}

// sessionsOf returns a host's sessions that have not ended.
func (t *tx) sessionsOf(h signet.HostID) []Session {
	t.sessions.flush() // a scan sees only what is written
	var out []Session
	p := prefix(0, tableSessions)
	t.scan(p, next(p), func(key, value []byte) bool {
		var s Session
		if !decodeRow(t, value, codeSession, &s) {
			return false
		}
		s.ID = signet.SessionID(binary.BigEndian.Uint64(key[len(p):]))
		if s.Host == h && !s.Ended {
			out = append(out, s)
		}
		return true
	})
	return out
}

// end ends sessions, takes their locks away and forgets their answers, as much as one
// command may. It says whether nothing is left: a session of which something is left stays,
// as ended.
func (t *tx) end(ids []signet.SessionID) bool {
	all := true
	for _, id := range ids {
		s, ok := t.sessions.get(id)
		if !ok {
			continue
		}
		if !s.Ended {
			t.step.Effects.Ended = append(t.step.Effects.Ended, id)
			t.lockChange(signet.Change{Session: id})
		}
		s.ID, s.Ended = id, true
		if !t.endLocks(id) || t.touched+signet.MaxUnanswered > cutRows {
			t.sessions.set(id, s)
			all = false
			continue
		}
		p := numKey(0, tableAnswers, id)
		var keys [][]byte
		t.scan(p, next(p), func(key, _ []byte) bool {
			keys = append(keys, append([]byte(nil), key...))
			return true
		})
		for _, key := range keys {
			t.del(key)
		}
		t.sessions.del(id)
	}
	return all
}

func (t *tx) grantInodes(c *GrantInodes) signet.Result {
	vol, _ := t.volumes.get(t.group)
	if c.Count == 0 || vol.NextIno > math.MaxInt64 {
		return refuse(signet.Invalid)
	}
	first := vol.NextIno
	vol.NextIno += signet.Ino(c.Count)
	t.volumes.set(t.group, vol)
	t.extra = uint64(first)
	return signet.Result{Attr: signet.Attr{Ino: first}}
}
