package fuse

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gofuse "github.com/hanwen/go-fuse/v2/fuse"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/internal/clock"
)

// Bounds of the device loop. Together they are what a mount can hold in memory for
// requests: some 170 MiB if a thousand programs wait for the slowest of hosts, a few
// MiB in everyday use.
const (
	maxWrite     = 1 << 20         // bytes of a WRITE or READ: what kernels allow without a sysctl
	largeBuffer  = maxWrite + 4096 // a WRITE with its header, a READ's answer
	mediumBuffer = 128<<10 + 4096  // a READ's answer with the read-ahead that ordinary users get
	smallBuffer  = 8 << 10         // any other request or answer; part of the worker
	largeIn      = 96              // large requests served at once
	largeOut     = 64              // large answers
	mediumOut    = 128             // medium answers
	maxCalls     = 4096            // requests served at once, but for those that may wait for a lock:
	maxLockWaits = 1024            // they wait for as long as somebody holds it; beyond, ENOLCK
	idleReaders  = 2               // workers that wait for requests
	patience     = time.Second     // how long a request waits to be let in before it is refused
	maxReadFails = 100             // errors of the device in a row before the mount is given up
)

// server serves one connection to the kernel.
//
// Every worker reads requests and serves what it has read itself, so that a request
// costs no switch between goroutines. A worker that goes to serve leaves the reading
// to another, which is started if there is none, so somebody always reads: an
// INTERRUPT is heard whatever all other requests wait for.
type server struct {
	conn  *conn
	fs    volume
	clock clock.Clock
	log   *slog.Logger
	// panicked is told of a panic in a handler. What the handler was doing is in an
	// unknown state, so it should end the process.
	panicked func(value any, stack []byte)

	proto   *gofuse.ProtocolServer
	calls   *calls
	mapsDev string // the mount's device number, as /proc/PID/maps has it; set before it serves
	maps    mapLists
	kernel  negotiated // what INIT agreed on; set by initialise, before anything else may use the server
	workers sync.WaitGroup
	reading atomic.Int32 // workers in read or on the way to it
	fails   atomic.Int32 // reads that failed since the last that did not

	logged   atomic.Int64 // when logFailure last wrote
	unlogged atomic.Int64 // how often it has not since

	in      pool // of largeBuffer: what readers read into, and large requests
	large   pool // of largeBuffer: large answers
	medium  pool // of mediumBuffer
	inLarge limit
	outBig  limit
	outMid  limit
	served  limit
	lockers limit

	done   chan struct{} // closed when the mount has ended and nothing of it runs any more
	failed sync.Once
	err    error // set once by failed: why, if not by an unmount; to be read after done
}

func newServer(c *conn, f volume, clk clock.Clock, log *slog.Logger, panicked func(any, []byte)) *server {
	s := &server{
		conn: c, fs: f, clock: clk, log: log, panicked: panicked,
		calls:   newCalls(),
		in:      pool{size: largeBuffer},
		large:   pool{size: largeBuffer},
		medium:  pool{size: mediumBuffer},
		inLarge: make(limit, largeIn),
		outBig:  make(limit, largeOut),
		outMid:  make(limit, mediumOut),
		served:  make(limit, maxCalls),
		lockers: make(limit, maxLockWaits),
		done:    make(chan struct{}),
	}
	s.proto = gofuse.NewProtocolServer(&raw{fs: f, calls: s.calls, kernel: &s.kernel, failed: s.logFailure}, protocolOptions(s))
	return s
}

// start begins to serve. INIT has been answered.
func (s *server) start() {
	s.reading.Add(1)
	s.workers.Add(1)
	go s.work()
	go func() {
		s.workers.Wait()
		if err := s.conn.close(); err != nil {
			s.fail(signet.Wrap("close /dev/fuse", "", err))
		}
		close(s.done)
	}()
}

// worker is what a goroutine of the loop owns.
type worker struct {
	inVec, outVec [1][]byte
	in, out       [smallBuffer]byte
}

