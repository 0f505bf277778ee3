package ring

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"github.com/signetfs/signet"
	"pgregory.net/rapid"
)

func compute(t fataler, hosts []Host, copies, arcs int, prev Table) Table {
	t.Helper()
	small := arcs <= 64
	var before string
	if small {
		before = fmt.Sprint(hosts, prev)
	}
	table, err := Compute(hosts, copies, arcs, prev)
	if err != nil {
		t.Fatalf("Compute(%+v, %d, %d): %v", hosts, copies, arcs, err)
	}
	if small && fmt.Sprint(hosts, prev) != before {
		t.Fatalf("an argument was changed")
	}
	return table
}

// cluster is a random cluster that lives on by random changes.
type cluster struct {
	hosts  []Host
	copies int
	arcs   int
	zones  int
	next   signet.HostID
	table  Table
}

func drawWeight(t *rapid.T) uint64 {
	return rapid.OneOf(
		rapid.Just(uint64(1)), rapid.Uint64Range(0, 5), rapid.Uint64Range(1, 100),
		rapid.SampledFrom([]uint64{1 << 40, 1 << 62, 1<<64 - 1}),
	).Draw(t, "weight")
}

func (c *cluster) zoneName(t *rapid.T) string {
	return []string{"", "a", "b", "c", "d", "e", "f", "g"}[rapid.IntRange(0, c.zones-1).Draw(t, "zone")]
}

func (c *cluster) join(t *rapid.T) {
	c.next++
	h := Host{c.next, drawWeight(t), c.zoneName(t)}
	c.hosts = slices.Insert(c.hosts, rapid.IntRange(0, len(c.hosts)).Draw(t, "at"), h)
}

// change makes one to three changes to the hosts, seldom one to the copies.
func (c *cluster) change(t *rapid.T) {
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		kind := rapid.SampledFrom([]string{"join", "join", "leave", "weight", "drain", "zone", "copies"}).Draw(t, "change")
		if len(c.hosts) == 0 {
			kind = "join"
		}
		if kind == "join" {
			c.join(t)
			continue
		}
		if kind == "copies" {
			c.copies = rapid.IntRange(1, 5).Draw(t, "copies")
			continue
		}
		i := rapid.IntRange(0, len(c.hosts)-1).Draw(t, "host")
		switch kind {
		case "leave":
			c.hosts = slices.Delete(c.hosts, i, i+1)
		case "weight":
			c.hosts[i].Weight = drawWeight(t)
		case "drain":
			c.hosts[i].Weight = 0
		case "zone":
			c.hosts[i].Zone = c.zoneName(t)
		}
	}
}

func drawCluster(t *rapid.T, maxHosts, maxArcs int) *cluster {
	c := &cluster{
		copies: rapid.IntRange(1, 5).Draw(t, "copies"),
		arcs:   rapid.IntRange(1, maxArcs).Draw(t, "arcs"),
		zones:  rapid.IntRange(1, 8).Draw(t, "zones"),
	}
	for range rapid.IntRange(0, maxHosts).Draw(t, "hosts") {
		c.join(t)
	}
	c.table = compute(t, c.hosts, c.copies, c.arcs, Table{})
	checkTable(t, c.hosts, c.copies, c.arcs, c.table)
	return c
}

// TestTablesAreRight lets random clusters live and checks hosts, zones and shares of
// each table.
func TestTablesAreRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, 30, 300)
		for range rapid.IntRange(0, 5).Draw(t, "steps") {
			c.change(t)
			c.table = compute(t, c.hosts, c.copies, c.arcs, c.table)
			checkTable(t, c.hosts, c.copies, c.arcs, c.table)
		}
	})
}

