// Command signet is everything a host needs: it makes clusters and joins them, runs the
// host, mounts the volume and shows how things are. docs/cli.md is what scripts can rely
// on.
//
// Here commands only parse, wire together and print, one file each; what is worth a test
// of its own is in internal/daemon and internal/control. It holds no locks.
package main
