// Package fs gives the replicated state the meaning of POSIX: names, attributes,
// handles, buffered writes, reads, and what the kernel may remember of all that.
//
// It speaks inode numbers, not paths, and knows neither the kernel's wire format
// (package fs/fuse does) nor how state and objects are replicated (the ports Names
// and Objects hide that). Contents, names, symlink targets and extended attributes
// are sealed here, before they leave through a port.
//
// What it promises:
//
//   - An answer shows only what is released: what every other host would answer too
//     (answer.go), or what is under a delegation of this host, so that every other host
//     asks here before it answers (delegation.go).
//   - When Changed returns nil, the kernel of this host can no longer answer from
//     before that batch (changed.go, reads.go).
//   - An object is durable before the command that names it is proposed (flush.go).
//   - Every call ends: with its result, or with an error when its deadline or the
//     patience with an interrupt has run out (times.go). Only a wait for a lock has no
//     deadline.
//   - What was written is released before a lock is given up, and who gets a lock reads it
//     (lock.go). Nothing stays locked when its files are closed (unlock.go).
//
// The main types are FS; node, the state shared by all open handles of one inode
// on this host; and overlay, the bytes of a node that the log does not know yet.
//
// What is laid over a view and what the view shows must fit together: own writes leave
// the overlay when they are applied (node.land), never before a view can show them, and
// node.published tells a reader whose view is older to read again.
//
// Locks, outermost first: holding.turn (held across waits while an owner's locks are
// changed), node.flushing (held across waits while a node's data is
// published or cut, and its delegation taken or handed back; several nodes' only where
// none is waited for), dirtyNodes.mu, nodes.mu, node.mu (the overlay; never held across a
// wait), and, with nothing inside them, those of handles, budgets, blocks, failures,
// doubts, atimes, kept, locks, reached, Gate and reads. None but the first two is held while the kernel is notified,
// while a port is called that may wait, or while a reply is written.
package fs
