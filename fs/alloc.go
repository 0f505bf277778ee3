package fs

import (
	"github.com/signetfs/signet"
)

// Modes of Fallocate, as in fallocate(2).
const (
	FallocKeepSize  = 0x01
	FallocPunchHole = 0x02
	FallocZeroRange = 0x10
)

// Fallocate extends a file, punches a hole into it or zeroes a range of it. There is
// nothing to reserve: space is taken when objects are put, on whichever hosts.
func (f *FS) Fallocate(r *Request, id Handle, off, n uint64, mode uint32) error {
	h, err := f.handles.file(id, true)
	if err != nil {
		return err
	}
	ino := h.node.ino
	if n == 0 {
		return signet.Errorf(signet.Invalid, "allocate", inodeText(ino), "nothing")
	}
	if off > signet.MaxFileSize || n > signet.MaxFileSize-off {
		return signet.Errorf(signet.TooBig, "allocate", inodeText(ino), "past the largest file")
	}
	w := &signet.Write{Ino: ino, ClearSUID: r.UID != 0}
	switch mode {
	case FallocKeepSize: // changes only the times
	case 0:
		w.Size = off + n
	case FallocPunchHole | FallocKeepSize, FallocZeroRange | FallocKeepSize:
		w.Punch = []signet.Hole{{Off: off, Len: n}}
	case FallocZeroRange:
		w.Punch = []signet.Hole{{Off: off, Len: n}}
		w.Size = off + n
	default:
		return signet.Errorf(signet.NotSupported, "allocate", inodeText(ino), "mode %#x", mode)
	}
	ctx, cancel := f.begin(r)
	defer cancel()
	if err := h.node.flushing.take(ctx); err != nil {
		return signet.Wrap("allocate", inodeText(ino), err)
	}
	defer h.node.flushing.give()
	if err := f.publishLocked(ctx, h.node); err != nil {
		return err
	}
	if w.ClearSUID {
		if err := f.killCapabilities(ctx, ino); err != nil {
			return err
		}
	}
	w.Mtime = f.now()
	_, err = f.commitAsked(ctx, w)
	return err
}