// TestMovesAreLeast compares with an oracle that finds the best table by brute force.
func TestMovesAreLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, 8, 12)
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			c.change(t)
			table := compute(t, c.hosts, c.copies, c.arcs, c.table)
			checkTable(t, c.hosts, c.copies, c.arcs, table)
			least := leastMoves(c.hosts, c.copies, c.arcs, c.table, table)
			if moves := Moves(c.table, table); moves != least || moves < LeastMoves(c.table, table) {
				t.Fatalf("%d moves, %d are enough (%d by shares)\nhosts %+v\nfrom %v\nto   %v",
					moves, least, LeastMoves(c.table, table), c.hosts, c.table, table)
			}
			c.table = table
		}
	})
}

// TestAnyTableBefore: whatever the table before says, the new one is right, and the
// best; hosts unknown, twice or misplaced there do no harm.
func TestAnyTableBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, 8, 10)
		prev := Table{Arcs: make([][]signet.HostID, c.arcs)}
		for arc := range prev.Arcs {
			for range rapid.IntRange(0, 6).Draw(t, "owners") {
				prev.Arcs[arc] = append(prev.Arcs[arc], signet.HostID(rapid.IntRange(1, 10).Draw(t, "owner")))
			}
		}
		table := compute(t, c.hosts, c.copies, c.arcs, prev)
		checkTable(t, c.hosts, c.copies, c.arcs, table)
		if moves, least := Moves(prev, table), leastMoves(c.hosts, c.copies, c.arcs, prev, table); moves != least {
			t.Fatalf("%d moves, %d are enough", moves, least)
		}
	})
}

// TestSumOfGrowth: with as many zones as copies, and with one copy, each zone is on its
// own, and what moves is exactly the sum of what shares grow, whatever happens.
func TestSumOfGrowth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const arcs = 256
		copies := rapid.IntRange(1, 4).Draw(t, "copies")
		zones := copies
		if copies == 1 {
			zones = rapid.IntRange(1, 5).Draw(t, "zones")
		}
		weight := func() uint64 { return rapid.Uint64Range(1, 20).Draw(t, "weight") }
		var hosts []Host
		next := signet.HostID(1)
		join := func(zone int) {
			hosts = append(hosts, Host{next, weight(), fmt.Sprint("zone", zone)})
			next++
		}
		for i := range zones * rapid.IntRange(1, 8).Draw(t, "hosts per zone") {
			join(i % zones)
		}
		table := compute(t, hosts, copies, arcs, Table{})
		for range 6 {
			i := rapid.IntRange(0, len(hosts)-1).Draw(t, "host")
			switch rapid.SampledFrom([]string{"join", "leave", "weight"}).Draw(t, "change") {
			case "join":
				join(rapid.IntRange(0, zones-1).Draw(t, "zone"))
			case "leave":
				left := slices.Delete(slices.Clone(hosts), i, i+1)
				if slices.ContainsFunc(left, func(h Host) bool { return h.Zone == hosts[i].Zone }) {
					hosts = left // and the number of zones stays
				}
			case "weight":
				hosts[i].Weight = weight()
			}
			now := compute(t, hosts, copies, arcs, table)
			checkTable(t, hosts, copies, arcs, now)
			if moves, least := Moves(table, now), LeastMoves(table, now); moves != least {
				t.Fatalf("%d moves, want %d; zones %d, copies %d, hosts %+v", moves, least, zones, copies, hosts)
			}
			table = now
		}
	})
}

// TestGrowthIsNotAlwaysEnough is the example of docs/ring.md: host 5 must be in both
// arcs, but both places that are free are in one.
func TestGrowthIsNotAlwaysEnough(t *testing.T) {
	from := Table{Arcs: [][]signet.HostID{{1, 2}, {3, 4}}}
	hosts := []Host{{3, 1, ""}, {4, 1, ""}, {5, 2, ""}}
	to := compute(t, hosts, 2, 2, from)
	checkTable(t, hosts, 2, 2, to)
	if Moves(from, to) != 3 || LeastMoves(from, to) != 2 || leastMoves(hosts, 2, 2, from, to) != 3 {
		t.Fatalf("%v: %d moves, growth %d", to, Moves(from, to), LeastMoves(from, to))
	}
}

