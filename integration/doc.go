// Package integration holds no code, only the tests of whole clusters: real daemons on
// hosts of their own (package ring, on package netlab), real mounts, killed (package
// crash), frozen and cut off. It checks what the project promises, so a test here is
// about what programs on a mount see, never about how it comes about.
//
// docs/testing.md says how to run them, and which variables make them longer.
package integration
