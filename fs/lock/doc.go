// Package lock is the arithmetic of file locks: which ranges of a file who holds, who waits
// for them, and who gets them next.
//
// Everything here is pure: values in, values out, no I/O, no clock, no lock, no goroutine.
// What a Table was made of before a call is not changed by it: slices are replaced, never
// written to, so a copy of a Table is a snapshot.
//
// What is decided here, for flock(2) and fcntl(2) alike:
//
//   - Who holds nothing that conflicts gets in the way of nobody. A request that does not
//     wait looks at holders only, as Linux does.
//   - Released locks go to those who wait in the order in which they asked, in the same
//     step, so that no newcomer gets in between.
//   - A request that may wait, and could be granted but for an earlier one in the queue,
//     waits for that one too, or a stream of readers would starve a writer. Not if its
//     owner or process holds something of the file already, and only until it is let past
//     (Pass): a program may hold a lock on behalf of another, which nobody here can know, and
//     waiting for the queue would then be a deadlock that Linux does not have.
package lock