// TestUpheavals: changes that move nearly everything, where greed leaves most to the
// augmenting paths, are right too, and soon done.
func TestUpheavals(t *testing.T) {
	const n, arcs = 60, 2048
	hosts := func(zone func(i int) int, weight func(i int) uint64) (hosts []Host) {
		for i := range n {
			hosts = append(hosts, Host{signet.HostID(i + 1), weight(i), fmt.Sprint(zone(i))})
		}
		return hosts
	}
	turns := func(zones int) func(int) int { return func(i int) int { return i % zones } }
	rows := func(zones int) func(int) int { return func(i int) int { return i * zones / n } }
	equal := func(int) uint64 { return 7 }
	uneven := func(i int) uint64 { return 5 + mix(uint64(i))%11 }
	wild := func(i int) uint64 { return 1 << (mix(uint64(i)) % 12) }
	for _, c := range []struct {
		name           string
		from, to       []Host
		before, copies int
	}{
		{"zones appear", hosts(turns(1), equal), hosts(turns(3), uneven), 3, 3},
		{"zones crosswise", hosts(turns(4), equal), hosts(rows(4), uneven), 3, 3},
		{"many zones crosswise", hosts(turns(30), equal), hosts(rows(30), uneven), 3, 3},
		{"few zones crosswise", hosts(turns(2), equal), hosts(rows(2), uneven), 5, 5},
		{"other weights", hosts(turns(1), uneven), hosts(turns(1), wild), 3, 3},
		{"more copies", hosts(turns(7), uneven), hosts(turns(7), uneven), 3, 16},
		{"fewer copies", hosts(turns(7), uneven), hosts(turns(7), wild), 5, 2},
		{"half leaves", hosts(turns(4), equal), hosts(turns(4), equal)[n/2:], 3, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := compute(t, c.from, c.before, arcs, Table{})
			now := compute(t, c.to, c.copies, arcs, table)
			checkTable(t, c.to, c.copies, arcs, now)
		})
	}
}

// TestHostsMeet: a host shares arcs with all others, so that all help when it is lost.
func TestHostsMeet(t *testing.T) {
	var hosts []Host
	for i := range 20 {
		hosts = append(hosts, Host{ID: signet.HostID(i + 1), Weight: uint64(1 + i%2)})
	}
	table := compute(t, hosts[:19], 3, 1024, Table{})
	if n := partners(table); n != 18 {
		t.Errorf("new ring: a host meets only %d others", n)
	}
	if n := partners(compute(t, hosts, 3, 1024, table)); n != 19 {
		t.Errorf("after a join: a host meets only %d others", n)
	}
}

// TestSameInputSameOutput: the order of hosts makes no difference, nor does doing it
// again; and a table that is right already stays as it is.
func TestSameInputSameOutput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t, 20, 100)
		before := c.table
		c.change(t)
		table := compute(t, c.hosts, c.copies, c.arcs, before)
		shuffled := rapid.Permutation(c.hosts).Draw(t, "shuffled")
		if again := compute(t, shuffled, c.copies, c.arcs, before); !reflect.DeepEqual(again, table) {
			t.Fatalf("the order of hosts makes a difference")
		}
		if again := compute(t, c.hosts, c.copies, c.arcs, table); !reflect.DeepEqual(again, table) {
			t.Fatalf("a right table was changed\nfrom %v\nto   %v", table, again)
		}
	})
}

// TestGolden fails when the result for a given input changes. Hosts of two versions
// must agree on it, so a change needs more than another digest here.
func TestGolden(t *testing.T) {
	var hosts []Host
	for i := range 40 {
		hosts = append(hosts, Host{signet.HostID(i + 1), uint64(10 + i%3), []string{"a", "b", "c", "d"}[i%4]})
	}
	first := compute(t, hosts[3:], 3, 512, Table{})
	second := compute(t, hosts[:38], 3, 512, first)
	third := compute(t, hosts[:38], 5, 512, second)
	sum := sha256.Sum256(fmt.Append(nil, first, second, third))
	const want = "46b017d88a29b4d1e311dfa91232e2b0aa28fb0a87d1418f8783524cc3f184f2"
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("digest of three tables is %s", got)
	}
}

