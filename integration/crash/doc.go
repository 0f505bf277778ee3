// Package crash helps tests to kill a program of ours with SIGKILL at a chosen moment:
// at the n-th passing of a label of internal/disk (an operation of the disk, or a step
// between two), or at a random time whose seed is printed.
//
// A program can be killed at a label only if it was built with the tag "faults", as
// Build does. The point is handed to it in its environment:
//
//	bin, err := crash.Build(ctx, "./cmd/signet", dir, false)
//	p := host.Start("daemon", netlab.Cmd{Args: []string{bin, ...}, Env: crash.At("object.sync", 3)})
//	if !crash.Killed(p.Wait(ctx)) { ... it never came there, or ended otherwise }
//
// Nothing here keeps state or locks.
package crash
