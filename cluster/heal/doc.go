// Package heal brings what hosts store into line with what the log says, and keeps the
// ring and the garbage collected.
//
// A Healer runs on every host. It pulls the objects that its host should have and lacks,
// drops those that nobody needs from it any more, and tells the log what it did: copy,
// verify, commit, drop. All it knows follows from the tables and the store, so it may be
// stopped anywhere; a new one looks at everything once and goes on.
//
// A Steward runs on the host that leads the log. It gives arcs to hosts as they come and
// go, frees orphans that nobody has open, and lets dead objects be forgotten.
//
// # What a host keeps
//
// A host is the only one to say in the log that it has an object or has it no more (only
// for a host that was removed does the Steward say so). One goroutine, the keeper, makes
// all claims and all deletions, each from a reading of the tables that is newer than its
// look at the store. It deletes the copy of an object
//
//   - that the log has forgotten (Collect);
//   - that nobody can name any more (below);
//   - whose arc is settled, whose owners are other hosts, each of which is known to have
//     the object, and of which the log no longer counts this copy: a copy that it counts
//     is reported as gone first, and deleted when that is committed.
//
// A copy in an arc that moves is kept by all who may have it until the arc is settled,
// and an arc is settled when every new owner has looked through its whole store for what
// the log knew when the arc moved (ArcsDone).
//
// # The fence: no object that a command can still name is dropped
//
// Sealing gives each put an address of its own: an address is put once, under the log
// index P that its writer had applied before, and every host marks its copy with P. The
// command that names the object carries the same P in its row, and Apply refuses it if P
// lies below the volume's collection horizon, which never falls. A host deletes a marked
// copy only if one reading of its tables shows that the address has no row and that the
// horizon lies above P. Let that reading be of index j. A command at an index up to j did
// not name the object, or the row has come and gone and an address that was collected
// lies below the horizon too; one at an index above j meets a horizon above P and is
// refused. Hence no command names a copy that was deleted. It does not matter how far
// this host is behind, nor whether it restarts with older tables: what a reading of an
// older index proves holds for all later ones.
//
// A copy without a mark and without a row was named and collected (marks are cleared
// when a row is there, and pulled copies never have one). After a restart, though, tables
// may be older than the clearing of a mark; so nothing is looked at before the host has
// applied as much as its log held when it started (Config.Floor).
//
// That a session is over is not enough to drop what was put under it: its host may have
// opened another session and carry on with the same object. The horizon alone decides.
// The Steward raises it to an index that is some time old, so that puts on their way are
// not refused for nothing, and never above what live sessions still use: the oldest index
// that a view of theirs shows, and the oldest at which they have put what they have not
// named yet. The latter keeps a writer that is slow from being refused, and its bytes
// from being dropped before it has read them back.
//
// Objects that died are forgotten when every live session has passed the index at which
// they died, since older views read them. The horizon lies above that index then, which
// is what keeps a late command from naming them again.
//
// Concurrency. Events (Applied, Restored, Lacks, Placed) only queue and may come from
// anywhere; queues are bounded, and what does not fit becomes a note to look through an
// arc. The inbox and the meter have a lock each; the rest belongs to the keeper.
package heal
