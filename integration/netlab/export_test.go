package netlab

// Sweep is sweep, for the tests.
var Sweep = sweep
