package member

import (
	"slices"

	"github.com/signetfs/signet"
)

// Candidate is a member as far as voting is concerned.
type Candidate struct {
	ID     signet.HostID
	Zone   string
	May    bool // its role allows it to vote
	Alive  bool // it answers; a voter that has been silent for long enough to be replaced does not
	Ready  bool // it follows the log closely enough to vote at once
	Voting bool
}

// Voters returns how many of n hosts that may vote should: 1, 2 (only while there are
// two), 3, or 5.
func Voters(n int) int {
	switch {
	case n >= 5:
		return 5
	case n >= 3:
		return 3
	default:
		return n
	}
}

// Plan returns who should vote, sorted. Rules, in this order: only who may; no more and
// no fewer than Voters says, counted over the living; a living voter stays unless a zone
// could be covered better; the dead give way to those who are ready; and no change that
// would take a working majority away: if there are not enough who are ready, the present
// voters stay.
//
// A set of two never shrinks to one by death: nobody could tell that from a cut.
func Plan(all []Candidate) []signet.HostID {
	var now, living []Candidate
	for _, c := range all {
		if c.Voting {
			now = append(now, c)
		}
		if c.May && c.Alive && (c.Ready || c.Voting) {
			living = append(living, c)
		}
	}
	eligible := 0
	for _, c := range all {
		if c.May && (c.Alive || c.Voting) {
			eligible++
		}
	}
	want := Voters(eligible)
	if len(living) < want {
		want = Voters(len(living))
		if want < len(now) {
			return keep(now) // fewer living than voters: nobody to replace the dead with
		}
	}
	chosen := choose(living, want)
	if len(chosen) < want || want == 0 {
		return keep(now)
	}
	return chosen
}

func keep(now []Candidate) []signet.HostID {
	out := make([]signet.HostID, 0, len(now))
	for _, c := range now {
		out = append(out, c.ID)
	}
	slices.Sort(out)
	return out
}

// choose picks want of the living: as many zones as possible, present voters first, then
// the lowest numbers.
func choose(living []Candidate, want int) []signet.HostID {
	order := slices.Clone(living)
	slices.SortFunc(order, func(a, b Candidate) int {
		if a.Voting != b.Voting {
			if a.Voting {
				return -1
			}
			return 1
		}
		return int(int64(a.ID) - int64(b.ID))
	})
	var out []signet.HostID
	used := map[string]int{}
	for len(out) < min(want, len(living)) {
		best := -1
		for i, c := range order {
			if slices.Contains(out, c.ID) {
				continue
			}
			if best < 0 || used[c.Zone] < used[order[best].Zone] {
				best = i
			}
		}
		out = append(out, order[best].ID)
		used[order[best].Zone]++
	}
	slices.Sort(out)
	return out
}
