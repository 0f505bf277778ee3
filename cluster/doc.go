// Package cluster builds one host out of its rooms: the log and its tables (consensus,
// meta), who belongs (member), where objects go (ring, replica), where they lie (store),
// what is pulled and dropped (heal), and the one port on which other hosts reach all of
// that (wire).
//
// Create and Join make a state directory; Open runs the host that it describes. A Node
// gives a Volume to whoever mounts it. Nothing here can open an object or a name: keys
// never enter this package, key slots pass through it as sealed bytes.
//
// Two Nodes fit into one process. A Node's methods may be called from any goroutine.
package cluster
