package ring

import (
	"flag"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/signetfs/signet"
)

// The tables of docs/ring.md come from
//
//	go test ./cluster/ring -run 'TestTable|TestManyChanges' -v -table
//
// Without -table the tests look at small rings only and print nothing.
var table = flag.Bool("table", false, "compute and print the tables of docs/ring.md")

func printRow(cells ...any) {
	if *table {
		for _, c := range cells {
			fmt.Printf("| %v ", c)
		}
		fmt.Println("|")
	}
}

// TestTable checks that single changes move the least, and measures.
func TestTable(t *testing.T) {
	sizes := []struct{ hosts, zones, arcs int }{
		{3, 1, 4096}, {3, 3, 4096}, {30, 1, 4096}, {30, 5, 4096}, {300, 1, 4096}, {300, 10, 4096},
		{3000, 1, 4096}, {3000, 30, 4096}, {3000, 3000, 4096}, {3000, 1, 65536}, {3000, 30, 65536},
	}
	printRow("hosts", "zones", "arcs", "weights", "new ring", "memory", "owned", "off fair", "partners",
		"join", "leave", "weight x2", "drain 1 in 10", "primaries at join")
	for _, size := range sizes {
		for _, weights := range []string{"equal", "1 to 4"} {
			if size.hosts > 30 && !*table {
				continue
			}
			var hosts []Host
			for i := range size.hosts {
				hosts = append(hosts, rowHost(i, size.zones, weights))
			}
			begin := time.Now()
			memory, first := measure(t, hosts, size.arcs, Table{})
			took := time.Since(begin)
			fewest, most, off := spread(hosts, size.arcs, first)

			joined := append(slices.Clone(hosts), rowHost(size.hosts, size.zones, weights))
			left := slices.Delete(slices.Clone(hosts), 1, 2)
			heavier := slices.Clone(hosts)
			heavier[0].Weight *= 2
			drained := slices.Clone(hosts)
			for i := 2; i < len(drained); i += 10 {
				drained[i].Weight = 0
			}
			printRow(size.hosts, size.zones, size.arcs, weights, took.Round(time.Millisecond), fmt.Sprintf("%.1f MiB", memory),
				fmt.Sprintf("%d to %d", fewest, most), fmt.Sprintf("%.2f", off), partners(first),
				change(t, first, joined, size.arcs), change(t, first, left, size.arcs),
				change(t, first, heavier, size.arcs), change(t, first, drained, size.arcs),
				primaryChanges(first, compute(t, joined, 3, size.arcs, first)))
		}
	}
}

// TestManyChanges lets small clusters, which are the hardest, live through joins and
// leaves, and counts how often more must move than shares grow.
func TestManyChanges(t *testing.T) {
	printRow("zones", "copies", "weights", "changes", "moved more", "moves above the sum", "at most")
	for _, zones := range []int{1, 2, 3, 4, 5, 10} {
		for _, copies := range []int{2, 3, 4} {
			for _, weights := range []string{"equal", "1 to 4"} {
				if !*table && (zones != copies || copies == 4) {
					continue
				}
				var changes, over, moved, least int
				worst := 0.0
				for _, perZone := range []int{3, 5, 10} {
					s := newLife(t, zones, perZone, copies, weights)
					for range 72 {
						m, l := s.step(t)
						changes, moved, least = changes+1, moved+m, least+l
						if m > l {
							over++
							worst = max(worst, float64(m-l)/float64(l))
						}
					}
				}
				if over > 0 && zones == copies {
					t.Errorf("%d zones and copies: %d changes moved more than shares grew", zones, over)
				}
				printRow(zones, copies, weights, changes, over, fmt.Sprintf("%.1f %%", 100*float64(moved-least)/float64(least)), fmt.Sprintf("%.0f %%", 100*worst))
			}
		}
	}
}

// life is a cluster that hosts join and leave, around a size.
type life struct {
	zones, size, copies int
	weights             string
	hosts               []Host
	next                int
	chance              uint64
	table               Table
}

