package daemon

import (
	"strings"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

// A host that has stopped says so, and nothing that it only remembers.
func TestStoppedHostSaysSo(t *testing.T) {
	for kind, code := range map[signet.Kind]string{signet.Corrupt: "diverged", signet.Ended: "removed"} {
		got := problems(&tables{}, &control.Status{}, consensus.Status{Halted: signet.Errorf(kind, "", "", "because")}, nil)
		if len(got) != 1 || got[0].Code != code || got[0].Warning || got[0].Text != "because" {
			t.Errorf("%v: %+v", kind, got)
		}
	}
}

// What a host that is down means depends on what depends on it; a dead one that nobody
// misses does not make a cluster unhealthy for ever, since nothing can be done about it.
func TestHostThatIsDown(t *testing.T) {
	for _, c := range []struct {
		code                   string
		voter, owning, warning bool
	}{
		{"voter_down", true, true, false},
		{"voter_down", true, false, false},
		{"host_down", false, true, false},
		{"host_gone", false, false, true},
	} {
		s := &control.Status{Hosts: []control.Host{
			{ID: 1, State: "up", Voter: true, Roles: []string{"store"}},
			{ID: 2, State: "down", Voter: c.voter},
		}}
		in := &tables{owning: map[signet.HostID]bool{1: true, 2: c.owning}}
		found := 0
		for _, p := range problems(in, s, consensus.Status{Leader: 1, Leased: true}, nil) {
			if strings.Contains(p.Text, "host-2") {
				found++
				if p.Code != c.code || p.Warning != c.warning || p.Hint == "" {
					t.Errorf("%+v: %+v", c, p)
				}
			}
		}
		if found != 1 {
			t.Errorf("%+v: %d problems", c, found)
		}
	}
}
