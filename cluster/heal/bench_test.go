package heal

import (
	"testing"
	"time"
)

// BenchmarkLookThrough is what a start costs: a look at every row of the arcs that the
// host owns, every copy and every mark, when nothing is amiss.
func BenchmarkLookThrough(b *testing.B) {
	s := newSim(b, 40)
	const objects = 5000
	for range objects {
		s.lead.write()
	}
	s.round()
	for b.Loop() {
		s.lead.restart()
		s.round()
		s.clock.Advance(dropDelay)
		s.round()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*objects), "us/object")
}

// BenchmarkTakeOver is a host that joins and pulls everything, with the tables and
// stores in memory and no network: what healing itself costs.
func BenchmarkTakeOver(b *testing.B) {
	const objects = 1000
	var total time.Duration
	for b.Loop() {
		s := newSim(b, 41)
		for range objects {
			s.lead.write()
		}
		second := s.join()
		began := time.Now()
		s.pass(5 * time.Second)
		total += time.Since(began)
		if n := second.disk.Stat().Objects; n != objects {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N*objects), "us/object")
}