// work reads and serves requests until the mount ends or there are workers enough.
func (s *server) work() {
	defer s.workers.Done()
	w := &worker{}
	for {
		buf := s.in.get()
		n, err := s.conn.read(buf)
		if err != nil || n == 0 {
			s.in.put(buf)
			if s.readAgain(err) {
				continue
			}
			s.calls.endAll() // whoever waits for this mount's requests waits no longer
			return
		}
		s.fails.Store(0)
		if !s.take(w, buf, n) {
			return
		}
	}
}

// readAgain says whether there may be further requests after a read failed.
func (s *server) readAgain(err error) bool {
	switch {
	case err == nil || err == syscall.ENODEV || err == syscall.ECONNABORTED:
		return false // unmounted or aborted (a socket says so with nothing)
	case err == syscall.ENOENT:
		return true // the request was taken back while we read it
	}
	n := s.fails.Add(1)
	s.log.Error("fuse: cannot read from the kernel", "err", err)
	if n >= maxReadFails {
		s.fail(signet.Wrap("read from /dev/fuse", "", err))
		return false
	}
	return true
}

func (s *server) fail(err error) { s.failed.Do(func() { s.err = err }) }

// take deals with the request in buf[:n] and owns buf. It returns false if the
// worker is no longer needed.
func (s *server) take(w *worker, buf []byte, n int) bool {
	h, whole := parseHeader(buf[:n])
	if !whole {
		s.in.put(buf)
		s.malformed(w, h, n)
		return true
	}
	switch h.opcode {
	case opForget, opBatchForget:
		// Inode numbers are never reused, so nothing hangs on the kernel's count of them.
		s.in.put(buf)
		return true
	case opInterrupt:
		s.interrupt(w, &h, buf[:n])
		s.in.put(buf)
		return true
	}
	isLarge := n > smallBuffer
	room, e := s.roomFor(&h)
	if e == 0 && !s.admit(&h, isLarge, room) {
		e = syscall.EAGAIN
	}
	if e != 0 {
		s.in.put(buf)
		s.reply(w, &h, errorAnswer(w.out[:], h.unique, e))
		return true
	}
	if s.reading.Add(-1) == 0 {
		s.reading.Add(1)
		s.workers.Add(1)
		go s.work()
	}
	msg := buf[:n]
	if !isLarge { // the big buffer is needed for the next read
		msg = w.in[:copy(w.in[:], msg)]
		s.in.put(buf)
	}
	s.serve(w, &h, msg)
	if isLarge {
		s.in.put(buf)
		s.inLarge.leave()
	}
	if room != nil {
		room.leave()
	}
	if s.reading.Add(1) > idleReaders {
		s.reading.Add(-1)
		return false
	}
	return true
}

// malformed answers what is not one whole request, if it can be answered at all.
func (s *server) malformed(w *worker, h header, n int) {
	s.log.Error("fuse: malformed request", "bytes", n, "length", h.length, "opcode", h.opcode)
	if h.unique != 0 && h.wantsAnswer() {
		s.reply(w, &h, errorAnswer(w.out[:], h.unique, syscall.EIO))
	}
}

// roomFor returns the limit that a request counts against, nil for none. That of locks must
// not be full.
func (s *server) roomFor(h *header) (limit, syscall.Errno) {
	switch {
	case h.mustServe():
		return nil, 0
	case h.opcode != opSetlkw:
		return s.served, 0
	case len(s.lockers) == cap(s.lockers):
		s.log.Warn("fuse: refused a request: too many wait for locks", "limit", maxLockWaits)
		return nil, syscall.ENOLCK
	}
	return s.lockers, 0
}

// admit waits until there is room for a further request. That it gives up after a
// while keeps somebody reading: ls must work, and kill must, when a hundred writers
// are stuck.
func (s *server) admit(h *header, isLarge bool, room limit) bool {
	if isLarge && !s.enter(s.inLarge) {
		s.log.Warn("fuse: refused a request: too many large ones wait", "opcode", h.opcode, "limit", largeIn)
		return false
	}
	if room != nil && !s.enter(room) {
		if isLarge {
			s.inLarge.leave()
		}
		s.log.Warn("fuse: refused a request: too many wait", "opcode", h.opcode, "limit", cap(room))
		return false
	}
	return true
}

// enter waits for room in l with patience.
func (s *server) enter(l limit) bool {
	if l.tryEnter() {
		return true
	}
	t := s.clock.NewTimer(patience)
	defer t.Stop()
	select {
	case l <- struct{}{}:
		return true
	case <-t.C():
		return false
	}
}

