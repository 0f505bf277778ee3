package disk

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/signetfs/signet"
)

// What a Hook may answer, in the system's own words, so that what is on top of it meets
// the same as on a real disk. Errno does not leave this package otherwise.
const (
	Full         = syscall.ENOSPC     // the disk is full
	Broken       = syscall.EIO        // it cannot read or write
	Frozen       = syscall.EROFS      // it was made read-only after an error
	NoUnnamed    = syscall.EOPNOTSUPP // it has no files without a name
	TooManyFiles = syscall.EMFILE     // the process has no descriptor left
)

// Error gives an error of the disk its kind and says which operation met it, with
// what. It returns nil for nil; an error that has a kind already keeps it.
func Error(op, subject string, err error) error {
	if err == nil {
		return nil
	}
	if k := signet.KindOf(err); k != signet.Other {
		return signet.Wrap(op, subject, err)
	}
	return &signet.Error{Kind: kindOf(err), Op: op, Subject: subject, Err: err}
}

// kindOf is the one place where an errno comes in. What is not listed is the disk's
// own failure: EIO, EROFS (remounted after an error), ESTALE and the like.
func kindOf(err error) signet.Kind {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return signet.NoSpace
	case errors.Is(err, fs.ErrNotExist):
		return signet.NotFound
	case errors.Is(err, fs.ErrExist):
		return signet.Exists
	case errors.Is(err, fs.ErrPermission):
		return signet.Permission
	case errors.Is(err, fs.ErrClosed):
		return signet.Closed
	case errors.Is(err, syscall.ENOTDIR):
		return signet.NotDir
	case errors.Is(err, syscall.EISDIR):
		return signet.IsDir
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.ETXTBSY):
		return signet.Busy
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return signet.TooBusy // this process's limits, not the disk's fault
	case errors.Is(err, syscall.ENAMETOOLONG):
		return signet.NameTooLong
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS), errors.Is(err, errors.ErrUnsupported):
		return signet.NotSupported
	}
	return signet.Disk
}
