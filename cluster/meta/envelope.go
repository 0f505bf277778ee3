package meta

import "github.com/signetfs/signet"

// Envelope is a command with what exactly-once needs: who sent it (Session), as its
// which (Request, counting from 1), and the lowest request that the session still
// waits for. Session 0 is for commands that are harmless to repeat and those before
// the first session: they are carried out every time.
type Envelope struct {
	Group   signet.Group
	Session signet.SessionID
	Request uint64
	Lowest  uint64
	Command any // a signet.Command, or a pointer to one of this package
}

// ErrUnknown is in the chain of the error for a command, or a version of one, that
// this code does not know: the host must stop before it diverges.
var ErrUnknown = signet.Errorf(signet.WrongVersion, "apply", "", "a command of a newer version of signet")
