// Package fstest has stand-ins for what package fs is mounted on, for tests: a volume
// in memory (State) that several hosts share, each with its Names; a store of objects
// that fails on demand; and a kernel that caches and locks pages as the real one does.
//
// A State carries out commands as the replicated state machine does and keeps the
// rules of visibility: each host applies and acknowledges on its own, a command is
// released when all have, a view settles and knows whether it is fresh. What it leaves
// out: sessions that end, collection, and limits on rows except where a test sets one.
//
// Everything is safe for concurrent use. One mutex per State guards its tables; it is
// not held while a host's change feed runs.
package fstest
