// Package netlab makes several hosts out of one machine, for tests: each host is a
// set of namespaces (network, mounts, processes, name) with an address of its own on
// a switch of the lab's own, and a directory that outlives the host's death like a
// disk. It needs root. Nothing of a lab is visible outside: there is no route out of
// its network, and what a host mounts only its own processes see.
//
// Start processes with Host.Start and Host.Exec; make trouble with Host.Kill,
// Host.Freeze and the Lab's Cut, CutPair, CutOneWay, CutDial, Unplug and Refuse, which
// are different faults that a program must tell apart or survive alike:
//
//	Kill     connections break at once (RST), or into silence if the host was cut first
//	Freeze   connecting succeeds, nothing ever answers
//	Cut      no packet passes, the carrier stays, live connections go on after Heal
//	Unplug   the same with the carrier gone
//	Refuse   connecting fails at once
//
// # What is left behind: nothing
//
// A host's first process (a shell that only waits and reaps) reads from a pipe that
// only the test process holds. When the test process ends in whatever way, the pipe
// closes, the shell ends, and with it the kernel ends every process of the host and
// frees its namespaces, its interfaces and its mounts. Only a directory below the
// system's temporary one can stay; New removes those whose process is dead.
//
// # Threads
//
// A process is put into a host's namespaces by a thread of ours that enters them,
// forks, and dies (see inThread); the rest of the test process never leaves its own.
// A Lab may be used by several goroutines: Lab.mu guards the state of the switch,
// Host.mu the host's first process and the list of its others. Neither is held while
// a process runs.
package netlab
