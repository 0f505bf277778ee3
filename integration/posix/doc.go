// Package posix holds tests only: they prove that ordinary programs cannot tell a
// SignetFS mount from ext4.
//
// Every system call is made twice, on a real mount of the real program and on an ext4
// beside it, and what comes back is compared: result, errno, bytes, attributes, and
// whether times changed. machine_test.go does so with random calls (rapid shrinks what
// fails to a few lines), on one host and spread over two; the files of cases, one for
// each family of calls, with what somebody thought of.
//
// Calls are made by actors: threads of the test itself, each in the mount namespace of
// a host, with one of the two filesystems as its root directory and with the credentials
// of root or of an ordinary user. So a case is plain code, and the same for both.
//
// docs/posix.md says what is promised and which differences remain.
package posix
