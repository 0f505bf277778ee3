package daemon

import (
	"fmt"
	"strings"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/consensus"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

// problems says what is not as it should be, what that means, and what to do.
func problems(t *tables, s *control.Status, l consensus.Status, silent error) []control.Problem {
	var out []control.Problem
	add := func(warning bool, code, hint, text string, args ...any) {
		out = append(out, control.Problem{Code: code, Text: fmt.Sprintf(text, args...), Hint: hint, Warning: warning})
	}
	switch {
	case signet.KindOf(l.Halted) == signet.Ended:
		add(false, "removed", "run 'signet join' with a new state directory to make this machine a host again", "%v", l.Halted)
		return out // what else is known here is old
	case l.Halted != nil:
		add(false, "diverged", "let this machine join again with a new state directory ('signet join --state DIR'), and keep the old one for whoever looks for the cause; the old host stays in the list as one that is down, and others take its share and its vote", "%v", l.Halted)
		return out
	case l.Leader == 0:
		add(false, "no_leader", "start the voters that are down, or see why they cannot reach each other: "+nameVoters(s.Hosts),
			"no leader: fewer than half of the %d voters reach each other, so nothing can be changed; what is here can be read", len(l.Members.Voters))
	case silent != nil:
		add(false, "leader_silent", "see that this host can reach the leader's address", "the leader, host-%d, did not answer: %v", uint64(l.Leader), silent)
	}
	if !l.Leased {
		add(false, "no_lease", "see that this host can reach the others; it comes back by itself",
			"this host has no lease: what it shows may be old")
	}
	storing, voting := 0, 0
	for _, h := range s.Hosts {
		joined := h.State == "up" || h.State == "draining"
		storing += count(joined && contains(h.Roles, "store"))
		voting += count(h.Voter)
		if h.Differs {
			add(false, "host_differs", "look at 'signet status' and the log there; if it has stopped, let that machine join again with a new state directory",
				"the state of %s is not that of the leader; it gets no lease", hostName(h))
		}
		switch {
		case h.State == "down" && h.Voter:
			add(false, "voter_down", "start it; if it is gone for good, join another host, if there is none that does not vote yet: it takes the vote over by itself after a while", "%s does not answer, and it is a voter", hostName(h))
		case h.State == "down" && t.owning[signet.HostID(h.ID)]:
			add(false, "host_down", "start it; if it is gone for good, wait: after ten minutes the others take its share over", "%s does not answer", hostName(h))
		case h.State == "down":
			add(true, "host_gone", "start it if it is to take part again; if not, nothing has to be done", "%s does not answer; it has neither a vote nor a share of the objects", hostName(h))
		case h.State == "joining":
			add(true, "host_joining", "start it with 'signet daemon' or 'signet mount' if it does not run", "%s was admitted and has not caught up yet", hostName(h))
		}
	}
	if voting == 2 {
		add(true, "two_voters", "join a third host: then any one may be away", "two hosts vote: if either is away, nothing can be changed until it is back")
	}
	if storing < s.Copies {
		add(true, "few_hosts", "join more hosts, or be content with fewer copies", "%d of the wanted %d copies are kept: there are no more hosts that store", storing, s.Copies)
	}
	if s.Objects.Lost > 0 {
		add(false, "objects_lost", "bring back the hosts that had them; 'signet stat PATH' shows which files are hit", "%d objects are on no host of the cluster", s.Objects.Lost)
	}
	if s.Objects.Short > 0 {
		add(false, "objects_short", "wait: the hosts copy what is missing", "%d of %d objects have fewer copies than they should", s.Objects.Short, s.Objects.Total)
	}
	if len(t.moving) > 0 && s.Objects.Short == 0 {
		add(true, "ring_moving", "wait: the new owners are checking what they have", "%d of %d arcs of the ring are moving to other hosts", len(t.moving), t.cluster.Arcs)
	}
	return out
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func hostName(h control.Host) string {
	return fmt.Sprintf("host-%d (%s, %s)", h.ID, h.Name, h.Address)
}

func nameVoters(hosts []control.Host) string {
	var names []string
	for _, h := range hosts {
		if h.Voter {
			names = append(names, hostName(h))
		}
	}
	return strings.Join(names, ", ")
}