// interrupt ends the context of the call that h names. The kernel sends INTERRUPT at
// most once for a request, and only when somebody has read that request. If we
// cannot find it, whoever read it has not got round to it: EAGAIN has the kernel
// say it again.
func (s *server) interrupt(w *worker, h *header, msg []byte) {
	if len(msg) >= inHeaderSize+8 {
		if k := s.calls.get(native.Uint64(msg[inHeaderSize:])); k != nil {
			k.ctx.end()
			return
		}
	}
	s.reply(w, h, errorAnswer(w.out[:], h.unique, syscall.EAGAIN))
}

// serve has one request carried out and answers it.
func (s *server) serve(w *worker, h *header, msg []byte) {
	k := &call{req: fs.Request{Unique: h.unique, UID: h.uid, GID: h.gid, PID: h.pid}}
	k.req.Ctx, k.req.Killed = &k.ctx, func() bool { return s.killed(k) }
	s.calls.add(k)
	out, giveBack, err := s.answerBuffer(w, k, h, msg)
	if err != nil {
		s.reply(w, h, errorAnswer(w.out[:], h.unique, syscall.Errno(statusOf(err))))
	} else {
		if n := s.handle(w, h, msg, out); n > 0 {
			s.reply(w, h, out[:n])
		}
		giveBack()
	}
	s.calls.remove(k)
	k.ctx.end()
	k.req.Done() // after the answer is written: that is what fs waits for in here
}

// handle has go-fuse take the request apart, call raw, and put the answer together.
func (s *server) handle(w *worker, h *header, msg, out []byte) int {
	if e := h.refused(msg); e != 0 {
		return len(errorAnswer(out, h.unique, e))
	}
	w.inVec[0], w.outVec[0] = msg, out
	n, status := s.proto.HandleRequest(w.inVec[:], w.outVec[:])
	w.inVec[0], w.outVec[0] = nil, nil
	if status != gofuse.OK {
		return len(errorAnswer(out, h.unique, syscall.EIO))
	}
	return n
}

// answerBuffer returns memory for the answer, and what takes it back.
func (s *server) answerBuffer(w *worker, k *call, h *header, msg []byte) ([]byte, func(), error) {
	size := h.answerSize(msg)
	var l limit
	var p *pool
	switch {
	case size <= smallBuffer:
		return w.out[:], func() {}, nil
	case size <= mediumBuffer:
		l, p = s.outMid, &s.medium
	case size <= largeBuffer:
		l, p = s.outBig, &s.large
	default:
		return nil, nil, signet.Errorf(signet.Invalid, "answer", "", "%d bytes wanted, the limit is %d", size, largeBuffer)
	}
	if err := l.enter(&k.ctx); err != nil {
		return nil, nil, err
	}
	b := p.get()
	return b, func() { p.put(b); l.leave() }, nil
}

// reply writes an answer.
func (s *server) reply(w *worker, h *header, msg []byte) {
	err := s.conn.write(msg)
	switch {
	case err == nil:
	case errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENODEV):
		// The kernel has given the request up: an INTERRUPT that came too late, an abort.
	default:
		s.log.Error("fuse: the kernel did not take an answer", "opcode", h.opcode, "bytes", len(msg), "err", err)
	}
}

// onPanic is called by go-fuse with what a handler panicked with.
func (s *server) onPanic(v any) gofuse.Status {
	stack := debug.Stack()
	s.log.Error("fuse: panic in a handler", "panic", fmt.Sprint(v), "stack", string(stack))
	s.panicked(v, stack)
	return gofuse.EIO
}

// logFailure tells the log what programs see only as EIO: one a second, and how many
// there were besides.
func (s *server) logFailure(opcode uint32, err error) {
	now := s.clock.Now().UnixNano()
	last := s.logged.Load()
	if now-last < int64(time.Second) || !s.logged.CompareAndSwap(last, now) {
		s.unlogged.Add(1)
		return
	}
	s.log.Warn("fuse: a request failed", "opcode", opcode, "err", err, "unlogged", s.unlogged.Swap(0))
}
