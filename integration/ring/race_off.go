//go:build !race

package ring

// Raced says whether the test runs with the race detector, and so may the daemons.
const Raced = false
