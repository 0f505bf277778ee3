package clock_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/clock"
)

type key struct{}

var start = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func fired(c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestTimer(t *testing.T) {
	m := clock.NewManual(start)
	tm := m.NewTimer(time.Second)
	m.Advance(time.Second - 1)
	if fired(tm.C()) {
		t.Fatal("too early")
	}
	m.Advance(1)
	if !fired(tm.C()) || m.Waiting() != 0 {
		t.Fatal("too late")
	}
	if tm.Reset(time.Second) {
		t.Error("Reset of a timer that fired says that it was running")
	}
	if !tm.Stop() || tm.Stop() {
		t.Error("Stop")
	}
	m.Advance(time.Hour)
	if fired(tm.C()) {
		t.Error("fired after Stop")
	}
	if !m.Now().Equal(start.Add(time.Hour + time.Second)) {
		t.Error(m.Now())
	}
}

func TestStopTakesBackWhatNobodyTook(t *testing.T) {
	m := clock.NewManual(start)
	tm := m.NewTimer(time.Second)
	m.Advance(time.Second)
	if !tm.Reset(time.Second) || fired(tm.C()) {
		t.Error("the former wait arrived after Reset")
	}
	if now := m.NewTimer(0); !fired(now.C()) {
		t.Error("a timer of zero did not fire")
	}
}

func TestTickerDropsWhatNobodyTakes(t *testing.T) {
	m := clock.NewManual(start)
	tk := m.NewTicker(100 * time.Millisecond)
	m.Advance(time.Second)
	if !fired(tk.C()) || fired(tk.C()) {
		t.Error("want one tick after a second of nobody looking")
	}
	tk.Reset(time.Second)
	m.Advance(time.Second - 1)
	if fired(tk.C()) {
		t.Error("the old period")
	}
	m.Advance(1)
	if !fired(tk.C()) {
		t.Error("no tick of the new period")
	}
	tk.Stop()
	if m.Waiting() != 0 {
		t.Error("still waiting after Stop")
	}
}

func TestOrder(t *testing.T) {
	m := clock.NewManual(start)
	var got []int
	at := func(ms, id int) {
		d := time.Duration(ms) * time.Millisecond
		due := m.Now().Add(d)
		m.AfterFunc(d, func() {
			if !m.Now().Equal(due) {
				t.Errorf("%d fired at %v, not %v", id, m.Now(), due)
			}
			got = append(got, id)
		})
	}
	at(30, 4)
	at(10, 1)
	at(20, 2)
	at(20, 3)
	m.AfterFunc(25*time.Millisecond, func() { at(15, 5) })
	stopped := m.AfterFunc(time.Millisecond, func() { t.Error("stopped and yet called") })
	stopped.Stop()
	m.Advance(40 * time.Millisecond)
	if want := []int{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("fired %v, not %v", got, want)
	}
	if _, ok := m.Next(); ok {
		t.Error("something is left")
	}
}

func TestWaitFor(t *testing.T) {
	m := clock.NewManual(start)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if err := clock.Sleep(t.Context(), m, time.Duration(i+1)*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	if err := m.WaitFor(ctx, 3); err != nil {
		t.Fatal(err)
	}
	if d, ok := m.Next(); !ok || d != time.Second {
		t.Error(d, ok)
	}
	m.Advance(3 * time.Second)
	wg.Wait()
	cancel()
	if err := m.WaitFor(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := clock.Sleep(ctx, m, time.Second); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWithTimeout(t *testing.T) {
	m := clock.NewManual(start)
	ctx, cancel := clock.WithTimeout(t.Context(), m, time.Second)
	defer cancel()
	child, cancelChild := context.WithCancel(context.WithValue(ctx, key{}, "v"))
	defer cancelChild()
	if d, ok := ctx.Deadline(); !ok || !d.Equal(start.Add(time.Second)) {
		t.Error(d, ok)
	}
	m.Advance(time.Second - 1)
	if ctx.Err() != nil {
		t.Fatal("too early")
	}
	m.Advance(1)
	<-ctx.Done()
	<-child.Done()
	if signet.KindOf(ctx.Err()) != signet.Timeout || signet.KindOf(child.Err()) != signet.Timeout ||
		context.Cause(child) != context.DeadlineExceeded {
		t.Error(ctx.Err(), child.Err(), context.Cause(child))
	}
	cancel()
	if ctx.Err() != context.DeadlineExceeded {
		t.Error("cancelling changed the error")
	}
}

func TestWithTimeoutEndsWithItsParent(t *testing.T) {
	m := clock.NewManual(start)
	parent, cancelParent := context.WithCancel(t.Context())
	ctx, cancel := clock.WithTimeout(parent, m, time.Second)
	inner, cancelInner := clock.WithTimeout(ctx, m, time.Hour)
	defer cancelInner()
	if d, _ := inner.Deadline(); !d.Equal(start.Add(time.Second)) {
		t.Error("a child outlives its parent:", d)
	}
	cancelParent()
	<-inner.Done()
	if ctx.Err() != context.Canceled || inner.Err() != context.Canceled {
		t.Error(ctx.Err(), inner.Err())
	}
	cancel()
	cancelInner()
	if m.Waiting() != 0 {
		t.Error("cancelled contexts still wait")
	}
}

func TestReal(t *testing.T) {
	c := clock.Real()
	before := c.Now()
	tm, tk, called := c.NewTimer(time.Millisecond), c.NewTicker(time.Millisecond), make(chan bool)
	f := c.AfterFunc(time.Millisecond, func() { close(called) })
	<-tm.C()
	<-tk.C()
	<-called
	tk.Stop()
	if f.Stop() || c.Now().Sub(before) < time.Millisecond {
		t.Error("the machine's clock does not run")
	}
	ctx, cancel := clock.WithTimeout(t.Context(), c, time.Millisecond)
	defer cancel()
	<-ctx.Done()
	if err := clock.Sleep(t.Context(), c, time.Microsecond); err != nil || signet.KindOf(ctx.Err()) != signet.Timeout {
		t.Error(err, ctx.Err())
	}
}
