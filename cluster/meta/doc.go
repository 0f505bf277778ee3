// Package meta is the replicated state of a cluster: a deterministic state machine
// whose tables are sorted keys in a local Pebble database.
//
// Prepare applies committed log entries to a batch that nobody can read yet, Publish
// makes the batch visible at once, a Reader is a consistent reading of what was
// published. docs/tables.md specifies every key, row and command.
//
// Guarantees. The same entries in the same order give the same rows, the same answers
// and the same chained digest on every host, however they are grouped into calls of
// Prepare: applying reads no clock, no randomness and no environment. A command that
// is refused changes nothing but the memory of its answer. No command touches more
// than signet.MaxRows rows. A command that its session sends twice is carried out
// once. The position in the log lies in the same batch as the changes, so whatever a
// crash leaves is the state at some earlier entry, from which the log is replayed.
//
// Memory does not grow with what the tables hold: nothing is kept but Pebble's cache
// and write buffers, both of fixed size, and what one Step touches.
//
// Concurrency. Prepare and Publish are called by one goroutine; everything else may
// be called by any. The one lock, State.mu, is a leaf. A State that failed once answers
// the same error for ever: what it would have to say about the entries after the
// failure is not known. Its readers go on.
//
// Where things are: commands.go and rows.go are the vocabulary, codec*.go and keys.go
// the format, tx.go what applying reads and writes through, apply.go the way of an
// entry, apply_*.go one family of commands each, reader*.go reading, open.go the
// database and what of it is durable.
package meta