// TestWide compares with the standard library's large numbers.
func TestWide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		num := func(name string) wide {
			return wide{rapid.Uint64Range(0, 1<<16).Draw(t, name), rapid.Uint64().Draw(t, name)}
		}
		a, b := num("a"), num("b")
		n := rapid.Uint64Range(0, signet.MaxArcs*signet.MaxReplicas).Draw(t, "n")
		whole := a.plus(b)
		if whole == (wide{}) {
			return
		}
		quotient, remainder := a.partOf(whole, n)
		product := new(big.Int).Mul(a.big(), new(big.Int).SetUint64(n))
		q, r := new(big.Int).QuoRem(product, whole.big(), new(big.Int))
		if q.Uint64() != quotient || r.Cmp(remainder.big()) != 0 || whole.minus(b) != a || a.compare(b) != a.big().Cmp(b.big()) {
			t.Fatalf("%v * %d / %v = %d, %v", a, n, whole, quotient, remainder)
		}
	})
}

func (a wide) big() *big.Int {
	x := new(big.Int).Lsh(new(big.Int).SetUint64(a.high), 64)
	return x.Add(x, new(big.Int).SetUint64(a.low))
}

func TestExtremes(t *testing.T) {
	many := func(n int, weight uint64, zone func(i int) string) (hosts []Host) {
		for i := range n {
			hosts = append(hosts, Host{signet.HostID(i + 1), weight, zone(i)})
		}
		return hosts
	}
	one := func(int) string { return "" }
	own := func(i int) string { return fmt.Sprint(i) }
	for _, c := range []struct {
		name         string
		hosts        []Host
		copies, arcs int
	}{
		{"nobody", nil, 3, 8},
		{"all drained", many(3, 0, one), 3, 8},
		{"one host", many(1, 7, one), 3, 64},
		{"two hosts, three copies", many(2, 7, one), 3, 64},
		{"largest weights", many(40, 1<<64-1, one), 3, 256},
		{"a dwarf among giants", append(many(10, 1<<63, one), Host{99, 1, ""}), 3, 256},
		{"a giant among dwarfs", append(many(10, 1, one), Host{99, 1 << 63, ""}), 3, 256},
		{"a giant zone", append(many(10, 1, own), many(31, 1<<50, one)[10:]...), 3, 256},
		{"sixteen copies in three zones", many(20, 3, func(i int) string { return fmt.Sprint(min(i, 2)) }), 16, 128},
		{"more hosts than places", many(300, 1, own), 2, 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := compute(t, c.hosts, c.copies, c.arcs, Table{})
			checkTable(t, c.hosts, c.copies, c.arcs, table)
		})
	}
}

