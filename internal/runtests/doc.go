// Command runtests runs "go test" and prints what it prints, with four additions
// that make test needs and go test lacks:
//
//   - a list of the tests that were skipped, with their reasons, at the end; with
//     CI=true in the environment a skipped test makes the run fail;
//   - a list of the slowest tests, of those that took 10 s or more;
//   - a limit for every single test, not only for a package: a test that runs
//     longer is killed with SIGQUIT, so that its stacks are shown, and fails;
//   - the packages below integration run one after the other, after all others,
//     since they start many processes and measure time.
//
// Usage: runtests [-each DURATION] [flags of go test] [packages]
//
// It has no state but the event stream of one go test run, handled by one
// goroutine (type report).
package main
