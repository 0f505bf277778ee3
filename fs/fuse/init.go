package fuse

import (
	"fmt"
	"log/slog"
	"unsafe"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
)

// What we ask of the kernel beyond what go-fuse asks for anyway.
const wanted = gofuse.CAP_ATOMIC_O_TRUNC | // O_TRUNC comes with OPEN: one change, not two
	gofuse.CAP_ASYNC_DIO | // O_DIRECT in parallel
	gofuse.CAP_POSIX_ACL | // the kernel decides by ACLs, and keeps them until it is told to forget
	gofuse.CAP_DONT_MASK | // a default ACL takes the place of the umask, so fs applies that
	gofuse.CAP_SETXATTR_EXT | // an ACL set by who is not in the file's group clears set-gid
	gofuse.CAP_POSIX_LOCKS | gofuse.CAP_FLOCK_LOCKS | // locks hold on all hosts
	gofuse.CAP_HANDLE_KILLPRIV_V2 // fs clears set-uid itself; else every WRITE asks for security.capability first

// unwanted is what go-fuse would ask for and we have no use for.
//
// READDIRPLUS we may not use: the kernel takes the epoch for the names of such an
// answer when it has the answer, not when it asked (fuse_direntplus_link), so a
// DropNames between the two is lost on them. What LOOKUP finds has the older epoch.
const unwanted = gofuse.CAP_PASSTHROUGH | // the bytes below are sealed
	gofuse.CAP_READDIRPLUS |
	gofuse.CAP_NO_OPEN_SUPPORT // every open has a handle

// protocolOptions is the part of go-fuse's options that reaches the protocol.
func protocolOptions(s *server) *gofuse.MountOptions {
	return &gofuse.MountOptions{
		Name:                     "signet",
		MaxWrite:                 maxWrite,
		MaxBackground:            128, // READs ahead and pages written back at once; the kernel's 12 starve a network
		ExplicitDataCacheControl: true,
		EnableSymlinkCaching:     true,
		ExtraCapabilities:        wanted,
		DisabledCapabilities:     unwanted,
		Logger:                   slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		PanicHandler:             s.onPanic,
	}
}

// negotiated is what the kernel and we agreed on.
type negotiated struct {
	minor    uint32 // of the kernel's protocol version
	flags    uint64 // capabilities in force
	maxWrite uint32
	maxPages uint16
}

// has says whether all the capabilities are in force.
func (n *negotiated) has(caps uint64) bool { return n.flags&caps == caps }

// initialise serves the first request of a mount, which is INIT, and checks that we
// can work with what the kernel offers.
func (s *server) initialise() error {
	const op = "agree with the kernel on the FUSE protocol"
	w := &worker{}
	buf := s.in.get()
	defer s.in.put(buf)
	n, err := s.conn.read(buf)
	if err != nil {
		return signet.Wrap(op, "", err)
	}
	msg := buf[:n]
	h, whole := parseHeader(msg)
	if !whole || h.opcode != opInit || n < inHeaderSize+16 {
		return signet.Errorf(signet.BadMessage, op, "", "the first request is not INIT (opcode %d, %d bytes)", h.opcode, n)
	}
	out := w.out[:s.handle(w, &h, msg, w.out[:])]
	if err := s.conn.write(out); err != nil {
		return signet.Wrap(op, "", err)
	}
	if s.kernel, err = parseInit(msg, out); err != nil {
		return err
	}
	s.log.Info("fuse: connected", "protocol", fmt.Sprintf("7.%d", s.kernel.minor),
		"capabilities", fmt.Sprintf("%#x", s.kernel.flags), "max_write", s.kernel.maxWrite, "forgets_names", s.kernel.minor >= incEpochMinor)
	return nil
}

// parseInit reads what INIT and its answer agreed on.
func parseInit(in, out []byte) (negotiated, error) {
	const op = "agree with the kernel on the FUSE protocol"
	n := negotiated{minor: native.Uint32(in[inHeaderSize+4:])}
	if len(out) < outHeaderSize+int(unsafe.Sizeof(gofuse.InitOut{})) || native.Uint32(out[4:]) != 0 {
		return n, signet.Errorf(signet.WrongVersion, op, "", "the kernel speaks FUSE %d.%d", native.Uint32(in[inHeaderSize:]), n.minor)
	}
	var body gofuse.InitOut
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&body)), unsafe.Sizeof(body)), out[outHeaderSize:])
	n.flags = body.Flags64()
	n.maxWrite = body.MaxWrite
	n.maxPages = body.MaxPages
	// Without it the kernel drops pages by its own guess from mtime and size, and keeps
	// what it should drop; Linux has it since 5.2.
	if !n.has(gofuse.CAP_EXPLICIT_INVAL_DATA) {
		return n, signet.Errorf(signet.NotSupported, op, "", "the kernel cannot leave the page cache to us (FUSE 7.%d); Linux 5.2 or newer is needed", n.minor)
	}
	return n, nil
}