func newLife(t *testing.T, zones, perZone, copies int, weights string) *life {
	s := &life{zones: zones, size: zones * perZone, copies: copies, weights: weights, chance: uint64(zones<<16 | perZone<<8 | copies)}
	for range s.size {
		s.join(s.next)
	}
	s.table = compute(t, s.hosts, copies, 1024, Table{})
	return s
}

func (s *life) join(zone int) {
	h := rowHost(s.next, s.zones, s.weights)
	h.Zone = fmt.Sprint("zone ", zone%s.zones)
	s.hosts = append(s.hosts, h)
	s.next++
}

func (s *life) roll(n int) int {
	s.chance = mix(s.chance)
	return int(s.chance % uint64(n))
}

// step changes one host and returns what moved and what shares grew.
func (s *life) step(t *testing.T) (moved, least int) {
	if n := s.roll(3) + len(s.hosts) - s.size; n > 0 {
		i := s.roll(len(s.hosts))
		zone := s.hosts[i].Zone
		if i := slices.IndexFunc(s.hosts, func(h Host) bool { return h.Zone == zone }); slices.ContainsFunc(s.hosts[i+1:], func(h Host) bool { return h.Zone == zone }) {
			s.hosts = slices.Delete(s.hosts, i, i+1)
		}
	} else {
		s.join(s.roll(s.zones))
	}
	now := compute(t, s.hosts, s.copies, 1024, s.table)
	moved, least = Moves(s.table, now), LeastMoves(s.table, now)
	s.table = now
	return moved, least
}

// primaryChanges says how many arcs got another primary, and how many must for the
// hosts' numbers of primaries alone.
func primaryChanges(from, to Table) string {
	changed, least := 0, 0
	for arc := range to.Arcs {
		if to.Arcs[arc][0] != from.Arcs[arc][0] {
			changed++
		}
	}
	before := make(map[signet.HostID]int)
	for _, s := range from.Shares() {
		before[s.Host] = s.Primary
	}
	for _, s := range to.Shares() {
		least += max(0, s.Primary-before[s.Host])
	}
	return fmt.Sprintf("%d / %d", changed, least)
}

func rowHost(i, zones int, weights string) Host {
	h := Host{ID: signet.HostID(i + 1), Weight: 1000, Zone: fmt.Sprint("zone ", i%zones)}
	if weights != "equal" {
		h.Weight = 1000 + mix(uint64(i))%3001
	}
	return h
}

// change computes the next table and says what moved and what must move.
func change(t *testing.T, from Table, hosts []Host, arcs int) string {
	begin := time.Now()
	now, err := Compute(hosts, 3, arcs, from)
	took := time.Since(begin)
	if err != nil {
		t.Fatal(err)
	}
	moves, least := Moves(from, now), LeastMoves(from, now)
	if moves != least {
		t.Errorf("%d hosts: %d moves, want %d", len(hosts), moves, least)
	}
	return fmt.Sprintf("%d / %d, %v", moves, least, took.Round(time.Millisecond))
}

// measure returns what Compute allocates, in MiB, and the table.
func measure(t *testing.T, hosts []Host, arcs int, prev Table) (float64, Table) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table, err := Compute(hosts, 3, arcs, prev)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	return float64(after.TotalAlloc-before.TotalAlloc) / (1 << 20), table
}

// spread returns the fewest and most places of a host and the largest distance from
// a fair share.
func spread(hosts []Host, arcs int, table Table) (fewest, most int, off float64) {
	fair := fairShares(hosts, 3, arcs)
	fewest = math.MaxInt
	for _, s := range table.Shares() {
		fewest, most = min(fewest, s.Owned), max(most, s.Owned)
		off = max(off, math.Abs(float64(s.Owned)-fair[s.Host]))
	}
	return fewest, most, off
}

// partners returns with how many others a host shares arcs, at least.
func partners(table Table) int {
	with := make(map[signet.HostID]map[signet.HostID]bool)
	for _, owners := range table.Arcs {
		for _, h := range owners {
			if with[h] == nil {
				with[h] = make(map[signet.HostID]bool)
			}
			for _, g := range owners {
				with[h][g] = true
			}
		}
	}
	least := math.MaxInt
	for _, w := range with {
		least = min(least, len(w)-1)
	}
	return least
}
