//go:build !race

package ring

// raced says whether the test runs with the race detector, and so should the daemons.
const raced = false
