// Package consensus makes one log out of many hosts and tells each of them when a
// change may be seen.
//
// It is the only importer of the Raft library. A Log (log.go) keeps entries and
// votes on disk; a driver (driver.go) runs the library's deterministic core; the
// append loop (append.go) and the apply loop (apply.go) do its disk work beside it, so
// that a leader sends while it writes. Committed entries go through cluster/meta and
// become, in this order,
//
//	applied    in this host's tables, invisible to readers
//	published  visible to this host's readers, who wait for the next two
//	acked      and this host's kernel can no longer answer from before (subscribers)
//	released   every host that may answer from its own copy has acked: callers return
//
// The leader keeps the ledger (ledger.go) of who holds a lease and what each host has
// acked; every host asks for its lease several times a second (lease.go). A reader
// opens a View (view.go), which remembers the rows it read and waits for exactly those.
//
// Guarantees. What Do answered is committed on a majority and released. The same
// command is carried out once however often it is sent. Two Views at any two hosts,
// one opened after the other settled, never go back in time, as long as both hosts
// hold leases; a host without one opens no View until its policy lets it show an
// older state, marked as such.
//
// Concurrency. A Node's methods may be called from any goroutine. The driver owns the
// library's state; everything reaches it through one queue. Locks are leaves but for a Log's cut: no other lock
// of this package is held while another is taken or a subscriber is called.
package consensus
