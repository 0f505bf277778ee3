package fuse

import (
	"syscall"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
)

// errnoOf is the one place where a kind of error becomes what a program sees in
// errno. A kind without a row of its own fails the test beside this file.
//
// ENOSYS is never in it: the kernel takes ENOSYS as "this filesystem never does
// that" and stops asking for the life of the mount.
var errnoOf = [signet.KindEnd]syscall.Errno{
	signet.OK:            0,
	signet.Other:         syscall.EIO,
	signet.NotFound:      syscall.ENOENT,
	signet.Exists:        syscall.EEXIST,
	signet.NotDir:        syscall.ENOTDIR,
	signet.IsDir:         syscall.EISDIR,
	signet.NotEmpty:      syscall.ENOTEMPTY,
	signet.Invalid:       syscall.EINVAL,
	signet.Permission:    syscall.EACCES,
	signet.NotPermitted:  syscall.EPERM,
	signet.NameTooLong:   syscall.ENAMETOOLONG,
	signet.TooManyLinks:  syscall.EMLINK,
	signet.TooBig:        syscall.EFBIG,
	signet.NoAttr:        syscall.ENODATA,
	signet.BadHandle:     syscall.EBADF,
	signet.CrossDevice:   syscall.EXDEV,
	signet.ReadOnly:      syscall.EROFS,
	signet.NoSpace:       syscall.ENOSPC,
	signet.Corrupt:       syscall.EIO,
	signet.Interrupted:   syscall.EINTR,
	signet.Timeout:       syscall.EIO, // the outcome may be unknown: nothing milder is true
	signet.Unavailable:   syscall.EIO,
	signet.NotLeader:     syscall.EIO,
	signet.Stale:         syscall.ESTALE, // the kernel walks the path once more
	signet.Ended:         syscall.EIO,
	signet.TooBusy:       syscall.EAGAIN,
	signet.BadMessage:    syscall.EIO,
	signet.WrongVersion:  syscall.EIO,
	signet.NotSupported:  syscall.EOPNOTSUPP,
	signet.NoKey:         syscall.ENOKEY,
	signet.BadToken:      syscall.EACCES,
	signet.BadPassphrase: syscall.EKEYREJECTED,
	signet.Draining:      syscall.EBUSY,
	signet.Closed:        syscall.EIO,
	signet.Range:         syscall.ERANGE,
	signet.Loop:          syscall.EINVAL, // what rename(2) says of a directory into itself
	signet.Disk:          syscall.EIO,
	signet.Busy:          syscall.EBUSY,
	signet.PastEnd:       syscall.ENXIO, // what lseek(2) says of SEEK_DATA and SEEK_HOLE
	signet.WouldBlock:    syscall.EAGAIN,
	signet.Deadlock:      syscall.EDEADLK,
	signet.TooManyLocks:  syscall.ENOLCK,
}

// statusOf returns what the kernel is told about err.
func statusOf(err error) gofuse.Status {
	k := signet.KindOf(err)
	if k == signet.OK {
		return gofuse.OK
	}
	if k >= signet.KindEnd || errnoOf[k] == 0 {
		return gofuse.EIO // a kind from a newer host
	}
	return gofuse.Status(errnoOf[k])
}

// kindOf goes the other way, for what the kernel says to us while we mount and
// unmount.
func kindOf(err error) signet.Kind {
	e, ok := err.(syscall.Errno)
	if !ok {
		return signet.KindOf(err)
	}
	switch e {
	case syscall.ENOENT:
		return signet.NotFound
	case syscall.ENOTDIR:
		return signet.NotDir
	case syscall.EPERM:
		return signet.NotPermitted
	case syscall.EACCES:
		return signet.Permission
	case syscall.EBUSY:
		return signet.Busy
	case syscall.EINVAL:
		return signet.Invalid
	case syscall.ENODEV, syscall.ENXIO:
		return signet.NotSupported
	case syscall.ENOTCONN, syscall.ECONNABORTED:
		return signet.Closed
	}
	return signet.Other
}