func TestInvalid(t *testing.T) {
	good := []Host{{1, 1, ""}, {2, 1, ""}}
	for name, err := range map[string]error{
		"no copies":       second(Compute(good, 0, 8, Table{})),
		"many copies":     second(Compute(good, signet.MaxReplicas+1, 8, Table{})),
		"no arcs":         second(Compute(good, 1, 0, Table{})),
		"many arcs":       second(Compute(good, 1, signet.MaxArcs+1, Table{})),
		"host 0":          second(Compute([]Host{{0, 1, ""}}, 1, 8, Table{})),
		"a host twice":    second(Compute(append(good, good[0]), 1, 8, Table{})),
		"other arcs":      second(Compute(good, 1, 8, Table{Arcs: make([][]signet.HostID, 16)})),
		"too many hosts":  second(Compute(make([]Host, MaxHosts+1), 1, 8, Table{})),
		"too many owners": second(Compute(good, 1, 1, Table{Arcs: [][]signet.HostID{make([]signet.HostID, 17)}})),
	} {
		if !errors.Is(err, signet.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestTableMethods(t *testing.T) {
	table := Table{Arcs: [][]signet.HostID{{1, 2}, {1, 3}, {2, 1}, {3, 1}}}
	if got := table.Owners(2); !slices.Equal(got, []signet.HostID{2, 1}) {
		t.Errorf("Owners: %v", got)
	}
	if table.Owners(4) != nil || (Table{}).Owners(0) != nil || !table.Owns(3, 1) || table.Owns(3, 2) {
		t.Error("Owners or Owns outside")
	}
	for arc, want := range []signet.Arc{2, 2, 3, 0} {
		if got := table.Successor(signet.Arc(arc)); got != want {
			t.Errorf("Successor(%d) = %d, want %d", arc, got, want)
		}
	}
	for arc, want := range []signet.Arc{3, 3, 1, 2} {
		if got := table.Predecessor(signet.Arc(arc)); got != want {
			t.Errorf("Predecessor(%d) = %d, want %d", arc, got, want)
		}
	}
	alone := Table{Arcs: [][]signet.HostID{{1}, {1}}}
	if alone.Successor(1) != 1 || alone.Predecessor(0) != 0 || (Table{}).Successor(5) != 5 {
		t.Error("a ring of one host has a neighbour")
	}
	want := []Share{{1, 4, 2}, {2, 2, 1}, {3, 2, 1}}
	if got := table.Shares(); !reflect.DeepEqual(got, want) {
		t.Errorf("Shares: %v", got)
	}
	other := Table{Arcs: [][]signet.HostID{{2, 1}, {1, 3}, {4, 1}, {3, 1}}}
	if Moves(table, other) != 1 || LeastMoves(table, other) != 1 {
		t.Errorf("Moves: %d, %d", Moves(table, other), LeastMoves(table, other))
	}
	if got := Changed(table, other); !slices.Equal(got, []signet.Arc{0, 2}) {
		t.Errorf("Changed: %v", got)
	}
}

func TestKeysAgreeWithArcOf(t *testing.T) {
	for _, arcs := range []uint32{1, 2, 4096, 1 << 16} {
		next := 0
		for arc := range arcs {
			first, last := Keys(signet.Arc(arc), arcs)
			if int(first) != next || signet.ArcOf(first, arcs) != signet.Arc(arc) || signet.ArcOf(last, arcs) != signet.Arc(arc) {
				t.Fatalf("arc %d of %d: keys %d to %d", arc, arcs, first, last)
			}
			next = int(last) + 1
		}
		if next != 1<<16 {
			t.Fatalf("%d arcs: the last ends at %d", arcs, next)
		}
	}
}

func BenchmarkNewRing(b *testing.B) {
	hosts := make([]Host, 3000)
	for i := range hosts {
		hosts[i] = rowHost(i, 30, "1 to 4")
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compute(hosts, 3, 4096, Table{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJoin(b *testing.B) {
	hosts := make([]Host, 3001)
	for i := range hosts {
		hosts[i] = rowHost(i, 30, "1 to 4")
	}
	table := compute(b, hosts[:3000], 3, 4096, Table{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compute(hosts, 3, 4096, table); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpheaval(b *testing.B) {
	const n, arcs = 3000, 1 << 16
	from, crosswise, other := make([]Host, n), make([]Host, n), make([]Host, n)
	for i := range n {
		from[i] = rowHost(i, 5, "1 to 4")
		crosswise[i], other[i] = from[i], from[i]
		crosswise[i].Zone = fmt.Sprint("zone ", i*5/n)
		other[i].Weight = rowHost(i+n, 5, "1 to 4").Weight
	}
	table := compute(b, from, 3, arcs, Table{})
	for _, c := range []struct {
		name   string
		hosts  []Host
		copies int
	}{{"ZonesCrosswise", crosswise, 3}, {"OtherWeights", other, 3}, {"HalfLeaves", from[n/2:], 3}, {"FiveCopies", from, 5}, {"SixteenCopies", from, 16}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Compute(c.hosts, c.copies, arcs, table); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
