// Command bench measures a mounted ring beside other directories of the same machine, in
// one run, so that the figures can be compared: it starts three hosts on loopback ports,
// mounts the volume on each, and does the same to the mount of host 1, to a local
// directory on the same disk, and to any other directory that -also names (a mounted
// GlusterFS, say). It prints a table and writes JSON.
//
//	go run ./bench [-size MIB] [-rounds N] [-only REGEXP] [-also NAME=DIR[,DIR2]] ...
//
// What it guarantees: it measures and judges nothing; a slow machine never makes it fail.
// Every scenario works in a directory of its own, which it removes; the rounds of the
// targets take turns, so that what else the machine does falls on all of them. It ends
// only hosts that it started and leaves nothing mounted. As an ordinary user it leaves out
// what needs root (dropping the kernel's caches).
//
// It is one goroutine, but for the writers and observers of a scenario, which end with it.
package main
