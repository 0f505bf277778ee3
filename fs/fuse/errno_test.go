package fuse

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
)

func TestEveryKindHasAnErrno(t *testing.T) {
	t.Parallel()
	for k := signet.OK + 1; k < signet.KindEnd; k++ {
		if errnoOf[k] == 0 {
			t.Errorf("kind %d (%v) has no errno", uint16(k), k)
		}
		if errnoOf[k] == syscall.ENOSYS {
			t.Errorf("kind %d (%v) is ENOSYS: the kernel would never ask again", uint16(k), k)
		}
	}
}

func TestStatusOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want syscall.Errno
	}{
		{nil, 0},
		{signet.NotFound, syscall.ENOENT},
		{signet.Errorf(signet.ReadOnly, "create", "", "no majority"), syscall.EROFS},
		{fmt.Errorf("outer: %w", signet.Wrap("put", "x", signet.NoSpace)), syscall.ENOSPC},
		{signet.Timeout, syscall.EIO},
		{context.DeadlineExceeded, syscall.EIO},
		{context.Canceled, syscall.EINTR},
		{errors.New("anything"), syscall.EIO},
		{signet.Kind(60000), syscall.EIO},
	} {
		if got := statusOf(c.err); got != gofuse.Status(c.want) {
			t.Errorf("statusOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}
