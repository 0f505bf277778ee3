// Package wiretest is a network that fails on request. Hosts have names; their
// connections are real ones on the loopback, with a place in between where bytes can
// be held up, delayed, garbled or cut off, in each direction by itself.
//
//	n := wiretest.New(clock.Real())
//	defer n.Close()
//	l, _ := n.Listen("b")           // host b serves on l
//	cfg.Dial = n.Dial("a")          // host a dials through the network
//	n.Cut("a", "b")                 // silence, as of a pulled cable
//	n.Heal()
//
// The faults differ as they do in life:
//
//	Cut, CutOneWay  nothing arrives any more, nobody is told; after Heal what was
//	                under way arrives late; dialling hangs
//	Freeze          the host's process is stopped: as Cut to its peers, but its
//	                kernel still accepts connections
//	Refuse          dialling fails at once, as to a host whose process is dead
//	Kill            connections are reset, as when a process is killed
//	Delay, Garble   bytes arrive later; one byte arrives changed
//
// A write succeeds as long as the network holds less than 256 KiB for its direction,
// as a kernel's buffers would let it. Deadlines of connections are not supported.
//
// One lock guards all of a Network and its connections; it is never held during I/O.
package wiretest
