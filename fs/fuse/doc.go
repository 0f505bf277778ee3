// Package fuse is where the Linux kernel ends and SignetFS begins: it mounts a
// volume, takes the kernel's requests, has package fs answer them, and tells the
// kernel what to forget. It decides nothing that a file system decides.
//
// It is the only package that knows go-fuse, and the one in which a signet.Kind
// becomes an errno (errno.go). Of go-fuse it uses the types of the protocol and
// ProtocolServer, which takes a message apart and puts the answer together; that API
// is marked experimental, so the version is pinned. The descriptor is ours
// (docs/decisions/0005-own-the-fuse-device.md), because:
//
//   - a Request is done only when its answer has been written: the change feed waits
//     for that before it tells the kernel to forget (fs.Gate);
//   - the descriptor must be closed in children from its first moment on, or a child
//     that outlives a killed daemon leaves a mount on which everybody hangs;
//   - go-fuse does not know the notification that forgets all names at once.
//
// What it guarantees:
//
//   - Somebody always reads the device, so an INTERRUPT is heard and ends the context
//     of its request whatever all the other requests wait for.
//   - The memory and the number of requests in flight are bounded (server.go).
//   - When Mount.Done is closed nothing of the mount runs and the descriptor is
//     closed.
//   - It never opens, lists or stats anything on its own mount: that would wait for
//     itself.
//
// The main types are Mount (mount.go, unmount.go: the life of a mount), server
// (server.go: the loop; notify.go: the fs.Kernel) and raw (raw_*.go: one method for
// each kind of request, a translation in a few lines).
//
// Locks: conn.mu is held for reading while the descriptor is in use; calls has one
// for each shard of the table of requests; callCtx.mu and pool.mu are held for
// instants. None is taken while another is held, but callCtx.mu under a shard's.
package fuse
