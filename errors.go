package signet

import (
	"context"
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is. It crosses the wire and lies in the
// log as a number and becomes an errno in one table (fs/fuse), so the numbers are
// append-only: never reorder, never remove.
type Kind uint16

// The kinds of error.
const (
	OK            Kind = 0  // no error
	Other         Kind = 1  // anything without a kind of its own
	NotFound      Kind = 2  // no such name, inode, object, host
	Exists        Kind = 3  // the name is taken
	NotDir        Kind = 4  // a directory was wanted
	IsDir         Kind = 5  // anything but a directory was wanted
	NotEmpty      Kind = 6  // the directory has entries
	Invalid       Kind = 7  // an argument makes no sense
	Permission    Kind = 8  // not allowed to this user
	NotPermitted  Kind = 9  // not allowed to anybody
	NameTooLong   Kind = 10 // a name of more than 255 bytes
	TooManyLinks  Kind = 11 // link count at its limit
	TooBig        Kind = 12 // over a named limit (file size, value size, frame)
	NoAttr        Kind = 13 // no such extended attribute
	BadHandle     Kind = 14 // unknown or wrongly used open file
	CrossDevice   Kind = 15 // source and target in different volumes
	ReadOnly      Kind = 16 // the cluster takes no changes now: never proposed
	NoSpace       Kind = 17 // out of disk space
	Corrupt       Kind = 18 // bytes that do not verify
	Interrupted   Kind = 19 // the caller gave up
	Timeout       Kind = 20 // the deadline passed, the outcome may be unknown
	Unavailable   Kind = 21 // the host or the majority cannot be reached
	NotLeader     Kind = 22 // ask the leader
	Stale         Kind = 23 // based on something that has moved since: do it again
	Ended         Kind = 24 // the session or handle is over
	TooBusy       Kind = 25 // a bounded queue is full
	BadMessage    Kind = 26 // bytes from a peer or disk that are not of the format
	WrongVersion  Kind = 27 // the other side or the disk is of a version we do not know
	NotSupported  Kind = 28 // not in this filesystem
	NoKey         Kind = 29 // this host does not hold the volume's key
	BadToken      Kind = 30 // join token wrong, used up, expired or revoked
	BadPassphrase Kind = 31 // passphrase or recovery key does not open the slot
	Draining      Kind = 32 // a larger change of this inode is still being carried out
	Closed        Kind = 33 // the component was shut down
	Range         Kind = 34 // the buffer is too small for the value
	Loop          Kind = 35 // a directory would become its own ancestor's child
	Disk          Kind = 36 // the local disk failed
	Busy          Kind = 37 // in use
	PastEnd       Kind = 38 // no data or hole there: beyond the end of the file
	WouldBlock    Kind = 39 // somebody else holds the lock
	Deadlock      Kind = 40 // waiting for the lock would never end
	TooManyLocks  Kind = 41 // locks, or who waits for them, at their limit
	KindEnd       Kind = 42 // one past the last; append before it
)

var kindText = [KindEnd]string{
	OK: "ok", Other: "failed", NotFound: "not found", Exists: "exists already",
	NotDir: "not a directory", IsDir: "is a directory", NotEmpty: "directory not empty",
	Invalid: "invalid", Permission: "permission denied", NotPermitted: "not permitted",
	NameTooLong: "name too long", TooManyLinks: "too many links", TooBig: "too big",
	NoAttr: "no such attribute", BadHandle: "bad handle", CrossDevice: "in another volume",
	ReadOnly: "no changes possible now", NoSpace: "no space left", Corrupt: "corrupt",
	Interrupted: "interrupted", Timeout: "timed out", Unavailable: "unavailable",
	NotLeader: "not the leader", Stale: "out of date", Ended: "session ended",
	TooBusy: "too busy", BadMessage: "malformed", WrongVersion: "unknown version",
	NotSupported: "not supported", NoKey: "no key for this volume", BadToken: "token not valid",
	BadPassphrase: "wrong passphrase or key", Draining: "still being carried out",
	Closed: "shut down", Range: "buffer too small", Loop: "would be inside itself",
	Disk: "disk failed", Busy: "in use", PastEnd: "past the end",
	WouldBlock: "locked by somebody else", Deadlock: "would wait for itself", TooManyLocks: "too many locks",
}

func (k Kind) String() string {
	if k < KindEnd {
		return kindText[k]
	}
	return fmt.Sprintf("error kind %d", uint16(k))
}

// Error lets a bare Kind be used and compared as an error: errors.Is(err, signet.NotFound).
func (k Kind) Error() string { return k.String() }

// Error is what went wrong (Kind), in which operation (Op), with what (Subject),
// and why (Err). Op and Subject never hold secrets or unsealed names.
type Error struct {
	Kind    Kind
	Op      string // "put object", "join cluster"; may be empty
	Subject string // an address, a host, an inode; may be empty
	Err     error  // the cause; may be nil
}

func (e *Error) Error() string {
	s := e.Op
	if e.Subject != "" {
		if s != "" {
			s += " "
		}
		s += e.Subject
	}
	if s != "" {
		s += ": "
	}
	if e.Err == nil {
		return s + e.Kind.String()
	}
	return s + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, kind) true for the error's own kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// Errorf returns an *Error whose cause is a formatted text.
func Errorf(kind Kind, op, subject, format string, args ...any) error {
	return &Error{Kind: kind, Op: op, Subject: subject, Err: fmt.Errorf(format, args...)}
}

// Wrap adds the operation and its subject to err and keeps err's kind. It returns
// nil for nil.
func Wrap(op, subject string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Op: op, Subject: subject, Err: err}
}

// KindOf returns the kind of the outermost error in err's chain that has one;
// context errors count as Interrupted and Timeout. It returns OK for nil and Other
// if there is none.
func KindOf(err error) Kind {
	if err == nil {
		return OK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Other
}
