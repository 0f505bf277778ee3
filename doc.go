// Package signet is the vocabulary of SignetFS: the identifiers, attributes,
// extents, commands and error kinds that every other package speaks in.
//
// It imports nothing of ours, does no I/O, holds no locks and starts no
// goroutines, so that any room of the house can use it. The few interfaces here
// (View, Ticket) are the shapes in which the replicated state reaches package fs;
// they live here because fs and cluster may not import each other.
//
// Byte slices reachable from a value of this package are owned by whoever holds
// the value; no function here keeps or changes its arguments.
package signet
