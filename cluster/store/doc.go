// Package store keeps sealed objects on one host: Store is the interface that every
// hop of an object's way has (a local disk, a peer, the ring), Local what a host's
// own store can do besides. There are two of the latter: OpenDisk and NewMemory; one
// conformance suite (storetest) is run by both and by every other Store.
//
// What it guarantees:
//
//   - An object is durable when Put has returned, and what Put was given was the bytes
//     that the address names: the digest is checked before anything is written.
//   - Get of a whole object never returns anything else than those bytes.
//   - A crash at any moment leaves every object whose Put returned, and of others
//     either the whole object with its mark or, after the next start, nothing. That
//     start looks at marks only, never at all objects. The rules are in disk.go and
//     docs/store.md.
//   - The disk is never filled to the last byte: Put fails with NoSpace before the
//     reserve is touched, so that deleting and the log always have room.
//
// A mark is the note that the log does not name an object yet: the session and the
// log index of its put. Collection reads marks; Named clears them.
//
// Everything is safe for concurrent use. The lock order is: an address (locks), then
// nothing: no other lock of this package is held while another is taken. Close waits
// for the calls under way.
package store
