//go:build !faults

package disk

// Step marks a moment at which a crash is interesting: in a program built with the
// tag "faults" and started with SIGNET_CRASH=label:n in its environment, the n-th
// passing of that label, step or operation, ends the process with SIGKILL. Here it
// does nothing.
func Step(Label) {}
