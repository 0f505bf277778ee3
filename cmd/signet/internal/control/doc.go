// Package control is how commands speak to the running host of a state directory:
// over the unix socket DIR/control.sock, which only its owner can reach.
//
// A call is one connection. The client sends one line, a Request; the server answers
// with lines, each a Response: any number that only tell of progress, then one with
// the result or the error. When the client hangs up, the context of its call ends.
// All lines are JSON, because people debug with them and speed does not matter; a
// Request of another Version is refused with the advice to restart the daemon.
//
// What it guarantees: only processes of the socket's owner and of root are served, as
// the kernel vouches for them; a request is at most MaxLine long; no call waits for
// another. Requests may hold a path or an inode number, never a secret in the clear:
// keys travel sealed to a key pair of the daemon.
//
// The types in results.go are the JSON that commands print, so that there is one place
// that says what scripts can rely on (docs/cli.md).
//
// It holds no locks across calls.
package control
