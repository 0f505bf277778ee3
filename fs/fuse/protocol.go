package fuse

import (
	"bytes"
	"encoding/binary"
	"syscall"
)

// What the device loop itself must know of the protocol, <linux/fuse.h>: the header
// of requests and answers, which requests want no answer, and how large an answer
// may get. The rest is go-fuse's.

// The requests that the loop tells apart, by their opcodes.
const (
	opLookup      = 1
	opForget      = 2
	opReadlink    = 5
	opRead        = 15
	opRelease     = 18
	opGetxattr    = 22
	opListxattr   = 23
	opInit        = 26
	opReaddir     = 28
	opReleasedir  = 29
	opSetlkw      = 33
	opInterrupt   = 36
	opDestroy     = 38
	opIoctl       = 39
	opNotifyReply = 41
	opBatchForget = 42
)

const (
	inHeaderSize  = 40
	outHeaderSize = 16
	maxFixedReply = 288 // the largest fixed part of any answer, statx's
)

var native = binary.NativeEndian

// header begins every request.
type header struct {
	length uint32 // of the whole request
	opcode uint32
	unique uint64
	node   uint64
	uid    uint32
	gid    uint32
	pid    uint32
}

// parseHeader reads the header of the request in p. It is false if p is not one
// whole request.
func parseHeader(p []byte) (header, bool) {
	if len(p) < inHeaderSize {
		return header{}, false
	}
	h := header{
		length: native.Uint32(p[0:]),
		opcode: native.Uint32(p[4:]),
		unique: native.Uint64(p[8:]),
		node:   native.Uint64(p[16:]),
		uid:    native.Uint32(p[24:]),
		gid:    native.Uint32(p[28:]),
		pid:    native.Uint32(p[32:]),
	}
	return h, int(h.length) == len(p)
}

// wantsAnswer says whether the kernel waits for a reply.
func (h *header) wantsAnswer() bool {
	return h.opcode != opForget && h.opcode != opBatchForget && h.opcode != opNotifyReply
}

// mustServe says whether the request may not be refused, however much there is to
// do: it gives something back.
func (h *header) mustServe() bool {
	switch h.opcode {
	case opRelease, opReleasedir, opDestroy, opNotifyReply:
		return true
	}
	return false
}

// answerSize returns an upper bound of the answer to the request in p.
func (h *header) answerSize(p []byte) uint64 {
	size := uint64(outHeaderSize + maxFixedReply)
	body := p[inHeaderSize:]
	at := -1 // where the body says how much it can take
	switch h.opcode {
	case opRead, opReaddir:
		at = 16
	case opGetxattr, opListxattr:
		at = 0
	case opIoctl:
		at = 28
	case opReadlink:
		return size + 4096
	}
	if at >= 0 && len(body) >= at+4 {
		size += uint64(native.Uint32(body[at:]))
	}
	return size
}

// reservedName is a name in the root directory that go-fuse keeps for itself: it
// answers for it with a file that nobody made. We say that there is none.
var reservedName = []byte(".go-fuse-epoll-hack\x00")

// refused returns the errno with which a request for the reserved name is answered,
// or 0.
func (h *header) refused(p []byte) syscall.Errno {
	const rootNode = 1
	if h.node != rootNode || len(p) > smallBuffer || !bytes.Contains(p[inHeaderSize:], reservedName) {
		return 0
	}
	if h.opcode == opLookup {
		return syscall.ENOENT
	}
	return syscall.EPERM
}

// errorAnswer writes into p the answer that the request failed with e, and returns
// it.
func errorAnswer(p []byte, unique uint64, e syscall.Errno) []byte {
	p = p[:outHeaderSize]
	native.PutUint32(p[0:], outHeaderSize)
	native.PutUint32(p[4:], uint32(-int32(e)))
	native.PutUint64(p[8:], unique)
	return p
}
