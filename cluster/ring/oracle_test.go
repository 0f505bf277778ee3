package ring

import (
	"math"

	"github.com/signetfs/signet"
)

// The dumb versions: what a table must be, computed in ways that have nothing in
// common with the real ones.

// fairShares returns each host's fair share as a real number, by halving intervals.
func fairShares(hosts []Host, copies, arcs int) map[signet.HostID]float64 {
	able := ableHosts(hosts)
	places := min(copies, len(able))
	zones := make(map[string][]Host)
	for _, h := range able {
		zones[h.Zone] = append(zones[h.Zone], h)
	}
	// level returns f's argument at which f, which grows with it, is want.
	level := func(want float64, f func(float64) float64) float64 {
		low, high := 0.0, 1.0
		for f(high) < want && high < 1e300 {
			high *= 2
		}
		for range 200 {
			if mid := (low + high) / 2; f(mid) < want {
				low = mid
			} else {
				high = mid
			}
		}
		return high
	}
	n := float64(arcs)
	// amount is what a zone gets at a level if no bound of zones is in the way.
	amount := func(zone []Host, at float64) float64 {
		sum := 0.0
		for _, h := range zone {
			sum += min(n, at*float64(h.Weight))
		}
		return sum
	}
	bound := func(x float64) float64 { return max(x, n) }
	if len(zones) >= places {
		bound = func(x float64) float64 { return min(x, n) }
	}
	common := level(n*float64(places), func(at float64) float64 {
		sum := 0.0
		for _, zone := range zones {
			sum += bound(amount(zone, at))
		}
		return sum
	})
	fair := make(map[signet.HostID]float64)
	for _, zone := range zones {
		at := common
		if x := amount(zone, at); bound(x) != x {
			at = level(n, func(at float64) float64 { return amount(zone, at) })
		}
		for _, h := range zone {
			fair[h.ID] = min(n, at*float64(h.Weight))
		}
	}
	return fair
}

func ableHosts(hosts []Host) []Host {
	var able []Host
	for _, h := range hosts {
		if h.Weight > 0 {
			able = append(able, h)
		}
	}
	return able
}

type fataler interface {
	Fatalf(format string, args ...any)
	Helper()
}

// checkTable checks everything that is promised of a table but the moves.
func checkTable(t fataler, hosts []Host, copies, arcs int, table Table) {
	t.Helper()
	zoneOf, zones := make(map[signet.HostID]string), make(map[string]bool)
	able := ableHosts(hosts)
	for _, h := range able {
		zoneOf[h.ID] = h.Zone
		zones[h.Zone] = true
	}
	if len(table.Arcs) != arcs {
		t.Fatalf("%d arcs, want %d", len(table.Arcs), arcs)
	}
	places := min(copies, len(able))
	for arc, owners := range table.Arcs {
		seen, in := make(map[signet.HostID]bool), make(map[string]bool)
		for _, h := range owners {
			zone, ok := zoneOf[h]
			if !ok || seen[h] {
				t.Fatalf("arc %d: owners %v: %v is twice there or not able", arc, owners, h)
			}
			seen[h], in[zone] = true, true
		}
		if len(owners) != places || len(in) != min(places, len(zones)) {
			t.Fatalf("arc %d: owners %v in %d zones; want %d in %d", arc, owners, len(in), places, min(places, len(zones)))
		}
	}
	const within = 1 + 1e-6 // one place, and what floating point adds
	fair := fairShares(hosts, copies, arcs)
	owned, sumOwned, sumFair := make(map[signet.HostID]Share), make(map[string]float64), make(map[string]float64)
	for _, s := range table.Shares() {
		owned[s.Host] = s
	}
	for _, h := range able {
		s := owned[h.ID]
		if math.Abs(float64(s.Owned)-fair[h.ID]) > within {
			t.Fatalf("%v owns %d, fair are %g (%+v, %d copies, %d arcs)", h.ID, s.Owned, fair[h.ID], hosts, copies, arcs)
		}
		if s.Primary < s.Owned/places || s.Primary > (s.Owned+places-1)/places {
			t.Fatalf("%v is primary of %d of %d, %d copies", h.ID, s.Primary, s.Owned, places)
		}
		sumOwned[h.Zone] += float64(s.Owned)
		sumFair[h.Zone] += fair[h.ID]
	}
	for zone := range zones {
		if math.Abs(sumOwned[zone]-sumFair[zone]) > within {
			t.Fatalf("zone %q has %g, fair are %g", zone, sumOwned[zone], sumFair[zone])
		}
	}
}

// leastMoves returns the moves of the best of all tables with these shares that keep
// rules 1 and 2: a minimum cost flow, one unit and one Bellman-Ford at a time.
func leastMoves(hosts []Host, copies, arcs int, prev, shares Table) int {
	able := ableHosts(hosts)
	places := min(copies, len(able))
	zoneNumber := make(map[string]int)
	for _, h := range able {
		if _, ok := zoneNumber[h.Zone]; !ok {
			zoneNumber[h.Zone] = len(zoneNumber)
		}
	}
	zones := len(zoneNumber)
	g := &network{}
	arcNode := func(a int) int { return 2 + a }
	cell := func(a, z int) int { return 2 + arcs + a*zones + z }
	hostNode := func(h int) int { return 2 + arcs + arcs*zones + h }
	g.nodes = hostNode(len(able))
	apart := zones >= places
	for a := range arcs {
		pool, most := places, 1
		if !apart {
			pool, most = places-zones, places
		}
		g.edge(0, arcNode(a), pool, 0)
		for z := range zones {
			g.edge(arcNode(a), cell(a, z), most, 0)
			if !apart {
				g.edge(0, cell(a, z), 1, 0)
			}
		}
		for i, h := range able {
			cost := 1
			if prev.Owns(signet.Arc(a), h.ID) {
				cost = 0
			}
			g.edge(cell(a, zoneNumber[h.Zone]), hostNode(i), 1, cost)
		}
	}
	for _, s := range shares.Shares() {
		for i, h := range able {
			if h.ID == s.Host {
				g.edge(hostNode(i), 1, s.Owned, 0)
			}
		}
	}
	flow, cost := g.run()
	if flow != arcs*places {
		return -1
	}
	return cost
}

// network is a flow network; edges 2i and 2i+1 are each other's reverse.
type network struct {
	nodes int
	from  []int
	to    []int
	room  []int
	cost  []int
}

func (g *network) edge(from, to, room, cost int) {
	g.from, g.to = append(g.from, from, to), append(g.to, to, from)
	g.room, g.cost = append(g.room, room, 0), append(g.cost, cost, -cost)
}

func (g *network) run() (flow, cost int) {
	for {
		dist, via := make([]int, g.nodes), make([]int, g.nodes)
		for i := range dist {
			dist[i] = math.MaxInt32
		}
		dist[0] = 0
		for again := true; again; {
			again = false
			for e := range g.to {
				if d := dist[g.from[e]] + g.cost[e]; g.room[e] > 0 && dist[g.from[e]] < math.MaxInt32 && d < dist[g.to[e]] {
					dist[g.to[e]], via[g.to[e]], again = d, e, true
				}
			}
		}
		if dist[1] == math.MaxInt32 {
			return flow, cost
		}
		for n := 1; n != 0; n = g.from[via[n]] {
			g.room[via[n]]--
			g.room[via[n]^1]++
		}
		flow, cost = flow+1, cost+dist[1]
	}
}
