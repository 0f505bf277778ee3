// Package tap shows a test what a host receives under TLS: what nobody on the network
// can see, but every host that takes part. A program built with the tag "faults" and
// started with SIGNET_TAP=DIR in its environment writes a copy of all that it reads from
// a connection to a file of its own in that directory. Any other program has no such
// code in it.
//
// Nothing here keeps state or locks.
package tap
