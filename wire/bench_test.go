package wire_test

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/wire"
)

// BenchmarkCall is calls over TLS on the loopback, both ends in this process: there is
// no network in it, and all of the CPU that both need.
func BenchmarkCall(b *testing.B) {
	_, p, peer := pair(b, nil)
	ctx := context.Background()
	m := &wire.Get{Group: 7, Len: 9}
	call := func(b *testing.B, out wire.Out, in wire.Message) *wire.Buffer {
		buf, err := p.Call(ctx, peer, out, in)
		if err != nil {
			b.Error(err)
		}
		return buf
	}
	small := wire.Out{Class: wire.Control, Method: methodEcho, Message: m}
	b.Run("small", func(b *testing.B) {
		b.ReportAllocs()
		took := make([]time.Duration, 0, 1<<20)
		for b.Loop() {
			var in wire.Get
			begun := time.Now()
			call(b, small, &in)
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "ns/p50")
		b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "ns/p99")
	})
	b.Run("small, 32 callers", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				var in wire.Get
				call(b, small, &in)
			}
		})
	})
	b.Run("4 KiB there", func(b *testing.B) {
		out := wire.Out{Class: wire.Control, Method: methodTake, Message: m, Payload: make([]byte, 4<<10)}
		b.SetBytes(4 << 10)
		b.ReportAllocs()
		for b.Loop() {
			call(b, out, nil)
		}
	})
	b.Run("4 MiB there", func(b *testing.B) {
		out := wire.Out{Class: wire.Bulk, Method: methodTake, Message: m, Payload: make([]byte, 4<<20)}
		b.SetBytes(4 << 20)
		b.ReportAllocs()
		for b.Loop() {
			call(b, out, nil)
		}
	})
	b.Run("4 MiB back", func(b *testing.B) {
		out := wire.Out{Class: wire.Bulk, Method: methodGive, Message: m}
		b.SetBytes(4 << 20)
		b.ReportAllocs()
		for b.Loop() {
			call(b, out, nil).Release()
		}
	})
}

func BenchmarkSend(b *testing.B) {
	sc := config(b)
	s, err := wire.NewServer(sc)
	if err != nil {
		b.Fatal(err)
	}
	got := make(chan bool, 1)
	want := 0
	n := 0
	s.HandleSend(wire.MethodAck, func(signet.HostKey, *wire.Request) {
		if n++; n == want {
			got <- true
		}
	})
	peer := serve(b, s, sc.Identity)
	p, err := wire.NewPool(config(b))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	want = b.N
	m := &wire.Ack{Group: 1, Host: 2, Start: 3, Acked: 4}
	for range b.N {
		for p.Send(peer, wire.Out{Class: wire.Control, Method: wire.MethodAck, Message: m}) != nil {
			runtime.Gosched() // the queue is full
		}
	}
	<-got
}

func BenchmarkDial(b *testing.B) {
	_, p, peer := pair(b, nil)
	for b.Loop() {
		if _, err := echo(context.Background(), p, peer, wire.Control, nil); err != nil {
			b.Fatal(err)
		}
		p.Drop(peer.Key)
	}
}
