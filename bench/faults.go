package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	calmTime  = 500 * time.Millisecond // of writing before the leader is killed
	afterTime = 3 * time.Second        // and after it
)

// mountTime stops a host and measures how long it takes until its mount can be used again.
func mountTime(ctx context.Context, w *work) error {
	r := w.target.ring
	h := r.hosts[2]
	began := time.Now()
	if err := h.end(unix.SIGTERM, patience); err != nil {
		return err
	}
	w.record("a host stops", "s", false, time.Since(began).Seconds())
	return w.comeBack(ctx, h)
}

// comeBack starts a host that does not run.
func (w *work) comeBack(ctx context.Context, h *host) error {
	r := w.target.ring
	began := time.Now()
	if _, err := r.call(ctx, "mount", "--state", h.state, h.mnt); err != nil {
		return err
	}
	if _, err := os.ReadDir(h.mnt); err != nil {
		return err
	}
	w.record("signet mount until ls works", "s", false, time.Since(began).Seconds())
	if err := r.meet(ctx, h); err != nil {
		return err
	}
	if err := r.healthy(ctx); err != nil {
		return err
	}
	w.record("signet mount until the ring is healthy", "s", false, time.Since(began).Seconds())
	return nil
}

// killLeader kills the host that leads, again and again, and measures how long others wait
// for a change and for a read.
func killLeader(ctx context.Context, w *work) error {
	r := w.target.ring
	for i := range w.kills {
		leader, other, err := r.leader(ctx)
		if err != nil {
			return err
		}
		dir := filepath.Join(other.mnt, filepath.Base(w.dir), fmt.Sprint("kill-", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		watch, stop := context.WithCancel(ctx)
		writes := w.longest(watch, func(n int) error { return createSmall(filepath.Join(dir, fmt.Sprint(n)), []byte("x"), false) })
		reads := w.longest(watch, func(int) error { _, err := os.ReadDir(filepath.Dir(dir)); return err })
		pause(ctx, calmTime)
		err = leader.end(unix.SIGKILL, patience)
		pause(ctx, afterTime)
		stop()
		a, b := <-writes, <-reads
		if err != nil {
			return err
		}
		w.record("longest wait for a change", "s", false, a.longest.Seconds())
		w.record("changes that failed", "", false, float64(a.failed))
		w.record("longest wait for a read", "s", false, b.longest.Seconds())
		w.record("reads that failed", "", false, float64(b.failed))
		if err := w.comeBack(ctx, leader); err != nil {
			return err
		}
	}
	return nil
}

// waits says how it went for somebody who did the same thing again and again.
type waits struct {
	longest time.Duration
	failed  int
}

// longest does something again and again until ctx ends.
func (w *work) longest(ctx context.Context, do func(n int) error) <-chan waits {
	out := make(chan waits, 1)
	go func() {
		var x waits
		for n := 0; ctx.Err() == nil; n++ {
			began := time.Now()
			if err := do(n); err != nil {
				w.say("%v", err)
				x.failed++
				pause(ctx, pollEvery)
			}
			x.longest = max(x.longest, time.Since(began))
		}
		out <- x
	}()
	return out
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
