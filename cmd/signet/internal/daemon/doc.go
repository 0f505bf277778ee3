// Package daemon is one running host as the program signet runs it: a cluster.Node on a
// state directory, the volume's key if this host has one, the mounts, and the control
// socket on which commands reach it. It also makes state directories (Init, Join).
//
// What it guarantees:
//
//   - One process at a time works on a state directory (a lock on DIR/lock).
//   - Whoever ends Run by its context finds what was written published, the mounts gone
//     and the port free when it returns. After SIGKILL the next start takes the dead
//     mounts away (DIR/mounts says which) and mounts nothing by itself.
//   - The volume's key is in memory only; the process leaves no core file.
//   - A host that holds the key gives it to members that have none and asked for it by
//     joining with a public key to seal it to.
//
// What it keeps in the state directory beside what package cluster keeps: lock,
// seal.key (the private half of the key pair that the host's slot is sealed to), volume
// (which volume's key this host has seen, so that nobody slips it another's), mounts,
// log and its older parts, and control.sock.
//
// Locks: Daemon.mu guards the mounts and is never held while something is waited for;
// mounting and unmounting are one at a time under Daemon.changing. keys.mu guards the
// keyring.
package daemon
