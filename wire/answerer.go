package wire

import (
	"context"
	"sync"
	"time"

	"github.com/signetfs/signet"
)

// answerer is the end of a connection that was accepted: it receives calls and
// one-way messages and sends replies. Each call runs in a goroutine of its own; there
// are never more than our Hello allowed.
type answerer struct {
	*conn
	server *Server
	member bool // else it may only join

	mu      sync.Mutex
	running map[uint64]*running
	open    int  // calls whose reply is not queued yet
	leaving bool // goodbye was said
}

// running is a call that is being answered.
type running struct {
	id  uint64
	ctx callContext
	req Request
}

// admit checks a frame's payload against what its method allows, and waits until there
// is room for it.
func (a *answerer) admit(f *frame, payload int) (func(), error) {
	limit := 0
	if f.kind == kindCall || f.kind == kindSend {
		l, ok := a.cfg.Methods[f.method]
		if limit = l.Request; !ok {
			limit = MaxPayload // of a newer peer; answered by NotSupported
		}
	}
	if payload > limit {
		return nil, signet.Errorf(signet.BadMessage, "read frame", "", "payload of %d bytes to %v, at most %d are allowed", payload, f.method, limit)
	}
	// One-way messages are handled before the next frame is read: one at a time.
	if f.kind != kindCall || payload < copyBelow {
		return nil, nil
	}
	return a.server.rooms[a.class].take(payload, a.dead)
}

func (a *answerer) receive(f *frame) error {
	switch f.kind {
	case kindCall:
		return a.call(f)
	case kindSend:
		a.oneWay(f)
		return nil
	case kindCancel:
		f.buf.Release()
		a.mu.Lock()
		r := a.running[f.call]
		a.mu.Unlock()
		if r != nil {
			r.ctx.end(context.Canceled)
		}
		return nil
	}
	f.buf.Release()
	return signet.Errorf(signet.BadMessage, "read frame", "", "frame of kind %d from the side that dialled", f.kind)
}

// allowed says whether this peer may use the method at all.
func (a *answerer) allowed(m Method) bool {
	return a.member != (m == MethodJoin) || m == MethodPing
}

func (a *answerer) oneWay(f *frame) {
	h := a.server.sinks[f.method]
	req := a.request(f)
	if h != nil && a.allowed(f.method) {
		h(a.peer, &req)
	}
	req.finish()
}

func (a *answerer) call(f *frame) error {
	h := a.server.handlers[f.method]
	if h == nil || !a.allowed(f.method) {
		f.buf.Release()
		return a.answerNow(f.call, signet.Errorf(signet.NotSupported, "", "", "this host does not serve %v here", f.method))
	}
	r := &running{id: f.call, ctx: callContext{clock: a.cfg.Clock}, req: a.request(f)}
	if f.wait > 0 {
		r.ctx.deadline = a.cfg.Clock.Now().Add(time.Duration(f.wait) * time.Millisecond)
	}
	a.mu.Lock()
	_, twice := a.running[f.call]
	full := len(a.running) >= a.cfg.class(a.class).Calls
	if !twice && !full {
		a.running[f.call] = r
		a.open++
		a.wg.Add(1)
	}
	a.mu.Unlock()
	switch {
	case twice:
		f.buf.Release()
		return signet.Errorf(signet.BadMessage, "read frame", "", "call %d is in flight already", f.call)
	case full:
		f.buf.Release()
		return a.answerNow(f.call, signet.Errorf(signet.TooBusy, "", "", "more calls in flight than this host allows"))
	}
	go a.run(h, r)
	return nil
}

// run carries out one call and sends its reply.
func (a *answerer) run(h Handler, r *running) {
	defer a.wg.Done()
	reply, err := h(&r.ctx, a.peer, &r.req)
	r.req.finish()
	r.ctx.end(context.Canceled)
	a.mu.Lock()
	delete(a.running, r.id) // before the peer can see the reply and count on the place
	a.mu.Unlock()
	if err = a.reply(r.id, &reply, err, r.req.Method); err != nil {
		a.close(err)
	}
	a.mu.Lock()
	a.open--
	last := a.leaving && a.open == 0
	a.mu.Unlock()
	if last {
		a.finish(errGoodbye())
	}
}

// reply sends what a handler returned.
func (a *answerer) reply(id uint64, r *Reply, failed error, m Method) error {
	if failed == nil && len(r.Payload) > a.cfg.Methods[m].Reply {
		failed = signet.Errorf(signet.TooBig, "", "", "payload of %d bytes, at most %d are allowed", len(r.Payload), a.cfg.Methods[m].Reply)
	}
	if failed == nil {
		failed = a.success(id, r)
	}
	if failed == nil {
		return nil
	}
	if r.Release != nil {
		r.Release()
	}
	return a.failure(id, failed, false)
}

func (a *answerer) success(id uint64, r *Reply) error {
	e := begin(3, kindReply)
	defer done(e)
	e.Uint(id)
	appendMessage(e, r.Message)
	b, err := finish(e, len(r.Payload))
	if err != nil {
		return err
	}
	return a.out.put(b, r.Payload, r.Release, nil, false)
}

func (a *answerer) failure(id uint64, why error, mayRefuse bool) error {
	e := begin(4, kindFailure)
	defer done(e)
	e.Uint(id)
	e.Uint(uint64(signet.KindOf(why)))
	e.String(clip(why.Error()))
	b, err := finish(e, 0)
	if err != nil {
		return err
	}
	return a.out.put(b, nil, nil, nil, mayRefuse)
}

// answerNow refuses a call from the reader. A peer that does not read its refusals
// loses the connection.
func (a *answerer) answerNow(id uint64, why error) error { return a.failure(id, why, true) }

// goodbye asks the peer to make no further calls and closes when the last one that
// runs has been answered.
func (a *answerer) goodbye(why error) {
	e := begin(3, kindGoodbye)
	e.Uint(uint64(signet.KindOf(why)))
	e.String(clip(why.Error()))
	_ = a.put(e) // where it cannot be queued the connection ends without
	a.mu.Lock()
	a.leaving = true
	last := a.open == 0
	a.mu.Unlock()
	if last {
		a.finish(errGoodbye())
	}
}

// ended cancels what runs; nobody waits for it any more.
func (a *answerer) ended(error) {
	a.mu.Lock()
	for _, r := range a.running {
		r.ctx.end(context.Canceled)
	}
	a.mu.Unlock()
}

// Request is what a handler is given.
type Request struct {
	Method Method
	Class  Class
	Host   signet.HostID // as the peer calls itself
	// Payload is valid until the handler returns, or, after Keep, until Release.
	Payload []byte

	body []byte
	buf  *Buffer
	kept bool
}

func (a *answerer) request(f *frame) Request {
	return Request{
		Method: f.method, Class: a.class, Host: a.hello.Host, Payload: f.buf.Payload(),
		body: f.body, buf: f.buf,
	}
}

// Decode reads the message. It keeps nothing of the request's memory.
func (r *Request) Decode(m Message) error { return decodeMessage(r.body, m) }

// Keep lets the handler hold on to the payload after it has returned; it (or who it
// hands it to) calls Release then.
func (r *Request) Keep() *Buffer {
	r.kept = true
	return r.buf
}

func (r *Request) finish() {
	if !r.kept {
		r.buf.Release()
	}
}
