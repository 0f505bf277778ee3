package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// sampleFrames has one frame of each kind. They are the examples of doc.go.
func sampleFrames() map[string][]byte {
	build := func(kind frameKind, elements int, payload string, fill func(e *pack.Encoder)) []byte {
		e := begin(elements, kind)
		if fill != nil {
			fill(e)
		}
		b, err := finish(e, len(payload))
		if err != nil {
			panic(err)
		}
		return append(bytes.Clone(b), payload...)
	}
	numbers := func(e *pack.Encoder, n ...uint64) {
		for _, v := range n {
			e.Uint(v)
		}
	}
	return map[string][]byte{
		"hello": build(kindHello, 2, "", func(e *pack.Encoder) {
			(&Hello{Version: 1, MinVersion: 1, Cluster: ClusterID{1, 2, 3}, Host: 3, Class: Control, Calls: 1024}).AppendTo(e)
		}),
		"call ping": build(kindCall, 5, "", func(e *pack.Encoder) {
			numbers(e, 1, uint64(MethodPing), 30000)
			e.Array(0)
		}),
		"call put": build(kindCall, 5, "sealed", func(e *pack.Encoder) {
			numbers(e, 300, uint64(MethodPut), 0)
			(&Put{1, someAddress, 17, 999, 0}).AppendTo(e)
		}),
		"reply": build(kindReply, 3, "", func(e *pack.Encoder) {
			numbers(e, 1)
			e.Array(0)
		}),
		"failure": build(kindFailure, 4, "", func(e *pack.Encoder) {
			numbers(e, 300, uint64(signet.NoSpace))
			e.String("disk full")
		}),
		"send release": build(kindSend, 3, "", func(e *pack.Encoder) {
			numbers(e, uint64(MethodRelease))
			(&Release{1, 7, 1000}).AppendTo(e)
		}),
		"cancel": build(kindCancel, 2, "", func(e *pack.Encoder) { numbers(e, 300) }),
		"ping":   build(kindPing, 1, "", nil),
		"pong":   build(kindPong, 1, "", nil),
		"goodbye": build(kindGoodbye, 3, "", func(e *pack.Encoder) {
			numbers(e, uint64(signet.Unavailable))
			e.String("the host is shutting down")
		}),
	}
}

func TestGoldenFrames(t *testing.T) {
	var b strings.Builder
	frames := sampleFrames()
	for _, name := range []string{"hello", "call ping", "call put", "reply", "failure", "send release", "cancel", "ping", "pong", "goodbye"} {
		fmt.Fprintf(&b, "%s: %x\n", name, frames[name])
	}
	golden(t, "frames.golden", b.String())
}

// read reads one frame as a connection does.
func read(r *bufio.Reader, f *frame, limit int) error {
	var d pack.Decoder
	return readFrame(r, &d, MaxHeader, f, func(_ *frame, payload int) (func(), error) {
		if payload > limit {
			return nil, signet.Errorf(signet.BadMessage, "", "", "too large")
		}
		return nil, nil
	})
}

func newReader(b []byte) *bufio.Reader {
	return bufio.NewReaderSize(bytes.NewReader(b), prefixSize+MaxHeader)
}

// again encodes a frame that was read.
func again(f *frame) []byte {
	elements := map[frameKind]int{
		kindHello: 2, kindCall: 5, kindReply: 3, kindFailure: 4, kindSend: 3, kindCancel: 2, kindPing: 1, kindPong: 1, kindGoodbye: 3,
	}
	e := begin(elements[f.kind], f.kind)
	switch f.kind {
	case kindCall:
		e.Uint(f.call)
		e.Uint(uint64(f.method))
		e.Uint(f.wait)
	case kindReply, kindCancel:
		e.Uint(f.call)
	case kindFailure:
		e.Uint(f.call)
		e.Uint(uint64(f.err))
		e.String(f.text)
	case kindSend:
		e.Uint(uint64(f.method))
	case kindGoodbye:
		e.Uint(uint64(f.err))
		e.String(f.text)
	}
	e.Raw(f.body)
	b, err := finish(e, len(f.buf.Payload()))
	if err != nil {
		panic(err)
	}
	return append(bytes.Clone(b), f.buf.Payload()...)
}

func FuzzFrame(f *testing.F) {
	for _, b := range sampleFrames() {
		f.Add(b)
	}
	for _, k := range killers {
		b, err := hex.DecodeString(k)
		if err != nil {
			f.Fatal(err)
		}
		prefix := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
		f.Add(append(append(prefix, 0, 0, 0, 0), b...))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newReader(in)
		for rest := in; ; {
			var fr frame
			if err := read(r, &fr, 1<<20); err != nil {
				return
			}
			out := again(&fr)
			if !bytes.HasPrefix(rest, out) {
				t.Fatalf("%x was read as %+v, which is %x", rest, fr, out)
			}
			rest = rest[len(out):]
			fr.buf.Release()
		}
	})
}

