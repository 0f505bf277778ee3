// Package disk is the seam to the local disk. No other package opens a file in a
// host's state directory: databases run on the vfs.FS of a Disk, objects are written
// through its object operations.
//
// What it guarantees:
//
//   - Names are relative to the Disk's directory, so a host never reaches outside.
//   - Every operation has a label (label.go lists them all) and passes a hook, so a
//     test can fail exactly one fsync, or take the disk "as after a power cut" at
//     exactly one moment.
//   - Durable means durable: a Temp's bytes are synced before it gets its name, and a
//     name is durable once SyncDir of its directory returned. A Temp whose Sync
//     failed can only be thrown away: after a failed fsync the kernel may have
//     dropped the pages, and a second fsync would lie.
//   - Errors of this package's own methods carry a Kind; errno does not leave here.
//     Errors that come through FS() are the system's, as databases expect; Error
//     translates them.
//
// Open gives a Disk on a directory; NewMem one in memory that can be cut off
// (Mem.Crash): it then has what was synced and, by chance, some of what was not.
//
// A program built with the tag "faults" kills itself (SIGKILL) at a label given in
// the environment: see Step.
//
// Everything is safe for concurrent use, except that a Temp belongs to one goroutine.
// The package has no lock of its own but the one in Mem, which keeps links and
// crashes apart.
package disk
