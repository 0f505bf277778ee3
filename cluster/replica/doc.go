// Package replica keeps every object on several hosts: a store over the ring.
//
// Put sends an object to all its owners at once and returns when enough of them have it
// durable: MinCopies, and the rest too if they take no longer than a moment more. An
// owner that is down, or fails, is stood in for by the next storing host of the ring.
// Which hosts have the object goes into its row in the log; copies that arrive after Put
// has returned are reported, so that the log learns of them.
//
// Get asks this host's own store first and then the others, one after the other, until
// one has the bytes. A host that should have an object and has not, or has it damaged,
// is reported, so that it is mended; the host itself notes it when it is asked. An
// object that is read whole is verified by its address, wherever it comes from.
//
// Nothing here can open an object. Methods may be called from any goroutine.
package replica