func TestFailureIsAlwaysAnError(t *testing.T) {
	for k, want := range map[signet.Kind]signet.Kind{
		signet.OK: signet.Other, signet.NoSpace: signet.NoSpace, signet.KindEnd: signet.Other, 1<<16 - 1: signet.Other,
	} {
		if err := (&frame{err: k, text: "x"}).failure(); signet.KindOf(err) != want {
			t.Errorf("kind %d is %v", k, err)
		}
	}
}

func TestBuffers(t *testing.T) {
	for _, n := range []int{0, 1, 500, 512, 513, 80 << 10, MaxObject, MaxPayload} {
		b := newBuffer(MaxHeader, n)
		if len(b.Payload()) != n || len(b.bytes()) != n+MaxHeader {
			t.Errorf("buffer for %d has %d", n, len(b.Payload()))
		}
		b.Release()
	}
	var none *Buffer
	none.Release()
	if none.Payload() != nil {
		t.Error("payload of nil")
	}
	b := newBuffer(1, 1)
	b.Release()
	defer func() {
		if recover() == nil {
			t.Error("a buffer could be released twice")
		}
	}()
	b.Release()
}

func TestRoomIsFirstComeFirstServed(t *testing.T) {
	r := room{left: 10}
	never := make(chan struct{})
	give, err := r.take(8, never)
	if err != nil {
		t.Fatal(err)
	}
	type taken struct {
		give func()
		err  error
	}
	wait := func(n, place int, dead chan struct{}) chan taken {
		c := make(chan taken, 1)
		go func() {
			g, err := r.take(n, dead)
			c <- taken{g, err}
		}()
		for queued := 0; queued < place; { // until it stands in the queue
			r.mu.Lock()
			queued = len(r.queue)
			r.mu.Unlock()
		}
		return c
	}
	dead := make(chan struct{})
	gone := wait(9, 1, dead)
	large := wait(5, 2, never)
	small := wait(2, 3, never)
	close(dead)
	if got := <-gone; signet.KindOf(got.err) != signet.Unavailable {
		t.Fatal(got.err)
	}
	select {
	case <-small:
		t.Fatal("a small one overtook a large one, which may then wait for ever")
	default:
	}
	give()
	(<-large).give()
	(<-small).give()
	if r.left != 10 || len(r.queue) != 0 {
		t.Error(r.left, len(r.queue))
	}
}

func TestOutboxBatches(t *testing.T) {
	o := newOutbox(1 << 20)
	var released []int
	add := func(i int, payload []byte, skip func() bool) {
		if err := o.put([]byte{byte(i)}, payload, func() { released = append(released, i) }, skip, false); err != nil {
			t.Fatal(err)
		}
	}
	large := func(b byte) []byte { return bytes.Repeat([]byte{b}, copyBelow) }
	add(1, []byte("a"), nil)
	add(2, large('b'), nil)
	add(3, nil, nil)
	add(4, large('d'), func() bool { return true })
	add(5, []byte("e"), nil)
	var b batch
	if !o.take(&b) {
		t.Fatal("nothing")
	}
	w := &writes{}
	var c conn
	if err := b.writeTo(w, &c.skipped); err != nil {
		t.Fatal(err)
	}
	want := []string{"\x01a\x02", string(large('b')), "\x03", "\x05e"}
	if fmt.Sprint(w.got) != fmt.Sprint(want) {
		t.Errorf("%d writes: %.60q", len(w.got), w.got)
	}
	if fmt.Sprint(released) != "[1 3 5 2 4]" || c.skipped.Load() != 1 {
		t.Error(released, c.skipped.Load())
	}
	add(6, large('f'), nil)
	o.close(errors.New("over"), false)
	if o.take(&b) || len(released) != 6 {
		t.Error("what waits at the end is released and not written", released)
	}
	if err := o.put(nil, nil, func() { t.Error("taken over") }, nil, false); err == nil {
		t.Error("put after close")
	}
}

type writes struct{ got []string }

func (w *writes) Write(p []byte) (int, error) {
	w.got = append(w.got, string(p))
	return len(p), nil
}

// TestExamplesOfTheProtocol holds the package comment against what is sent.
func TestExamplesOfTheProtocol(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	doc := regexp.MustCompile(`\n//\s*`).ReplaceAllString(string(text), "")
	frames := sampleFrames()
	for _, name := range []string{"call ping", "reply", "call put", "failure"} {
		if !strings.Contains(doc, hex.EncodeToString(frames[name])) {
			t.Errorf("doc.go shows %s otherwise than %x", name, frames[name])
		}
	}
}
