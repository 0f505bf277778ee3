package ring

import (
	"cmp"
	"math/bits"
)

// wide is a number of up to 128 bits. Weights of all hosts together times places need
// at most 101: 64 for a weight, 16 for MaxHosts, 21 for places.
type wide struct{ high, low uint64 }

func (a wide) plus(b wide) wide {
	low, carry := bits.Add64(a.low, b.low, 0)
	high, _ := bits.Add64(a.high, b.high, carry)
	return wide{high, low}
}

func (a wide) minus(b wide) wide {
	low, borrow := bits.Sub64(a.low, b.low, 0)
	high, _ := bits.Sub64(a.high, b.high, borrow)
	return wide{high, low}
}

func (a wide) times(n uint64) wide {
	high, low := bits.Mul64(a.low, n)
	return wide{a.high*n + high, low}
}

func (a wide) compare(b wide) int {
	return cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low))
}

// partOf returns a*n/whole and the remainder, for a at most whole.
func (a wide) partOf(whole wide, n uint64) (quotient uint64, remainder wide) {
	product := a.times(n)
	low, high := uint64(0), n+1 // quotient is in [low, high)
	for low+1 < high {
		if mid := (low + high) / 2; whole.times(mid).compare(product) <= 0 {
			low = mid
		} else {
			high = mid
		}
	}
	return low, product.minus(whole.times(low))
}
