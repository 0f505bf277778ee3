// Package ring starts whole clusters for tests, and lets a test speak of them in prose:
//
//	r := ring.Start(t, 3)
//	r.Host(0).Write("/a", "one")
//	r.Host(1).WantFile("/a", "one")
//	r.Host(2).Kill()
//	r.Host(0).Write("/a", "two")
//	r.Host(2).Boot()
//	r.Host(2).WantFile("/a", "two")
//
// A host is a set of namespaces (package netlab) with the real program signet as its
// daemon, a real FUSE mount that only the host's own processes see, and an agent: this
// test binary once more, which makes system calls on the mount when the test asks for
// them. A TestMain that calls Main is what makes a test binary able to be an agent.
//
// Paths are those on the mount: "/a" is a in the volume's root directory.
//
// # What is guaranteed
//
//   - Every call has a deadline: an agent's answer that does not come within Bound fails
//     the test, with the place in the kernel where the agent's threads wait.
//   - A test that fails prints the logs of every host, as does one that is about to run
//     into its deadline.
//   - When the test is over nothing is left running or mounted. Nothing that is mounted
//     here shows outside the host's namespaces in the first place.
//   - A daemon that panics fails the test. So does a data race in it, if the test runs
//     with the race detector and asks for it in the daemons as well (Config.Raced).
//
// # Goroutines
//
// A Ring may be used by several goroutines. Host.mu guards what runs on the host; it is
// never held during a call of the agent, so calls of one host go on side by side.
package ring
